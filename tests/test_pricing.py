"""Prices: exact, rounded up, never from the network, never zero for want of a price."""

import random
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import genai_prices
import pytest
from genai_prices import data_snapshot

from agentctl.core.values import Rates, Usage
from agentctl.pricing import MTOK, pricer, window

MOMENT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def price(provider, model, **tokens):
    return pricer(provider, model, None, {}, now=lambda: MOMENT).cost(Usage(**tokens))


def test_input_is_the_total_and_cached_parts_are_not_charged_twice():
    # Sonnet 5.5: 2 in, 10 out, 2.50 write, 0.10 read per million.
    cost = price(
        "anthropic",
        "claude-sonnet-5-5",
        input=1_000_000,
        cache_read=600_000,
        cache_write=300_000,
        output=100_000,
    )
    rates = pricer("anthropic", "claude-sonnet-5-5", None, {}).rates(Usage(input=1_000_000))
    by_hand = 100_000 * rates.input + 600_000 * rates.cache_read + 300_000 * rates.cache_write
    assert cost == (by_hand + 100_000 * rates.output) // MTOK


def test_haiku_costs_five_times_as_much_for_the_whole_request_above_100k():
    below = price("anthropic", "claude-haiku-5-5", input=100_000, output=1_000)
    above = price("anthropic", "claude-haiku-5-5", input=100_001, output=1_000)
    assert below == 10_500
    assert above == 52_501  # 50,000.5 + 2,500, rounded up


@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-6.1-sol"])
def test_gpt_costs_twice_in_and_half_more_out_above_272k(model):
    ask = pricer("openai", model, None, {}, now=lambda: MOMENT)
    below, above = ask.rates(Usage(input=272_000)), ask.rates(Usage(input=272_001))
    assert above.input == 2 * below.input
    assert 2 * above.output == 3 * below.output


@pytest.mark.parametrize("provider", ["anthropic", "openai", "google", "deepseek"])
def test_every_model_costs_what_the_price_library_says_rounded_up(provider):
    luck = random.Random(7)
    table = data_snapshot.get_snapshot()
    models = next(p for p in table.providers if p.id == provider).models
    compared = 0
    for model in models:
        ours = pricer(provider, model.id, None, {}, now=lambda: MOMENT)
        if ours.rates(Usage()) is None:
            continue
        for scale in (1_000, 150_000, 500_000):
            read, write, fresh, output = (luck.randrange(scale) for _ in range(4))
            total = read + write + fresh
            theirs = genai_prices.calc_price(
                genai_prices.Usage(
                    input_tokens=total,
                    cache_read_tokens=read,
                    cache_write_tokens=write,
                    output_tokens=output,
                ),
                model_ref=model.id,
                provider_id=provider,
                genai_request_timestamp=MOMENT,
            ).total_price
            usage = Usage(input=total, cache_read=read, cache_write=write, output=output)
            cost = ours.cost(usage)
            assert 0 <= Decimal(cost) - theirs * MTOK < 1, (model.id, usage)
            compared += 1
    assert compared > 20


def test_an_unknown_model_is_unpriced_and_not_free():
    for provider, model in [("openai", "my-finetune"), ("nobody", "gpt-5.4"), ("openai", "")]:
        ask = pricer(provider, model, None, {})
        assert ask.cost(Usage(input=1_000, output=10)) is None
        assert ask.rates(Usage()) is None
        assert ask.note(Usage()) == '{"source":"unpriced"}'


def test_a_model_priced_by_something_we_do_not_count_is_unpriced():
    assert price("openai", "gpt-live-1", input=10) is None


def test_the_users_own_price_comes_first_then_the_providers():
    own = Rates(input=1_000_000, output=2_000_000, source="configuration")
    local = Rates(source="local")
    usage = Usage(input=10, output=10)
    assert pricer("openai", "gpt-5.4", local, {"openai/gpt-5.4": own}).cost(usage) == 30
    assert pricer("openai", "gpt-5.4", local, {"openai/other": own}).cost(usage) == 0


def test_dated_and_prefixed_names_are_found_as_the_library_finds_them():
    assert price("anthropic", "claude-opus-5-5-20260101", input=1_000_000) is not None
    assert price("anthropic", "Claude-Haiku-5.5", input=1_000) == 100


def test_a_known_service_behind_an_openai_address_is_recognised():
    name = "anthropic/claude-sonnet-4.5"
    assert pricer("openai", name, None, {}).cost(Usage(input=1)) is None
    known = pricer("openai", name, None, {}, base_url="https://openrouter.ai/api/v1")
    assert known.cost(Usage(input=1_000_000)) > 0
    private = pricer("openai", name, None, {}, base_url="http://127.0.0.1:8000/v1")
    assert private.cost(Usage(input=1)) is None


def test_a_fraction_of_a_micro_dollar_is_rounded_up():
    tiny = Rates(input=1)
    assert pricer("x", "y", tiny, {}).cost(Usage(input=1)) == 1
    assert pricer("x", "y", tiny, {}).cost(Usage(input=1_000_000)) == 1
    assert pricer("x", "y", tiny, {}).cost(Usage(input=1_000_001)) == 2


def test_the_note_is_stable_and_names_unit_prices_and_source():
    ask = pricer("x", "y", Rates(input=5, output=7, source="local"), {})
    assert ask.note(Usage()) == (
        '{"cache_read":0,"cache_write":0,"input":5,"output":7,"source":"local"}'
    )
    haiku = pricer("anthropic", "claude-haiku-5-5", None, {})
    low, high = haiku.note(Usage(input=1)), haiku.note(Usage(input=100_001))
    assert '"input":100000,' in low
    assert '"input":500000,' in high
    assert f"genai-prices {genai_prices.__version__}" in low
    assert haiku.note(Usage(input=2)) is low


def test_nonsense_from_a_provider_never_makes_a_negative_cost():
    assert (
        pricer("x", "y", Rates(input=5, cache_read=1), {}).cost(
            Usage(input=0, cache_read=1_000_000)
        )
        == 1
    )


def test_the_context_window_is_told_when_known():
    assert window("anthropic", "claude-sonnet-5-5") == 1_000_000
    assert window("ollama", "qwen3:8b") is None


def test_importing_pricing_and_a_local_price_load_no_price_library():
    code = (
        "import sys; from agentctl.pricing import pricer; from agentctl.core.values import Rates\n"
        "pricer('ollama', 'x', Rates(), {}); assert 'genai_prices' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
