"""The offline planner: no language model, fixed rules, a small set of goals on files and text.

It keeps nothing between calls. Each answer is computed from the conversation alone by playing the
plan again over the tool outputs that are there, so the same conversation always gets the same
answer and a run goes on after a crash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import ClassVar

import msgspec

from agentctl.core.fence import within
from agentctl.core.lookups import without_note
from agentctl.core.values import Message, Rates, Stop, ToolCall, ToolSpec, Usage
from agentctl.ports import Answer, Emit, Request
from agentctl.providers import offline_text
from agentctl.providers.offline_goals import parse
from agentctl.providers.offline_plans import End, plan
from agentctl.providers.offline_steps import Step

INTRO = "offline planner: no language model is used; I follow fixed rules."
REFUSAL = """\
I cannot do this: no rule of mine fits the whole goal. Nothing was changed.

What I can do, with files and folders of the workspace:
- find and list files: "List the markdown files in notes/"
- search: "Find all TODOs in this folder", "Search for 'deadline' in notes/"
- count: "Count the lines of all Python files", "How often does 'x' appear in README.md?"
- summarise by picking sentences: "Summarise README.md", "Summarise the text files in notes/"
- write what I found to a file: add "and write the findings to report.md"

For anything else use a language model:
- --provider anthropic, with a key in ANTHROPIC_API_KEY
- --provider openai, with a key in OPENAI_API_KEY
- --provider ollama, with Ollama running on this machine (no key, no cost)"""
SHORTENED = (
    "The goal was not reached: parts of this conversation are no longer shown to me, so I cannot "
    "go on by my rules. Name fewer files in the goal, or raise MAX_CONTEXT_TOKENS."
)


class Offline:
    """Answers by rules. `model` and `options` are accepted for the sake of uniformity, not used.

    It processes no tokens, so its usage is zero and the output cap of a request does not apply.
    A goal that was refused or not reached is answered with stop "refusal", never as a success.
    """

    name = "offline"
    default_model: ClassVar[str] = "rules-1"

    def __init__(self, model: str, options: Mapping[str, str]) -> None:
        """Nothing is opened or read."""
        self.model = model or self.default_model
        self.max_output = 4096
        self.rates: Rates | None = Rates(source="local")
        self.paced = False

    async def ask(self, request: Request, emit: Emit) -> Answer:
        """Return the next tool calls or the last words. Never fails."""
        message, stop = next_answer(request.messages, request.tools)
        emit(message.text)
        return Answer(message, Usage(), stop, model=self.model)

    async def close(self) -> None:
        """Nothing is open."""


def next_answer(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> tuple[Message, Stop]:
    """Answer a conversation; a pure function of it."""
    goal_text = next((message.text for message in messages if message.role == "user"), "")
    ends = [
        index
        for index, message in enumerate(messages)
        if message.role == "assistant" and not message.calls
    ]
    # Words without calls end an attempt; being asked again after them means: try anew.
    since = messages[ends[-1] + 1 :] if ends else messages
    step, number = _replay(goal_text, since, len(ends), {tool.name for tool in tools})
    if isinstance(step, End):
        return Message("assistant", _introduced(step.text, number)), (
            "end" if step.reached else "refusal"
        )
    calls = tuple(
        ToolCall(
            _call_id(len(ends), number, place),
            use.tool,
            msgspec.json.encode(use.arguments).decode(),
        )
        for place, use in enumerate(step.uses)
    )
    return Message("assistant", _introduced(step.say, number), calls), "tools"


def _replay(
    goal_text: str, messages: Sequence[Message], attempt: int, known: Set[str]
) -> tuple[Step | End, int]:
    """Play the plan over the outputs that are there; the first step without them is the next."""
    goal = parse(goal_text)
    if goal is None:
        return End(REFUSAL, reached=False), 0
    outputs = {m.call_id: without_note(within(m.text)) for m in messages if m.role == "tool"}
    number = 0
    steps = plan(goal)
    try:
        step = next(steps)
        while True:
            missing = [use.tool for use in step.uses if use.tool not in known]
            if missing:
                # Not called but told to the plan, which may have findings to show all the same.
                step = steps.send([f"There is no tool {missing[0]} in this run."] * len(step.uses))
                continue
            ids = [_call_id(attempt, number, place) for place in range(len(step.uses))]
            if not all(call_id in outputs for call_id in ids):
                break
            results = [outputs.pop(call_id) for call_id in ids]
            number += 1
            if any(map(offline_text.masked, results)):
                return End(SHORTENED, reached=False), number
            step = steps.send(results)
    except StopIteration as end:
        return end.value, number
    if any(call_id.startswith(_call_id(attempt)) for call_id in outputs):
        return End(SHORTENED, reached=False), number + 1  # earlier steps are missing
    return step, number


def _call_id(attempt: int, *numbers: int) -> str:
    return "-".join([f"rule{attempt}", *map(str, numbers)])


def _introduced(text: str, number: int) -> str:
    return text if number else f"{INTRO}\n\n{text}"
