"""The provider that repeats an earlier answer."""

from __future__ import annotations

import asyncio

import pytest

from agentctl.core.values import Message, Rates, ToolCall, Usage
from agentctl.errors import ProviderError
from agentctl.ports import Answer, Request
from agentctl.providers.cached import Cached

EARLIER = Answer(
    Message("assistant", "Two files.", (ToolCall("c1", "read_file"),), native='{"items":[]}'),
    Usage(input=500, output=70, reported=False),
    "tools",
    response_id="resp-1",
    model="some-model",
)


def asked(key: str) -> Request:
    return Request("", [Message("user", "go")], (), 10, 0, key=key)


def test_an_identical_request_gets_its_earlier_answer_for_nothing() -> None:
    provider, pieces = Cached({"k1": EARLIER}.get, "other"), list[str]()
    answer = asyncio.run(provider.ask(asked("k1"), pieces.append))
    assert (answer.message, answer.stop, answer.model) == (EARLIER.message, "tools", "some-model")
    assert answer.usage == Usage(reported=True)
    assert pieces == ["Two files."]


def test_it_is_no_second_call_of_the_model() -> None:
    provider = Cached({"k1": EARLIER}.get, "some-model")
    assert asyncio.run(provider.ask(asked("k1"), lambda _: None)).response_id == ""
    assert provider.rates == Rates(0, 0, 0, 0, source="cached")
    assert provider.paced is False


@pytest.mark.parametrize("key", ["k2", ""])
def test_a_request_never_made_before_fails_for_good(key: str) -> None:
    provider = Cached({"k1": EARLIER, "": EARLIER}.get, "some-model")
    with pytest.raises(ProviderError) as caught:
        asyncio.run(provider.ask(asked(key), lambda _: None))
    error = caught.value
    assert (error.reason, error.retriable, error.may_be_billed) == ("not_found", False, False)
    assert "No earlier answer to the same request is kept" in str(error)
    asyncio.run(provider.close())
