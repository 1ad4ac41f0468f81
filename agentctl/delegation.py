"""Tasks that work for another one: driven in its loop, stopped with it, taken up with it again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from agentctl import errands
from agentctl.control import Desk, now_ms
from agentctl.core import events as e
from agentctl.core.carve import Errand, Work
from agentctl.core.live import ChildSaid, Signal
from agentctl.core.state import ENDS, FINAL, State, fold
from agentctl.core.values import ToolCall, ToolSpec
from agentctl.errors import AgentctlError, StoreError, TaskBusy, ToolError
from agentctl.ports import Ask, ToolContext, ToolResult
from agentctl.reports.text import usd
from agentctl.run.driver import Driver
from agentctl.store import lease

if TYPE_CHECKING:
    from agentctl.app import Run

BUSY_S = 0.5
"""How often it is looked whether another process still drives a task."""
HEARD_S = 0.3
"""By then the parent has heard what was asked of it when the child was."""
STOP_S = 1.5
"""So long a task that works for another may take to stop with it."""
Driven = Callable[..., Awaitable[State]]
"""`app.driven`."""


class Children:
    """Those that work for one task. What they need of its run is known before it begins."""

    def __init__(self, desk: Desk, run: Run, driven: Driven) -> None:
        """`attach` must follow before the task is driven."""
        self._desk, self._run, self._driven = desk, run, driven
        self._parent: Driver | None = None
        self._drivers: dict[str, Driver] = {}
        """By id of the task, while it is driven."""
        self._told: set[str] = set()
        self._resting: set[str] = set()
        """Calls that only wait for the parent to stop."""
        self._asking = asyncio.Lock()

    def attach(self, parent: Driver) -> None:
        """Whose children these are."""
        self._parent = parent

    @property
    def _driver(self) -> Driver:
        assert self._parent is not None  # noqa: S101 - attached before it is driven
        return self._parent

    # --- what the parent's driver asks for -----------------------------------------------------

    def heed(self, state: State) -> bool:
        """Stop those that work for it where it is to pause; whether it only waits for that now."""
        for task_id, driver in self._drivers.items():
            if task_id not in self._told:
                self._told.add(task_id)
                driver.request(e.PauseRequested(self._by))
        return bool(state.started) and self._resting.issuperset(state.started)

    def interrupt(self, by: str) -> None:
        """A signal came: pause all at once, before the parent itself is cut."""
        for driver in list(self._drivers.values()):
            driver.request(e.PauseRequested(by, now=True), cut=True)

    @property
    def _by(self) -> str:
        return f"task {self._driver.task_id}"

    async def delegate(self, errand: Errand, context: ToolContext) -> ToolResult:
        """Have a task work for this call until it ends, the same one however often it is begun.

        Raises ToolError where none can be begun. Cancelling it stops that task.
        """
        parent = self._driver
        start = parent.state.started.get(context.call_id)
        if start is None:
            raise ToolError("Only the model itself can delegate.")
        try:
            task_id = self._found(context.key) or errands.begin(
                self._desk, parent.task_id, parent.state, start, errand, context.key,
                self._run.address, self._run.prices,
            )  # fmt: skip
            return await self._worked(task_id, context.call_id)
        except StoreError as error:  # it may have been billed: what was carved out stays taken
            raise RuntimeError(str(error)) from error

    def _found(self, key: str) -> str:
        """The task that was begun for this call before; empty: none was."""
        store = self._desk.store
        for row in self._desk.children(self._driver.task_id):
            first = store.read(row.id)[0].event
            if isinstance(first, e.TaskCreated) and first.key == key:
                return row.id
        return ""

    # --- one of them ---------------------------------------------------------------------------

    async def _worked(self, task_id: str, call_id: str) -> ToolResult:
        problem = ""
        try:
            state = await self._ended(task_id)
        except StoreError:
            raise
        except AgentctlError as error:
            problem, state = str(error), fold(self._desk.store.read(task_id))
        if state.status == "paused":
            await self._rest(task_id, call_id)
        if state.status not in FINAL:
            state = self._let_go(task_id, state, problem)
        return _result(task_id, state, problem)

    async def _ended(self, task_id: str) -> State:
        """Drive it until it stops, or wait until another process has done so."""
        while True:
            state = fold(self._desk.store.read(task_id))
            if state.status in FINAL:
                return state
            if task_id in self._desk.leases or not lease.owner(self._desk.locks, task_id):
                try:
                    return await self._drive(task_id, state)
                except TaskBusy:
                    pass  # taken up by another process this moment
            await asyncio.sleep(BUSY_S)

    async def _drive(self, task_id: str, state: State) -> State:
        driven = asyncio.ensure_future(
            self._driven(self._desk, task_id, self._run_of(task_id, state), on_driver=self._hold)
        )
        try:
            return await asyncio.shield(driven)
        except asyncio.CancelledError:
            await self._stop(task_id, driven)
            raise
        finally:
            self._drivers.pop(task_id, None)
            self._told.discard(task_id)

    def _hold(self, driver: Driver) -> None:
        self._drivers[driver.task_id] = driver

    async def _stop(self, task_id: str, driven: asyncio.Future[State]) -> None:
        """The call is cut: the task stops as the parent does, before the parent goes on."""
        driver = self._drivers.get(task_id)
        if driver is not None and not driven.done():
            request: e.Event = e.PauseRequested(self._by, now=True)
            if self._driver.state.cancel_wanted:
                request = e.CancelRequested(f"{self._by} was cancelled")
            driver.request(request, cut=True)
            await asyncio.wait((driven,), timeout=STOP_S)
        driven.cancel()
        await asyncio.wait((driven,), timeout=STOP_S)
        if driven.done() and not driven.cancelled():
            driven.exception()  # heard: what matters is in its log

    async def _rest(self, task_id: str, call_id: str) -> None:
        """It was paused: so is the parent, which takes it up again when it goes on."""
        parent = self._driver
        await asyncio.sleep(HEARD_S)  # both may have been asked to, and it heard it first
        if parent.state.pause_wanted is None and not parent.state.cancel_wanted:
            parent.request(e.PauseRequested(f"task {task_id}, which works for it, was paused"))
        self._resting.add(call_id)
        try:
            await asyncio.Event().wait()  # until the call is cut: it stays open in the log
        finally:
            self._resting.discard(call_id)

    def _let_go(self, task_id: str, state: State, problem: str) -> State:
        """The parent goes on without it: what it has not used is the parent's again."""
        limits = replace(
            state.limits,
            task_cost_micros=state.used_micros,
            task_tokens=state.used_tokens,
        )
        facts: list[e.Event] = [e.LimitChanged(limits, f"{self._by} goes on without it")]
        if state.status not in ENDS:  # it could not be driven, or not to an end
            facts.append(e.Stopped("failed", problem))
        self._desk.store.append(task_id, None, facts, max(now_ms(), state.last_ms))
        return fold(self._desk.store.read(task_id))

    def _run_of(self, task_id: str, state: State) -> Run:
        """How it is driven: as its parent is, never looser."""
        parent = self._driver.state
        mode = errands.stricter("sandbox", parent.sandbox.mode, {"sandbox": state.sandbox.mode})
        return replace(
            self._run,
            listeners=(_Voice(self._driver.audience.signal, state),),
            ask=None if self._run.ask is None else self._asked(self._run.ask, task_id),
            provider="", model="", limits={}, fallback=None, context=None, tools=None, mcp=None,
            approve=errands.stricter("approve", parent.approve, {"approve": state.approve}),
            sandbox=replace(state.sandbox, mode=mode),
        )  # fmt: skip

    def _asked(self, ask: Ask, task_id: str) -> Ask:
        """Ask the user, one question at a time, and say whose it is."""

        async def asked(call: ToolCall, spec: ToolSpec, in_doubt: bool, rule: str) -> str:
            async with self._asking:
                self._driver.audience.signal(ChildSaid(task_id, "asks:"))
                return await ask(call, spec, in_doubt, rule)

        return asked


