"""Driving the goals of a batch: a task for each, results in the order of the goals."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from agentctl import app, assembly, secrets, signals
from agentctl.batch_files import Goal
from agentctl.control import Desk, now_ms
from agentctl.core import events as e
from agentctl.core.live import Signal
from agentctl.core.rows import TaskRow
from agentctl.core.sanitize import storable
from agentctl.core.state import State, fold
from agentctl.core.values import Micros
from agentctl.errors import EXIT_CODES, AgentctlError, NotResumable, StoreError
from agentctl.listeners.ledger import Ledger
from agentctl.reports.result import result
from agentctl.run.driver import Driver
from agentctl.run.pool import Pool
from agentctl.store import batches
from agentctl.store.batches import Batch
from agentctl.store.opening import translated

UNDONE = "undone"
"""Outcome of a goal that was not begun."""
GOAL_CHARS = 200
"""So much of a goal stands in its result."""
OUTCOMES = {EXIT_CODES["busy"]: "busy", EXIT_CODES["limit"]: "limit"}
"""Of a goal that could not be begun, by the error's exit code; any other is "failed"."""


class Kind(Struct, frozen=True):
    """What goals with the same options have in common."""

    event: e.TaskCreated
    """A task's first event, but for goal, name and item."""
    run: app.Run
    limits: Mapping[str, object]
    """Those that a resume gives a task anew."""


class View(Protocol):
    """Who watches a batch."""

    def begun(self, work: Work) -> None:
        """The goals that are due are known; the first is about to begin."""
        ...

    def began(self, goal: Goal, task_id: str) -> None:
        """A goal is being worked on."""
        ...

    def ended(self, goal: Goal, outcome: str, task_id: str, why: str) -> None:
        """A goal has come to an end or a stop."""
        ...

    def result(self, document: Mapping[str, Any]) -> None:
        """The next result, in the order of the goals. What this raises stops the batch."""
        ...

    def complain(self, line: str) -> None:
        """Something that the user should know."""
        ...


