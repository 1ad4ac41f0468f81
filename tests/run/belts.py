"""Calls through a tool belt without a driver, and what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.values import Limits, ToolCall, ToolSpec
from agentctl.errors import ToolError
from agentctl.ports import ToolContext
from agentctl.run.toolbelt import Toolbelt
from tests.run.parts import Do
from tests.sim import loop


def tool(name: str, run: Callable[[ToolContext], Any] = lambda _: "done", **spec: Any) -> Do:
    made = Do(name, run)
    made.spec = replace(made.spec, **spec)
    return made


class Seen:
    """What became of calls: those that ended, those that other calls began, in order."""

    def __init__(self, *tools: Any, **belt: Any) -> None:
        self.belt = Toolbelt(tools, "/", **belt)
        self.ends: list[e.ToolEnded] = []
        self.log: list[str] = []
        self.refused = ""

    def end(self, ended: e.ToolEnded, _outputs: object) -> None:
        self.ends.append(ended)
        self.log.append(f"{ended.call_id} {ended.status}")

    def start(self, start: e.ToolStarted, _spec: ToolSpec) -> str:
        if not self.refused:
            self.log.append(f"{start.call_id} started for {start.parent}")
        return self.refused

    def run(self, *calls: ToolCall, limits: Limits | None = None, **more: Any) -> list[e.ToolEnded]:
        def clock() -> int:
            return int(asyncio.get_running_loop().time() * 1000)

        async def process() -> None:
            await self.belt.run(
                calls, self.end, lambda _: None, lambda _: None, clock, limits or Limits(),
                task_id="t1", on_start=self.start, **more,
            )  # fmt: skip

        loop.run(process(), 0.0)
        return self.ends


def sleeps(began: list[str], most: list[int]) -> Callable[[ToolContext], Any]:
    running = 0

    async def work(context: ToolContext) -> str:
        nonlocal running
        began.append(context.call_id)
        running += 1
        most[0] = max(most[0], running)
        await asyncio.sleep(1)
        running -= 1
        return "done"

    return work


def fails(times: int, error: Exception | None = None) -> Callable[[ToolContext], Any]:
    left = [error or ToolError("busy", retriable=True)] * times
    return lambda _: (_ for _ in ()).throw(left.pop()) if left else "done"
