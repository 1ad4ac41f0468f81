"""Which tasks a list has. Every word of the user's is a parameter; nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agentctl.core.rows import TaskRow
from agentctl.core.wanted import Wanted
from agentctl.store.project import GOAL_CHARS_MAX
from agentctl.store.queries import TASK

if TYPE_CHECKING:
    import sqlite3

_WORDS = (
    "(instr(folded(name), :text) OR instr(folded(goal), :text)"
    # The row has only how a long goal begins; the rest is in the task's first event.
    " OR (length(goal) = :cut AND instr(folded((SELECT json_extract(body, '$.goal')"
    " FROM events WHERE pos = tasks.no << 32)), :text)))"
)
SEEN_AS = {"running": ("running",), "interrupted": ("running",), "paused": ("paused", "running")}
"""What the database has for a status; which of them it is only the task's lock can tell."""


def wanted(db: sqlite3.Connection, which: Wanted) -> Iterator[TaskRow]:
    """The newest tasks first, as the database has them: see SEEN_AS."""
    tests = ["updated_ms >= :since"]
    values: dict[str, int | str] = {"since": which.since_ms, "cut": GOAL_CHARS_MAX}
    if which.text:
        db.create_function("folded", 1, str.casefold, deterministic=True)
        values["text"] = which.text.casefold()
        tests.append(_WORDS)
    kept = {kept for status in which.statuses for kept in SEEN_AS.get(status, (status,))}
    folders = [folder.rstrip("/") for folder in which.folders]
    for name, found, test in (
        ("status", sorted(kept), "status = :status{0}"),
        # What follows the name of a folder below it is "/", and "0" is the sign after that.
        ("cwd", folders, "cwd = :cwd{0} OR (cwd >= :cwd{0} || '/' AND cwd < :cwd{0} || '0')"),
    ):
        values |= {f"{name}{place}": value for place, value in enumerate(found)}
        if found:
            tests.append(f"({' OR '.join(test.format(place) for place in range(len(found)))})")
    sql = f"{TASK} WHERE {' AND '.join(tests)} ORDER BY no DESC"
    for row in db.execute(sql, values):
        yield TaskRow(*row)


def from_it(db: sqlite3.Connection, task_id: str) -> list[TaskRow]:
    """The tasks that come from this one, or from a batch of that name; oldest first."""
    rows = db.execute(f"{TASK} WHERE parent = ? AND parent <> '' ORDER BY item, no", (task_id,))
    return [TaskRow(*row) for row in rows]
