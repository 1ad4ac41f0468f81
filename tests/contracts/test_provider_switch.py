"""A conversation that one provider began is accepted by every other one's server."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from agentctl.core.values import Message, ToolCall
from agentctl.errors import ProviderError
from agentctl.ports import Request
from agentctl.providers._answer import ID_CHARS, wire_id
from agentctl.providers.offline import Offline
from agentctl.providers.scripted import Scripted
from tests.contracts.calls import GOAL, KEY, ask, asked, make
from tests.contracts.strict import RULES, complaint
from tests.contracts.wire import WIRES, Reply, Server, Turn, Wire

MARKS = {"anthropic": "sig", "openai-responses": "sealed", "ollama": "hm"}
"""Reasoning that only the provider that gave it may see again, by wire."""

# Of each provider and of servers that speak its format; two of a turn, then one more.
IDS = {
    "anthropic": ("toolu_01A09q90qw90lq917835lq9", "toolu_vrtx_01KKMxh6V7Kx6g5tZb", "toolu_2"),
    "openai-chat": (
        "functions.read_file:0",
        "functions.read_file/0",
        "chatcmpl-tool-0123456789abcdef0123456789abcdef",
    ),
    "openai-responses": ("call_" + "x" * 64, "call_" + "x" * 63 + "y", "call_a|fc_b"),
    "ollama": ("", "", ""),
}


def turns(wire: str) -> list[Turn]:
    """Text with two calls of one tool, a call that cannot be run, then no word at all."""
    first, second, third = IDS[wire]
    broken = '{"x": 1}' if wire == "ollama" else '{"x'
    calls = [(first, "read_file", ['{"path": "a"}']), (second, "read_file", ['{"path": "b"}'])]
    return [
        Turn(texts=["I look. "], calls=calls, stop="tools", thought=True),
        Turn(texts=[], calls=[(third, "made.up", [broken])], stop="tools", thought=True),
        Turn(texts=[]),
    ]


async def record(provider: Any, answers: int, goal: str = GOAL.text) -> list[Message]:
    """Hold a conversation; the later call ends first, and an empty answer is asked about twice."""
    messages = [Message("user", goal)]
    for _ in range(answers):
        answer = await provider.ask(asked(*messages), lambda _: None)
        messages.append(answer.message)
        messages += [
            Message("tool", "" if number else "found nothing", call_id=call.id)
            for number, call in enumerate(reversed(answer.message.calls))
        ]
    await provider.close()
    return [*messages, Message("user", "Go on."), Message("user", " ")]


def recorded(source: str, tmp_path: Path) -> list[Message]:
    if source == "offline":
        return asyncio.run(record(Offline("", {}), 1, "How many words are in README.md?"))
    if source == "scripted":
        call = {"name": "read_file", "arguments": '{"x'}
        script = {"turns": [{"text": "a", "calls": [call, call]}, {"calls": [call]}, {}]}
        path = tmp_path / "s.json"
        path.write_text(json.dumps(script))
        return asyncio.run(record(Scripted("", {"script": str(path)}), 3))
    wire = WIRES[source]
    with Server(*(Reply(wire.encode(turn)) for turn in turns(source))) as server:
        return asyncio.run(record(make(wire, server.url), 3))


def sent(target: str, *requests: Request, model: str = "some-model") -> list[str]:
    """Send to a strict server, which answers what it does not accept with status 400."""
    wire = WIRES[target]

    async def main(url: str) -> None:
        provider = make(wire, url)
        provider.model = model
        for request in requests:
            await provider.ask(request, lambda _: None)
        await provider.close()

    replies = [Reply(wire.encode(Turn())) for _ in requests]
    with Server(*replies, check=lambda body: complaint(target, body)) as server:
        asyncio.run(main(server.url))
        return [body.decode() for body in server.bodies]


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, KEY)


@pytest.mark.parametrize("target", RULES)
@pytest.mark.parametrize("source", [*RULES, "scripted", "offline"])
def test_a_conversation_goes_on_with_another_provider(
    source: str, target: str, tmp_path: Path
) -> None:
    messages = recorded(source, tmp_path)
    calls = [call for message in messages for call in message.calls]
    assert len(calls) == (1 if source == "offline" else 3)
    back_again = [*messages, Message("assistant", "Done."), Message("user", "More.")]
    (first, again) = sent(target, asked(*messages), asked(*back_again))
    if source in MARKS:
        assert (f'"{MARKS[source]}"' in first) == (source == target)
    assert "more." not in first
    assert "More." in again


@pytest.mark.parametrize("target", MARKS)
def test_reasoning_stays_with_the_model_it_came_from(target: str, tmp_path: Path) -> None:
    messages = recorded(target, tmp_path)
    (body,) = sent(target, asked(*messages), model="another-model")
    assert MARKS[target] not in body


def test_sealed_reasoning_stays_with_the_server_it_came_from(tmp_path: Path) -> None:
    """Only those who sealed it can open it; what was kept before servers were noted still goes."""
    messages = recorded("openai-responses", tmp_path)
    assert '"server":"127.0.0.1"' in messages[1].native

    def moved(server: str) -> list[Message]:
        return [
            Message(m.role, m.text, m.calls, m.call_id, m.native.replace(*swap))
            for m in messages
            for swap in [(',"server":"127.0.0.1"', server)]
        ]

    elsewhere, old = moved(',"server":"api.openai.com"'), moved("")
    bodies = sent("openai-responses", asked(*elsewhere), asked(*old))
    assert ["sealed" in body for body in bodies] == [False, True]


def test_a_strict_server_is_strict() -> None:
    """The checks above find what they are there for."""
    call = ToolCall("a", "read_file")
    unanswered = asked(GOAL, Message("assistant", "", (call,)), Message("user", "go on"))
    for target, wire in WIRES.items():
        with (
            Server(Reply(wire.encode(Turn())), check=lambda b, t=target: complaint(t, b)) as server,
            pytest.raises(ProviderError) as caught,
        ):
            ask(wire, server.url, unanswered)
        assert "HTTP 400" in str(caught.value), target


def test_ids_become_valid_and_stay_apart() -> None:
    given = ["a.b", "a:b", "a_b", "", "é", "x" * 41, "x" * 42, "x" * 40, "\ud800"]
    made = [wire_id(each) for each in given]
    assert len(set(made)) == len(given)
    assert all(len(each) <= ID_CHARS and each.isascii() for each in made)
    assert made[2] == "a_b"
    assert made[7] == "x" * 40


def test_results_go_to_local_models_in_the_order_of_their_calls(wire: Wire) -> None:
    calls = (ToolCall("a", "alpha"), ToolCall("b", "alpha"))
    results = Message("tool", "second", call_id="b"), Message("tool", "first", call_id="a")
    with Server(Reply(wire.encode(Turn()))) as server:
        ask(wire, server.url, asked(GOAL, Message("assistant", "", calls), *results))
        body = server.bodies[0].decode()
    by_id = wire.provider == "Anthropic" or wire.path.endswith("responses")
    assert by_id or body.index('"first"') < body.index('"second"')
