"""Joining concrete parts: providers with their prices and counters, tools, the ledger, a world."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from msgspec.structs import replace

from agentctl import counting, own_tools, pricing, registry
from agentctl.control import Desk, now_ms
from agentctl.core import events as e
from agentctl.core.answers import CACHED
from agentctl.core.calibrate import Learner
from agentctl.core.live import Signal
from agentctl.core.rows import UsageRow
from agentctl.core.values import (
    Approve,
    ContextPolicy,
    Limits,
    Millis,
    Rates,
    Sandbox,
    Shape,
    Usage,
)
from agentctl.errors import UnknownPrice, UsageError
from agentctl.listeners.ledger import LOCK_NAME, LOCK_TIMEOUT_MS, Ledger, Totals
from agentctl.paths import config_file
from agentctl.ports import Answer, Counter, Embedder, Locks, Pricer, Provider, Tool
from agentctl.run.relevance import Relevance
from agentctl.run.world import Mind
from agentctl.store import queries
from agentctl.store.locks import FileLocks

OLLAMA_ANSWERS_S = 0.2
OLLAMA_WINDOW_TOKENS = 32_768
"""Taken for the window of a local model unless Ollama's own OLLAMA_CONTEXT_LENGTH names another."""
OPENAI_CACHE_MS = 1_800_000
"""From GPT-5.6 on a beginning is kept for half an hour, as OpenAI's guide to caching says."""
UNCONFINED = Sandbox("off")
MADE_UP = ("offline", "scripted")
"""Providers whose token numbers nobody counted: nothing is to be learned from them."""


class SystemClock:
    """The machine's time at the start, then its monotonic clock: it never goes back."""

    def __init__(self) -> None:
        """Read both clocks once."""
        self._base_ms = now_ms() - _ticks_ms()

    def now_ms(self) -> Millis:
        """Milliseconds since the epoch, UTC."""
        return self._base_ms + _ticks_ms()

    async def sleep_until(self, moment_ms: Millis) -> None:
        """Return when the moment has come."""
        await asyncio.sleep(max(moment_ms - self.now_ms(), 0) / 1000)


def _ticks_ms() -> Millis:
    """Milliseconds since some start, also while the machine is asleep where that can be had."""
    boot_clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(boot_clock) // 1_000_000


def choose_provider(chosen: str, env: Mapping[str, str]) -> tuple[str, str]:
    """Return the provider to use and why: configured, a key, a local Ollama, else offline."""
    if chosen:
        return chosen, "chosen"
    for name, variable in (("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY")):
        if env.get(variable):
            return name, f"{variable} is set"
    if _ollama_answers():
        return "ollama", "it answers on this machine"
    return "offline", "no key is set and no Ollama answers on this machine"


def _ollama_answers() -> bool:
    """Whether a local Ollama with at least one model answers within 200 ms."""
    import http.client  # here, because only runs without a chosen provider ask

    connection = http.client.HTTPConnection("127.0.0.1", 11434, timeout=OLLAMA_ANSWERS_S)
    try:
        connection.request("GET", "/api/tags")
        return b'"name"' in connection.getresponse().read(100_000)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def make_provider(
    name: str, model: str, options: Mapping[str, str], *, warm: bool = True
) -> Provider:
    """Load the provider and settle its model's name. Raises ProviderError, UsageError."""
    kind = registry.load(registry.PROVIDERS, name, "provider")
    provider: Any = kind(model or kind.default_model, options)
    if not provider.model:  # a local server names its own models
        provider = kind(_resolved(provider), options)
    made: Provider = provider
    if warm and hasattr(provider, "warm"):
        Thread(target=provider.warm, daemon=True).start()
    return made


def _resolved(provider: Any) -> str:
    """The name of the model that the server itself would take."""
    from concurrent.futures import ThreadPoolExecutor  # here, because few servers are asked

    async def resolve() -> str:
        try:
            name: str = await provider.resolve()
        finally:
            await provider.close()
        return name

    # In a thread of its own: where tasks are driven side by side, a loop is running in ours.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, resolve()).result()


