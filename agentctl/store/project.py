"""The tables that follow from events: tasks, usage, spend. Written with the event, never alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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


class Projection:
    """Keeps the tables in step with the log. What it remembers only saves look-ups."""

    def __init__(self, db: sqlite3.Cursor) -> None:
        """Write through this cursor, within its connection's transactions."""
        self._db = db
        self._offers: dict[tuple[str, str, str], int] = {}
        self._open: dict[int, tuple[int, Millis, Micros, str, str]] = {}
        self._prices: dict[int, str] = {}
        self._changes: dict[type[e.Event], Callable[[int, Any, Millis], None]] = {
            e.ModelAsked: self._asked,
            e.ModelAnswered: self._answered,
            e.ModelFailed: self._failed,
            e.Resumed: self._resumed,
            e.Stopped: self._stopped,
            e.Finished: self._finished,
            e.LimitChanged: self._limit_changed,
        }

    def forget(self) -> None:
        """A transaction was rolled back: what was remembered may never have been written."""
        self._offers.clear()
        self._open.clear()

    def follow(self, task: int, event: e.Event, at_ms: Millis) -> None:
        """Bring the tables up to date with an event of the task with this row number."""
        change = self._changes.get(type(event))
        if change is not None:
            change(task, event, at_ms)

    def _resumed(self, task: int, event: e.Resumed, at_ms: Millis) -> None:
        self._db.execute(
            "UPDATE tasks SET status = 'running', pid = ?, updated_ms = ?, wake_ms = 0,"
            " provider = coalesce(nullif(?, ''), provider),"
            " model = coalesce(nullif(?, ''), model) WHERE no = ?",
            (event.pid, at_ms, event.provider, event.model, task),
        )

    def _stopped(self, task: int, event: e.Stopped, at_ms: Millis) -> None:
        self._db.execute(
            "UPDATE tasks SET status = ?, updated_ms = ?, wake_ms = ? WHERE no = ?",
            (event.outcome, at_ms, event.wake_ms, task),
        )

    def _finished(self, task: int, event: e.Finished, at_ms: Millis) -> None:
        self._stopped(task, e.Stopped(event.outcome, ""), at_ms)

    def _limit_changed(self, task: int, event: e.LimitChanged, at_ms: Millis) -> None:
        self._db.execute(
            "UPDATE tasks SET limit_micros = ?, updated_ms = ? WHERE no = ?",
            (event.limits.task_cost_micros, at_ms, task),
        )

    def _asked(self, task: int, event: e.ModelAsked, at_ms: Millis) -> None:
        reserve = event.reserve_micros
        cursor = self._db.execute(
            "INSERT INTO usage VALUES (NULL, ?, ?, ?, ?, ?, 'open', 0, 0, 0, 0, 0, ?, ?, '')",
            (
                task,
                event.call,
                at_ms,
                self._offer(event.provider, event.model, ""),
                event.purpose,
                reserve,
                reserve,
            ),
        )
        row = cursor.lastrowid or 0
        self._open[task] = (row, at_ms, reserve or 0, event.provider, event.model)
        self._spend(at_ms, reserve or 0)

    def _answered(self, task: int, event: e.ModelAnswered, at_ms: Millis) -> None:
        row, asked_ms, reserve_micros, provider, model = self._open_call(task)
        usage, cost = event.usage, event.cost_micros
        if event.prices:
            self._prices[task] = event.prices
        offer = self._offer(provider, event.model or model, self._prices.get(task, ""))
        self._db.execute(
            "UPDATE usage SET state = ?, offer = ?, input = ?, cache_read = ?, cache_write = ?,"
            " output = ?, reasoning = ?, cost_micros = ?, response_id = ? WHERE id = ?",
            (
                "settled" if usage.reported else "estimated",
                offer,
                usage.input,
                usage.cache_read,
                usage.cache_write,
                usage.output,
                usage.reasoning,
                cost,
                event.response_id,
                row,
            ),
        )
        tokens_total = usage.input + usage.output
        self._add(task, 1, cost, usage.processed, tokens_total, at_ms)
        self._spend(asked_ms, (cost or 0) - reserve_micros)

    def _failed(self, task: int, event: e.ModelFailed, at_ms: Millis) -> None:
        row, asked_ms, reserve_micros, _, _ = self._open_call(task)
        cost, tokens = event.charged_micros, event.charged_tokens
        # Unpriced and possibly billed is not "free": charged_tokens tells the two apart.
        state = "unsettled" if cost != 0 or tokens else "free"
        self._db.execute(
            "UPDATE usage SET state = ?, cost_micros = ? WHERE id = ?", (state, cost, row)
        )
        self._add(task, 0, cost, tokens, tokens, at_ms)
        self._spend(asked_ms, (cost or 0) - reserve_micros)

    def _add(
        self,
        task: int,
        steps: int,
        cost_micros: Micros | None,
        processed: int,
        total: int,
        at_ms: Millis,
    ) -> None:
        self._db.execute(
            "UPDATE tasks SET steps = steps + ?, cost_micros = cost_micros + ?,"
            " unpriced = unpriced + ?, tokens_processed = tokens_processed + ?,"
            " tokens_total = tokens_total + ?, updated_ms = ? WHERE no = ?",
            (steps, cost_micros or 0, cost_micros is None, processed, total, at_ms, task),
        )

    def _open_call(self, task: int) -> tuple[int, Millis, Micros, str, str]:
        """The call of this task that waits for its answer."""
        known = self._open.pop(task, None)
        if known is not None:
            return known
        row: tuple[int, Millis, Micros, str, str] | None = self._db.execute(
            "SELECT usage.id, at_ms, coalesce(reserve_micros, 0), provider, model"
            " FROM usage JOIN offers ON offers.id = offer"
            " WHERE task = ? AND state = 'open' ORDER BY usage.id DESC LIMIT 1",
            (task,),
        ).fetchone()
        if row is None:
            raise ValueError("an answer without an open call")
        return row

    def _offer(self, provider: str, model: str, prices: str) -> int:
        key = (provider, model, prices)
        offer = self._offers.get(key)
        if offer is None:
            self._db.execute("INSERT OR IGNORE INTO offers VALUES (NULL, ?, ?, ?)", key)
            offer = self._db.execute(
                "SELECT id FROM offers WHERE provider = ? AND model = ? AND prices = ?", key
            ).fetchone()[0]
            self._offers[key] = offer
        return offer

    def _spend(self, at_ms: Millis, micros: Micros) -> None:
        if micros:
            self._db.execute(
                "INSERT INTO spend VALUES (?, ?)"
                " ON CONFLICT (minute) DO UPDATE SET micros = micros + excluded.micros",
                (at_ms // MINUTE_MS, micros),
            )
