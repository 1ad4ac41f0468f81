"""What shortening a conversation saved, or cost: the call as it was against the call without it."""

from __future__ import annotations

from agentctl.core.limits import MTOK
from agentctl.core.values import Micros, Rates, Usage


def pruned_micros(rates: Rates, usage: Usage, left_out_tokens: int, prefix_tokens: int) -> Micros:
    """Return how much more the call would have cost with all that was left out; may be negative.

    `left_out_tokens` is an estimate. `prefix_tokens` is the whole conversation as of the call
    before. A provider that caches would have read that from its cache; but pruning changes the
    beginning of a request, so that what stays must be paid anew once: the loss that can exceed the
    gain. Where nothing is cached, what was left out would have cost full price each time.
    """
    whole = usage.input + left_out_tokens
    caches = usage.cache_read or usage.cache_write
    read = min(prefix_tokens, whole) if caches else 0
    written = whole - read if usage.cache_write else 0
    without = _input_cost(rates, whole, read, written)
    actual = _input_cost(rates, usage.input, usage.cache_read, usage.cache_write)
    return (without - actual) // MTOK


def _input_cost(rates: Rates, tokens: int, read: int, written: int) -> int:
    """In millionths of a micro-dollar."""
    fresh = max(tokens - read - written, 0)
    return fresh * rates.input + read * rates.cache_read + written * rates.cache_write
