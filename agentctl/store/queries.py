"""Reading the lists: tasks and model calls. SQL in, rows of ports out; nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from agentctl.core.rows import TaskRow, UsageRow
from agentctl.core.values import Micros, Millis

if TYPE_CHECKING:
    import sqlite3

TASK = (
    "SELECT id, name, goal, status, cwd, provider, model, created_ms, updated_ms, steps,"
    " cost_micros, unpriced, tokens_processed, tokens_total, pid, wake_ms, limit_micros, account,"
    " active_ms, origin, parent, item FROM tasks"
)
_USAGE = (
    "SELECT usage.id, tasks.id, call, usage.at_ms, offers.provider, offers.model, purpose, state,"
    " input, cache_read, cache_write, output, reasoning, reserve_micros, usage.cost_micros,"
    " prices, response_id, tasks.name, tasks.cwd, tasks.account"
    " FROM usage JOIN tasks ON tasks.no = usage.task JOIN offers ON offers.id = usage.offer"
)
_PARTS = (
    "SELECT quarter, task, offer, calls, unpriced, input, cache_read, cache_write, output,"
    " cost_micros, estimated, unsettled_micros, 0 AS pruned FROM sums"
    " WHERE quarter >= ? AND quarter < ?"
    # Open calls are few, and an index holds them alone; written so, it is used.
    " UNION ALL SELECT at_ms / 900000, task, offer, 1, cost_micros IS NULL, 0, 0, 0, 0, 0, 0,"
    " coalesce(cost_micros, 0), 0 FROM usage"
    " WHERE state = 'open' AND at_ms / 900000 >= ? AND at_ms / 900000 < ?"
    " UNION ALL SELECT quarter, task, offer, 0, 0, 0, 0, 0, 0, 0, 0, 0, saved_micros FROM pruned"
    " WHERE quarter >= ? AND quarter < ?"
)
_SUMS = (
    "sum(calls), sum(unpriced), sum(input), sum(cache_read), sum(cache_write), sum(output),"
    " sum(cost_micros), sum(estimated), sum(unsettled_micros), sum(pruned)"
)
QUARTER_MS = 900_000
"""Calls are summed by quarters of an hour, since every time zone is whole quarters off UTC."""
KEYS = {
    "quarter": "quarter",
    "hour": "quarter / 4",
    "task": "task",
    "model": "(SELECT provider || '/' || model FROM offers WHERE offers.id = offer)",
    "project": "(SELECT cwd FROM tasks WHERE no = task)",
    "account": "(SELECT account FROM tasks WHERE no = task)",
    "all": "''",
}
"""What calls can be summed by, as SQL. The only SQL text that callers choose from."""


def tasks(db: sqlite3.Connection, *, limit: int = -1, ended: bool = True) -> list[TaskRow]:
    """The newest tasks first; `limit` -1 for all; `ended` False leaves done and cancelled out."""
    where = "" if ended else " WHERE status NOT IN ('done', 'cancelled')"
    return [
        TaskRow(*row) for row in db.execute(f"{TASK}{where} ORDER BY no DESC LIMIT ?", (limit,))
    ]


def of_batch(db: sqlite3.Connection, batch_id: str) -> list[TaskRow]:
    """The tasks of a batch's goals, in the order of the goals."""
    rows = db.execute(
        f"{TASK} WHERE parent = ? AND parent <> '' AND origin = 'batch' ORDER BY item, no",
        (batch_id,),
    )
    return [TaskRow(*row) for row in rows]


def children(db: sqlite3.Connection, task_id: str) -> list[TaskRow]:
    """The tasks that work for this one or have done so, in the order in which they were begun."""
    rows = db.execute(
        f"{TASK} WHERE parent = ? AND parent <> '' AND origin = 'child' ORDER BY no", (task_id,)
    )
    return [TaskRow(*row) for row in rows]


def matching(db: sqlite3.Connection, text: str) -> list[TaskRow]:
    """Tasks whose id begins with `text` or whose name is `text`; "@last" is the newest.

    The newest is never one that works for another: nobody began it himself.
    """
    if text == "@last":
        newest = db.execute(f"{TASK} WHERE origin != 'child' ORDER BY no DESC LIMIT 1")
        return [TaskRow(*row) for row in newest]
    # What is no UTF-8 on the command line is nobody's name, and no text for SQLite either.
    text = text.encode(errors="backslashreplace").decode()
    exact = db.execute(f"{TASK} WHERE id = ?", (text,)).fetchall()
    if exact:
        return [TaskRow(*exact[0])]
    # Ids have no wildcard characters; a range needs no escaping where LIKE would.
    rows = db.execute(
        f"{TASK} WHERE (id >= ? AND id < ?) OR name = ? ORDER BY no DESC LIMIT 9",
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
) -> Sequence[tuple[int | str, int, int, int, int, int, int, Micros, int, Micros, Micros]]:
    """Per key of KEYS the sums of its calls: see below for their order.

    Calls, unpriced; input, cache read and write, output; cost, estimated, open, saved by pruning.
    Cost leaves out what is open or unsettled; "open" is at most that much more. The period is
    widened to whole quarters of an hour.
    """
    sql = f"SELECT {KEYS[key]}, {_SUMS} FROM ({_PARTS}) GROUP BY 1 ORDER BY 1"  # noqa: S608 - all are constants of this file
    return db.execute(sql, _quarters(since_ms, until_ms) * 3).fetchall()


