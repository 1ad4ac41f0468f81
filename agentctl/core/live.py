"""What is told live and never recorded; another process sees it by a file of the state home."""

from __future__ import annotations

from msgspec import Struct

from agentctl.core.values import Millis

LIVE = "live"
"""The folder of the state home for what running tasks say."""


class TextDelta(Struct, frozen=True, tag=True, gc=False):
    """Signal: the model said a little more. Live only, never recorded."""

    text: str


class ToolOutput(Struct, frozen=True, tag=True):
    """Signal: a running tool printed something."""

    call_id: str
    text: str


class ToolProgress(Struct, frozen=True, tag=True):
    """Signal: how far a running tool is, in its server's words."""

    call_id: str
    tool: str
    text: str


class Waiting(Struct, frozen=True, tag=True):
    """Signal: the run sleeps until a moment."""

    until_ms: Millis
    why: str


class Batched(Struct, frozen=True, tag=True):
    """Signal: look-ups of one turn are made together."""

    tool: str
    items: int
    distinct: int
    """Equal calls are made once."""


class ChildSaid(Struct, frozen=True, tag=True):
    """Signal: a task that works for this one has come a little further."""

    task_id: str
    text: str


Signal = TextDelta | ToolOutput | ToolProgress | Waiting | Batched | ChildSaid


class Mirrored(Struct, frozen=True, array_like=True, gc=False):
    """A signal as it stands in the file by which other processes see it: a line of JSON."""

    pid: int
    """The process that drives the task. What another one left behind is not live."""
    number: int
    """From 1 within the process: lines that were read before are told by it."""
    after: int
    """The event after which it came."""
    signal: Signal


def mirror_name(task_id: str) -> str:
    """Name of that file."""
    return f"{task_id}.jsonl"
