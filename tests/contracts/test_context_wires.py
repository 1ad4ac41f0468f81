"""Whatever was said and however it was shortened, every provider's server accepts the request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from agentctl.core.aside import SUMMARY_REQUEST
from agentctl.core.values import ContextPolicy, Message, Shape
from agentctl.ports import Request
from agentctl.providers import anthropic, ollama, openai_chat, openai_responses
from agentctl.providers._answer import encode
from tests.contracts.calls import asked
from tests.contracts.strict import complaint
from tests.core.talks import Talk, Turn, conversations, policies, shapes

Body = Callable[[Request], dict[str, Any]]
BODIES: dict[str, Body] = {
    "anthropic": lambda request: anthropic.body(request, "some-model"),
    "openai-chat": lambda request: openai_chat.body(request, "some-model", cap_name="max_tokens"),
    "openai-responses": lambda request: openai_responses.body(
        request, "gpt-6.1-terra", "api.openai.com"
    ),
    "ollama": lambda request: ollama.body(request, "some-model"),
}
MESSAGES = {"openai-responses": "input"}
MARK = '"cache_control":{"type":"ephemeral"},'
lives = settings(
    deadline=None,
    database=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)


def sent(wire: str, talk: Talk, messages: list[Message]) -> bytes:
    return encode(BODIES[wire](replace(asked(*messages), steady=talk.state.steady)))


@pytest.mark.parametrize("wire", BODIES)
@lives
@given(policy=policies(), shape=shapes(), turns=conversations())
def test_every_request_is_accepted_by_the_wires_strict_checks(
    wire: str, policy: ContextPolicy, shape: Shape, turns: list[Turn]
) -> None:
    talk = Talk(policy, shape)
    for messages in talk.play(turns):
        assert complaint(wire, sent(wire, talk, messages)) == ""


@pytest.mark.parametrize("wire", BODIES)
@lives
@given(policy=policies(), shape=shapes(), turns=conversations())
def test_between_prunes_each_request_begins_with_the_bytes_of_the_one_before(
    wire: str, policy: ContextPolicy, shape: Shape, turns: list[Turn]
) -> None:
    """Apart from Claude's marks, which are not part of what is cached. No other wire moves any."""
    talk = Talk(policy, shape)
    prunes, before = -1, ""
    key = MESSAGES.get(wire, "messages")
    for messages in talk.play(turns):
        body = json.loads(sent(wire, talk, messages))
        now = encode(body[key]).decode()
        now = now.replace(MARK, "") if wire == "anthropic" else now
        if prunes == len(talk.prunes):
            # Of a list only the closing bracket goes; a turn of Claude's may get more blocks.
            whole = before.removesuffix("]").removesuffix('],"role":"user"}')
            assert now.startswith(whole if wire == "anthropic" else before[:-1])
        prunes, before = len(talk.prunes), now


@pytest.mark.parametrize("wire", BODIES)
@lives
@given(policy=policies(), shape=shapes(), turns=conversations())
def test_asking_for_a_summary_is_accepted_and_begins_with_the_bytes_of_the_request(
    wire: str, policy: ContextPolicy, shape: Shape, turns: list[Turn]
) -> None:
    talk = Talk(policy, shape)
    key = MESSAGES.get(wire, "messages")
    for messages in talk.play(turns):
        plain = encode(json.loads(sent(wire, talk, messages))[key]).decode()
        asking = sent(wire, talk, [*messages, Message("user", SUMMARY_REQUEST)])
        assert complaint(wire, asking) == ""
        whole = encode(json.loads(asking)[key]).decode()
        if wire == "anthropic":  # its marks move, and a user's turn gets one more block
            plain, whole = plain.replace(MARK, ""), whole.replace(MARK, "")
            plain = plain.removesuffix("]").removesuffix('],"role":"user"}') + "]"
        assert whole.startswith(plain[:-1])
