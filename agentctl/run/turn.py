"""The calls of one turn: each in its place, for its time, as often as it takes, told when it ends.

A tool may make others act on its behalf: such a call goes the same way, below its parent in the
log, and its result is the parent's to use.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from agentctl.core.backoff import wait_ms
from agentctl.core.carve import Errand
from agentctl.core.events import ToolEnded, ToolStarted
from agentctl.core.fence import fenced, is_foreign
from agentctl.core.guards.balance import price_of_tool
from agentctl.core.live import Signal, ToolOutput, ToolProgress
from agentctl.core.lookups import Lookup
from agentctl.core.redact import Redactor
from agentctl.core.rows import StoredOutput
from agentctl.core.sanitize import storable
from agentctl.core.values import Limits, Millis, ToolCall, ToolSpec
from agentctl.errors import AgentctlError, ToolError
from agentctl.ports import Resources, Tool, ToolContext, ToolResult
from agentctl.run import changes
from agentctl.run.bounded import GRACE_S, TimeIsUp, WouldNotStop, bounded
from agentctl.run.merged import Merged
from agentctl.run.outputs import ended as shown
from agentctl.run.places import Places
from agentctl.run.reuse import Reuse
from agentctl.run.voice import Voice

IN_THREAD_CHARS = 200_000
"""Secrets are looked for elsewhere in a longer text: up to seconds in one made for that."""
DEPTH_MAX = 5
"""So deep calls may make calls."""

OnEnd = Callable[[ToolEnded, Sequence[StoredOutput]], None]
OnStart = Callable[[ToolStarted, ToolSpec], str]
"""Writes the intent of an inner call, or returns why it must not be made."""


class May(Protocol):
    """Says what the user's rules have against a call that is not the model's own."""

    def __call__(
        self, call: ToolCall, spec: ToolSpec, instead_of: ToolCall | None = None, /
    ) -> str:
        """Why it is not allowed, or an empty string.

        It is made on behalf of another, or as what the allowed call `instead_of` turned into.
        """
        ...


Delegate = Callable[[Errand, ToolContext], Awaitable[ToolResult]]


class Around(Struct, frozen=True, kw_only=True):
    """What a turn's calls are run with: who is told, who is asked, and what bounds them."""

    task_id: str
    cwd: str
    limits: Limits
    on_end: OnEnd
    on_start: OnStart
    may: May
    hear: Callable[[Signal], None]
    read_stored: Callable[[str], str | None]
    reuse: Reuse | None
    resources: Resources
    now_ms: Callable[[], Millis]
    sleep_until: Callable[[Millis], Awaitable[None]]
    jitter: Callable[[], float]
    redactor: Redactor
    watched: bool
    """Somebody hears what tools say as they run."""
    fence: bool
    delegate: Delegate | None


class _Outcome(Struct, frozen=True):
    status: str
    result: ToolResult
    may_pass: bool = False
    """Another try may succeed."""


class _Parent(Struct, frozen=True):
    """The call on whose behalf others are made."""

    call: ToolCall
    parts: tuple[str, ...]
    depth: int


