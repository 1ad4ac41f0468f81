"""What each provider sends, and the ways that only one of them has."""

import asyncio
import json
from typing import Any

import pytest

from agentctl.core.values import Message, ToolCall
from agentctl.errors import ProviderError
from tests.contracts.calls import (
    GOAL,
    KEY,
    RESULTS,
    ask,
    asked,
)
from tests.contracts.wire import WIRES, Reply, Server, Turn, Wire

CONVERSATION = (
    GOAL,
    Message(
        role="assistant",
        text="I look.",
        calls=(
            ToolCall(id="call-1", name="read_file", arguments='{"path": "a"}'),
            ToolCall(id="call-2", name="made.up", arguments='{"x', problem="not valid JSON"),
        ),
    ),
    *RESULTS,
    Message(role="user", text="go on"),
)

EXPECTED: dict[str, list[Any]] = {
    "anthropic": [
        {
            "role": "user",
            "content": [
                {
                    "type": "text",
                    "text": "count the files",
                    "cache_control": {"type": "ephemeral"},
                }
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "call-1", "name": "read_file", "input": {"path": "a"}},
                {"type": "tool_use", "id": "call-2", "name": "made_up", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call-1", "content": "alpha beta"},
                {"type": "tool_result", "tool_use_id": "call-2", "content": ""},
                {"type": "text", "text": "go on"},
            ],
        },
    ],
    "openai-chat": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "count the files"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {
                    "id": "call-1",
                    "type": "function",
                    "function": {"name": "read_file", "arguments": '{"path": "a"}'},
                },
                {
                    "id": "call-2",
                    "type": "function",
                    "function": {"name": "made_up", "arguments": "{}"},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "call-1", "content": "alpha beta"},
        {"role": "tool", "tool_call_id": "call-2", "content": ""},
        {"role": "user", "content": "go on"},
    ],
    "openai-responses": [
        {"role": "user", "content": "count the files"},
        {"role": "assistant", "content": "I look."},
        {
            "type": "function_call",
            "call_id": "call-1",
            "name": "read_file",
            "arguments": '{"path": "a"}',
        },
        {"type": "function_call", "call_id": "call-2", "name": "made_up", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call-1", "output": "alpha beta"},
        {"type": "function_call_output", "call_id": "call-2", "output": ""},
        {"role": "user", "content": "go on"},
    ],
    "ollama": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "count the files"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "call-1", "function": {"name": "read_file", "arguments": {"path": "a"}}},
                {"id": "call-2", "function": {"name": "made_up", "arguments": {}}},
            ],
        },
        {
            "role": "tool",
            "content": "alpha beta",
            "tool_call_id": "call-1",
            "tool_name": "read_file",
        },
        {"role": "tool", "content": "", "tool_call_id": "call-2", "tool_name": "made_up"},
        {"role": "user", "content": "go on"},
    ],
}


def test_a_conversation_with_tool_results_is_sent_in_the_provider_s_words(
    wire: Wire, request: pytest.FixtureRequest
) -> None:
    with Server(Reply(wire.encode(Turn()))) as server:
        ask(wire, server.url, asked(*CONVERSATION))
        sent = server.sent()
    assert sent[wire.messages] == EXPECTED[request.node.callspec.params["wire"]]
    names = [tool.get("name") or tool["function"]["name"] for tool in sent["tools"]]
    assert names == ["read_file", "alpha"]
    assert sent["stream"] is True
    assert "temperature" not in json.dumps(sent)


def test_limits_and_settings_of_each_request(wire: Wire, request: pytest.FixtureRequest) -> None:
    with Server(Reply(wire.encode(Turn()))) as server:
        ask(wire, server.url)
        sent = server.sent()
    settings = {
        "anthropic": {"max_tokens": 500, "cache_control": {"type": "ephemeral"}},
        "openai-chat": {"max_tokens": 500, "stream_options": {"include_usage": True}},
        "openai-responses": {"max_output_tokens": 500, "store": False},
        "ollama": {"options": {"num_ctx": 6144, "num_predict": 500}, "truncate": False},
    }[request.node.callspec.params["wire"]]
    assert {key: sent[key] for key in settings} == settings


