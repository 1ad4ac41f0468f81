"""SIGINT, SIGTERM and SIGHUP: a run is paused, and the process is gone soon, whatever hangs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread, Timer

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LEAVE_S = 1.7
LAST_WORDS_S = 0.2
"""Together less than two seconds: within them the process is gone, with all shown steps on disk."""

Complain = Callable[[str], None]


def heeded() -> list[signal.Signals]:
    """The signals that stop a run. Under nohup a closed terminal is none of them."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in SIGNALS if not (ignored and number == signal.SIGHUP)]


@contextmanager
def leaving(go_on: str, complain: Complain) -> Iterator[None]:
    """Leave at once at a signal that comes before the run listens: nothing is under way yet.

    `go_on` is the command that the last words name.
    """

    def leave(number: int, _frame: object) -> None:
        _leave(number, go_on, complain)

    before = {number: signal.signal(number, leave) for number in heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def listening(
    go_on: str, interrupt: Callable[[str], None], complain: Complain
) -> Iterator[list[str]]:
    """Within the running loop, have the first signal interrupt the run; a second Ctrl-C leaves.

    `go_on` is as above. Gives a list that takes the name of the signal that came.
    """
    loop = asyncio.get_running_loop()
    received: list[str] = []

    def at_once(number: int, _frame: object) -> None:
        """Runs also while a write that nobody reads keeps the loop from turning."""
        if received and number == signal.SIGINT:
            _leave(number, go_on, complain)
        if not received:
            received.append(signal.Signals(number).name)
            late = Timer(LEAVE_S, _leave, (number, go_on, complain))
            late.daemon = True
            late.start()
            loop.call_soon_threadsafe(interrupt, received[0])

    numbers = heeded()
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        # The loop's own handler makes it wake up; ours then takes its place.
        loop.add_signal_handler(number, lambda: None)
        signal.signal(number, at_once)
    try:
        yield received
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])


def _leave(number: int, go_on: str, complain: Complain) -> None:
    """End the process; a terminal that does not take the last words does not hold it up."""
    words = f"Left at once. Go on with: {go_on}"
    speaker = Thread(target=complain, args=(words,), daemon=True)
    speaker.start()
    speaker.join(LAST_WORDS_S)
    os._exit(128 + number)