class Turn:
    """Runs calls with the tools as they are now."""

    def __init__(
        self, tools: Mapping[str, Tool], specs: Mapping[str, ToolSpec], places: Places, all_: Around
    ) -> None:
        """`places` are those of the whole run."""
        self._tools, self._specs, self._places, self._all = tools, specs, places, all_
        self._fault: AgentctlError | None = None
        """The log could not be written for an inner call, whatever its parent made of it."""

    async def run(self, calls: Sequence[ToolCall], together: Mapping[str, Merged]) -> None:
        """Run all; those of the tools in `together` by them. Raises what `on_end` raises."""
        if len(calls) == 1:
            await self._outer(calls[0], None)
            return
        first = sorted(calls, key=lambda call: -self._specs[call.name].priority)
        try:
            async with asyncio.TaskGroup() as group:
                for call in first:
                    group.create_task(self._outer(call, together.get(call.name)))
        except ExceptionGroup as failed:  # on_end could not write: one such error says it all
            raise failed.exceptions[0] from failed

    async def _outer(self, call: ToolCall, merged: Merged | None) -> None:
        ended, outputs, _ = await self._ended(call, merged, None)
        if self._fault is not None:
            raise self._fault
        self._all.on_end(ended, outputs)

    # --- one call ------------------------------------------------------------------------------

    async def _ended(
        self, call: ToolCall, merged: Merged | None, parent: _Parent | None
    ) -> tuple[ToolEnded, Sequence[StoredOutput], ToolResult]:
        """Run one call until it succeeds, fails for good or its time is up; say how it ended."""
        spec, all_ = self._specs[call.name], self._all
        kept = all_.reuse if spec.lookup else None
        earlier: Lookup | None = None
        timeout_ms = all_.limits.timeout_ms(spec.category, spec.timeout_ms)
        most = spec.attempts if spec.repeat != "unsafe" else 1
        left_ms, began_ms, tries = timeout_ms * most, 0, 0
        while True:
            tries += 1
            mine = merged if tries == 1 else None  # it takes its place there
            place = self._places.held(spec, inner=parent is not None)
            async with place if mine is None else nullcontext():
                at_ms = all_.now_ms()
                if tries == 1:
                    began_ms = at_ms
                    earlier = kept.earlier(call, at_ms) if kept is not None else None
                outcome = await self._tried(
                    call, spec, min(timeout_ms, left_ms), earlier, mine, parent
                )
            if not outcome.may_pass or tries >= most:
                break
            pause_ms = wait_ms(tries, all_.jitter(), None)
            left_ms -= all_.now_ms() - at_ms + pause_ms
            if left_ms <= 0:
                break
            await all_.sleep_until(all_.now_ms() + pause_ms)
        result = outcome.result
        text = storable(result.text)
        if len(text) > IN_THREAD_CHARS:  # so that pauses and other calls do not wait for it
            text = await asyncio.to_thread(all_.redactor.text, text)
        else:
            text = all_.redactor.text(text)
        if text != result.text:
            result = replace(result, text=text)
        ended, outputs = shown(call, outcome.status, result, all_.now_ms() - began_ms)
        if parent is None and all_.fence and is_foreign(spec, self._specs):
            ended = replace(ended, text=fenced(ended.text, call.name))
        if result.changes:
            ended, contents = changes.told(ended, result.changes, all_.redactor)
            outputs = [*outputs, *contents]
        if tries > 1 or parent is not None:
            ended = replace(ended, attempts=tries, parent=parent.call.id if parent else "")
        if kept is not None:
            ended = kept.settled(ended, call, result, earlier, began_ms)
        return ended, outputs, result

    async def _tried(
        self,
        call: ToolCall,
        spec: ToolSpec,
        timeout_ms: Millis,
        earlier: Lookup | None,
        merged: Merged | None,
        parent: _Parent | None,
    ) -> _Outcome:
        all_, depth = self._all, parent.depth + 1 if parent is not None else 0
        inner = _Inner(self, _Parent(call, spec.parts, depth))
        live = (lambda text: all_.hear(ToolOutput(call.id, text))) if all_.watched else None
        voice = Voice(all_.redactor, live)

        def progress(text: str) -> None:
            all_.hear(ToolProgress(call.id, call.name, all_.redactor.text(storable(text))))

        def may_go_on(arguments: str) -> str:
            return all_.may(ToolCall(f"{call.id}/", call.name, arguments), spec, call)

        context = ToolContext(
            all_.cwd,
            call.id,
            voice.say,
            all_.read_stored,
            earlier,
            key(all_.task_id, call.id),
            inner.call,
            all_.resources,
            progress,
            may_go_on,
            all_.delegate if parent is None else None,
        )
        try:
            return await self._outcome(call, context, timeout_ms, merged)
        finally:
            await inner.end()
            voice.end()

    async def _outcome(
        self, call: ToolCall, context: ToolContext, timeout_ms: Millis, merged: Merged | None
    ) -> _Outcome:
        tool = self._tools[call.name]
        try:
            if merged is not None:  # each call's time is counted there
                result = await merged.run(call.arguments, context)
            else:
                result = await bounded(tool.run(call.arguments, context), timeout_ms / 1000)
            if not isinstance(result, ToolResult):
                raise TypeError(f"it returned {type(result).__name__}, not a ToolResult")
        except WouldNotStop:
            return _Outcome("timeout", _late(call, timeout_ms, " It has not stopped yet."))
        except TimeIsUp:
            return _Outcome("timeout", _late(call, timeout_ms), may_pass=True)
        except TimeoutError as error:
            if merged is None:  # its own, e.g. of a connection
                return _Outcome("broken", _broke(call, error))
            return _Outcome("timeout", _late(call, timeout_ms), may_pass=True)
        except AgentctlError as error:
            may_pass = isinstance(error, ToolError) and error.retriable
            return _Outcome("error", ToolResult(str(error), ok=False), may_pass)
        except Exception as error:  # noqa: BLE001 - a broken tool must not end the run: the model is told
            return _Outcome("broken", _broke(call, error))
        return _Outcome("ok" if result.ok else "error", result)

    # --- calls that calls make -----------------------------------------------------------------

    async def inner(self, call: ToolCall, parent: _Parent) -> ToolResult:
        """Run a call on behalf of another. Raises ToolError for what is refused."""
        spec = self._specs.get(call.name)
        status, why = self._refusal(call, spec, parent)
        if spec is not None and not why:
            price = price_of_tool(self._all.limits, spec)
            start = ToolStarted(
                call.id, call.name, spec.repeat, spec.category, price, parent.call.id,
                arguments=self._all.redactor.text(storable(call.arguments)),
            )  # fmt: skip
            status, why = "unavailable", self._start(start, spec)
        if why:
            given = self._all.redactor.text(storable(call.arguments))
            refused = ToolEnded(call.id, call.name, why, status, parent=parent.call.id)
            self._tell(replace(refused, arguments=given))
            raise ToolError(why)
        began_ms = self._all.now_ms()
        try:
            ended, outputs, result = await self._ended(call, None, parent)
        except asyncio.CancelledError:
            with suppress(AgentctlError):  # it is remembered
                took_ms = self._all.now_ms() - began_ms
                cut = ToolEnded(call.id, call.name, "Stopped while it ran.", "cut", took_ms)
                self._tell(replace(cut, parent=parent.call.id))
            raise
        self._tell(ended, outputs)
        return result

    def _refusal(self, call: ToolCall, spec: ToolSpec | None, parent: _Parent) -> tuple[str, str]:
        """Status and reason why an inner call is not even begun; both empty if it may be."""
        if call.name not in parent.parts:
            return "denied", f"{parent.call.name} does not say that it makes {call.name!r} act."
        if spec is None:
            return "invalid", f"There is no tool named {call.name!r} here."
        if parent.depth >= DEPTH_MAX:
            return "denied", f"Tools that make tools act go no deeper than {DEPTH_MAX}."
        problem = self._tools[call.name].check(call.arguments)
        if problem:
            return "invalid", f"The arguments do not fit {call.name}: {problem}"
        why = self._all.may(call, spec)
        return ("denied", why) if why else ("", "")

    def _start(self, start: ToolStarted, spec: ToolSpec) -> str:
        try:
            return self._all.on_start(start, spec)
        except AgentctlError as error:
            self._fault = error
            raise

    def _tell(self, ended: ToolEnded, outputs: Sequence[StoredOutput] = ()) -> None:
        try:
            self._all.on_end(ended, outputs)
        except AgentctlError as error:
            self._fault = error
            raise


