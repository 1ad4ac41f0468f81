"""An event loop whose time passes only when nothing else can happen."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.SelectSelector):
    skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout:
            self.skipped_s += timeout + 1e-6  # a little more, or rounding keeps the moment away
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Sleeps cost no real time."""

    def __init__(self, start_s: float) -> None:
        self._virtual = _Selector()
        self._virtual.skipped_s = start_s
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.skipped_s


def run(coroutine: Coroutine[Any, Any, Any], start_s: float) -> tuple[Any, float]:
    """Run to the end; return the result and the virtual time then."""
    loop = VirtualLoop(start_s)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(coroutine)
        return result, loop.time()
