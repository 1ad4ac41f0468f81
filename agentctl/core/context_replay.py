"""What other context policies would have sent in a task that was run, and what that had cost.

Nobody is called. The task's own answers and results are taken as they came: what the model would
have done with another request is not known. A request's tokens are those that were reported for
the real one, more or less an estimate of the bytes by which the two differ. While it is the very
request that was sent, and so was the one before, its usage is the reported one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.answers import CACHED
from agentctl.core.aside import SUMMARY_REQUEST, wants_summary
from agentctl.core.context import estimate_tokens, expected_tokens, same, size_bytes
from agentctl.core.context_auto import due
from agentctl.core.state import State, apply
from agentctl.core.values import (
    ContextPolicy,
    Message,
    Micros,
    Millis,
    Quote,
    Rates,
    Shape,
    Usage,
    View,
)

CACHED_FROM_TOKENS = 1_024
"""Providers keep no shorter beginning of a request."""
SUMMARY_BYTES = 1_600
"""A summary of 250 words. What it would say is not known,
so nothing is thought to be found in it."""
SUMMARY_WORD = "summary "


class Model(Struct, frozen=True):
    """What is known of the model that the task asked."""

    shape: Shape
    bytes_per_ktoken: int
    overhead_tokens: int
    """Of the system prompt and the descriptions of the tools, estimated."""
    cost_micros: Callable[[Rates, Usage], Micros]
    above: Rates | None = None
    """Prices of requests above the step of `shape`, until an answer of the task tells them."""


class Sums(Struct):
    """What a task's answered calls came to under one policy."""

    calls: int = 0
    input: int = 0
    """Tokens sent, those read from the cache included."""
    cache_read: int = 0
    cost_micros: Micros = 0
    unpriced: int = 0
    """Calls without a known price, missing in the cost."""
    largest: int = 0
    """Input tokens of the largest request."""
    prunes: int = 0

    def add(self, usage: Usage, cost_micros: Micros | None, *, aside: bool = False) -> None:
        """Take one answered call in; one beside the conversation only costs."""
        self.calls += not aside
        self.input += usage.input
        self.cache_read += usage.cache_read
        self.cost_micros += cost_micros or 0
        self.unpriced += cost_micros is None
        self.largest = max(self.largest, 0 if aside else usage.input)


# --- what every replay needs --------------------------------------------------------------------


def usage_of(total: int, prefix: int, output: int, *, warm: bool, writes: bool = True) -> Usage:
    """A call's usage: of `total` the first `prefix` tokens stood in the request before.

    They come from the cache if it is `warm`; the rest is written to it if its provider `writes`.
    """
    read = prefix if warm and prefix >= CACHED_FROM_TOKENS else 0
    return Usage(total, read, total - read if writes else 0, output)


