"""Small look-ups merged into larger ones: by their number, or by a short wait.

Answers travel as values, errors too, so that an answer which nobody waits for any more is no loose
end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from contextlib import aclosing
from typing import Generic, Literal, TypeVar

from msgspec import Struct

from agentctl.core.values import Millis

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Why = Literal["size", "time", "flush"]


class Batch(Struct, frozen=True):
    """A batch that went: told when its load begins."""

    items: int
    """So many were asked for."""
    distinct: int
    """So many were loaded: equal items only once."""
    waited_ms: Millis
    """From its first item on."""
    why: Why
    """size: it was full; time: it had waited long enough; flush: nothing more was to come."""


class _Group(Generic[K, V]):
    """The items that go together, each with those who wait for it."""

    def __init__(self, now_s: float) -> None:
        self.began_s = now_s
        self.waiters: dict[K, list[asyncio.Future[V | Exception]]] = {}
        self.timer: asyncio.Task[None] | None = None
        self.load: asyncio.Task[None] | None = None
        self.is_stopped = False

    def wanted(self) -> dict[K, list[asyncio.Future[V | Exception]]]:
        """The items that somebody still waits for."""
        left = {
            item: [waiter for waiter in waiters if not waiter.done()]
            for item, waiters in self.waiters.items()
        }
        return {item: waiters for item, waiters in left.items() if waiters}

    def tasks(self) -> list[asyncio.Task[None]]:
        return [task for task in (self.timer, self.load) if task is not None and not task.done()]

    def answer(self, item: K, answer: V | Exception) -> None:
        for waiter in self.waiters[item]:
            if not waiter.done():
                waiter.set_result(answer)

    def drop(self) -> None:
        """Nobody will answer any more."""
        for waiters in self.waiters.values():
            for waiter in waiters:
                waiter.cancel()


class Batcher(Generic[K, V]):
    """Loads items together. For the tasks of one event loop."""

    def __init__(
        self,
        load: Callable[
            [Sequence[K]],
            Awaitable[Sequence[V | Exception]] | AsyncGenerator[tuple[K, V | Exception], None],
        ],
        *,
        size: int = 100,
        wait_ms: Millis = 100,
        on_batch: Callable[[Batch], None] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`load` takes up to `size` different items and returns an answer for each, in their order.

        It may also be an async generator that gives each item with its answer as soon as it is
        known. The last one is told when the generator has ended: it may have to close something.

        A batch goes when it has `size` different items, or `wait_ms` after its first one. Batches
        do not wait for each other. `sleep` takes seconds; a test may hold its own.
        """
        if size < 1:
            raise ValueError("A batch holds at least one item.")
        self._load = load
        self._size = size
        self._wait_ms = wait_ms
        self._on_batch = on_batch
        self._sleep = sleep
        self._open: _Group[K, V] | None = None
        self._groups: set[_Group[K, V]] = set()
        self._is_closed = False

    async def get(self, item: K) -> V:
        """Wait for the item's batch. Raises what the load said of this item, or of all."""
        group, waiter = self._add(item)
        try:
            answer = await waiter
        except asyncio.CancelledError:
            await self._leave([group])
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def many(self, items: Sequence[K]) -> list[V | Exception]:
        """Load all of these now, with whatever else waits; the answers are in their order."""
        added = [self._add(item) for item in items]
        if self._open is not None and added:
            self._go(self._open, "flush")
        try:
            return [await waiter for _, waiter in added]
        except asyncio.CancelledError:
            for _, waiter in added:
                waiter.cancel()
            await self._leave([group for group, _ in added])
            raise

    async def close(self) -> None:
        """Cancel what is under way and who waits for it. Safe to call twice."""
        self._is_closed = True
        self._open = None
        groups = list(self._groups)
        for group in groups:
            group.drop()
        await self._leave(groups)

    def _add(self, item: K) -> tuple[_Group[K, V], asyncio.Future[V | Exception]]:
        if self._is_closed:
            raise RuntimeError("The batcher is closed.")
        running = asyncio.get_running_loop()
        group = self._open
        if group is None:
            group = self._open = _Group(running.time())
            self._groups.add(group)
            group.timer = asyncio.create_task(self._wait(group))
            group.timer.add_done_callback(lambda _: self._ended(group))
        waiter: asyncio.Future[V | Exception] = running.create_future()
        group.waiters.setdefault(item, []).append(waiter)
        if len(group.waiters) >= self._size:
            self._go(group, "size")
        return group, waiter

    async def _wait(self, group: _Group[K, V]) -> None:
        await self._sleep(self._wait_ms / 1000)
        group.timer = None
        self._go(group, "time")

    def _go(self, group: _Group[K, V], why: Why) -> None:
        """Begin to load a batch; nothing can be added to it any more."""
        self._open = None
        if group.timer is not None:
            group.timer.cancel()
        group.load = asyncio.create_task(self._answer(group, why))
        group.load.add_done_callback(lambda _: self._ended(group))

    def _ended(self, group: _Group[K, V]) -> None:
        if not group.tasks():
            self._groups.discard(group)
            group.drop()  # whom a cancelled load left without an answer

    async def _answer(self, group: _Group[K, V], why: Why) -> None:
        wanted = group.wanted()
        items = list(wanted)
        asked = sum(map(len, wanted.values()))
        waited_s = asyncio.get_running_loop().time() - group.began_s
        try:
            if self._on_batch is not None:
                self._on_batch(Batch(asked, len(items), round(waited_s * 1000), why))
            answered = await self._answered(group, items)
            if answered != len(items):
                raise RuntimeError(f"A batch of {len(items)} was given {answered} answers.")
        except Exception as error:  # noqa: BLE001 - whoever still waits is told, each by itself
            for item in items:
                group.answer(item, error)

    async def _answered(self, group: _Group[K, V], items: Sequence[K]) -> int:
        """Load, and answer whoever waits; return the number of answers."""
        loading = self._load(items)
        if isinstance(loading, AsyncGenerator):
            count = 0
            last: list[tuple[K, V | Exception]] = []
            async with aclosing(loading):
                async for item, answer in loading:
                    count += 1
                    if count < len(items):
                        group.answer(item, answer)
                    else:
                        last.append((item, answer))
            for item, answer in last:
                group.answer(item, answer)
            return count
        answers = await loading
        if len(answers) == len(items):
            for item, answer in zip(items, answers, strict=True):
                group.answer(item, answer)
        return len(answers)

    async def _leave(self, groups: Sequence[_Group[K, V]]) -> None:
        """Stop the batches that nobody waits for any more; return when they have stopped."""
        ending: set[asyncio.Task[None]] = set()
        for group in set(groups):
            if group.wanted():
                continue
            if self._open is group:
                self._open = None
            tasks = group.tasks()
            if not group.is_stopped:  # a second time would cut short how it ends
                for task in tasks:
                    task.cancel()
            group.is_stopped = True
            ending.update(tasks)
        if ending:
            await asyncio.wait(ending)
