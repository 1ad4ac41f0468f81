"""The rules of "always" answers: stored by the log's own projection, listed and revoked here."""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from agentctl.core.values import Millis


class Stored(Struct, frozen=True):
    """One rule that allows calls in the tasks of one workspace."""

    id: int
    cwd: str
    rule: str
    at_ms: Millis
    task_id: str
    """The task in which it was answered."""


def stored(db: sqlite3.Connection, cwd: str = "") -> list[Stored]:
    """Rules of this workspace, or of all; the oldest first."""
    rows = db.execute(
        "SELECT permissions.id, permissions.cwd, rule, at_ms, tasks.id FROM permissions"
        " JOIN tasks ON tasks.no = task WHERE ? = '' OR permissions.cwd = ? ORDER BY 1",
        (cwd, cwd),
    )
    return [Stored(*row) for row in rows]


def revoke(db: sqlite3.Connection, ids: list[int]) -> None:
    """Forget these rules, in one durable transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        db.executemany("DELETE FROM permissions WHERE id = ?", [(each,) for each in ids])
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
