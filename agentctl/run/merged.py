"""Look-ups of one turn that a tool makes together: equal ones once, each told as it is known."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from agentctl.core import lookups
from agentctl.core.values import Millis
from agentctl.ports import BatchTool, ToolContext, ToolResult
from agentctl.run.batcher import Batch, Batcher
from agentctl.run.places import Places


class Merged:
    """The calls of one turn to one tool."""

    def __init__(
        self,
        tool: BatchTool,
        timeout_ms: Millis,
        places: Places,
        on_batch: Callable[[Batch], None],
    ) -> None:
        """A batch takes one of the places; `timeout_ms` is for each call of it."""
        self._tool = tool
        self._timeout_ms = timeout_ms
        self._places = places
        self._asked: dict[str, tuple[str, ToolContext]] = {}
        # The calls of a turn come in the same moment: what comes later is not worth a wait.
        self._batcher: Batcher[str, ToolResult] = Batcher(
            self._load, size=100, wait_ms=0, on_batch=on_batch
        )

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        """Run one call, as Tool.run does; TimeoutError means that it took too long."""
        key = lookups.canonical(arguments)
        self._asked.setdefault(key, (arguments, context))
        return await self._batcher.get(key)

    async def _load(
        self, keys: Sequence[str]
    ) -> AsyncGenerator[tuple[str, ToolResult | Exception], None]:
        calls = [self._asked[key] for key in keys]
        async with (
            self._places.held(self._tool.spec),
            aclosing(self._tool.run_many(calls, self._timeout_ms)) as answers,
        ):
            async for place, answer in answers:
                yield keys[place], answer
