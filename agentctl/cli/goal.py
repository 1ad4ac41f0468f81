"""Where a goal comes from: the command line, a file, stdin, or both of the last two."""

from __future__ import annotations

import select
import sys
from pathlib import Path

from agentctl.cli.output import tell
from agentctl.core.sanitize import GOAL_BYTES_MAX, goal_problem, storable
from agentctl.errors import UsageError

SILENT_S, PATIENCE_S = 0.5, 10.0
EXAMPLE = "E.g.: agentctl run 'Summarise README.md'"


def read_goal(goal: str | None, file: str | None) -> str:
    """Return the goal's text. Raises UsageError for none, two, or what is not text."""
    if goal and goal != "-" and file:
        raise UsageError("Give a goal or a file with one, not both.", next_step=EXAMPLE)
    if file:
        return _with_stdin(_text(_file_bytes(file), file))
    if goal == "-":
        return _text(_stdin_bytes(), "stdin")
    if goal is None:
        piped = "" if sys.stdin is None or sys.stdin.isatty() else _text(_stdin_bytes(), "stdin")
        if not piped.strip():
            raise UsageError("What is the goal?", next_step=EXAMPLE)
        return piped
    return _with_stdin(goal)


def read_message(text: str) -> str:
    """Return what is to be said to a task, fit to be stored. Raises UsageError."""
    said = _text(_stdin_bytes(), "stdin") if text == "-" else text
    problem = goal_problem(said, "message")
    if problem:
        raise UsageError(problem, next_step="E.g.: agentctl send @last 'Only the tests'")
    return storable(said)


def _with_stdin(goal: str) -> str:
    """Add what is piped in. A pipe that stays silent, as ssh's may, is not waited for for ever."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return goal
    piped = _text(_stdin_bytes(), "stdin") if _something_comes() else ""
    return f"{goal}\n\nInput:\n{piped}" if piped.strip() else goal


def _something_comes() -> bool:
    for wait_s in (SILENT_S, PATIENCE_S):
        try:
            ready, _, _ = select.select([sys.stdin], [], [], wait_s)
        except (OSError, ValueError):
            return False
        if ready:
            return True
        if wait_s == SILENT_S:
            tell(f"Waiting up to {PATIENCE_S:g} s for piped input (none is meant: add </dev/null).")
    tell("Nothing was piped in: going on without. To wait for as long as it takes: run -")
    return False


def _stdin_bytes() -> bytes:
    return sys.stdin.buffer.read(GOAL_BYTES_MAX + 1)


def _file_bytes(name: str) -> bytes:
    try:
        with Path(name).open("rb") as handle:
            return handle.read(GOAL_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(
            f"The goal's file {name} cannot be read: {error.strerror}.", next_step=EXAMPLE
        ) from error


def _text(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(data) > GOAL_BYTES_MAX and error.start >= GOAL_BYTES_MAX - 4:
            return data.decode("utf-8", "replace")  # only cut there: refused for its length
        raise UsageError(
            f"The goal from {source} is not UTF-8 text (byte {error.start} is not).",
            next_step="Save it as UTF-8, or put the data into a file and name that in the goal.",
        ) from error
