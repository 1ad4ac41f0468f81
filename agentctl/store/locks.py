"""Named locks between processes, for blocks of code: see ports.Locks."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from agentctl.core.values import Millis
from agentctl.errors import LockBusy
from agentctl.store.lockfile import Holder, free, look, take

POLL_MS: Millis = 10
"""flock cannot wait with a time-out, so a waiter looks this often."""
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
"""Safe as a file name everywhere, also where capitals and small letters are the same."""


class FileLocks:
    """Locks of one folder, by name. Every process of a state home uses the same folder.

    A task or thread that holds one may only take names that sort after it, so that holders who
    want each other's locks cannot arise. Two instances for one folder know of each other.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ticks_ms: Callable[[], Millis] = lambda: time.monotonic_ns() // 1_000_000,
        sleep: Callable[[float], None] = time.sleep,
        async_sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        """`ticks_ms` measures time-outs; the sleeps take seconds. Nothing is opened yet."""
        self._folder = folder
        self._ticks_ms = ticks_ms
        self._sleep = sleep
        self._async_sleep = async_sleep

    @asynccontextmanager
    async def lock(self, *names: str, timeout_ms: Millis) -> AsyncIterator[None]:
        """Hold all these locks within the block; others go on while this one waits.

        Raises LockBusy, StoreError, and ValueError for a name that is unsafe, held already or out
        of order.
        """
        sleep = self._async_sleep
        if sleep is None:
            import asyncio  # here, because what only uses `held` must start quickly

            sleep = asyncio.sleep
        with self._claim(names) as (ordered, handles):
            for wait_s in self._taking(ordered, timeout_ms, handles):
                await sleep(wait_s)
            yield

    @contextmanager
    def held(self, *names: str, timeout_ms: Millis) -> Iterator[None]:
        """The same for code that cannot await: the thread sleeps while it waits."""
        with self._claim(names) as (ordered, handles):
            for wait_s in self._taking(ordered, timeout_ms, handles):
                self._sleep(wait_s)
            yield

    @contextmanager
    def _claim(self, names: Sequence[str]) -> Iterator[tuple[list[str], list[int]]]:
        """The names in order and a list for their handles, which are freed at the end."""
        key = (_me(), str(self._folder))
        mine = _claimed.get(key, [])
        ordered = _in_order(names, mine)
        _claimed[key] = mine + ordered
        handles: list[int] = []
        try:
            yield ordered, handles
        finally:
            for handle in reversed(handles):
                free(handle)
            rest = [name for name in _claimed.pop(key) if name not in ordered]
            if rest:
                _claimed[key] = rest

    def _taking(
        self, names: Sequence[str], timeout_ms: Millis, handles: list[int]
    ) -> Iterator[float]:
        """Take one lock after the other; yields the seconds to sleep before each further look."""
        until_ms = self._ticks_ms() + timeout_ms
        for name in names:
            path = self._folder / f"{name}.lock"
            while (handle := take(path)) is None:
                left_ms = until_ms - self._ticks_ms()
                if left_ms <= 0:
                    raise _busy(name, timeout_ms, look(path))
                yield min(left_ms, POLL_MS) / 1000
            handles.append(handle)


_claimed: dict[tuple[object, str], list[str]] = {}
"""Names held or waited for, by task or thread and folder."""


def _in_order(names: Sequence[str], mine: Sequence[str]) -> list[str]:
    """Sort the names. Raises ValueError where taking them would be a mistake of the program."""
    unsafe = [name for name in names if not NAME.fullmatch(name)]
    if unsafe or not names:
        raise ValueError(f"not the name of a lock: {unsafe[0]!r}" if unsafe else "no lock is named")
    ordered = sorted(names)
    if len(set(ordered)) < len(ordered) or set(ordered) & set(mine):
        raise ValueError(f"{', '.join(ordered)}: a lock is held once, not twice")
    if mine and ordered[0] < max(mine):
        raise ValueError(
            f"the lock {ordered[0]!r} sorts before {max(mine)!r}, which is held: take both at once"
        )
    return ordered


def _me() -> object:
    """The task that runs now, else the thread."""
    # Not imported: where nobody has loaded asyncio, there is no task.
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            task: object = asyncio.current_task()
        except RuntimeError:  # no loop runs in this thread
            task = None
        if task is not None:
            return task
    return threading.get_ident()


def _busy(name: str, timeout_ms: Millis, holder: Holder | None) -> LockBusy:
    who = holder or Holder()
    return LockBusy(
        f"The lock {name!r} is held by {who}, still after {timeout_ms} ms.",
        kept="Nothing was changed.",
        next_step=f"Try again, or see what holds it: ps -fp {who.pid}" if who.pid else "Try again.",
    )