def test_the_same_request_gives_the_same_bytes_and_a_longer_one_begins_with_them(
    wire: Wire,
) -> None:
    longer = asked(*CONVERSATION, Message(role="assistant", text="7"), GOAL)
    replies = [Reply(wire.encode(Turn())) for _ in range(3)]
    with Server(*replies) as server:
        ask(wire, server.url, asked(*CONVERSATION), asked(*CONVERSATION), longer)
        first, again, later = server.bodies
    assert first == again
    sorted_keys = json.dumps(json.loads(first), sort_keys=True, separators=(",", ":"))
    assert first.decode() == sorted_keys
    mark = f'"{wire.messages}":['.encode()
    start = first.index(mark)
    _, end = json.JSONDecoder().raw_decode(first.decode(), start + len(mark) - 1)
    assert later[later.index(mark) :].startswith(first[start : end - 1])


# One provider's own ways


def test_ollama_without_a_model_takes_the_first_that_can_chat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from agentctl.providers.ollama import Ollama

    listed = {"models": [{"name": "nomic-embed-text"}, {"name": "tiny:1b"}]}
    replies = Reply([json.dumps(listed).encode()]), Reply(WIRES["ollama"].encode(Turn()))
    with Server(*replies) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url.removeprefix("http://"))

        async def main() -> None:
            provider = Ollama("", {})
            await provider.ask(asked(), lambda _: None)
            await provider.close()
            assert provider.model == "tiny:1b"

        asyncio.run(main())
        assert server.paths == ["/api/tags", "/api/chat"]
        assert server.sent()["model"] == "tiny:1b"


@pytest.mark.parametrize("said", [b'{"models":[]}', b"[]", b"<html>"])
def test_ollama_without_any_model_says_how_to_get_one(said: bytes) -> None:
    from agentctl.providers.ollama import Ollama

    async def main(url: str) -> None:
        provider = Ollama("", {"base_url": url})
        try:
            await provider.resolve()
        finally:
            await provider.close()

    with Server(Reply([said])) as server, pytest.raises(ProviderError) as caught:
        asyncio.run(main(server.url))
    assert not caught.value.may_be_billed
    assert said == b"<html>" or "ollama pull" in caught.value.next_step


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        (":8080", "http://127.0.0.1:8080"),
        ("box:8080/", "http://box:8080"),
        ("[::1]", "http://[::1]:11434"),
        ("https://box/ollama", "https://box/ollama"),
    ],
)
def test_ollama_host_is_completed_as_ollama_does(given: str, url: str) -> None:
    from agentctl.providers.ollama import base_url

    assert base_url(given) == url


def test_openai_asks_its_own_host_and_others_in_different_formats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from agentctl.providers.openai import OpenAI

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    own = OpenAI("", {}), OpenAI("", {"base_url": "https://eu.api.openai.com/v1"})
    others = OpenAI("m", {"base_url": "http://localhost:1/v1"}), OpenAI("", {"api": "chat"})
    assert [provider.api for provider in own + others] == ["responses"] * 2 + ["chat"] * 2


def test_other_servers_get_a_placeholder_key_when_none_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with Server(Reply(WIRES["openai-chat"].encode(Turn()))) as server:
        ask(WIRES["openai-chat"], server.url)
        assert server.headers[0]["authorization"] == "Bearer no-key"


def test_default_models_have_a_price() -> None:
    from genai_prices import data_snapshot

    from agentctl.providers.anthropic import Anthropic
    from agentctl.providers.openai import OpenAI

    for kind in (Anthropic, OpenAI):
        found = data_snapshot.get_snapshot().find_provider_model(
            kind.default_model, None, kind.name, None
        )
        assert found[1].id == kind.default_model