def context(policy: ContextPolicy, provider: str, model: str, base_url: str) -> ContextPolicy:
    """Keep requests within three quarters of the model's window, where it is known."""
    if provider in ("offline", "scripted", "ollama"):
        return policy
    window = pricing.window(provider, model, base_url=base_url)
    if window is None or policy.max_tokens <= window * 3 // 4:
        return policy
    return replace(policy, max_tokens=window * 3 // 4)


def pricer_of(
    provider: Provider | Embedder,
    limits: Limits,
    options: Mapping[str, str],
    prices: Mapping[str, Any],
    *,
    embeds: bool = False,
) -> Pricer:
    """What prices the provider's tokens. Raises UnknownPrice where a limit needs a price."""
    pricer = pricing.pricer(
        provider.name,
        provider.model,
        provider.rates,
        prices,
        base_url=options.get("base_url", ""),
        embeds=embeds,
    )
    unpriced = pricer.cost(Usage(input=1, output=1)) is None
    if unpriced and not limits.allow_unpriced and limits.has_money_limit:
        model = f"{provider.name}/{provider.model}"
        raise UnknownPrice(
            f"No price is known for {model}, so the money limit could not be kept.",
            kept="No call was made.",
            next_step=f'Check the name, or give its price in the configuration ([prices."{model}"]'
            " input = …, output = …), or run it without a price: --allow-unpriced",
        )
    return pricer


def mind(
    name: str,
    model: str,
    limits: Limits,
    options: Mapping[str, str],
    prices: Mapping[str, Rates],
    *,
    counters: Counters | None = None,
    warm: bool = True,
) -> Mind:
    """A model with its prices and its way to count. Raises ProviderError, UsageError."""
    provider = make_provider(name, model, options, warm=warm)
    pricer = pricer_of(provider, limits, options, prices)
    shape = shape_of(provider.name, provider.model, pricer, options.get("base_url", ""))
    if counters is None:
        return Mind(provider, pricer, counting.counter(name, provider.model), shape=shape)
    return Mind(provider, pricer, *counters.make(name, provider.model), shape)


def shape_of(provider: str, model: str, pricer: Pricer, base_url: str) -> Shape:
    """What of a model decides when requests to it are shortened: its window and its prices."""
    window = 0
    if provider == "ollama":
        chosen = os.environ.get("OLLAMA_CONTEXT_LENGTH", "")
        window = int(chosen) if chosen.isdecimal() else OLLAMA_WINDOW_TOKENS
    elif provider not in MADE_UP:
        window = pricing.window(provider, model, base_url=base_url) or 0
    rates = pricer.rates(Usage())
    if rates is None or not rates.input:
        local = rates is not None
        return Shape(window, local=local, summarises=provider not in MADE_UP)
    return Shape(
        window,
        _cliff(pricer),
        1000 * rates.cache_read // rates.input,
        1000 * rates.cache_write // rates.input,
        rates.cache_read < rates.input,
        _cache_life_ms(provider, model, base_url),
        summarises=provider not in MADE_UP,
    )


def _cache_life_ms(provider: str, model: str, base_url: str) -> Millis:
    """How long the provider keeps the beginning of a request."""
    if provider == "openai" and not base_url:
        from agentctl.providers import openai_responses  # here, as it is of this provider only

        if openai_responses.takes_breakpoints(model, openai_responses.OFFICIAL):
            return OPENAI_CACHE_MS
    return Shape().cache_life_ms


def _cliff(pricer: Pricer) -> int:
    """Input tokens above which the whole request is dearer; 0 if it never is."""
    for start in getattr(pricer, "steps", ()):
        below, above = pricer.rates(Usage(input=start)), pricer.rates(Usage(input=start + 1))
        if below is not None and above is not None and above.input > below.input:
            return int(start)
    return 0


class Counters:
    """The counters of a run's models: they begin with what earlier runs learned.

    Listens only for the end of the run, to keep what this one has learned.
    """

    live = False

    def __init__(self, desk: Desk) -> None:
        """Look for ranks in this state home, and keep what is learned in its store."""
        self._desk = desk
        self._learners: dict[tuple[str, str], Learner] = {}

    def make(self, provider: str, model: str) -> tuple[Counter, Learner | None]:
        """A model's counter, and what teaches it unless the provider makes up its numbers."""
        home = self._desk.home
        if provider in MADE_UP:
            return counting.counter(provider, model, home=home), None
        learned = self._desk.store.learned(provider, model)
        learner = Learner(counting.usual(provider, model), learned)
        self._learners[provider, model] = learner
        return counting.counter(provider, model, home=home, learned=learned), learner

    def hear(self, task_id: str, item: e.Recorded | Signal) -> None:
        """Nothing: what a model reports is learned where its answer arrives."""

    def close(self) -> None:
        """Keep what was learned, in one transaction for each model that taught something."""
        for (provider, model), learner in self._learners.items():
            if learner.news.tokens:
                self._desk.store.learn(provider, model, learner.news)


def fallback_minds(
    names: Sequence[str],
    limits: Limits,
    options: Mapping[str, str],
    prices: Mapping[str, Rates],
    look_up: Callable[[str], e.ModelAnswered | None],
    counters: Counters | None = None,
    *,
    reuse: bool = False,
) -> dict[str, Mind]:
    """The models to go on with when the first does not answer, and at last earlier answers.

    With `reuse` earlier answers are there also without any other model.

    They are made before a run starts, so that a missing key or price is told then. Raises
    ProviderError and UsageError.
    """
    if not names and not reuse:
        return {}
    minds = {}
    for full in names:
        name, _, model = full.partition("/")
        if name == CACHED or not model:
            raise UsageError(
                f"--fallback: {full!r} is not provider/model.",
                next_step="Write e.g. --fallback openai/gpt-6.1-terra,ollama/qwen3",
            )
        minds[full] = mind(
            name, model, limits, options_of(options, name), prices,
            counters=counters, warm=False,
        )  # fmt: skip
    from agentctl.providers.cached import Cached  # here, because few runs have fallbacks

    def kept(key: str) -> Answer | None:
        found = look_up(key)
        return None if found is None else Answer(found.message, Usage(), found.stop)

    cached = Cached(kept, "answer")
    minds[f"{CACHED}/answer"] = Mind(
        cached, pricing.FixedPricer(cached.rates or Rates()), counting.counter("", "")
    )
    return minds


def make_relevance(
    name: str,
    policy: ContextPolicy,
    limits: Limits,
    options: Mapping[str, str],
    prices: Mapping[str, Rates],
    redact: Callable[[str], str] = str,
) -> Relevance | None:
    """What tells by the embedder "provider/model" which old turns are near in meaning.

    `options` are those of all providers. Raises ProviderError and UsageError.
    """
    if not name or policy.name != "window":  # nothing else asks what is near in meaning
        return None
    provider, _, model = name.partition("/")
    own = options_of(options, provider)
    embedder: Embedder = registry.load(registry.EMBEDDERS, provider, "embedder")(model, own)
    pricer = pricer_of(embedder, limits, own, prices, embeds=True)
    counter = counting.counter(provider, embedder.model)
    return Relevance(embedder, pricer, counter, redact=redact)


def options_of(options: Mapping[str, str], provider: str) -> Mapping[str, str]:
    """What was chosen for this provider: an address goes with no other one's key."""
    own = f"{provider}:"
    return {
        name.removeprefix(own): value
        for name, value in options.items()
        if ":" not in name or name.startswith(own)
    }


def tools(
    approve: Approve,
    sandbox: Sandbox = UNCONFINED,
    own: Sequence[str] = (),
    *,
    more_later: bool = False,
) -> list[Tool]:
    """Every built-in tool, and those of `own`, which are entries of `own_tools`.

    A read-only run is not even told of those that change something. With `more_later` servers may
    bring parts of composed ones. Raises UsageError for own tools that cannot be had, and
    ConfigError for composed ones that cannot be.
    """
    made: list[Tool] = []
    for name in registry.TOOLS:
        kind = registry.load(registry.TOOLS, name, "tool")
        made.append(kind(policy=sandbox))
    for brought in own_tools.load(own):
        if hasattr(brought.tool, "confine"):
            brought.tool.confine(sandbox)
        made.append(brought.tool)
    made = own_tools.settled(made, more_later=more_later)
    return [tool for tool in made if approve != "read-only" or not tool.spec.changes]


def confinement(made: Sequence[Tool], cwd: str) -> str:
    """Say what confines commands; empty: nothing runs any. Raises UsageError for "strict"."""
    found: Any = next((tool for tool in made if tool.spec.name == "run_shell"), None)
    return "" if found is None else str(found.confinement(cwd))


def fenced(sandbox: Sandbox, home: Path) -> Sandbox:
    """The same, with our own state and settings out of sight."""
    settings = Path(config_file(os.environ))
    # One that was named may lie anywhere, also in the workspace: only that file is ours then.
    own = (str(home), str(settings if os.environ.get("AGENTCTL_CONFIG") else settings.parent))
    return replace(sandbox, hidden=own)


def ledger(desk: Desk, path: Path) -> Ledger:
    """The JSON export of the usage rows."""

    def recent(least: int, since_ms: Millis) -> Sequence[UsageRow]:
        return queries.recent_calls(desk.store.connection, least, since_ms)

    def totals() -> Iterable[tuple[Millis, Totals]]:
        for row in queries.sums(desk.store.connection, "hour"):
            hour, calls, unpriced, given, read, _, output, cost, _, at_most, _ = row
            sums = Totals(calls, unpriced, cost, at_most, given - read + output, given + output)
            yield int(hour) * 3_600_000, sums

    locks: Locks = FileLocks(desk.locks)
    return Ledger(
        path, recent, totals, now_ms, lambda: locks.held(LOCK_NAME, timeout_ms=LOCK_TIMEOUT_MS)
    )
