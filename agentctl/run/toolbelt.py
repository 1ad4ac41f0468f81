"""The tools of a run: opened, checked, run side by side, and closed whatever happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

from agentctl.core.events import ToolStarted
from agentctl.core.live import Batched, Signal, ToolOutput
from agentctl.core.redact import NO_SECRETS, Redactor
from agentctl.core.values import MAX_CONCURRENT, Limits, Millis, ToolCall, ToolSpec
from agentctl.ports import BatchTool, Tool, ToolSource
from agentctl.run.batcher import Batch
from agentctl.run.crew import Complain, Crew
from agentctl.run.merged import Merged
from agentctl.run.outputs import HEAD_BYTES as HEAD_BYTES
from agentctl.run.outputs import SHOWN_BYTES_MAX as SHOWN_BYTES_MAX
from agentctl.run.outputs import TAIL_BYTES as TAIL_BYTES
from agentctl.run.places import Places
from agentctl.run.resources import SharedResources, Use
from agentctl.run.reuse import Reuse
from agentctl.run.turn import Around, Delegate, May, OnEnd, OnStart, Turn


def _unwritten(start: ToolStarted, spec: ToolSpec) -> str:
    """Where nothing is written, nothing refuses."""
    return ""


def _allowed(call: ToolCall, spec: ToolSpec, instead_of: ToolCall | None = None, /) -> str:
    return ""


def _unheard(signal: Signal) -> None:
    """Nobody listens."""


class Toolbelt:
    """The tools by name, in the fixed order in which the model is told of them."""

    def __init__(
        self,
        tools: Sequence[Tool],
        cwd: str,
        sources: Sequence[ToolSource] = (),
        *,
        max_concurrent: int = MAX_CONCURRENT,
        concurrency: Mapping[str, int | None] | None = None,
        only: Sequence[str] | None = None,
    ) -> None:
        """Tools work in `cwd`, the workspace; those of `sources` are there after `open`.

        At most `max_concurrent` calls run at once, and of a category as many as it has in
        `concurrency`, unless that is None. Of what sources bring, `only` these names are taken.
        """
        self._cwd = cwd
        self._crew = Crew(tools, sources, only)
        caps = {name: cap for name, cap in (concurrency or {}).items() if cap is not None}
        self._places = Places(max_concurrent, caps)
        self._resources = SharedResources()
        self._hear: Callable[[Signal], None] = _unheard

    @property
    def specs(self) -> dict[str, ToolSpec]:
        """What is known of each tool. Another dict when the tools have changed."""
        return self._crew.specs

    # --- life cycle ----------------------------------------------------------------------------

    async def open(
        self,
        complain: Complain,
        hear: Callable[[Signal], None] = _unheard,
        redactor: Redactor = NO_SECRETS,
    ) -> None:
        """Make everything ready. What cannot be is left out, and `complain` is told in a line.

        `hear` takes what sources say of themselves; all that is said goes through `redactor`.
        Whoever cancels this must still `close`.
        """

        def say(name: str, line: str) -> None:
            hear(ToolOutput(name, redactor.text(f"{name}: {line}")))

        self._hear = hear
        await self._crew.open(self._resources, lambda line: complain(redactor.text(line)), say)

    @property
    def is_stale(self) -> bool:
        """A source has other tools than before: time to `refresh`."""
        return self._crew.is_stale

    async def refresh(self) -> None:
        """Take the tools of sources that have changed, all at once."""
        await self._crew.refresh()

    async def health(self) -> dict[str, str]:
        """What is wrong with each source and tool that can say so; empty: nothing."""
        return await self._crew.health()

    def usage(self) -> list[Use]:
        """How the resources that the tools share were used so far."""
        return self._resources.usage()

    async def close(self) -> None:
        """Close every tool and source, the last one first, and then what they shared.

        Whoever watches is told how that was used.
        """
        try:
            await self._crew.close()
        finally:
            for use in self._resources.usage():
                text = f"pool {use.name}: {use.made} made, at most {use.most} of {use.size} in use"
                self._hear(ToolOutput(use.name, f"{text}, {use.waited} had to wait"))
            await self._resources.close()

    # --- calls ---------------------------------------------------------------------------------

    def check(self, call: ToolCall) -> ToolCall:
        """Return the call, with its problem named if it cannot be run."""
        if call.problem:
            return call
        tool = self._crew.tools.get(call.name)
        if tool is None:
            known = ", ".join(self._crew.tools)
            problem = f"There is no tool named {call.name!r}. There are: {known}."
        else:
            problem = tool.check(call.arguments)
            if problem:
                problem = f"The arguments do not fit {call.name}: {problem}"
        return ToolCall(call.id, call.name, call.arguments, problem) if problem else call

    async def run(
        self,
        calls: Sequence[ToolCall],
        on_end: OnEnd,
        hear: Callable[[Signal], None],
        read_stored: Callable[[str], str | None],
        now_ms: Callable[[], Millis],
        limits: Limits,
        reuse: Reuse | None = None,
        *,
        task_id: str = "",
        on_start: OnStart = _unwritten,
        may: May = _allowed,
        sleep_until: Callable[[Millis], Awaitable[None]] | None = None,
        jitter: Callable[[], float] = float,
        redactor: Redactor = NO_SECRETS,
        watched: bool = True,
        fence: bool = True,
        delegate: Delegate | None = None,
    ) -> None:
        """Run all calls, each as long as the limits allow; `on_end` is told of each as it ends.

        With `reuse` a look-up may be answered by an earlier result. Look-ups of one tool are merged
        where it can do so. For a call that a tool makes on behalf of another, `may` says whether
        the user allows it and `on_start` writes its intent, or says why not. What tools give
        and say goes through `redactor`; without `fence` what strangers wrote is not marked, for
        readers that are no model. `delegate` has another task work for a call.

        Cancelling stops every call and what it started, then raises CancelledError.
        """

        async def pause(moment_ms: Millis) -> None:
            await asyncio.sleep(max(moment_ms - now_ms(), 0) / 1000)

        around = Around(
            task_id=task_id,
            cwd=self._cwd,
            limits=limits,
            on_end=on_end,
            on_start=on_start,
            may=may,
            hear=hear,
            read_stored=read_stored,
            reuse=reuse,
            resources=self._resources,
            now_ms=now_ms,
            sleep_until=sleep_until or pause,
            jitter=jitter,
            redactor=redactor,
            watched=watched,
            fence=fence,
            delegate=delegate,
        )
        turn = Turn(self._crew.tools, self._crew.specs, self._places, around)
        await turn.run(calls, self._together(calls, hear, limits))

    def _allows(self, tool: BatchTool) -> bool:
        return tool.at_once <= self._places.most_of(tool.spec.category)

    def _together(
        self, calls: Sequence[ToolCall], hear: Callable[[Signal], None], limits: Limits
    ) -> dict[str, Merged]:
        """By name the tools whose calls are merged: those that can, if there are several calls."""
        together: dict[str, Merged] = {}
        if len(calls) < 2:
            return together
        for name, count in Counter(call.name for call in calls).items():
            tool = self._crew.tools[name]
            if count > 1 and isinstance(tool, BatchTool) and self._allows(tool):

                def told(batch: Batch, name: str = name) -> None:
                    hear(Batched(name, batch.items, batch.distinct))

                spec = tool.spec
                timeout_ms = limits.timeout_ms(spec.category, spec.timeout_ms)
                together[name] = Merged(tool, timeout_ms, self._places, told)
        return together
