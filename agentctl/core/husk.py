"""What is left of an ended task's log when its texts are taken out: all that its costs follow from.

The husk folds to the same status and the same sums, so that books, lists and reports need not know
of it. What was said and done, by whom and why, is gone from it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.recount import KINDS
from agentctl.core.values import Message, Millis

GOAL_CHARS = 200
"""As much of the goal as the list of tasks shows."""
REMOVED = "(removed)"
"""Stands in place of what the model said."""


def husk(log: Sequence[e.Recorded], size_bytes: int, now_ms: Millis) -> list[e.Recorded]:
    """Return the log to keep of a task that has ended; `size_bytes` is what it took until now."""
    kept: list[e.Recorded] = []
    for record in log:
        event = _bare(record.event)
        if event is not None:
            kept.append(e.Recorded(len(kept), record.at_ms, event))
    moment_ms = max(now_ms, log[-1].at_ms)
    kept.append(e.Recorded(len(kept), moment_ms, e.LogRemoved(len(log), size_bytes)))
    return kept


def _bare(event: e.Event) -> e.Event | None:
    """The event without words; None for one that no sum follows from."""
    match event:
        case e.TaskCreated():
            return _created(event)
        case e.ModelAsked():
            return replace(event, request="")
        case e.ModelAnswered():
            return replace(event, message=Message("assistant", REMOVED), stop="end")
        case e.ModelFailed():
            return replace(event, detail="")
        case e.Switched():
            return replace(event, why="")
        case e.Forked() | e.Imported():
            return replace(event, created=_created(event.created))
        case e.LimitChanged():
            return replace(event, reason="")
        case e.Finished():
            return replace(event, text="")
        case _:
            # Of other kinds those stay that are counted, whatever they are.
            return event if type(event).__name__ in KINDS else None


def _created(event: e.TaskCreated) -> e.TaskCreated:
    goal = event.goal[:GOAL_CHARS]
    return replace(event, goal=goal, system="", options={}, rules=(), schema="")
