"""The tables that follow from events. Written in the event's own transaction, never alone.

`sums` and `spend_hours` follow by triggers. `tasks`, `usage`, `spend` and these can be rebuilt by
`costs rebuild`; the circuits are a memory of the last minutes only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from agentctl.core import breaker
from agentctl.core import events as e
from agentctl.core.values import Breaker, Circuit, Micros, Millis
from agentctl.store import gate as gates

if TYPE_CHECKING:
    import sqlite3

    from agentctl.core.state import State
    from agentctl.store.lookups import Lookups

MINUTE_MS = 60_000
QUARTER_MS = 900_000
GOAL_CHARS_MAX = 200
"""The list shows the beginning of a goal; the whole is in the log."""


def insert_task(db: sqlite3.Connection, task_id: str, event: e.TaskCreated, at_ms: Millis) -> int:
    """Write the list row of a new task and return its number."""
    batch = event.parent if event.origin == "batch" else ""
    if event.origin == "child":  # what it spends is spent for its parent's batch
        row = db.execute("SELECT batch FROM tasks WHERE id = ?", (event.parent,)).fetchone()
        batch = row[0] if row else ""
    cursor = db.execute(
        "INSERT INTO tasks (id, name, goal, status, cwd, provider, model, created_ms, updated_ms,"
        " steps, cost_micros, unpriced, tokens_processed, tokens_total, pid, wake_ms, limit_micros,"
        " account, resumed_ms, origin, parent, item, batch)"
        " VALUES (?, ?, ?, 'running', ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0, ?, ?, ?, ?, ?, ?, ?)",
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
            event.account,
            at_ms,
            event.origin,
            event.parent,
            event.item,
            batch,
        ),
    )
    number = cursor.lastrowid
    if number is None:
        raise TypeError("an insert gives a row number")
    return number


def follow_history(db: sqlite3.Connection, number: int, state: State) -> None:
    """Bring the row of a task that has taken over a history up to date: only its steps count."""
    wake_ms = state.stopped.wake_ms if state.stopped is not None else 0
    db.execute(
        "UPDATE tasks SET status = ?, steps = ?, wake_ms = ?, resumed_ms = 0 WHERE no = ?",
        (state.status, state.steps, wake_ms, number),
    )


class Projection:
    """Keeps the tables in step with the log. What it remembers only saves look-ups."""

    def __init__(self, db: sqlite3.Cursor) -> None:
        """Write through this cursor, within its connection's transactions."""
        self._db = db
        self._offers: dict[tuple[str, str, str], int] = {}
        self._open: dict[int, tuple[int, Millis, Micros, str, str, str]] = {}
        self._requests: dict[int, str] = {}
        self._prices: dict[int, str] = {}
        self._paced: dict[int, bool] = {}
        self._lookups: Lookups | None = None
        self._pos = 0
        self.breaker = Breaker()
        """When circuits open, for what is written next."""
        self.paced = True
        """Whether a model that is asked now is elsewhere, and so has a circuit."""
        self.troubled: Collection[str] = ()
        """Circuits that were not healthy when the last intents were written."""
        self._changes: dict[type[e.Event], Callable[[int, Any, Millis], None]] = {
            e.ModelAsked: self._asked,
            e.ModelAnswered: self._answered,
            e.ModelFailed: self._failed,
            e.Resumed: self._resumed,
            e.Stopped: self._stopped,
            e.Finished: self._finished,
            e.LimitChanged: self._limit_changed,
            e.LimitReached: self._limit_reached,
            e.Switched: self._switched,
            e.ToolEnded: self._tool_ended,
            e.ToolApproved: self._tool_approved,
        }

    def forget(self) -> None:
        """A transaction was rolled back: what was remembered may never have been written."""
        self._offers.clear()
        self._open.clear()

    def follow(self, task: int, event: e.Event, at_ms: Millis, pos: int) -> None:
        """Bring the tables up to date with an event of the task with this row number."""
        change = self._changes.get(type(event))
        if change is not None:
            self._pos = pos
            change(task, event, at_ms)

    def _resumed(self, task: int, event: e.Resumed, at_ms: Millis) -> None:
        self._db.execute(
            "UPDATE tasks SET status = 'running', pid = ?, updated_ms = ?, resumed_ms = ?,"
            " wake_ms = 0, provider = coalesce(nullif(?, ''), provider),"
            " model = coalesce(nullif(?, ''), model) WHERE no = ?",
            (event.pid, at_ms, at_ms, event.provider, event.model, task),
        )

    def _stopped(self, task: int, event: e.Stopped, at_ms: Millis) -> None:
        # A run that was killed came to no end: its time is missing here, not in the log.
        self._db.execute(
            "UPDATE tasks SET status = ?, updated_ms = ?, wake_ms = ?, active_ms = active_ms +"
            " CASE WHEN resumed_ms > 0 AND resumed_ms < ? THEN ? - resumed_ms ELSE 0 END,"
            " resumed_ms = 0 WHERE no = ?",
            (event.outcome, at_ms, event.wake_ms, at_ms, at_ms, task),
        )

    def _finished(self, task: int, event: e.Finished, at_ms: Millis) -> None:
        self._stopped(task, e.Stopped(event.outcome, ""), at_ms)
        for known in (self._requests, self._prices, self._paced):
            known.pop(task, None)  # a process may see thousands of tasks come and go

    def _limit_changed(self, task: int, event: e.LimitChanged, at_ms: Millis) -> None:
        self._db.execute(
            # What waits is due at once: perhaps there is room now, and if not it waits on.
            "UPDATE tasks SET limit_micros = ?, updated_ms = ?,"
            " wake_ms = CASE status WHEN 'waiting' THEN min(wake_ms, ?) ELSE wake_ms END"
            " WHERE no = ?",
            (event.limits.task_cost_micros, at_ms, at_ms, task),
        )

    def _limit_reached(self, task: int, event: e.LimitReached, at_ms: Millis) -> None:
        self._db.execute(
            "INSERT INTO violations VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                at_ms,
                task,
                event.guard,
                event.limit,
                event.used,
                event.cap,
                event.need,
                event.unit,
                event.tool,
            ),
        )

    def _switched(self, task: int, event: e.Switched, at_ms: Millis) -> None:
        self._prices.pop(task, None)

    def _tool_ended(self, task: int, event: e.ToolEnded, at_ms: Millis) -> None:
        self._health(breaker.tool(event.tool), event, at_ms)
        if event.lookup:
            if self._lookups is None:
                from agentctl.store.lookups import Lookups  # here: `pause` must start quickly

                self._lookups = Lookups(self._db)
            self._lookups.ended(event, at_ms, self._pos)

    def _tool_approved(self, task: int, event: e.ToolApproved, at_ms: Millis) -> None:
        if event.rule:
            self._db.execute(
                "INSERT OR IGNORE INTO permissions"
                " SELECT NULL, cwd, ?, ?, no FROM tasks WHERE no = ?",
                (event.rule, at_ms, task),
            )

    def _provider_health(
        self, task: int, provider: str, event: e.Event, at_ms: Millis, asked_ms: Millis
    ) -> None:
        # As it was when asked: a failure is often written with the first call of a fallback.
        if self._paced.get(task, True):
            self._health(breaker.provider(provider), event, at_ms, asked_ms)

    def _health(
        self, name: str, event: e.Event, at_ms: Millis, asked_ms: Millis | None = None
    ) -> None:
        """Keep the circuit of a provider or tool in step with how a call of it ended."""
        if name not in self.troubled and breaker.is_well(event):
            return  # as nearly always; what others have found out since is theirs to mend
        row = self._db.execute(
            "SELECT failures, since_ms, opens_ms, probe_until_ms FROM circuits WHERE name = ?",
            (name,),
        ).fetchone()
        before = Circuit(*row) if row else Circuit()
        after = breaker.after(before, event, self.breaker, at_ms, asked_ms)
        if after != before:
            gates.keep_circuit(self._db, name, after)

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
        self._open[task] = (
            row, at_ms, reserve or 0, event.provider, event.model, event.purpose,
        )  # fmt: skip
        self._requests[task] = event.request
        self._paced[task] = self.paced
        self._spend(at_ms, reserve or 0)

    def _answered(self, task: int, event: e.ModelAnswered, at_ms: Millis) -> None:
        row, asked_ms, reserve_micros, provider, model, purpose = self._open_call(task)
        usage, cost = event.usage, event.cost_micros
        prices = event.prices or self._prices.get(task, "")
        if event.prices and purpose != "embedding":
            self._prices[task] = event.prices
        offer = self._offer(provider, event.model or model, prices)
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
        self._add(task, purpose == "step", cost, usage.processed, tokens_total, at_ms)
        self._spend(asked_ms, (cost or 0) - reserve_micros)
        self._provider_health(task, provider, event, at_ms, asked_ms)
        if event.pruned_micros:
            self._db.execute(
                "INSERT INTO pruned VALUES (?, ?, ?, ?, ?)",
                (row, asked_ms // QUARTER_MS, task, offer, event.pruned_micros),
            )
        # Not taken out: the answer is written again where others have written meanwhile.
        request = self._requests.get(task, "")
        if request and provider != "cached":
            self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (request, self._pos))

    def _failed(self, task: int, event: e.ModelFailed, at_ms: Millis) -> None:
        row, asked_ms, reserve_micros, provider, _, _ = self._open_call(task)
        cost, tokens = event.charged_micros, event.charged_tokens
        # Unpriced and possibly billed is not "free": charged_tokens tells the two apart.
        state = "unsettled" if cost != 0 or tokens else "free"
        self._db.execute(
            "UPDATE usage SET state = ?, cost_micros = ? WHERE id = ?", (state, cost, row)
        )
        self._add(task, 0, cost, tokens, tokens, at_ms)
        self._spend(asked_ms, (cost or 0) - reserve_micros)
        if event.credits_back:
            account = self._db.execute("SELECT account FROM tasks WHERE no = ?", (task,)).fetchone()
            gates.move_credits(
                self._db, account[0], event.credits_back, at_ms, task, "a call was not billed"
            )
        self._provider_health(task, provider, event, at_ms, asked_ms)

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

    def _open_call(self, task: int) -> tuple[int, Millis, Micros, str, str, str]:
        """The call of this task that waits for its answer."""
        known = self._open.pop(task, None)
        if known is not None:
            return known
        row: tuple[int, Millis, Micros, str, str, str] | None = self._db.execute(
            "SELECT usage.id, at_ms, coalesce(reserve_micros, 0), provider, model, purpose"
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
