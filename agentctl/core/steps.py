"""A task's log as steps: what was asked, answered and done in each, for whoever looks at it.

A step is an answer of the model with the tools that it asked for, and what was tried to get it.
What happened after the last answer and its tools belongs to a step without an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from agentctl.core import events as e
from agentctl.core.values import Micros, Millis, ToolCall


class Act(Struct):
    """A call of a tool."""

    call_id: str
    tool: str
    arguments: str = "{}"
    """JSON text."""
    problem: str = ""
    """Why it could not be run as it was written."""
    parent: str = ""
    """The call on whose behalf a tool made this one."""
    started_ms: Millis = 0
    """0: it never was."""
    starts: int = 0
    """More than one: it was cut off and run again."""
    repeat: str = ""
    """As in ToolStarted."""
    ended: e.ToolEnded | None = None


class Try(Struct):
    """A call of a model."""

    asked: e.ModelAsked
    at_ms: Millis
    answered: e.ModelAnswered | None = None
    failed: e.ModelFailed | None = None

    @property
    def cost_micros(self) -> Micros | None:
        """What it cost, or at most may have; None: no price is known."""
        if self.answered is not None:
            return self.answered.cost_micros
        return self.asked.reserve_micros if self.failed is None else self.failed.charged_micros


class Step(Struct):
    """One step; `number` from 1. The last may have no answer yet."""

    number: int
    begun_ms: Millis
    ended_ms: Millis = 0
    tries: list[Try] = []
    """In order; of those for the conversation the last may have an answer."""
    acts: list[Act] = []
    """As the model asked for them; those that tools made come after."""
    events: list[e.Recorded] = []
    """All of it."""

    @property
    def answer(self) -> Try | None:
        """The call that brought the answer."""
        found = (each for each in self.tries if each.answered and each.asked.purpose == "step")
        return next(found, None)

    @property
    def told(self) -> list[tuple[str, str]]:
        """Messages that came to the task meanwhile: from whom, and what they say."""
        events = (record.event for record in self.events)
        return [(each.by, each.text) for each in events if isinstance(each, e.UserSaid)]

    @property
    def cost_micros(self) -> Micros:
        """Of all its calls, those without a price left out."""
        return sum(each.cost_micros or 0 for each in self.tries)

    @property
    def unpriced(self) -> int:
        """Calls without a price."""
        return sum(each.cost_micros is None for each in self.tries)


BEGIN = (e.ModelAsked, e.ContextPruned)
"""With one of these a new step begins, once the one before has its answer."""


def steps(log: Sequence[e.Recorded]) -> list[Step]:
    """Return the steps of a log, oldest first; none of a task to which nothing happened yet."""
    found: list[Step] = []
    for record in log[1:]:
        event = record.event
        answered = found and found[-1].answer is not None
        if not found or (answered and isinstance(event, BEGIN)):
            found.append(Step(len(found) + 1, record.at_ms))
        _add(found[-1], record)
    return found


def _add(step: Step, record: e.Recorded) -> None:
    step.events.append(record)
    match record.event:
        case e.ModelAsked() as asked:
            step.tries.append(Try(asked, record.at_ms))
        case e.ModelAnswered() as answered if step.tries:
            step.tries[-1].answered = answered
            if step.tries[-1].asked.purpose == "step":
                step.acts += [_act(call) for call in answered.message.calls]
        case e.ModelFailed() as failed if step.tries:
            step.tries[-1].failed = failed
        case e.ToolStarted() as started:
            act = _found(step, started.call_id, started.parent) or _new(step, started)
            act.started_ms, act.repeat = record.at_ms, started.repeat
            act.starts += 1
        case e.ToolEnded() as ended:
            act = _found(step, ended.call_id, ended.parent) or _new(step, ended)
            act.ended = ended
        case _:
            return  # a note, or what somebody else wrote, perhaps long after the step
    step.ended_ms = record.at_ms


def _act(call: ToolCall) -> Act:
    return Act(call.id, call.name, call.arguments, call.problem)


def _found(step: Step, call_id: str, parent: str) -> Act | None:
    """The call that is meant: of two with one id the first that has no result yet."""
    same = [act for act in step.acts if act.call_id == call_id and act.parent == parent]
    return next((act for act in same if act.ended is None), None)


def _new(step: Step, event: e.ToolStarted | e.ToolEnded) -> Act:
    act = Act(event.call_id, event.tool, event.arguments or "{}", parent=event.parent)
    step.acts.append(act)
    return act
