"""Places for tools that run at once: so many in all, fewer of a category, the urgent ones first.

A call that other calls make has a place beside its parent's, of which there are as many again: so
it never waits for what waits for it.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from agentctl.core.values import ToolSpec

_Entry = tuple[int, int, bool, str, "asyncio.Future[None]"]
"""What is less starts first: priority, then who came first; whether inner, category, its waiter."""


class Places:
    """For the calls of one run. Those of a category without a limit only count in all."""

    def __init__(self, most: int, by_category: Mapping[str, int]) -> None:
        """At most `most` at once, and of a category as many as it has in `by_category`."""
        if most < 1 or any(cap < 1 for cap in by_category.values()):
            raise ValueError("At least one tool must be able to run.")
        self._most = most
        self._caps = dict(by_category)
        self._free = {False: most, True: most}
        self._taken: dict[str, int] = {}
        self._waiting: list[_Entry] = []
        self._came = 0

    def most_of(self, category: str) -> int:
        """How many calls of this category may run at once."""
        return min(self._most, self._caps.get(category, self._most))

    @asynccontextmanager
    async def held(self, spec: ToolSpec, *, inner: bool = False) -> AsyncIterator[None]:
        """Hold a place within the block.

        A tool that makes others act does not count in its category: they do. So no call that holds
        a place of a category ever waits for another, and all get theirs in the end.
        """
        if inner and spec.parts:
            yield
            return
        category = "" if spec.parts or spec.category not in self._caps else spec.category
        await self._take(inner, category, spec.priority)
        try:
            yield
        finally:
            self._leave(inner, category)

    async def _take(self, inner: bool, category: str, priority: int) -> None:
        if self._has_room(inner, category):  # whoever waits found none
            self._enter(inner, category)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._came += 1
        entry = (-priority, self._came, inner, category, waiter)
        insort(self._waiting, entry)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._waiting.remove(entry)
            else:  # it was let in at the same moment
                self._leave(inner, category)
            raise

    def _has_room(self, inner: bool, category: str) -> bool:
        if self._free[inner] < 1:
            return False
        return not category or self._taken.get(category, 0) < self._caps[category]

    def _enter(self, inner: bool, category: str) -> None:
        self._free[inner] -= 1
        if category:
            self._taken[category] = self._taken.get(category, 0) + 1

    def _leave(self, inner: bool, category: str) -> None:
        self._free[inner] += 1
        if category:
            self._taken[category] -= 1
        for entry in list(self._waiting):
            _, _, wants_inner, wanted, waiter = entry
            if not waiter.done() and self._has_room(wants_inner, wanted):
                self._waiting.remove(entry)
                self._enter(wants_inner, wanted)
                waiter.set_result(None)
