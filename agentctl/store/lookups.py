"""Results of look-ups that may be given again: where they stand in the log, by what was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentctl.core import events as e
from agentctl.core.lookups import Lookup
from agentctl.core.values import Millis

if TYPE_CHECKING:
    import sqlite3

MOST_BYTES = 50_000_000
"""Results of so many bytes in all can be found again; beyond that the oldest are forgotten."""


class Lookups:
    """Keeps the table `lookups` in step with the log, and within its bound."""

    def __init__(self, db: sqlite3.Cursor, most_bytes: int = MOST_BYTES) -> None:
        """Write through this cursor, within its connection's transactions."""
        self._db = db
        self._most_bytes = most_bytes
        self._untrimmed_bytes = most_bytes  # others have written too: the first one looks

    def ended(self, event: e.ToolEnded, at_ms: Millis, pos: int) -> None:
        """Keep a result that may be given again."""
        size_bytes = event.output_bytes or len(event.text.encode())
        self._db.execute(
            "INSERT OR REPLACE INTO lookups (key, pos, at_ms, proof, bytes) VALUES (?, ?, ?, ?, ?)",
            (event.lookup, pos, at_ms, event.proof, size_bytes),
        )
        self._untrimmed_bytes += size_bytes
        if self._untrimmed_bytes * 20 > self._most_bytes:
            self._untrimmed_bytes = 0
            trim(self._db, self._most_bytes)


def trim(db: sqlite3.Cursor, most_bytes: int) -> None:
    """Forget the oldest results, so that those that are left have at most so many bytes."""
    db.execute(
        "DELETE FROM lookups WHERE id <= (SELECT max(id) FROM"
        " (SELECT id, sum(bytes) OVER (ORDER BY id DESC) AS total FROM lookups) WHERE total > ?)",
        (most_bytes,),
    )


def find(db: sqlite3.Connection, key: str) -> Lookup | None:
    """The result that is kept under this hash."""
    row = db.execute(
        "SELECT tasks.id, lookups.at_ms, lookups.proof, events.kind, events.body FROM lookups"
        " JOIN events ON events.pos = lookups.pos JOIN tasks ON tasks.no = lookups.pos >> 32"
        " WHERE key = ?",
        (key,),
    ).fetchone()
    if row is None:
        return None
    task_id, at_ms, proof, kind, body = row
    event = e.from_json(kind, body)
    if not isinstance(event, e.ToolEnded):
        return None
    text = event.text
    if event.output_ref:
        whole = db.execute("SELECT text FROM outputs WHERE ref = ?", (event.output_ref,)).fetchone()
        if whole is None:
            return None
        text = whole[0]
    return Lookup(task_id, event.call_id, at_ms, event.text, text, proof)
