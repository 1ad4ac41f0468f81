"""What shortening a conversation saved, to the micro-dollar."""

from agentctl.core.savings import pruned_micros
from agentctl.core.values import Rates, Usage

RATES = Rates(input=2_000_000, cache_read=200_000, cache_write=2_500_000, output=10_000_000)


def test_where_nothing_is_cached_what_is_left_out_saves_its_full_price() -> None:
    assert pruned_micros(RATES, Usage(input=1_000, output=9), 500, 1_400) == 500 * 2


def test_with_a_warm_cache_it_saves_the_price_of_reading() -> None:
    """Call before: 10,000 tokens in all; 4,000 are left out, 300 are new."""
    usage = Usage(input=6_300, cache_read=6_000, cache_write=300)
    without = 10_000 * 0.2 + 300 * 2.5
    actual = 6_000 * 0.2 + 300 * 2.5
    assert pruned_micros(RATES, usage, 4_000, 10_000) == without - actual == 800


def test_the_first_call_after_a_prune_pays_anew_for_what_stays() -> None:
    usage = Usage(input=6_300, cache_read=1_000, cache_write=5_300)
    without = 10_000 * 0.2 + 300 * 2.5
    actual = 1_000 * 0.2 + 5_300 * 2.5
    assert pruned_micros(RATES, usage, 4_000, 10_000) == int(without - actual) < 0


def test_nothing_left_out_saves_nothing() -> None:
    usage = Usage(input=10_300, cache_read=10_000, cache_write=300)
    assert pruned_micros(RATES, usage, 0, 10_000) == 0
