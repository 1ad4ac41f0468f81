"""The recorded calls of tools, made again for real."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from agentctl.core import events as e
from agentctl.core.fence import within
from agentctl.core.values import ToolCall
from agentctl.errors import UsageError

RAN = frozenset({"ok", "error", "timeout", "broken"})
"""Ends of calls that ran to an end of their own."""
Call = Callable[[str, str], tuple[str, str]]
"""Takes a tool's name and its arguments; returns the status and the whole text of its result."""


class Different(Struct, frozen=True):
    """The first call with another result."""

    seq: int
    """The number of the event with the recorded result."""
    tool: str
    arguments: str
    recorded_status: str
    recorded: str
    status: str
    text: str


class LiveOutcome(Struct, frozen=True):
    """What calling the tools again has found."""

    equal: int
    """Calls with the recorded result, up to the first that had another."""
    left_out: int
    """Calls that did not run then either, and results that were given again."""
    different: Different | None = None


def run_again(
    log: Sequence[e.Recorded], call: Call, output: Callable[[str], str | None]
) -> LiveOutcome:
    """Make each recorded call again, one after the other, up to the first with another result.

    What comes after that one was asked for by a model that saw the recorded result.
    """
    asked: dict[str, ToolCall] = {}
    equal = left_out = 0
    for record in log:
        event = record.event
        if isinstance(event, e.ModelAnswered):
            asked.update({made.id: made for made in event.message.calls})
        if not isinstance(event, e.ToolEnded) or event.parent or event.call_id not in asked:
            continue
        if event.status not in RAN or event.reused:
            left_out += 1
            continue
        arguments = asked[event.call_id].arguments
        recorded = (output(event.output_ref) if event.output_ref else None) or within(event.text)
        try:
            status, text = call(event.tool, arguments)
        except UsageError as error:
            status, text = "invalid", error.what
        if (status, text) != (event.status, recorded):
            found = Different(
                record.seq, event.tool, arguments, event.status, recorded, status, text
            )
            return LiveOutcome(equal, left_out, found)
        equal += 1
    return LiveOutcome(equal, left_out)
