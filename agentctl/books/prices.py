"""Which prices will be charged, and where they come from. Nothing is sent anywhere."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from agentctl import pricing, registry
from agentctl.control import Desk
from agentctl.core.values import Rates, Usage
from agentctl.reports.outlook import PriceLine, Step
from agentctl.settings import Settings
from agentctl.store import book_queries as sql
from agentctl.store.opening import translated

OWN = ("cached", "offline", "ollama", "scripted")
"""Providers that bring their own prices."""
SERVICES = ("anthropic", "openai")


def price_lines(
    desk: Desk, chosen: Settings, env: Mapping[str, str], wanted: str = ""
) -> list[PriceLine]:
    """The prices of a model, or of all that were used here or are configured.

    `wanted` is "provider/model" or a model's name, which may stand for several.
    """
    with translated(desk.store.path):
        used = {(name, model): note for name, model, note in sql.models(desk.store.connection)}
    book = _Book(chosen, env, used)
    if not wanted:
        return [book.line(*each) for each in sorted(book.names())]
    provider, _, model = wanted.partition("/")
    if model and provider in registry.PROVIDERS:
        return [book.line(provider, model)]
    same = [each for each in sorted(book.names()) if each[1] == wanted]
    if same:
        return [book.line(*each) for each in same]
    names = (chosen.provider,) if chosen.provider in SERVICES else SERVICES
    lines = [book.line(name, wanted) for name in names]
    return [line for line in lines if line.steps] or lines


class _Book:
    """The prices in force."""

    def __init__(
        self, chosen: Settings, env: Mapping[str, str], used: Mapping[tuple[str, str], str]
    ) -> None:
        self._chosen = chosen
        self._env = env
        self._used = used

    def names(self) -> set[tuple[str, str]]:
        """Provider and model of everything used here or configured."""
        names = set(self._used)
        for full in self._chosen.prices:
            provider, _, model = full.partition("/")
            names.add((provider, model))
        provider, model = self._chosen.provider, self._chosen.model
        if provider in registry.PROVIDERS:
            # The provider's module, for the model that it would use; without its library.
            kind = registry.load(registry.PROVIDERS, provider, "provider")
            model = model or kind.default_model
            if model:
                names.add((provider, model))
        return names

    def line(self, provider: str, model: str) -> PriceLine:
        """What this model's tokens will be charged at."""
        full = f"{provider}/{model}"
        configured = self._chosen.prices.get(full)
        if configured is not None:
            where = self._chosen.origins.get(f"prices.{full}", "")
            return PriceLine(provider, model, (Step(0, configured),), configured.source, where)
        if provider in OWN:
            rates = self._applied(provider, model)
            return PriceLine(provider, model, (Step(0, rates),), rates.source)
        address = self._chosen.address(provider, self._env)
        found = pricing.pricer(provider, model, None, {}, base_url=address)
        cuts = (0, *found.steps) if isinstance(found, pricing.TablePricer) else (0,)
        steps: list[Step] = []
        for cut in cuts:
            rates_there = found.rates(Usage(input=cut + 1 if cut else 0))
            if rates_there is not None and (not steps or steps[-1].rates != rates_there):
                steps.append(Step(cut, rates_there))
        source = steps[0].rates.source if steps else "unpriced"
        return PriceLine(provider, model, tuple(steps), source)

    def _applied(self, provider: str, model: str) -> Rates:
        """The prices that a call of it was last charged at; a script brings its own."""
        note = self._used.get((provider, model), "")
        return msgspec.json.decode(note, type=Rates) if note else Rates(source="local")
