"""What a usage costs, in whole micro-dollars rounded up. Never touches the network.

Prices come from, in this order: the user's own, the provider itself (local models), the price
library that is bundled with its data, nowhere. Without a price the cost is None, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

import msgspec

from agentctl.core.limits import MTOK
from agentctl.core.values import Micros, Rates, Usage
from agentctl.ports import Pricer

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

# Prices of things that agentctl never sends or asks for; a model priced by anything else that is
# not in Rates is treated as unpriced.
_NOT_USED = ("image", "audio", "video", "document", "searches", "cache_write_1h", "storage")
_USED = ("input_mtok", "cache_read_mtok", "cache_write_mtok", "output_mtok")


def pricer(
    provider: str,
    model: str,
    rates: Rates | None,
    overrides: Mapping[str, Rates],
    *,
    base_url: str = "",
    embeds: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Pricer:
    """Return what prices this model's tokens.

    `rates` are the provider's own; `overrides` the user's, by "provider/model". `base_url` helps
    to recognise a known service behind an OpenAI-compatible address. `now` decides between prices
    that changed at some date or differ by the time of day. A model that `embeds` answers without
    tokens, so it needs no price of output.
    """
    chosen = overrides.get(f"{provider}/{model}") or rates
    if chosen is not None:
        return FixedPricer(chosen)
    found = _find(provider, model, base_url)
    if found is None:
        return Unpriced()
    import genai_prices  # already loaded by _find; here, because it is heavy

    return TablePricer(found, f"genai-prices {genai_prices.__version__}", now, embeds=embeds)


def window(provider: str, model: str, *, base_url: str = "") -> int | None:
    """Return how many tokens the model's context holds, or None when nobody knows."""
    found = _find(provider, model, base_url)
    return found.context_window if found else None


class FixedPricer:
    """One set of prices for every request."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._note = note_of(rates)
        self._is_free = not (rates.input or rates.cache_read or rates.cache_write or rates.output)

    def cost(self, usage: Usage) -> Micros:
        """Return micro-dollars, rounded up."""
        return 0 if self._is_free else cost_of(self._rates, usage)

    def note(self, usage: Usage) -> str:
        """Return unit prices and source as stable JSON text."""
        return self._note

    def rates(self, usage: Usage) -> Rates:
        """Return the unit prices."""
        return self._rates


class Unpriced:
    """No price is known."""

    def cost(self, usage: Usage) -> None:
        """Return None: unknown is not free."""

    def note(self, usage: Usage) -> str:
        """Say so, as stable JSON text."""
        return '{"source":"unpriced"}'

    def rates(self, usage: Usage) -> None:
        """Return None."""


class TablePricer:
    """Prices of the library's table, which may step up with the size of the whole request."""

    def __init__(
        self, model: ModelInfo, source: str, now: Callable[[], datetime], *, embeds: bool = False
    ) -> None:
        self._model = model
        self._embeds = embeds
        self._source = source
        self._now = now
        self._cuts = _cuts(model)
        # A request's prices depend only on the price list in force and on the steps it passes.
        self._known: dict[tuple[int, int], tuple[Rates, str] | None] = {}

    def cost(self, usage: Usage) -> Micros | None:
        """Return micro-dollars, rounded up; None when priced by what we cannot count."""
        rates = self.rates(usage)
        return None if rates is None else cost_of(rates, usage)

    def note(self, usage: Usage) -> str:
        """Return the unit prices of this request's size and their source as stable JSON text."""
        found = self._lookup(usage)
        return found[1] if found else '{"source":"unpriced"}'

    def rates(self, usage: Usage) -> Rates | None:
        """Return the unit prices of this request's size."""
        found = self._lookup(usage)
        return found[0] if found else None

    @property
    def steps(self) -> tuple[int, ...]:
        """Inputs in tokens above which a request's prices may change, the least first."""
        return tuple(self._cuts)

    def _lookup(self, usage: Usage) -> tuple[Rates, str] | None:
        prices = self._model.get_prices(self._now())
        step = sum(1 for cut in self._cuts if usage.input > cut)
        key = (id(prices), step)
        if key not in self._known:
            rates = _rates(prices, usage.input, self._source, embeds=self._embeds)
            self._known[key] = (rates, note_of(rates)) if rates else None
        return self._known[key]


def cost_of(rates: Rates, usage: Usage) -> Micros:
    """Return what a usage costs at these prices, rounded up to the micro-dollar."""
    fresh = max(0, usage.input - usage.cache_read - usage.cache_write)
    total = (
        fresh * rates.input
        + usage.cache_read * rates.cache_read
        + usage.cache_write * rates.cache_write
        + usage.output * rates.output
    )
    return -(-total // MTOK)


def note_of(rates: Rates) -> str:
    """Return prices in micro-dollars per million tokens and their source as stable JSON text."""
    fields = msgspec.structs.asdict(rates)
    return msgspec.json.encode(fields, order="sorted").decode()


def _find(provider: str, model: str, base_url: str) -> ModelInfo | None:
    from genai_prices.data_snapshot import get_snapshot  # here, because it is heavy

    table = get_snapshot()
    if base_url:
        try:
            return table.find_provider_model(model, None, None, base_url)[1]
        except LookupError:
            pass  # an address that the table does not know: a proxy or a private server
    try:
        return table.find_provider_model(model, None, provider, None)[1]
    except LookupError:
        return None


def _cuts(model: ModelInfo) -> list[int]:
    lists = model.prices if isinstance(model.prices, list) else [model]
    starts: set[int] = set()
    for item in lists:
        prices = item.prices
        for name in _USED:
            starts.update(tier.start for tier in getattr(getattr(prices, name), "tiers", ()))
    return sorted(starts)


def _rates(
    prices: ModelPrice, input_tokens: int, source: str, *, embeds: bool = False
) -> Rates | None:
    for name, value in vars(prices).items():
        if value is None or name in _USED or name.startswith("_"):
            continue
        if not any(word in name for word in _NOT_USED):
            return None
    amounts = {name: _unit_micros(getattr(prices, name), input_tokens) for name in _USED}
    whole_input, output = amounts["input_mtok"], amounts["output_mtok"]
    if output is None and embeds:
        output = 0
    if whole_input is None or output is None:
        return None
    read, write = amounts["cache_read_mtok"], amounts["cache_write_mtok"]
    return Rates(
        input=whole_input,
        cache_read=whole_input if read is None else read,
        cache_write=whole_input if write is None else write,
        output=output,
        source=source,
    )


def _unit_micros(price: Decimal | TieredPrices | None, input_tokens: int) -> Micros | None:
    """Return micro-dollars per million tokens; a step applies to the whole request above it."""
    if price is None:
        return None
    if isinstance(price, Decimal):
        amount = price
    else:
        amount = price.base
        for tier in price.tiers:
            if input_tokens > tier.start:
                amount = tier.price
    return int((amount * MTOK).to_integral_value(ROUND_CEILING))
