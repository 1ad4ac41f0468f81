"""An embedder is chosen by its name, and priced before anything is sent to it."""

from typing import Any

import pytest

from agentctl import assembly
from agentctl.core.values import ContextPolicy, Limits, Rates
from agentctl.errors import UnknownPrice, UsageError
from tests.run.test_relevance import task

WINDOW = ContextPolicy(8_000, 3, 3, "window")


def made(name: str, *more: Any) -> Any:
    return assembly.make_relevance(name, WINDOW, *more)


def test_only_the_policy_window_asks_an_embedder() -> None:
    given = ("openai/text-embedding-3-small", ContextPolicy(), Limits(), {}, {})
    assert assembly.make_relevance(*given) is None


def test_the_name_chooses_embedder_model_price_and_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    relevance = made("openai/text-embedding-3-small", Limits(), {}, {})
    side = relevance.side_call(task("tax" * 1_000, "the last turn"))
    assert side is not None
    assert (side.provider, side.model) == ("openai", "text-embedding-3-small")
    tokens = side.quote.input_tokens
    assert side.quote.input_cost_micros == -(-tokens * 20_000 // 1_000_000)  # $0.02 a million


def test_a_local_embedder_is_free() -> None:
    relevance = made("ollama/nomic-embed-text", Limits(), {}, {})
    side = relevance.side_call(task("tax", "the last turn"))
    assert side is not None
    assert side.quote.input_cost_micros == 0


def test_an_address_goes_only_to_the_provider_it_was_given_for() -> None:
    options = {"openai:base_url": "http://192.0.2.1/v1"}
    assert not made("ollama/m", Limits(), options, {}).paced
    own = {"ollama:base_url": "http://192.0.2.1"}
    assert made("ollama/m", Limits(), own, {}).paced


def test_a_money_limit_needs_a_price_which_may_be_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    name = "openai/embeddings-of-ours"
    with pytest.raises(UnknownPrice) as caught:
        made(name, Limits(), {}, {})
    assert f'[prices."{name}"]' in caught.value.next_step
    made(name, Limits(), {}, {name: Rates()})
    made(name, Limits(allow_unpriced=True), {}, {})


def test_an_unknown_embedder_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="There are: openai, ollama"):
        made("anthropic/x", Limits(), {}, {})
