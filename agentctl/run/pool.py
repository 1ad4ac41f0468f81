"""Many jobs, a few at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

Job = TypeVar("Job")


class Pool(Generic[Job]):
    """Works jobs off: those of a higher priority first, then as they came."""

    def __init__(self, work: Callable[[Job], Awaitable[None]]) -> None:
        """`work` does one job. What it raises ends the pool: a job that may fail says so itself."""
        self._work = work
        self._stopped = False

    def stop(self) -> None:
        """Begin no further job; those that have begun go on."""
        self._stopped = True

    async def run(
        self, jobs: Iterable[Job], workers: int, priority: Callable[[Job], int]
    ) -> list[Job]:
        """Work until all is done or the pool is stopped; return the jobs that were not begun."""
        # Sorting leaves those of the same priority in their order.
        left = deque(sorted(jobs, key=lambda job: -priority(job)))

        async def worker() -> None:
            while left and not self._stopped:
                await self._work(left.popleft())

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(workers, len(left))):
                    group.create_task(worker())
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        return list(left)
