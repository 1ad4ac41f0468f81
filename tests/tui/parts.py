"""The screen in a test: a real store, and keys that are really pressed."""

from __future__ import annotations

import asyncio
import html
import os
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

from agentctl.control import Desk
from agentctl.core import events as e
from agentctl.core.live import Signal
from agentctl.core.values import Limits, Message, ToolCall, Usage
from agentctl.listeners.mirror import Mirror
from agentctl.store.lease import Lease
from agentctl.tui.watch import Watch

PATIENCE_S = 20.0
WRITE = ToolCall("c1", "write_file", '{"path":"open-points.md","text":"x"}')


class House:
    """A state home with tasks that are written event by event."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.desk = Desk()
        self.now_ms = time.time_ns() // 1_000_000
        self.resumed: list[str] = []
        self._mirrors: dict[str, Mirror] = {}
        self._leases: dict[str, Lease] = {}

    def task(self, task_id: str, goal: str = "the goal", **more: str) -> None:
        limits = Limits(task_cost_micros=500_000)
        created = e.TaskCreated(goal, "system", "scripted", "s", str(self.home), limits, **more)
        assert self.desk.store.create(task_id, created, self.now_ms)

    def happens(self, task_id: str, *events: e.Event) -> None:
        for record in self.desk.store.append(task_id, None, events, self.now_ms).recorded:
            if task_id in self._mirrors:
                self._mirrors[task_id].hear(task_id, record)

    def runs(self, task_id: str) -> None:
        """From now on this process drives it."""
        self._leases[task_id] = Lease(self.desk.locks, task_id)
        self._mirrors[task_id] = Mirror(self.home / "live")
        self.happens(task_id, e.Resumed(os.getpid()))

    def says(self, task_id: str, signal: Signal) -> None:
        self._mirrors[task_id].hear(task_id, signal)

    def step(self, task_id: str, text: str, *calls: ToolCall) -> None:
        asked = e.ModelAsked(1, "scripted", "s", 10_000, 10, 100)
        message = Message("assistant", text, calls)
        answer = e.ModelAnswered(message, Usage(input=1200, output=34), "end", 1_500)
        self.happens(task_id, asked, answer)

    def dies(self, task_id: str) -> None:
        """As its process would: the lock is free, nothing else is done."""
        self._leases.pop(task_id).release()

    def kinds(self, task_id: str) -> list[str]:
        return [type(record.event).__name__ for record in self.desk.store.read(task_id)]

    def resume(self, task_id: str) -> tuple[int, str]:
        self.resumed.append(task_id)
        return 0, ""


class Seen:
    """The screen, its keys and what stands on it."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self.pilot = pilot
        self.app = pilot.app

    def text(self) -> str:
        """All that stands there, a line a line."""
        lines: dict[float, str] = {}
        svg = self.app.export_screenshot()
        for y, words in re.findall(r'<text[^>]* y="([\d.]+)"[^>]*>([^<]*)</text>', svg):
            lines[float(y)] = lines.get(float(y), "") + html.unescape(words).replace("\xa0", " ")
        return "\n".join(lines.values())

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, holds: Callable[[], object], what: str = "") -> None:
        end = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < end, f"never: {what}\n{self.text()}"
            await self.pilot.pause(0.02)

    async def shows(self, *words: str) -> None:
        await self.until(lambda: all(word in self.text() for word in words), str(words))


def look(
    house: House, test: Callable[[Seen], Awaitable[None]], *, size: tuple[int, int] = (100, 30),
    resume: Callable[[str], tuple[int, str]] | None = None,
) -> None:  # fmt: skip
    """Run a test with the screen open."""

    async def within() -> None:
        app = Watch(house.desk, resume or house.resume)
        async with app.run_test(size=size, notifications=True) as pilot:
            await test(Seen(pilot))

    asyncio.run(within())
