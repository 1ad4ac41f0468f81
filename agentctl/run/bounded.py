"""Waiting for work of others that may never end, and stopping it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

GRACE_S = 2.0
"""So long something that was told to stop is waited for. After that it is left behind."""


class TimeIsUp(Exception):
    """The work took too long and was stopped."""


class WouldNotStop(TimeIsUp):
    """The work took too long, was told to stop, and did not: it may still be going on."""


async def bounded(work: Coroutine[Any, Any, T], timeout_s: float, grace_s: float = GRACE_S) -> T:
    """Wait for the work. Raises TimeIsUp, and whatever the work raises.

    Cancelling this cancels the work and waits until it has stopped, but no longer than the grace.
    """
    task = asyncio.get_running_loop().create_task(work)
    try:
        await asyncio.wait((task,), timeout=timeout_s)
    except asyncio.CancelledError:
        await _stop(task, grace_s)
        raise
    if not task.done():
        if not await _stop(task, grace_s):
            raise WouldNotStop
        if task.cancelled():
            raise TimeIsUp
    if task.cancelled():
        raise RuntimeError("it cancelled itself")
    return task.result()


async def _stop(task: asyncio.Task[Any], grace_s: float) -> bool:
    """Cancel a task; whether it has ended then."""
    task.cancel()
    # Whatever it says when it ends at last, nobody waits for it any more.
    task.add_done_callback(_hear_out)
    await asyncio.wait((task,), timeout=grace_s)
    if not task.done():
        _leave_behind(task)
        return False
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    return True


def _leave_behind(task: asyncio.Task[Any]) -> None:
    """Keep the end of the loop from waiting for it, which would be for ever."""
    asyncio.tasks._unregister_task(task)
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own, as gather does


def _hear_out(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
