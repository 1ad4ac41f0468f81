"""Where requests say that a cached beginning ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.context_auto import due
from agentctl.core.state import State, apply, fold
from agentctl.core.values import Limits, Message, Quote, Shape, ToolCall
from agentctl.ports import Request
from agentctl.providers import anthropic, openai_responses
from agentctl.providers._answer import encode
from tests.contracts.calls import asked
from tests.contracts.strict import complaint
from tests.core.parts import START_MS, created, recorded, view

OFFICIAL = "api.openai.com"
MARK = {"type": "ephemeral"}


def talk(turns: int, calls: int = 1) -> State:
    """A goal and so many turns, each with outputs of 3,000 bytes."""
    state = fold(recorded(created(goal="the goal", limits=Limits(steps=None))))
    for n in range(turns):
        say(state, n, calls)
    return state


def say(state: State, n: int, calls: int = 1) -> None:
    made = tuple(ToolCall(f"c{n}-{i}", "read_file", f'{{"path":"f{n}"}}') for i in range(calls))
    answer = e.ModelAnswered(Message("assistant", "next", made), e.Usage(), "tools", 0)
    for event in (answer, *(e.ToolEnded(c.id, c.name, f"{n} " * 1_000) for c in made)):
        apply(state, event, START_MS)


def prune(state: State) -> None:
    tokens = state.sent_bytes * 10 // 25
    seen = view(quote=Quote(tokens, 0, 0, 0), bytes_per_ktoken=2_500, shape=Shape(40_000))
    found = due(state, seen, overflow=True)
    assert found is not None
    apply(state, found, START_MS)


def request(state: State) -> Request:
    return replace(asked(), messages=list(state.sent), steady=state.steady)


def claude(state: State) -> Any:
    made = encode(anthropic.body(request(state), "some-model"))
    assert complaint("anthropic", made) == ""
    return json.loads(made)


def gpt(state: State, model: str = "gpt-6.1-terra") -> Any:
    made = encode(openai_responses.body(request(state), model, OFFICIAL))
    assert complaint("openai-responses", made) == ""
    return json.loads(made)


def marked(sent: Any) -> list[str]:
    """What Claude is told to cache up to, by id, among the messages."""
    blocks = [block for message in sent["messages"] for block in message["content"]]
    return [b.get("tool_use_id") or b["text"] for b in blocks if "cache_control" in b]


def broken(items: Sequence[Any]) -> list[str]:
    """The same for GPT."""
    return [
        item.get("call_id") or "goal"
        for item in items
        for block in (item.get("output") or item.get("content") or ())
        if isinstance(block, dict) and "prompt_cache_breakpoint" in block
    ]


def last_stub(state: State) -> str:
    return [m.call_id for m in state.sent if m.text.startswith("[output left out")][-1]


def test_claude_caches_up_to_the_system_prompt_the_goal_and_the_end() -> None:
    sent = claude(talk(3))
    assert sent["system"] == [{"type": "text", "text": "be brief", "cache_control": MARK}]
    assert sent["cache_control"] == MARK
    assert marked(sent) == ["the goal"]


def test_after_prunes_a_mark_stands_where_the_last_one_and_the_next_one_begin() -> None:
    state = talk(40)
    prune(state)
    first = last_stub(state)
    assert marked(claude(state)) == ["the goal", first]
    assert broken(gpt(state)["input"]) == ["goal", first]
    for n in range(40, 60):
        say(state, n)
    before = claude(state)
    prune(state)
    second = last_stub(state)
    assert first != second
    assert marked(claude(state)) == [first, second]
    assert broken(gpt(state)["input"]) == ["goal", first, second]
    # What was cached up to the first mark is still the beginning of the request.
    old, new = (text_to(sent, first) for sent in (before, claude(state)))
    assert old == new


def text_to(sent: Any, call_id: str) -> str:
    """The request up to a result, without marks."""
    text = encode(sent["messages"]).decode().replace('"cache_control":{"type":"ephemeral"},', "")
    return text[: text.index(f'"tool_use_id":"{call_id}"')]


def test_between_prunes_no_mark_of_a_growing_conversation_moves() -> None:
    state = talk(40)
    prune(state)
    before = claude(state), gpt(state)
    for n in range(40, 43):
        say(state, n)
    assert claude(state)["messages"][: len(before[0]["messages"])] == before[0]["messages"]
    assert gpt(state)["input"][: len(before[1]["input"])] == before[1]["input"]


def test_a_turn_longer_than_the_server_looks_back_gets_a_mark_before_it() -> None:
    state = talk(2)
    say(state, 3, calls=12)
    assert marked(claude(state)) == ["the goal", "c1-0"]
    for n in range(4, 30):
        say(state, n)
    prune(state)
    say(state, 30, calls=12)
    assert marked(claude(state)) == [last_stub(state), "c29-0"]


@pytest.mark.parametrize(
    ("model", "server", "takes"),
    [
        ("gpt-5.6", OFFICIAL, True),
        ("gpt-5.6-mini-2026-07-01", "eu." + OFFICIAL, True),
        ("gpt-5.10", OFFICIAL, True),
        ("gpt-6-sol", OFFICIAL, True),
        ("gpt-5.5", OFFICIAL, False),
        ("gpt-5", OFFICIAL, False),
        ("gpt-4o", OFFICIAL, False),
        ("ft:gpt-6.1:me", OFFICIAL, False),
        ("o4-mini", OFFICIAL, False),
        ("gpt-6.1-terra", "localhost", False),
        ("gpt-6.1-terra", "evil-api.openai.com.example", False),
    ],
)
def test_only_openai_s_models_from_5_6_on_are_told_breakpoints(
    model: str, server: str, takes: bool
) -> None:
    sent = openai_responses.body(request(talk(2)), model, server)
    assert ("prompt_cache_breakpoint" in json.dumps(sent)) == takes
    plain = [item for item in sent["input"] if isinstance(item.get("output"), str)]
    assert bool(plain) != takes