def shorten(
    state: State,
    view: View,
    overhead_tokens: int,
    summarise: Callable[[], Usage],
    *,
    refused_above: int = 0,
) -> int:
    """Let the state's policy shorten the next request, as the loop of a run does.

    Return how often it did. `summarise` is told of each summary that would be asked for, and
    returns its usage. Requests of more than `refused_above` tokens, if it is not 0, are such as
    the provider refuses.
    """
    times = 0
    while True:
        known = (state.sent_bytes, state.anchor_tokens, state.anchor_bytes, overhead_tokens,
                 view.bytes_per_ktoken)  # fmt: skip
        expected = expected_tokens(*known)
        quote = Quote(estimate_tokens(*known), 0, 0, 0, expected_tokens=expected)
        seen = replace(view, quote=quote)
        pruned = due(state, seen, overflow=False)
        if pruned is None and refused_above and expected > refused_above:
            pruned = due(state, seen, overflow=True)
        if pruned is None:
            return times
        if wants_summary(state, seen, pruned):
            asked = e.ModelAsked(state.calls + 1, state.provider, state.model, 0, 0, 0, "summary")
            apply(state, asked, view.now_ms)
            words = Message("assistant", SUMMARY_WORD * (SUMMARY_BYTES // len(SUMMARY_WORD)))
            apply(state, e.ModelAnswered(words, summarise(), "end", 0), view.now_ms)
            continue
        apply(state, pruned, view.now_ms)
        times += 1


# --- a task's log -------------------------------------------------------------------------------


def rates_of(event: e.Event) -> Rates | None:
    """The unit prices that an answer tells, if it does."""
    if not isinstance(event, e.ModelAnswered) or not event.prices:
        return None
    found = msgspec.json.decode(event.prices, type=Rates)
    return None if found.source == "unpriced" else found


def as_it_was(log: Sequence[e.Recorded]) -> Sums:
    """What the task's answered calls came to."""
    sums, is_aside = Sums(), False
    for record in log:
        event = record.event
        if isinstance(event, e.ModelAsked):
            is_aside = event.purpose != "step"
        elif isinstance(event, e.ModelAnswered):
            sums.add(event.usage, event.cost_micros, aside=is_aside)
        sums.prunes += isinstance(event, e.ContextPruned)
    return sums


def replay(
    log: Sequence[e.Recorded],
    policy: ContextPolicy,
    model: Model,
    custom: Callable[..., object] | None = None,
) -> Sums:
    """What they would have come to under this policy; `custom` does what an installed one says.

    Raises ValueError if it is no task's log, PolicyBroke if the installed policy fails.
    """
    first = log[0].event if log else None
    if not isinstance(first, e.TaskCreated):
        raise ValueError("a log begins with TaskCreated")
    made = _Replay(first, policy, model, log, custom)
    for record in log:
        made.take(record)
    return made.sums


class _Replay:
    """A task as it was, and beside it as it would have been."""

    def __init__(
        self,
        created: e.TaskCreated,
        policy: ContextPolicy,
        model: Model,
        log: Sequence[e.Recorded],
        custom: Callable[..., object] | None,
    ) -> None:
        self.sums = Sums()
        self._model = model
        self._created = replace(created, context=policy)
        self._real, self._ours = State(created=created), State(created=self._created)
        self._view = View(
            0, Quote(0, 0, 0, 0), bytes_per_ktoken=model.bytes_per_ktoken, shape=model.shape,
            custom=custom,
        )  # fmt: skip
        usages = [each.event.usage for each in log if isinstance(each.event, e.ModelAnswered)]
        # A task that read nothing from a cache shows that none was there, whatever it would cost.
        self._caches = len(usages) < 2 or any(usage.cache_read for usage in usages)
        self._writes = any(usage.cache_write for usage in usages)
        self._request: list[Message] = []
        self._same = True
        """So far every request is the one that was sent."""
        self._below: Rates | None = None
        self._above = model.above

    def take(self, record: e.Recorded) -> None:
        """Go on by one event of the log."""
        event, at_ms = record.event, record.at_ms
        match event:
            case e.TaskCreated():
                apply(self._real, event, at_ms)
                apply(self._ours, self._created, at_ms)
            case e.ContextPruned():  # ours are made when a request is due
                apply(self._real, event, at_ms)
            case e.ModelAsked() if event.purpose != "step":  # ours are asked when they are due
                apply(self._real, event, at_ms)
            case e.ModelAnswered() | e.ModelFailed() if self._is_aside():
                apply(self._real, event, at_ms)
            case e.ModelAsked():
                self._shorten(at_ms)
                apply(self._real, event, at_ms)
                apply(self._ours, event, at_ms)
            case e.ModelAnswered():
                self._answered(event, at_ms)
            case e.Resumed():
                apply(self._real, event, at_ms)
                apply(self._ours, replace(event, context=None), at_ms)
            case _:
                apply(self._real, event, at_ms)
                apply(self._ours, event, at_ms)

    def _is_aside(self) -> bool:
        return self._real.asked is not None and self._real.asked.purpose != "step"

    def _shorten(self, at_ms: Millis) -> None:
        view, model = replace(self._view, now_ms=at_ms), self._model
        window = model.shape.window_tokens
        self.sums.prunes += shorten(
            self._ours,
            view,
            model.overhead_tokens,
            lambda: self._summary(at_ms),
            refused_above=window,
        )

    def _summary(self, at_ms: Millis) -> Usage:
        """What a summary of ours would have taken: the request of that moment and some words."""
        ours, model = self._ours, self._model
        ratio = model.bytes_per_ktoken
        sizes = ours.sent_bytes, ours.anchor_tokens, ours.anchor_bytes
        total = expected_tokens(*sizes, model.overhead_tokens, ratio)
        output = SUMMARY_BYTES * 1000 // ratio
        usage = self._of(total + len(SUMMARY_REQUEST) * 1000 // ratio, output, at_ms)
        self.sums.add(usage, self._cost(usage), aside=True)
        self._same = False
        return usage

    def _answered(self, event: e.ModelAnswered, at_ms: Millis) -> None:
        real, ours = self._real, self._ours
        self._hear_prices(event)
        self._same = self._same and real.sent == ours.sent
        if self._same or (real.asked is not None and real.asked.provider == CACHED):
            usage, cost_micros = event.usage, event.cost_micros
        else:
            usage = self._usage(event.usage, at_ms)
            cost_micros = None if event.cost_micros is None else self._cost(usage)
        self.sums.add(usage, cost_micros)
        self._request = list(ours.sent)
        apply(real, event, at_ms)
        apply(ours, replace(event, usage=usage, cost_micros=cost_micros), at_ms)

    def _usage(self, reported: Usage, at_ms: Millis) -> Usage:
        """Of a request that was not sent: estimated from the one that was."""
        real, ours, model = self._real, self._ours, self._model
        ratio, overhead = model.bytes_per_ktoken, model.overhead_tokens
        total = expected_tokens(ours.sent_bytes, reported.input, real.sent_bytes, overhead, ratio)
        usage = self._of(total, reported.output, at_ms)
        return replace(usage, reasoning=reported.reasoning, reported=reported.reported)

    def _of(self, total: int, output: int, at_ms: Millis) -> Usage:
        """Of our next request with so many tokens, and an answer of so many."""
        ours, model = self._ours, self._model
        ratio, overhead = model.bytes_per_ktoken, model.overhead_tokens
        alike = same(self._request, ours.sent)
        same_bytes = ours.sent_bytes - sum(map(size_bytes, ours.sent[alike:]))
        prefix = expected_tokens(same_bytes, total, ours.sent_bytes, overhead, ratio)
        idle_ms = at_ms - ours.warm_ms
        warm = self._caches and ours.warm_ms > 0 and idle_ms <= model.shape.cache_life_ms
        return usage_of(total, prefix, output, warm=warm, writes=self._writes)

    def _hear_prices(self, event: e.ModelAnswered) -> None:
        told, cliff = rates_of(event), self._model.shape.cliff_tokens
        if told is not None and cliff and event.usage.input > cliff:
            self._above = told
        elif told is not None:
            self._below = told

    def _cost(self, usage: Usage) -> Micros | None:
        """At the task's own unit prices; None if none are known."""
        cliff = self._model.shape.cliff_tokens
        rates = self._below or self._above
        if cliff and usage.input > cliff:
            rates = self._above or self._below
        return None if rates is None else self._model.cost_micros(rates, usage)