def sums_by_offer(
    db: sqlite3.Connection, key: str, since_ms: Millis = 0, until_ms: Millis | None = None
) -> Iterator[tuple[int | str, int, int, int, int, int, int, int, Micros, int, Micros, Micros]]:
    """As `sums`, with the offer after the key: models, and what they cost, stay apart."""
    sql = f"SELECT {KEYS[key]}, offer, {_SUMS} FROM ({_PARTS}) GROUP BY 1, 2 ORDER BY 1, 2"  # noqa: S608 - all are constants of this file
    return db.execute(sql, _quarters(since_ms, until_ms) * 3)


def pruned(db: sqlite3.Connection, number: int) -> Micros:
    """What leaving out old text saved in a task."""
    row = db.execute(
        "SELECT coalesce(sum(saved_micros), 0) FROM pruned WHERE task = ?", (number,)
    ).fetchone()
    saved: Micros = row[0]
    return saved


def _quarters(since_ms: Millis, until_ms: Millis | None) -> tuple[int, int]:
    """The first quarter of an hour, and the first after the last."""
    last = 1 << 62 if until_ms is None else until_ms
    return since_ms // QUARTER_MS, -(-last // QUARTER_MS)


def offers(db: sqlite3.Connection) -> dict[int, tuple[str, str, str]]:
    """Provider, model and unit prices (JSON text, empty while unknown) by offer."""
    rows = db.execute("SELECT id, provider, model, prices FROM offers")
    return {number: (provider, model, prices) for number, provider, model, prices in rows}


def labels(db: sqlite3.Connection) -> dict[int, tuple[str, str]]:
    """Id and name of each task by row number; of one without a name how its goal begins."""
    rows = db.execute("SELECT no, id, coalesce(nullif(name, ''), substr(goal, 1, 80)) FROM tasks")
    return {number: (task_id, label) for number, task_id, label in rows}


def names(db: sqlite3.Connection) -> dict[int, str]:
    """Task ids by row number, for `sums` by task."""
    return dict(db.execute("SELECT no, id FROM tasks").fetchall())


def standing(db: sqlite3.Connection, number: int) -> tuple[str, int]:
    """The status of a task, as its list row has it, and how many events it has, at one moment."""
    base = number << 32
    row = db.execute(
        "SELECT status, (SELECT max(pos) FROM events WHERE pos BETWEEN ? AND ?) FROM tasks"
        " WHERE no = ?",
        (base, base | 0xFFFFFFFF, number),
    ).fetchone()
    return row[0], (row[1] & 0xFFFFFFFF) + 1


def newest_in(db: sqlite3.Connection, cwd: str) -> TaskRow | None:
    """The newest task of a workspace that somebody began there: no item of a batch, no child."""
    row = db.execute(
        f"{TASK} WHERE cwd = ? AND origin IN ('', 'fork', 'import') ORDER BY no DESC LIMIT 1",
        (cwd,),
    ).fetchone()
    return TaskRow(*row) if row else None


def pause_is_due(db: sqlite3.Connection, number: int) -> bool:
    """Whether a pause was asked for after the task was last taken up."""
    base = number << 32
    row = db.execute(
        "SELECT kind FROM events WHERE pos BETWEEN ? AND ?"
        " AND kind IN ('PauseRequested', 'Resumed') ORDER BY pos DESC LIMIT 1",
        (base, base | 0xFFFFFFFF),
    ).fetchone()
    return row is not None and row[0] == "PauseRequested"


def last_ms(db: sqlite3.Connection, number: int) -> Millis:
    """When the last event of a task happened."""
    base = number << 32
    row = db.execute(
        "SELECT at_ms FROM events WHERE pos BETWEEN ? AND ? ORDER BY pos DESC LIMIT 1",
        (base, base | 0xFFFFFFFF),
    ).fetchone()
    moment_ms: Millis = row[0]
    return moment_ms


def tasks_with_open_calls(db: sqlite3.Connection) -> list[str]:
    """Ids of tasks with a call that waits for its answer: running, or left so by a dead process."""
    rows = db.execute(
        "SELECT DISTINCT tasks.id FROM usage JOIN tasks ON tasks.no = usage.task"
        " WHERE usage.state = 'open'"
    )
    return [row[0] for row in rows]
