"""The tables that follow from events: tasks, usage, spend. Written with the event, never alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentctl.core import events as e
from agentctl.core.values import Micros, Millis

if TYPE_CHECKING:
    import sqlite3

MINUTE_MS = 60_000
GOAL_CHARS_MAX = 200
"""The list shows the beginning of a goal; the whole is in the log."""


def insert_task(db: sqlite3.Connection, task_id: str, event: e.TaskCreated, at_ms: Millis) -> int:
    """Write the list row of a new task and return its number."""
    cursor = db.execute(
        "INSERT INTO tasks (id, name, goal, status, cwd, provider, model, created_ms, updated_ms,"
        " steps, cost_micros, unpriced, tokens_processed, tokens_total, pid, wake_ms, limit_micros)"
        " VALUES (?, ?, ?, 'running', ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0, ?)",
        (
            task_id,
            event.name,
            event.goal[:GOAL_CHARS_MAX],
            event.cwd,
            event.provider,
            event.model,
            at_ms,
            at_ms,
            event.limits.task_cost_micros,
        ),
    )
    number = cursor.lastrowid
    if number is None:
        raise TypeError("an insert gives a row number")
    return number


def follow(db: sqlite3.Connection, base: int, pos: int, event: e.Event, at_ms: Millis) -> None:
    """Bring the tables up to date with an event at `pos`; the task's positions begin at `base`."""
    number = base >> 32
    match event:
        case e.ModelAsked():
            _asked(db, pos, event, at_ms)
        case e.ModelAnswered():
            _answered(db, base, event, at_ms)
        case e.ModelFailed():
            _failed(db, base, event, at_ms)
        case e.Resumed():
            db.execute(
                "UPDATE tasks SET status = 'running', pid = ?, updated_ms = ?, wake_ms = 0,"
                " provider = coalesce(nullif(?, ''), provider),"
                " model = coalesce(nullif(?, ''), model) WHERE no = ?",
                (event.pid, at_ms, event.provider, event.model, number),
            )
        case e.Stopped():
            _status(db, number, event.outcome, at_ms, event.wake_ms)
        case e.Finished():
            _status(db, number, event.outcome, at_ms, 0)
        case e.LimitChanged():
            db.execute(
                "UPDATE tasks SET limit_micros = ? WHERE no = ?",
                (event.limits.task_cost_micros, number),
            )
        case _:
            pass


def _status(
    db: sqlite3.Connection, number: int, status: str, at_ms: Millis, wake_ms: Millis
) -> None:
    db.execute(
        "UPDATE tasks SET status = ?, updated_ms = ?, wake_ms = ? WHERE no = ?",
        (status, at_ms, wake_ms, number),
    )


def _asked(db: sqlite3.Connection, pos: int, event: e.ModelAsked, at_ms: Millis) -> None:
    db.execute(
        "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, 'open', 0, 0, 0, 0, 0, ?, ?, '', '')",
        (
            pos,
            event.call,
            at_ms,
            event.provider,
            event.model,
            event.purpose,
            event.reserve_micros,
            event.reserve_micros,
        ),
    )
    _spend(db, at_ms, event.reserve_micros or 0)


def _open_row(db: sqlite3.Connection, base: int) -> tuple[int, Millis, Micros | None]:
    """The call that is waiting for its answer: always the task's last row."""
    row = db.execute(
        "SELECT pos, at_ms, reserve_micros, state FROM usage WHERE pos BETWEEN ? AND ?"
        " ORDER BY pos DESC LIMIT 1",
        (base, base | 0xFFFFFFFF),
    ).fetchone()
    if row is None or row[3] != "open":
        raise ValueError("an answer without an open call")
    return row[0], row[1], row[2]


def _answered(db: sqlite3.Connection, base: int, event: e.ModelAnswered, at_ms: Millis) -> None:
    pos, asked_ms, reserve_micros = _open_row(db, base)
    usage = event.usage
    db.execute(
        "UPDATE usage SET state = ?, input = ?, cache_read = ?, cache_write = ?, output = ?,"
        " reasoning = ?, cost_micros = ?, prices = ?, response_id = ?,"
        " model = coalesce(nullif(?, ''), model) WHERE pos = ?",
        (
            "settled" if usage.reported else "estimated",
            usage.input,
            usage.cache_read,
            usage.cache_write,
            usage.output,
            usage.reasoning,
            event.cost_micros,
            event.prices,
            event.response_id,
            event.model,
            pos,
        ),
    )
    db.execute(
        "UPDATE tasks SET steps = steps + 1, cost_micros = cost_micros + ?,"
        " unpriced = unpriced + ?, tokens_processed = tokens_processed + ?,"
        " tokens_total = tokens_total + ?, updated_ms = ? WHERE no = ?",
        (
            event.cost_micros or 0,
            event.cost_micros is None,
            usage.processed,
            usage.input + usage.output,
            at_ms,
            base >> 32,
        ),
    )
    _spend(db, asked_ms, (event.cost_micros or 0) - (reserve_micros or 0))


def _failed(db: sqlite3.Connection, base: int, event: e.ModelFailed, at_ms: Millis) -> None:
    pos, asked_ms, reserve_micros = _open_row(db, base)
    # Unpriced and possibly billed is not "free": charged_tokens tells the two apart.
    billed = event.charged_micros != 0 or event.charged_tokens > 0
    db.execute(
        "UPDATE usage SET state = ?, cost_micros = ? WHERE pos = ?",
        ("unsettled" if billed else "free", event.charged_micros, pos),
    )
    db.execute(
        "UPDATE tasks SET cost_micros = cost_micros + ?, unpriced = unpriced + ?,"
        " tokens_processed = tokens_processed + ?, tokens_total = tokens_total + ?,"
        " updated_ms = ? WHERE no = ?",
        (
            event.charged_micros or 0,
            event.charged_micros is None,
            event.charged_tokens,
            event.charged_tokens,
            at_ms,
            base >> 32,
        ),
    )
    _spend(db, asked_ms, (event.charged_micros or 0) - (reserve_micros or 0))


def _spend(db: sqlite3.Connection, at_ms: Millis, micros: Micros) -> None:
    if micros:
        db.execute(
            "INSERT INTO spend VALUES (?, ?)"
            " ON CONFLICT (minute) DO UPDATE SET micros = micros + excluded.micros",
            (at_ms // MINUTE_MS, micros),
        )
