"""The tools of a run: checked, run side by side, timed out, their large outputs set aside."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from agentctl.core.events import Batched, Signal, ToolEnded, ToolOutput
from agentctl.core.rows import StoredOutput
from agentctl.core.sanitize import storable
from agentctl.core.values import Limits, Millis, ToolCall, ToolSpec
from agentctl.errors import AgentctlError
from agentctl.ports import BatchTool, Tool, ToolContext, ToolResult
from agentctl.run.batcher import Batch
from agentctl.run.merged import Merged
from agentctl.run.reuse import Reuse

SHOWN_BYTES_MAX = 14_000
"""About 4,000 tokens: a larger output is stored whole and shown as head and tail."""
HEAD_BYTES = 8_000
TAIL_BYTES = 4_000
SIDE_BY_SIDE = 5

OnEnd = Callable[[ToolEnded, Sequence[StoredOutput]], None]


class Toolbelt:
    """The tools by name, in the fixed order in which the model is told of them."""

    def __init__(self, tools: Sequence[Tool], cwd: str) -> None:
        """Tools work in `cwd`, the workspace."""
        self._tools = {tool.spec.name: tool for tool in tools}
        self._cwd = cwd
        self.specs: dict[str, ToolSpec] = {name: tool.spec for name, tool in self._tools.items()}
        self._free = asyncio.Semaphore(SIDE_BY_SIDE)

    def check(self, call: ToolCall) -> ToolCall:
        """Return the call, with its problem named if it cannot be run."""
        if call.problem:
            return call
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools)
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
    ) -> None:
        """Run all calls, each as long as the limits allow; `on_end` is told of each as it ends.

        With `reuse` a look-up may be answered by an earlier result. Look-ups of one tool are merged
        where it can do so. Cancelling stops every call and what it started, then raises
        CancelledError.
        """
        together = self._together(calls, hear, limits)

        async def one(call: ToolCall) -> None:
            merged = together.get(call.name)
            async with self._free if merged is None else nullcontext():
                began_ms = now_ms()
                kept = reuse if self.specs[call.name].lookup else None
                context = ToolContext(
                    self._cwd,
                    call.id,
                    lambda text: hear(ToolOutput(call.id, text)),
                    read_stored,
                    kept.earlier(call, began_ms) if kept is not None else None,
                )
                status, result = await self._outcome(call, context, limits, merged)
                event, outputs = _ended(call, status, result, now_ms() - began_ms)
                if kept is not None:
                    event = kept.settled(event, call, result, context.earlier, began_ms)
                on_end(event, outputs)

        if len(calls) == 1:
            await one(calls[0])
            return
        try:
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(one(call))
        except ExceptionGroup as failed:  # on_end could not write: one such error says it all
            raise failed.exceptions[0] from failed

    def _together(
        self, calls: Sequence[ToolCall], hear: Callable[[Signal], None], limits: Limits
    ) -> dict[str, Merged]:
        """By name the tools whose calls are merged: those that can, if there are several calls."""
        together: dict[str, Merged] = {}
        for name, count in Counter(call.name for call in calls).items():
            tool = self._tools[name]
            if count > 1 and isinstance(tool, BatchTool):

                def told(batch: Batch, name: str = name) -> None:
                    hear(Batched(name, batch.items, batch.distinct))

                together[name] = Merged(tool, _timeout_ms(tool, limits), self._free, told)
        return together

    async def _outcome(
        self, call: ToolCall, context: ToolContext, limits: Limits, merged: Merged | None
    ) -> tuple[str, ToolResult]:
        tool = self._tools[call.name]
        timeout_ms = _timeout_ms(tool, limits)
        try:
            if merged is not None:  # each call's time is counted there
                result = await merged.run(call.arguments, context)
            else:
                async with asyncio.timeout(timeout_ms / 1000) as time_limit:
                    result = await tool.run(call.arguments, context)
        except TimeoutError as error:
            if merged is None and not time_limit.expired():  # its own, e.g. of a connection
                return "broken", _broke(call, error)
            text = f"Stopped after {timeout_ms / 1000:g} s: the time limit of {call.name}."
            return "timeout", ToolResult(text, ok=False)
        except AgentctlError as error:
            return "error", ToolResult(str(error), ok=False)
        except Exception as error:  # noqa: BLE001 - a broken tool must not end the run: the model is told
            return "broken", _broke(call, error)
        return ("ok" if result.ok else "error"), result

    async def close(self) -> None:
        """Close every tool, the last one first, whatever one of them does."""
        for tool in reversed(self._tools.values()):
            try:
                await tool.close()
            except Exception:  # noqa: BLE001, S112 - the others must be closed too
                continue


def _timeout_ms(tool: Tool, limits: Limits) -> Millis:
    return limits.timeout_ms(tool.spec.category, tool.spec.timeout_ms)


def _broke(call: ToolCall, error: Exception) -> ToolResult:
    return ToolResult(f"{call.name} broke: {type(error).__name__}: {error}", ok=False)


def _ended(
    call: ToolCall, status: str, result: ToolResult, duration_ms: Millis
) -> tuple[ToolEnded, Sequence[StoredOutput]]:
    text = storable(result.text)
    if len(text) <= SHOWN_BYTES_MAX // 4 or len(raw := text.encode()) <= SHOWN_BYTES_MAX:
        return ToolEnded(call.id, call.name, text, status, duration_ms), ()
    ref = hashlib.sha256(raw).hexdigest()[:16]
    head = raw[:HEAD_BYTES].decode(errors="ignore")
    tail = raw[-TAIL_BYTES:].decode(errors="ignore")
    shown = (
        f"{head}\n[… {len(raw) - HEAD_BYTES - TAIL_BYTES:,} of {len(raw):,} bytes left out; "
        f'read_output(id="{ref}") shows them …]\n{tail}'
    )
    ended = ToolEnded(call.id, call.name, shown, status, duration_ms, ref, len(raw))
    return ended, (StoredOutput(ref, text),)
