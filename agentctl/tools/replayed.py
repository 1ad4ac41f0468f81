"""Tools that answer again what a task's log says they answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from agentctl.core import events as e
from agentctl.core.lookups import canonical
from agentctl.core.values import ToolCall, ToolSpec
from agentctl.errors import ToolError
from agentctl.ports import ToolContext, ToolResult


class Line(Struct, frozen=True):
    """A call of the model and what it was answered."""

    tool: str
    arguments: str
    """As they are compared: see core.lookups.canonical."""
    result: ToolResult


class Recording:
    """The calls of a task, in the order in which they ended, and which of them were made again."""

    def __init__(self, lines: Iterable[Line]) -> None:
        """Nothing was made again yet."""
        self._left = deque(lines)

    @property
    def left(self) -> list[str]:
        """Recorded calls that were not made again, in their order."""
        return [f"{line.tool} {line.arguments}" for line in self._left]

    def take(self, tool: str, arguments: str) -> ToolResult:
        """The next recorded result of this very call. Raises ToolError for one that was not."""
        text = canonical(arguments)
        for line in self._left:
            if (line.tool, line.arguments) == (tool, text):
                self._left.remove(line)
                return line.result
        recorded = [line.arguments for line in self._left if line.tool == tool]
        there = f"recorded next: {recorded[0]}" if recorded else "none is left in the recording"
        raise ToolError(f"The replay has come apart: asked was {tool} with {text}; {there}.")


class Replayed:
    """A tool that answers from a recording."""

    def __init__(self, spec: ToolSpec, recording: Recording) -> None:
        """All tools of a task share its recording."""
        self.spec = spec
        self.recording = recording

    def check(self, arguments: str) -> str:
        """Everything fits: what was not recorded is told by `run`."""
        return ""

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        """Answer as recorded. Raises ToolError for a call that was not."""
        return self.recording.take(self.spec.name, arguments)

    async def close(self) -> None:
        """There is nothing to end."""


def replayed(
    records: Iterable[e.Recorded],
    *,
    specs: Iterable[ToolSpec] = (),
    output: Callable[[str], str | None] = lambda _ref: None,
) -> list[Replayed]:
    """Make the tools that a task used, which answer each call as its log says, in order.

    `specs` are those of the real tools, where the model shall see them. `output` gives the whole
    of a large output by its id; without it the replay has the part that was shown.
    """
    lines: list[Line] = []
    found: dict[str, ToolSpec] = {}
    asked: dict[str, ToolCall] = {}
    texts: dict[str, str] = {}
    for record in records:
        event = record.event
        if isinstance(event, e.ModelAnswered):
            asked.update({call.id: call for call in event.message.calls})
        elif isinstance(event, e.ToolStarted) and not event.parent:
            found[event.tool] = ToolSpec(
                event.tool, "", '{"type":"object"}', event.category, event.repeat, changes=False
            )
        elif isinstance(event, e.ToolEnded) and not event.parent and event.call_id in asked:
            line = _line(event, asked[event.call_id], texts, output)
            texts[event.call_id] = line.result.text
            if event.status != "invalid":  # then no tool was asked
                lines.append(line)
                found.setdefault(event.tool, ToolSpec(event.tool, "", '{"type":"object"}'))
    named = {spec.name: spec for spec in specs}
    recording = Recording(lines)
    return [Replayed(named.get(name, spec), recording) for name, spec in found.items()]


def _line(
    event: e.ToolEnded,
    call: ToolCall,
    texts: Mapping[str, str],
    output: Callable[[str], str | None],
) -> Line:
    """A result that only refers to an earlier one is told whole, as its tool would."""
    text = texts.get(event.reused, event.text) if event.spared_bytes else event.text
    if event.output_ref:
        text = output(event.output_ref) or text
    result = ToolResult(text, ok=event.status == "ok")
    return Line(event.tool, canonical(call.arguments), result)