class _Inner:
    """What one try of a call has others do."""

    def __init__(self, turn: Turn, parent: _Parent) -> None:
        self._turn, self._parent = turn, parent
        self._made = 0
        self._running: set[asyncio.Task[object]] = set()
        self._has_ended = False

    async def call(self, name: str, arguments: str) -> ToolResult:
        """Make another tool act. The same sequence of calls gets the same ids each time."""
        if self._has_ended:
            raise ToolError(f"The call of {self._parent.call.name} has ended already.")
        self._made += 1
        made = ToolCall(f"{self._parent.call.id}/{self._made}", storable(name), storable(arguments))
        task = asyncio.current_task()
        if task is None or task in self._running:
            return await self._turn.inner(made, self._parent)
        self._running.add(task)
        try:
            return await self._turn.inner(made, self._parent)
        finally:
            self._running.discard(task)

    async def end(self) -> None:
        """Stop what the tool has left behind: nothing is done for a call that has ended."""
        self._has_ended = True
        left = set(self._running)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=GRACE_S)


def key(task_id: str, call_id: str) -> str:
    """What a service knows a call by: the same for every try of it, and of no other call."""
    return hashlib.sha256(f"{task_id}:{call_id}".encode()).hexdigest()[:32]


def _late(call: ToolCall, timeout_ms: Millis, more: str = "") -> ToolResult:
    text = f"Stopped after {timeout_ms / 1000:g} s: the time limit of {call.name}.{more}"
    return ToolResult(text, ok=False)


def _broke(call: ToolCall, error: Exception) -> ToolResult:
    return ToolResult(f"{call.name} broke: {type(error).__name__}: {error}", ok=False)
