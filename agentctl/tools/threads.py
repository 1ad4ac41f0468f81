"""Calling a function that may block, without waiting for it when nobody wants its result."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

from agentctl.ports import Emit

R = TypeVar("R")


async def in_thread(function: Callable[[], R], name: str) -> R:
    """Return what it returns, or raise what it raises.

    Python cannot stop a thread: when this is cancelled, the thread runs on. The process does not
    wait for it at its end, as it would for one of an executor.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    result: list[R] = []
    broken: list[BaseException] = []
    context = contextvars.copy_context()

    def work() -> None:
        try:
            result.append(context.run(function))
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            broken.append(error)
        try:
            loop.call_soon_threadsafe(_settle, done)
        except RuntimeError:  # the loop has ended, and with it everybody who waited
            return

    Thread(target=work, name=name, daemon=True).start()
    await done
    if broken:
        raise ordinary(broken[0])
    return result[0]


def _settle(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def ordinary(error: BaseException) -> Exception:
    """The error as one that ends a call and not agentctl, e.g. where a function calls exit()."""
    if isinstance(error, Exception):
        return error
    return RuntimeError(f"it raised {type(error).__name__}: {error}")


class Later:
    """Lets a thread be heard in the loop's own, until the call is over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, emit: Emit) -> None:
        """`emit` hears each text as soon as the loop comes to it."""
        self._loop, self._emit = loop, emit
        self.is_over = False

    def __call__(self, text: str) -> None:
        """Say something."""
        if not self.is_over:
            try:
                self._loop.call_soon_threadsafe(self._emit, text)
            except RuntimeError:  # the loop has ended: nobody listens
                self.is_over = True


def from_thread(loop: asyncio.AbstractEventLoop, function: Callable[..., R]) -> Callable[..., R]:
    """The function for use in another thread: it is called in the loop's own, and waited for."""

    def call(*arguments: Any) -> R:
        answer: Future[R] = Future()

        def act() -> None:
            try:
                answer.set_result(function(*arguments))
            except Exception as error:  # noqa: BLE001 - it is raised again in the thread
                answer.set_exception(error)

        loop.call_soon_threadsafe(act)
        return answer.result()

    return call