class Work:
    """The goals of a batch, being worked on; holds no more of them than is needed."""

    def __init__(
        self,
        desk: Desk,
        batch: Batch,
        goals: Sequence[Goal],
        rows: Sequence[TaskRow],
        kinds: Mapping[int, Kind],
        view: View,
        *,
        fail_fast: bool,
    ) -> None:
        """`rows` are the tasks that there are; `kinds` those of the goals that are due."""
        self._desk, self.batch, self._goals, self._kinds = desk, batch, goals, kinds
        self._view, self._fail_fast = view, fail_fast
        self._redactor = secrets.redactor(os.environ)
        self._drivers: dict[str, Driver] = {}
        self._tasks: dict[int, str] = {}
        self._why: dict[int, AgentctlError] = {}
        self._closed: set[int] = set()
        self._told = 0
        self._fault: Exception | None = None
        self.goals_in_all = len(goals)
        self.outcomes: Counter[str] = Counter()
        self.is_over_cap = False
        self.spent_micros: Micros = 0
        """What this run has spent, as calls are answered."""
        self._ledger: Ledger | None = None
        with translated(desk.store.path):
            self.spent_before_micros = batches.spent(desk.store.connection, batch.id)
        for row in rows:
            self._tasks[row.item] = row.id
            if row.item not in kinds:
                self._closed.add(row.item)
                self.outcomes["busy" if row.status == "running" else row.status] += 1
        self._pool: Pool[Goal] = Pool(self._one)

    @property
    def running(self) -> int:
        """Goals that are being worked on."""
        return len(self._drivers)

    @property
    def ended(self) -> int:
        """Goals that need nothing more for now."""
        return sum(self.outcomes.values())

    @contextmanager
    def ledger(self, path: Path) -> Iterator[None]:
        """Keep one cost history for all goals, and write what is due at the end."""
        self._ledger = made = assembly.ledger(self._desk, path)
        try:
            yield
        finally:
            try:
                made.close()
            except StoreError as error:
                self._view.complain(str(error))

    async def run(self, workers: int, go_on: str) -> str:
        """Work until all is done or stopped; return the name of the signal that came, or ""."""
        self._say(lambda: self._view.begun(self))
        self._tell_results()
        due = [goal for goal in self._goals if goal.number in self._kinds]
        with signals.listening(go_on, self.stop, self._view.complain) as received:
            await self._pool.run(due, workers, lambda goal: goal.priority)
        return received[0] if received else ""

    def finish(self) -> None:
        """Tell the results of what was not begun too. Raises what telling results raised."""
        self._closed.update(goal.number for goal in self._goals)
        self._tell_results()
        if self._fault is not None:
            raise self._fault

    def stop(self, by: str) -> None:
        """Begin nothing more, and pause what is running."""
        self._pool.stop()
        for driver in list(self._drivers.values()):
            driver.interrupt(by)

    async def _one(self, goal: Goal) -> None:
        """Work on one goal. Only a broken state home goes beyond it."""
        outcome, why = "failed", ""
        try:
            state = await self._driven(goal)
            outcome, why = state.status, _why(state)
            self.is_over_cap |= _over_cap(state)
        except StoreError:
            raise
        except NotResumable:  # somebody else has gone on with it, and it is done
            outcome = fold(self._desk.store.read(self._tasks[goal.number])).status
        except AgentctlError as error:
            self._why[goal.number] = error
            outcome, why = OUTCOMES.get(error.exit_code, "failed"), str(error)
        except Exception as error:  # noqa: BLE001 - a defect that one goal met does not stop others
            why = f"A defect of agentctl or of what is plugged in: {type(error).__name__}: {error}."
            self._why[goal.number] = AgentctlError(why)
        finally:
            self._drivers.pop(self._tasks.get(goal.number, ""), None)
        self._ended(goal, outcome, why)

    async def _driven(self, goal: Goal) -> State:
        """Go on with a goal's task, or begin it."""
        kind, known = self._kinds[goal.number], self._tasks.get(goal.number, "")
        run = replace(
            kind.run,
            limits=kind.limits if known else {},
            ledger=None,
            listeners=(*kind.run.listeners, self),
            redactor=self._redactor,
        )

        def on_driver(driver: Driver) -> None:
            self._tasks[goal.number] = driver.task_id
            self._drivers[driver.task_id] = driver
            self._say(lambda: self._view.began(goal, driver.task_id))

        if known:
            return await app.driven(self._desk, known, run, on_driver=on_driver)
        return await app.begun(self._desk, self._event(goal), run, on_driver=on_driver)

    def _event(self, goal: Goal) -> e.TaskCreated:
        return replace(
            self._kinds[goal.number].event,
            goal=self._redactor.text(storable(goal.text)),
            name=self._redactor.text(storable(goal.name)),
            item=goal.number,
        )

    def _ended(self, goal: Goal, outcome: str, why: str) -> None:
        self.outcomes[outcome] += 1
        self._closed.add(goal.number)
        task_id = self._tasks.get(goal.number, "")
        self._say(lambda: self._view.ended(goal, outcome, task_id, why))
        self._tell_results()
        if self.is_over_cap:
            self._pool.stop()
        if self._fail_fast and outcome != "done":
            self.stop("fail-fast")

    def _tell_results(self) -> None:
        """Tell the results that are next in order; none is kept longer than it has to wait."""
        while self._told < len(self._goals):
            goal = self._goals[self._told]
            if goal.number not in self._closed:
                return
            document = self._result(goal)
            self._say(partial(self._view.result, document))
            self._told += 1
            self._closed.discard(goal.number)

    def _say(self, tell: Callable[[], None]) -> None:
        """Tell the view. If it cannot be told, all goals are paused, and then that is raised."""
        if self._fault is not None:
            return
        try:
            tell()
        except (OSError, AgentctlError) as error:
            self._fault = error
            self.stop("SIGPIPE" if isinstance(error, BrokenPipeError) else "the output")

    def _result(self, goal: Goal) -> dict[str, Any]:
        task_id, why = self._tasks.get(goal.number, ""), self._why.get(goal.number)
        if task_id:
            state = fold(self._desk.store.read(task_id))
        else:  # as it would have begun
            state = State(self._event(goal), status=UNDONE)
        code, reason = EXIT_CODES.get(state.status), _why(state)
        if why is not None:
            code, reason = why.exit_code, str(why)
            state.status = OUTCOMES.get(why.exit_code, "failed")
        elif state.status == "running":  # by another process
            code, state.status = EXIT_CODES["busy"], "busy"
        found = result(task_id, state, code)
        text = state.created.goal[:GOAL_CHARS]
        head = {"item": goal.number, "name": state.created.name, "goal": text}
        return {**head, **found, "reason": reason}

    # --- a listener of every task --------------------------------------------------------------

    live = False

    def hear(self, task_id: str, item: e.Recorded | Signal) -> None:
        """Sum up what is spent, and keep the cost history fresh."""
        if not isinstance(item, e.Recorded):
            return
        if isinstance(item.event, e.ModelAnswered):
            self.spent_micros += item.event.cost_micros or 0
        elif isinstance(item.event, e.ModelFailed):
            self.spent_micros += item.event.charged_micros or 0
        if self._ledger is None:
            return
        try:
            self._ledger.hear(task_id, item)
        except StoreError as error:  # told once, and not by each task
            self._ledger = None
            self._view.complain(str(error))

    def close(self) -> None:
        """One task has ended; the others have not."""


def is_due(row: TaskRow) -> bool:
    """Whether a goal with this task is to be gone on with. What is done is never done again."""
    if row.status == "waiting":
        return row.wake_ms <= now_ms()
    return row.status in ("interrupted", "paused", "limit", "failed")


def _over_cap(state: State) -> bool:
    return state.stopped is not None and state.stopped.limit == "batch_cost_micros"


def _why(state: State) -> str:
    return "" if state.stopped is None or state.status == "done" else state.stopped.reason