class _Voice:
    """Tells the parent's listeners, in a few words, how far a task that works for it is."""

    live = False

    def __init__(self, say: Callable[[Signal], None], state: State) -> None:
        self._say, self._steps, self._micros = say, state.steps, state.spent_micros

    def hear(self, task_id: str, item: e.Recorded | Signal) -> None:
        event = item.event if isinstance(item, e.Recorded) else None
        text = ""
        match event:
            case e.TaskCreated():
                text = f"begins{f' as {event.agent}' if event.agent else ''}: {event.goal}"
            case e.ModelAnswered():
                self._steps += 1
                self._micros += event.cost_micros or 0
            case e.ToolEnded() if not event.parent:
                text = f"{event.tool} {'' if event.status == 'ok' else event.status}".rstrip()
            case e.Stopped():
                text = f"{event.outcome}: {event.reason}"
            case e.Finished():
                text = f"{event.outcome}: {self._steps} steps, {usd(self._micros)}"
            case _:
                pass
        if text:
            self._say(ChildSaid(task_id, text))

    def close(self) -> None:
        """Nothing is left to say."""


def _result(task_id: str, state: State, problem: str) -> ToolResult:
    """What the model that delegated is told: the answer, or why there is none."""
    used = f"task {task_id}: {state.steps} steps, {usd(state.used_micros)}"
    if state.status == "done" and state.finished is not None:
        text, ok = f"{state.finished.text}\n\n[{used}]", True
    else:
        why = problem or (state.stopped.reason if state.stopped is not None else "")
        said = f"\nIts last words: {state.answer}" if state.answer else ""
        text, ok = f"It did not reach the goal: {state.status}. {why}{said}\n\n[{used}]", False
    return ToolResult(text, ok, work=Work(task_id, state.used_micros, state.used_tokens))
