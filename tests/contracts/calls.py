"""Calls of providers for their contract tests: each on a loop and a client of its own."""

import asyncio
import importlib
from typing import Any

import pytest

from agentctl.core.values import Message, ToolSpec
from agentctl.errors import ProviderError
from agentctl.ports import Answer, Request
from tests.contracts.wire import Reply, Server, Turn, Wire

KEY = "sk-canary-0123456789"
ENVIRONMENT = (
    *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"),
    *("ANTHROPIC_CUSTOM_HEADERS", "OPENAI_API_KEY", "OPENAI_BASE_URL", "OLLAMA_HOST"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
)
GOAL = Message(role="user", text="count the files")
TOOLS = (
    ToolSpec(
        "read_file",
        "Read a file.",
        '{"properties":{"path":{"type":"string"}},"required":["path"],"type":"object"}',
    ),
    ToolSpec("alpha", "Comes second because it is given second.", '{"type":"object"}'),
)
TWO_CALLS = [("call-1", "read_file", ['{"pa', 'th": "a"}']), ("call-2", "alpha", ['{"n": 1}'])]


RESULTS = (
    Message(role="tool", call_id="call-1", text="alpha beta"),
    Message(role="tool", call_id="call-2", text=""),
)


def asked(
    *messages: Message,
    silence_ms: int = 20_000,
    first_byte_ms: int = 20_000,
    max_output: int = 500,
) -> Request:
    return Request(
        system="be brief",
        messages=messages or (GOAL,),
        tools=TOOLS,
        max_output=max_output,
        input_tokens=1_000,
        silence_ms=silence_ms,
        first_byte_ms=first_byte_ms,
    )


def make(wire: Wire, url: str) -> Any:
    module = importlib.import_module(f"agentctl.providers.{wire.provider.lower()}")
    options = {"base_url": url + wire.base, **wire.options}
    return getattr(module, wire.provider)("some-model", options)


def ask(wire: Wire, url: str, *requests: Request, deltas: list[str] | None = None) -> list[Answer]:
    async def main() -> list[Answer]:
        provider = make(wire, url)
        emit = (deltas if deltas is not None else []).append
        try:
            return [await provider.ask(request, emit) for request in requests or (asked(),)]
        finally:
            await provider.close()

    return asyncio.run(main())


def answer(wire: Wire, turn: Turn, *requests: Request) -> Answer:
    with Server(Reply(wire.encode(turn))) as server:
        return ask(wire, server.url, *requests)[0]


def failures(wire: Wire, *replies: Reply, request: Request | None = None) -> list[ProviderError]:
    """The errors of one call for each reply; each must have been sent exactly once."""

    async def main(url: str) -> list[ProviderError]:
        provider = make(wire, url)
        errors = []
        for _ in replies:
            with pytest.raises(ProviderError) as caught:
                await provider.ask(request or asked(), lambda _: None)
            errors.append(caught.value)
        await provider.close()
        return errors

    with Server(*replies) as server:
        errors = asyncio.run(main(server.url))
        assert len(server.bodies) == len(replies)
    return errors


def failure(wire: Wire, reply: Reply) -> ProviderError:
    return failures(wire, reply)[0]


def facts(error: ProviderError) -> tuple[str, bool, bool]:
    return error.reason, error.retriable, error.may_be_billed
