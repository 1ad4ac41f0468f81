"""Asking the person at the terminal whether a call may run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
from typing import Protocol

from agentctl.cli.output import tell
from agentctl.core.values import ToolCall, ToolSpec
from agentctl.ports import Ask
from agentctl.reports.text import visible

ANSWERS = {"y": "once", "yes": "once", "t": "task", "task": "task", "n": "no", "no": "no"}
ALWAYS = {"a": "always", "always": "always"}
DOUBTS = {"r": "once", "rerun": "once", "s": "skip", "skip": "skip", "t": "tell", "tell": "tell"}
HEAD_CHARS, TAIL_CHARS = 3_000, 1_000
"""Of long arguments: what a command does may stand at its end."""


class Display(Protocol):
    """A live display that must make room for a question."""

    def suspend(self) -> None:
        """Take the live part off the screen."""
        ...

    def restore(self) -> None:
        """Show it again."""
        ...


def can_ask() -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask_user(display: Display | None) -> Ask:
    """Return a way to ask that can be cut off: the terminal is read by the event loop."""

    async def ask(call: ToolCall, spec: ToolSpec, in_doubt: bool, rule: str) -> str:
        if display is not None:
            display.suspend()
        try:
            return await _question(call, in_doubt, rule)
        finally:
            if display is not None:
                display.restore()

    return ask


async def _question(call: ToolCall, in_doubt: bool, rule: str) -> str:
    arguments = visible(call.arguments)
    hidden = len(arguments) - HEAD_CHARS - TAIL_CHARS
    if hidden > 0:
        middle = f"… ({hidden} characters in between are not shown) …"
        arguments = f"{arguments[:HEAD_CHARS]}{middle}{arguments[-TAIL_CHARS:]}"
    if in_doubt:
        tell(f"This call was cut off and may have happened: {visible(call.name)} {arguments}")
        prompt, answers = "Run it again, skip it, or tell the model? [r/s/T] ", DOUBTS
    else:
        tell(f"The agent wants to call {visible(call.name)} {arguments}")
        prompt, answers = "Allow it? [y]es / [N]o / [t]his tool in this task", ANSWERS
        if rule:
            tell(f"Always means here, in every task of this folder: allow {visible(rule)}")
            prompt, answers = f"{prompt} / [a]lways", {**ANSWERS, **ALWAYS}
        prompt += ": "
    while True:
        with contextlib.suppress(termios.error):
            # What was typed before the question was shown does not answer it.
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
        sys.stderr.write(prompt)
        sys.stderr.flush()
        line = (await _line()).strip().lower()
        if not line:
            return "tell" if in_doubt else "no"
        if line in answers:
            return answers[line]


async def _line() -> str:
    """Read one line without blocking the loop, so that a pause or a signal is heard meanwhile."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(sys.stdin.fileno(), wake)
    try:
        await ready
        # Not sys.stdin: its buffer would keep a second line, out of tcflush's reach.
        return os.read(sys.stdin.fileno(), 4096).decode(errors="replace")
    finally:
        loop.remove_reader(sys.stdin.fileno())
