"""What each tool's output cost as input, from the moment it entered the context.

A tool is cheap to call; its output is then sent with every later request. So the input cost of
each call is split over what the request held, by bytes: the outputs of each tool, and the
conversation (system prompt, goal, what the user and the model said). What a prune masks or drops
weighs nothing from then on. All amounts are whole micro-dollars, and their sum is exactly the cost
of the calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from agentctl.core import context
from agentctl.core import events as e
from agentctl.core.history import own_from
from agentctl.core.limits import MTOK
from agentctl.core.state import State, apply
from agentctl.core.values import Micros, Millis, Rates

Kind = Literal["tool", "conversation", "answers"]
NO_NAMES: dict[int, str] = {}


class ToolCost(Struct, frozen=True):
    """What one kind of text cost in a period."""

    key: str
    """The tool's name; "conversation" is all other input and "answers" the output."""
    kind: Kind
    results: int = 0
    """Outputs that entered the context in the period."""
    bytes: int = 0
    """Their size, as the model got them."""
    cost_micros: Micros = 0


class Tally:
    """Adds up the logs of many tasks."""

    def __init__(self, since_ms: Millis = 0, until_ms: Millis | None = None) -> None:
        """Count the calls asked, and the outputs ended, in this period; its end is not in it."""
        self._since_ms = since_ms
        self._until_ms = 1 << 62 if until_ms is None else until_ms
        self._input_micros: dict[str, Micros] = {}
        self._results: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._conversation_micros = 0
        self._answers_micros = 0
        self.calls = 0
        """All calls, answered or not."""
        self.unpriced = 0
        """How many of them have no price: they are in no amount."""
        self.open_micros: Micros = 0
        """At most this much more: calls without an answer."""

    def add(self, log: Sequence[e.Recorded], names: Mapping[int, str] = NO_NAMES) -> None:
        """Count one task. Takes time in proportion to its log.

        `names` are the keys under which single results are counted, by the numbers of their
        events; the others are counted under their tool.
        """
        task: _Context | None = None
        first = own_from(log)
        for record in log:
            if isinstance(record.event, e.TaskCreated):
                task = _Context(record.event, names)
            if task is None:
                raise ValueError("a log begins with TaskCreated")
            if record.seq < first:
                task.follow(record)
            else:
                self._count(task, record)
        if task is not None and task.state.asked is not None and self._has(task.asked_ms):
            self._unanswered(task.state.asked.reserve_micros)

    def _has(self, at_ms: Millis) -> bool:
        return self._since_ms <= at_ms < self._until_ms

    def _count(self, task: _Context, record: e.Recorded) -> None:
        event = record.event
        if isinstance(event, e.ModelAsked):
            self.calls += self._has(record.at_ms)
        elif isinstance(event, e.ModelAnswered):
            asked = task.state.asked
            is_own = asked is None or asked.purpose != "embedding"
            if event.prices and is_own:
                task.rates = msgspec.json.decode(event.prices, type=Rates)
            if self._has(task.asked_ms):
                self._answered(task, event)
        elif isinstance(event, e.ModelFailed) and self._has(task.asked_ms):
            self._unanswered(event.charged_micros)
        entered_bytes = task.follow(record)
        if isinstance(event, e.ToolEnded) and entered_bytes and self._has(record.at_ms):
            name = task.names.get(record.seq, event.tool)
            self._results[name] = self._results.get(name, 0) + 1
            self._bytes[name] = self._bytes.get(name, 0) + entered_bytes

    def _unanswered(self, at_most_micros: Micros | None) -> None:
        self.unpriced += at_most_micros is None
        self.open_micros += at_most_micros or 0

    def _answered(self, task: _Context, event: e.ModelAnswered) -> None:
        if event.cost_micros is None:
            self.unpriced += 1
            return
        answer = min(event.usage.output * task.rates.output // MTOK, event.cost_micros)
        self._answers_micros += answer
        given = event.cost_micros - answer
        # The conversation's share is named by None, which no tool can be called.
        weights: dict[str | None, int] = {None: task.conversation_bytes}
        weights.update(task.tool_bytes)
        for name, micros in split(given, weights).items():
            if name is None:
                self._conversation_micros += micros
            else:
                self._input_micros[name] = self._input_micros.get(name, 0) + micros

    def costs(self) -> list[ToolCost]:
        """Each tool, the most expensive first, then the conversation and the answers."""
        names = self._input_micros.keys() | self._results.keys()
        tools = [
            ToolCost(
                name, "tool", self._results.get(name, 0), self._bytes.get(name, 0),
                self._input_micros.get(name, 0),
            )
            for name in names
        ]  # fmt: skip
        tools.sort(key=lambda each: (-each.cost_micros, each.key))
        return [
            *tools,
            ToolCost("conversation", "conversation", cost_micros=self._conversation_micros),
            ToolCost("answers", "answers", cost_micros=self._answers_micros),
        ]


class _Context:
    """What a task's next request would hold, in bytes."""

    def __init__(self, created: e.TaskCreated, names: Mapping[int, str] = NO_NAMES) -> None:
        self.names = names
        self.state = State(created=created)
        self.rates = Rates()
        self.asked_ms: Millis = 0
        self.tool_bytes: dict[str, int] = {}
        self.conversation_bytes = len(created.system.encode())
        self._system_bytes = self.conversation_bytes
        self._tools: list[str] = []
        """Of each message the tool it came from; empty for the conversation."""

    def follow(self, record: e.Recorded) -> int:
        """Go on by one event; return the bytes of the messages that it brought."""
        event, state = record.event, self.state
        if isinstance(event, e.ModelAsked):
            self.asked_ms = record.at_ms
        known = len(state.messages)
        apply(state, event, record.at_ms)
        if isinstance(event, e.ContextPruned):
            self._weigh_again()
            return 0
        entered_bytes, tool = 0, ""
        if isinstance(event, e.ToolEnded):
            tool = self.names.get(record.seq, event.tool)
        for size_bytes in state.sizes_bytes[known:]:
            self._tools.append(tool)
            self._weigh(tool, size_bytes)
            entered_bytes += size_bytes
        return entered_bytes

    def _weigh(self, tool: str, size_bytes: int) -> None:
        if tool:
            self.tool_bytes[tool] = self.tool_bytes.get(tool, 0) + size_bytes
        else:
            self.conversation_bytes += size_bytes

    def _weigh_again(self) -> None:
        """Weigh what is still sent. Prunes are seldom, since each frees a large piece."""
        self.tool_bytes, self.conversation_bytes = {}, self._system_bytes
        # Tool outputs are sent, whole or masked, from `drop_before` on and where they are kept;
        # their order stays.
        first, kept = self.state.drop_before, self.state.kept
        sent = (name for i, name in enumerate(self._tools) if i >= first or i in kept)
        names = iter([name for name in sent if name])
        for message in self.state.sent:
            tool = next(names) if message.role == "tool" else ""
            self._weigh(tool, context.size_bytes(message))


def split(amount: int, weights: Mapping[str | None, int]) -> dict[str | None, int]:
    """Divide a whole amount by weight into whole parts that add up to it exactly.

    What rounding down leaves goes, one each, to the parts that lost most by it; among equals to the
    first. Without any weight the first part gets all.
    """
    whole = sum(weights.values())
    if not whole:
        return dict.fromkeys(list(weights)[:1], amount)
    parts = {key: amount * weight // whole for key, weight in weights.items()}
    left = amount - sum(parts.values())
    if left:
        losses = sorted(weights, key=lambda key: -(amount * weights[key] % whole))
        for key in losses[:left]:
            parts[key] += 1
    return parts
