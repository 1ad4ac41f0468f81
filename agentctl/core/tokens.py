"""Tokens of a task's model calls: what went in and out, and what did not have to.

Numbers of a call come from its provider's report. What was spared is our estimate: an output that
was cut or given again when it arrived weighs less in every request that it is part of.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from agentctl.core import events as e
from agentctl.core.context import size_bytes
from agentctl.core.limits import MTOK
from agentctl.core.state import State, apply
from agentctl.core.values import Micros, Rates, Usage


class CallTokens(Struct, frozen=True):
    """One answered call."""

    call: int
    """Its number within the task, from 1."""
    provider: str
    model: str
    usage: Usage
    cost_micros: Micros | None
    purpose: str = "step"
    cache_saved_micros: Micros = 0
    """What its input would have cost more without a cache; negative when writing cost more."""
    pruned_saved_micros: Micros = 0
    """What leaving out old text saved, about."""
    cut_tokens: int = 0
    """About so many tokens were not sent, because large outputs are shown in part."""
    reused_tokens: int = 0
    """About so many, because a look-up was not answered twice."""


class Totals(Struct):
    """Sums over the calls of a task."""

    calls: int = 0
    estimated: int = 0
    """Calls whose numbers are our estimate, since the provider reported none."""
    unpriced: int = 0
    """Calls without a known price, missing in the cost."""
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    cost_micros: Micros = 0
    open_micros: Micros = 0
    """At most this much more: calls that may have been billed and whose answer is missing."""
    cache_saved: int = 0
    """In millionths of a micro-dollar, so that the sum is rounded once."""
    pruned_saved_micros: Micros = 0
    cut_tokens: int = 0
    reused_tokens: int = 0

    @property
    def cache_saved_micros(self) -> Micros:
        """As of a call, rounded down."""
        return self.cache_saved // MTOK


class NextRequest(Struct, frozen=True):
    """What the next request would hold, in tokens; their sum is `tokens`."""

    system: int
    """The system prompt, the descriptions of the tools and what wraps each message."""
    goal: int
    history: int
    """What the user and the model said since, with the arguments of calls."""
    tool_output: int
    reported: int
    """So much of it stood in the last report; the rest is estimated."""

    @property
    def tokens(self) -> int:
        """All of it."""
        return self.system + self.goal + self.history + self.tool_output


class TokenTally:
    """Follows a task's log and counts each of its calls."""

    def __init__(self, bytes_per_ktoken: int) -> None:
        """Estimates are made with this ratio."""
        self._ratio = bytes_per_ktoken
        self._asked: e.ModelAsked | None = None
        self._rates: Rates | None = None
        self._slim: dict[str, tuple[str, int, int]] = {}
        self._cut_bytes = 0
        self._reused_bytes = 0
        self.state: State | None = None
        self.totals = Totals()

    def add(self, record: e.Recorded) -> CallTokens | None:
        """Go on by one event; return the call that it ended. The first must be TaskCreated."""
        event = record.event
        if self.state is None:
            if not isinstance(event, e.TaskCreated):
                raise ValueError("a log begins with TaskCreated")
            self.state = State(created=event)
        said = len(self.state.messages)
        apply(self.state, event, record.at_ms)
        match event:
            case e.ModelAsked():
                self._asked = event
            case e.ModelAnswered():
                return self._answered(event)
            case e.ModelFailed():
                self.totals.open_micros += event.charged_micros or 0
            case e.ToolEnded() if len(self.state.messages) > said:
                self._entered(event)
            case e.ContextPruned():
                self._weigh_again(self.state)
            case e.Forked() | e.Imported():
                self.totals = Totals()  # what came before is not this task's
            case _:
                pass
        return None

    def next_request(self) -> NextRequest:
        """What would be sent now. Without a report yet the tools' descriptions are missing."""
        if self.state is None:
            return NextRequest(0, 0, 0, 0, 0)
        state, ratio = self.state, self._ratio
        outputs = sum(size_bytes(m) for m in state.sent if m.role == "tool")
        goal = state.sizes_bytes[0]
        sizes = (len(state.created.system.encode()), goal, state.sent_bytes - goal - outputs)
        system, goal, history, output = (size * 1000 // ratio for size in (*sizes, outputs))
        if not state.anchor_tokens or state.sent_bytes < state.anchor_bytes:
            return NextRequest(system, goal, history, output, 0)
        grown = (state.sent_bytes - state.anchor_bytes) * 1000 // ratio
        whole = state.anchor_tokens + grown
        rest = goal + history + output
        if system + rest > whole:  # the text is lighter than estimated: all parts give way
            goal, history, output = (
                part * whole // (system + rest) for part in (goal, history, output)
            )
        return NextRequest(
            whole - goal - history - output, goal, history, output, state.anchor_tokens
        )

    def _answered(self, event: e.ModelAnswered) -> CallTokens:
        usage, asked, totals = event.usage, self._asked, self.totals
        aside = asked is not None and asked.purpose == "embedding"  # no cache, its own prices
        if event.prices and not aside:
            found = msgspec.json.decode(event.prices, type=Rates)
            self._rates = None if found.source == "unpriced" else found
        saved = 0 if self._rates is None or aside else cache_saved(self._rates, usage)
        call = CallTokens(
            asked.call if asked is not None else 0,
            asked.provider if asked is not None else "",
            event.model or (asked.model if asked is not None else ""),
            usage,
            event.cost_micros,
            asked.purpose if asked is not None else "step",
            saved // MTOK,
            event.pruned_micros,
            0 if aside else self._cut_bytes * 1000 // self._ratio,
            0 if aside else self._reused_bytes * 1000 // self._ratio,
        )
        totals.calls += 1
        totals.estimated += not usage.reported
        totals.unpriced += event.cost_micros is None
        totals.input += usage.input
        totals.cache_read += usage.cache_read
        totals.cache_write += usage.cache_write
        totals.output += usage.output
        totals.reasoning += usage.reasoning
        totals.cost_micros += event.cost_micros or 0
        totals.cache_saved += saved
        totals.pruned_saved_micros += call.pruned_saved_micros
        totals.cut_tokens += call.cut_tokens
        totals.reused_tokens += call.reused_tokens
        return call

    def _entered(self, event: e.ToolEnded) -> None:
        """Remember how much lighter an output is than what the tool gave."""
        reused = event.spared_bytes
        cut = (
            0 if reused or not event.output_bytes else event.output_bytes - len(event.text.encode())
        )
        if reused > 0 or cut > 0:
            self._slim[event.call_id] = (event.text, max(cut, 0), max(reused, 0))
            self._cut_bytes += max(cut, 0)
            self._reused_bytes += max(reused, 0)

    def _weigh_again(self, state: State) -> None:
        """An output that a prune left out saves nothing more by having been cut."""
        self._cut_bytes = self._reused_bytes = 0
        for message in state.sent:
            text, cut, reused = self._slim.get(message.call_id, ("", 0, 0))
            if message.role == "tool" and message.text == text:
                self._cut_bytes += cut
                self._reused_bytes += reused


def cache_saved(rates: Rates, usage: Usage) -> int:
    """What the cache saved on a call, in millionths of a micro-dollar; may be negative."""
    saved = usage.cache_read * (rates.input - rates.cache_read)
    return saved - usage.cache_write * (rates.cache_write - rates.input)
