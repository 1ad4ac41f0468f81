"""SQL for what can be done without: the size of logs and outputs, and taking them out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from agentctl.core import events as e
from agentctl.core.values import Millis

if TYPE_CHECKING:
    import sqlite3

SEQ_BITS = 32
SEQ_MAX = (1 << SEQ_BITS) - 1
_IN_TASK = f"pos BETWEEN ? << {SEQ_BITS} AND (? << {SEQ_BITS}) + {SEQ_MAX}"
REF = re.compile(r"[0-9a-f]{16}")
"""The name of a stored output: the beginning of its hash."""
NAMED = re.compile(rf'"({REF.pattern})\\*"')
"""The same where it stands in JSON, also in JSON within JSON. Quotes make it quick to find."""
ENDED = "status IN ('done', 'cancelled')"


def tasks(db: sqlite3.Connection) -> list[tuple[int, str, str, str, str, Millis, bool]]:
    """Number, id, origin, parent, status, last change and whether its log is a husk, of each."""
    rows = db.execute(
        "SELECT no, id, origin, parent, status, updated_ms, coalesce((SELECT kind FROM events"  # noqa: S608 - constants
        f" WHERE pos BETWEEN no << {SEQ_BITS} AND (no << {SEQ_BITS}) + {SEQ_MAX}"
        " ORDER BY pos DESC LIMIT 1), '') = 'LogRemoved' FROM tasks ORDER BY no"
    )
    return [(*row[:6], bool(row[6])) for row in rows]


def size(db: sqlite3.Connection, number: int) -> tuple[int, int]:
    """How many events a task has, and their bytes."""
    row = db.execute(
        "SELECT count(*), coalesce(sum(length(CAST(body AS BLOB))), 0) FROM events"  # noqa: S608 - constants
        f" WHERE {_IN_TASK}",
        (number, number),
    ).fetchone()
    return row[0], row[1]


def references(
    db: sqlite3.Connection, known: Collection[str], number: int | None = None
) -> Iterator[tuple[int, str]]:
    """Task and stored output wherever an event, of a task or of all, names one of those `known`.

    By whatever field: what is referred to in a way that is not thought of here must not be lost.
    """
    sql = f"SELECT pos >> {SEQ_BITS}, body FROM events"  # noqa: S608 - a constant of this file
    if number is None:
        rows = db.execute(sql)
    else:
        rows = db.execute(f"{sql} WHERE {_IN_TASK}", (number, number))
    for task, body in rows:
        yield from ((task, ref) for ref in NAMED.findall(body) if ref in known)


def outputs(db: sqlite3.Connection) -> dict[str, int]:
    """Bytes of each stored output, as far as its name is one that can be recognised."""
    rows = db.execute("SELECT ref, length(CAST(text AS BLOB)) FROM outputs")
    return {ref: size_bytes for ref, size_bytes in rows if REF.fullmatch(ref)}


def rewrite(db: sqlite3.Connection, number: int, kept: Sequence[e.Recorded]) -> None:
    """Put other events in place of a task's; nothing is found again by what they said."""
    for table in ("answers", "lookups", "events"):
        db.execute(f"DELETE FROM {table} WHERE {_IN_TASK}", (number, number))  # noqa: S608 - constants
    rows = []
    for record in kept:
        kind, body = e.to_json(record.event)
        rows.append(((number << SEQ_BITS) + record.seq, kind, record.at_ms, body.decode()))
    db.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)


def drop_outputs(db: sqlite3.Connection, refs: Iterable[str]) -> None:
    """Take out stored outputs."""
    db.executemany("DELETE FROM outputs WHERE ref = ?", ((ref,) for ref in refs))


def pages(db: sqlite3.Connection) -> tuple[int, int]:
    """Bytes of the file that are in use, and those that are free in it."""
    (page_size,), (pages,), (free,) = (
        db.execute(f"PRAGMA {name}").fetchone()
        for name in ("page_size", "page_count", "freelist_count")
    )
    return (pages - free) * page_size, free * page_size
