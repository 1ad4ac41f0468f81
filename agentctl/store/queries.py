"""Reading the lists: tasks and model calls. SQL in, rows of ports out; nothing here writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentctl.core.rows import TaskRow, UsageRow
from agentctl.core.values import Micros, Millis

if TYPE_CHECKING:
    import sqlite3

_TASK = (
    "SELECT id, name, goal, status, cwd, provider, model, created_ms, updated_ms, steps,"
    " cost_micros, unpriced, tokens_processed, tokens_total, pid, wake_ms, limit_micros FROM tasks"
)
_USAGE = (
    "SELECT usage.id, tasks.id, call, usage.at_ms, offers.provider, offers.model, purpose, state,"
    " input, cache_read, cache_write, output, reasoning, reserve_micros, usage.cost_micros,"
    " prices, response_id, tasks.name, tasks.cwd"
    " FROM usage JOIN tasks ON tasks.no = usage.task JOIN offers ON offers.id = usage.offer"
)
_IS_OPEN = "state IN ('open', 'unsettled')"
_SUMS = (
    "count(*), sum(usage.cost_micros IS NULL), sum(input), sum(cache_read), sum(cache_write),"
    " sum(output),"
    f" sum(CASE WHEN {_IS_OPEN} THEN 0 ELSE coalesce(usage.cost_micros, 0) END),"
    " sum(state = 'estimated'),"
    f" sum(CASE WHEN {_IS_OPEN} THEN coalesce(usage.cost_micros, 0) ELSE 0 END)"
)
KEYS = {
    "quarter": "usage.at_ms / 900000",  # a quarter of an hour: no time zone cuts it
    "hour": "usage.at_ms / 3600000",
    "task": "usage.task",
    "model": "(SELECT provider || '/' || model FROM offers WHERE offers.id = usage.offer)",
}
"""What calls can be summed by, as SQL. The only SQL text that callers choose from."""


def tasks(db: sqlite3.Connection, *, limit: int = -1, ended: bool = True) -> list[TaskRow]:
    """The newest tasks first; `limit` -1 for all; `ended` False leaves done and cancelled out."""
    where = "" if ended else " WHERE status NOT IN ('done', 'cancelled')"
    return [
        TaskRow(*row) for row in db.execute(f"{_TASK}{where} ORDER BY no DESC LIMIT ?", (limit,))
    ]


def matching(db: sqlite3.Connection, text: str) -> list[TaskRow]:
    """Tasks whose id begins with `text` or whose name is `text`; "@last" is the newest."""
    if text == "@last":
        return tasks(db, limit=1)
    exact = db.execute(f"{_TASK} WHERE id = ?", (text,)).fetchall()
    if exact:
        return [TaskRow(*exact[0])]
    # Ids have no wildcard characters; a range needs no escaping where LIKE would.
    rows = db.execute(
        f"{_TASK} WHERE (id >= ? AND id < ?) OR name = ? ORDER BY no DESC LIMIT 9",
        (text, text + "\U0010ffff", text),
    )
    return [TaskRow(*row) for row in rows]


def calls(db: sqlite3.Connection, number: int) -> list[UsageRow]:
    """The model calls of a task, oldest first."""
    rows = db.execute(f"{_USAGE} WHERE usage.task = ? ORDER BY usage.id", (number,))
    return [UsageRow(*row) for row in rows]


def recent_calls(db: sqlite3.Connection, least: int, since_ms: Millis) -> list[UsageRow]:
    """The newest `least` calls, and before them all since a moment; oldest first."""
    rows: list[UsageRow] = []
    for row in db.execute(f"{_USAGE} ORDER BY usage.id DESC"):
        call = UsageRow(*row)
        if len(rows) >= least and call.at_ms < since_ms:
            break
        rows.append(call)
    rows.reverse()
    return rows


def sums(
    db: sqlite3.Connection, key: str, since_ms: Millis = 0, until_ms: Millis | None = None
) -> Sequence[tuple[int | str, int, int, int, int, int, int, Micros, int, Micros]]:
    """Per key of KEYS: calls, unpriced; input, cache read and write, output; cost, estimated, open.

    Cost leaves out what is open or unsettled; "open" is at most that much more.
    """
    expression = KEYS[key]
    sql = f"SELECT {expression}, {_SUMS} FROM usage WHERE at_ms >= ? AND at_ms < ? GROUP BY 1"  # noqa: S608 - both are constants of this file
    return db.execute(
        sql + " ORDER BY 1",
        (since_ms, 1 << 62 if until_ms is None else until_ms),
    ).fetchall()


def names(db: sqlite3.Connection) -> dict[int, str]:
    """Task ids by row number, for `sums` by task."""
    return dict(db.execute("SELECT no, id FROM tasks").fetchall())


def pause_is_due(db: sqlite3.Connection, number: int) -> bool:
    """Whether a pause was asked for after the task was last taken up."""
    base = number << 32
    row = db.execute(
        "SELECT kind FROM events WHERE pos BETWEEN ? AND ?"
        " AND kind IN ('PauseRequested', 'Resumed') ORDER BY pos DESC LIMIT 1",
        (base, base | 0xFFFFFFFF),
    ).fetchone()
    return row is not None and row[0] == "PauseRequested"
