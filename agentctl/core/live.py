"""What is told live and never recorded."""

from __future__ import annotations

from msgspec import Struct

from agentctl.core.values import Millis


class TextDelta(Struct, frozen=True, gc=False):
    """Signal: the model said a little more. Live only, never recorded."""

    text: str


class ToolOutput(Struct, frozen=True):
    """Signal: a running tool printed something."""

    call_id: str
    text: str


class ToolProgress(Struct, frozen=True, tag=True):
    """Signal: how far a running tool is, in its server's words."""

    call_id: str
    tool: str
    text: str


class Waiting(Struct, frozen=True):
    """Signal: the run sleeps until a moment."""

    until_ms: Millis
    why: str


class Batched(Struct, frozen=True):
    """Signal: look-ups of one turn are made together."""

    tool: str
    items: int
    distinct: int
    """Equal calls are made once."""


Signal = TextDelta | ToolOutput | ToolProgress | Waiting | Batched
