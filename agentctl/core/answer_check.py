"""Whether a final answer fits the JSON Schema of its task, and what is done if it does not."""

from __future__ import annotations

import re
from collections.abc import Callable

from agentctl.core import events as e
from agentctl.core.state import State

MISFITS_MAX = 3
"""Answers in a row that do not fit before the task stops."""
_FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)\n[ \t]*```\s*", re.DOTALL)


def json_part(answer: str) -> str:
    """The answer, or what stands in the code fence that is all of it: the model's own text."""
    found = _FENCED.fullmatch(answer)
    return (found[1] if found is not None else answer).strip()


def judged(state: State, problem_of: Callable[[str], str] | None) -> tuple[e.Event, ...]:
    """What a final answer leads to: the end, another try, or a stop after the last one.

    `problem_of` says why a JSON text does not fit; an empty string: it does.
    """
    if not state.created.schema or problem_of is None:
        return (e.Finished("done", state.answer),)
    text = json_part(state.answer)
    problem = problem_of(text)
    if not problem:
        return (e.Finished("done", text),)
    refused = e.AnswerRefused(problem, state.misfits + 1)
    if refused.tries < MISFITS_MAX:
        return (refused,)
    reason = f"the answer does not fit the schema, after {refused.tries} tries: {problem}"
    return (refused, e.Stopped("failed", reason))
