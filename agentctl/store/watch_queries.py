"""What the screen of all tasks reads, several times a second: little of a large database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentctl.core.rows import TaskRow
from agentctl.store.queries import TASK

if TYPE_CHECKING:
    import sqlite3


def newest_and_running(db: sqlite3.Connection, newest: int) -> list[TaskRow]:
    """The newest so many tasks and, however old, all that have not stopped; newest first."""
    chosen = "no > (SELECT max(no) FROM tasks) - ? OR status = 'running'"
    rows = db.execute(f"{TASK} WHERE {chosen} ORDER BY no DESC", (newest,))
    return [TaskRow(*row) for row in rows]


def last_seq(db: sqlite3.Connection, number: int) -> int:
    """The number of a task's last event, by the task's row number."""
    base = number << 32
    row = db.execute(
        "SELECT max(pos) FROM events WHERE pos BETWEEN ? AND ?", (base, base | 0xFFFFFFFF)
    ).fetchone()
    last: int = row[0]
    return last - base
