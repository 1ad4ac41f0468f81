"""What a user's function prints is live output of its call, not part of agentctl's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from agentctl.ports import Emit


class _Lines:
    """Passes on what is printed, a line at a time."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.rest = ""

    def write(self, text: str) -> None:
        whole, end, self.rest = (self.rest + text).rpartition("\n")
        if end:
            self._emit(whole + end)


_HEARD: ContextVar[_Lines | None] = ContextVar("heard", default=None)


class _Prints:
    """Standard output for everybody but functions that are heard."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def write(self, text: str) -> int:
        lines = _HEARD.get()
        if lines is None:
            return int(self._real.write(text))
        lines.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def aside(emit: Emit) -> Emit:
    """The same, but what is printed by those who hear it goes where it usually does."""

    def said(text: str) -> None:
        token = _HEARD.set(None)
        try:
            emit(text)
        finally:
            _HEARD.reset(token)

    return said


@contextmanager
def heard(emit: Emit, last: Emit) -> Iterator[None]:
    """Within the block, also in threads that copy its context, lines of `print` go to `emit`.

    `last` is given what was printed without a line end, when the block is left.
    """
    if not isinstance(sys.stdout, _Prints):
        sys.stdout = _Prints(sys.stdout)
    lines = _Lines(aside(emit))
    token = _HEARD.set(lines)
    try:
        yield
    finally:
        with suppress(ValueError):  # what would not stop ends with the process, in no context
            _HEARD.reset(token)
        if lines.rest:
            last(lines.rest)
