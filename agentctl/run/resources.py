"""What the tools of a run share: pools of connections and the like, by name."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from msgspec import Struct

from agentctl.core.values import Millis
from agentctl.errors import ToolError
from agentctl.run.bounded import bounded

CLOSE_S = 5.0
"""Longest that the closing of one thing is waited for."""


class Use(Struct, frozen=True):
    """How a pool was used so far."""

    name: str
    size: int
    in_use: int
    """Now."""
    made: int
    waited: int
    """So many had to wait for a free one."""
    most: int
    """In use at the same time."""


class SharedPool:
    """Things of one kind. See ports.Pool."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Awaitable[Any]],
        close: Callable[[Any], Awaitable[None]],
        size: int,
        idle_ms: Millis,
        acquire_ms: Millis,
    ) -> None:
        """Nothing is made yet."""
        if size < 1:
            raise ValueError("A pool holds at least one thing.")
        self._name, self._size = name, size
        self._make, self._close_one = make, close
        self._idle_ms, self._acquire_ms = idle_ms, acquire_ms
        self._free = asyncio.Semaphore(size)
        self._idle: deque[tuple[float, Any]] = deque()
        """Since when each lies idle, by the loop's clock; the one used last is at the end."""
        self._in_use = self._made = self._waited = self._most = 0
        self._is_closed = False

    def acquire(self) -> AbstractAsyncContextManager[Any]:
        """Hold one within the block. Raises ToolError if none is free in time.

        What the block raises, other than a ToolError, means that the thing may be broken: it is
        closed and another one made when needed.
        """
        return self._held()

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[Any]:
        await self._enter()
        self._in_use += 1
        self._most = max(self._most, self._in_use)
        try:
            await self._close_old()
            item = self._idle.pop()[1] if self._idle else await self._new()
            is_whole = False
            try:
                yield item
                is_whole = True
            except ToolError:
                is_whole = True
                raise
            finally:
                await self._give_back(item, is_whole=is_whole)
        finally:
            self._in_use -= 1
            self._free.release()

    def use(self) -> Use:
        """How it was used so far."""
        return Use(self._name, self._size, self._in_use, self._made, self._waited, self._most)

    async def close(self) -> None:
        """Close what lies idle; what is in use is closed when it is given back."""
        self._is_closed = True
        while self._idle:
            await self._end(self._idle.pop()[1])

    async def _enter(self) -> None:
        if self._is_closed:
            raise ToolError(f"The pool {self._name} is closed: the run has ended.")
        if not self._free.locked():
            await self._free.acquire()
            return
        self._waited += 1
        try:
            async with asyncio.timeout(self._acquire_ms / 1000):
                await self._free.acquire()
        except TimeoutError:
            raise ToolError(
                f"All {self._size} of the pool {self._name} were in use for "
                f"{self._acquire_ms / 1000:g} s.",
                retriable=True,
            ) from None

    async def _new(self) -> Any:
        item = await self._make()
        self._made += 1
        return item

    async def _give_back(self, item: Any, *, is_whole: bool) -> None:
        if is_whole and not self._is_closed:
            self._idle.append((asyncio.get_running_loop().time(), item))
            await self._close_old()
        else:
            await self._end(item)

    async def _close_old(self) -> None:
        """Looked at whenever somebody comes or goes: what was needed once need not be kept."""
        oldest_s = asyncio.get_running_loop().time() - self._idle_ms / 1000
        while self._idle and self._idle[0][0] < oldest_s:
            await self._end(self._idle.popleft()[1])

    async def _end(self, item: Any) -> None:
        try:
            await bounded(_awaited(self._close_one(item)), CLOSE_S)
        except Exception:  # noqa: BLE001 - it is not used again, whatever it says
            return


async def _awaited(work: Awaitable[None]) -> None:
    await work


class SharedResources:
    """The pools of a run. See ports.Resources."""

    def __init__(self) -> None:
        """None yet."""
        self._pools: dict[str, SharedPool] = {}

    def pool(
        self,
        name: str,
        make: Callable[[], Awaitable[Any]],
        close: Callable[[Any], Awaitable[None]],
        *,
        size: int = 5,
        idle_ms: Millis = 60_000,
        acquire_ms: Millis = 10_000,
    ) -> SharedPool:
        """Return the pool of this name; the first who asks says how it is made and how large."""
        found = self._pools.get(name)
        if found is None:
            found = self._pools[name] = SharedPool(name, make, close, size, idle_ms, acquire_ms)
        return found

    def usage(self) -> list[Use]:
        """How each pool was used so far, in the order in which they were asked for."""
        return [pool.use() for pool in self._pools.values()]

    async def close(self) -> None:
        """Close every pool, the last one first. Safe to call twice."""
        for pool in reversed(self._pools.values()):
            await pool.close()
