"""A task's log, replayed through context policies."""

from __future__ import annotations

import pytest

from agentctl.core import events as e
from agentctl.core.context import same, size_bytes
from agentctl.core.context_replay import Model, Sums, as_it_was, replay, shorten, usage_of
from agentctl.core.context_view import sight
from agentctl.core.state import State, apply
from agentctl.core.values import (
    ContextPolicy,
    Limits,
    Message,
    Quote,
    Rates,
    Shape,
    ToolCall,
    Usage,
    View,
)
from agentctl.pricing import cost_of, note_of
from tests.core.parts import START_MS, asked, created

RATES = Rates(2_000_000, 100_000, 2_500_000, 10_000_000, "test")
SHAPE = Shape(1_000_000, 0, 50, 1_250)
RATIO, OVERHEAD, STEP_MS = 2_500, 2_000, 20_000
NONE, WINDOW = ContextPolicy(name="none"), ContextPolicy(8_000, 3, 3, "window", summarise=False)
AUTO = ContextPolicy(20_000, summarise=False)


def model(shape: Shape = SHAPE, above: Rates | None = None) -> Model:
    return Model(shape, RATIO, OVERHEAD, cost_of, above)


class Run:
    """A task that is really run under a policy, by a provider that counts 2.5 bytes a token."""

    def __init__(self, policy: ContextPolicy, rates: Rates = RATES, *, caches: bool = True) -> None:
        first = created(context=policy, limits=Limits(steps=None))
        self.log = [e.Recorded(0, START_MS, first)]
        self.state, self.rates, self.caches = State(created=first), rates, caches
        apply(self.state, first, START_MS)
        self.now_ms, self.request = START_MS, list[Message]()

    def add(self, event: e.Event) -> None:
        apply(self.state, event, self.now_ms)
        self.log.append(e.Recorded(len(self.log), self.now_ms, event))

    def turns(self, times: int, size: int = 2_000, gap_ms: int = STEP_MS) -> Run:
        for _ in range(times):
            self.turn(size, gap_ms)
        return self

    def turn(self, size: int, gap_ms: int) -> None:
        self.now_ms += gap_ms
        state, n = self.state, self.state.steps + 1
        view = View(self.now_ms, Quote(0, 0, 0, 0), bytes_per_ktoken=RATIO, shape=SHAPE)
        probe = sight(self.log).state
        if shorten(probe, view, OVERHEAD, Usage):
            self.add(
                e.ContextPruned(
                    probe.mask_before, probe.drop_before, "due", probe.args_before,
                    tuple(sorted(probe.kept)), probe.note,
                )
            )  # fmt: skip
        self.add(asked(n))
        total = OVERHEAD + state.sent_bytes * 1000 // RATIO
        alike = same(self.request, state.sent)
        rest = sum(map(size_bytes, state.sent[alike:])) * 1000 // RATIO
        warm = self.caches and bool(self.request) and gap_ms <= SHAPE.cache_life_ms
        usage = usage_of(total, total - rest, 40, warm=warm, writes=self.caches)
        call = ToolCall(f"c{n}", "look", f'{{"path":"src/part_{n}.py"}}')
        message = Message("assistant", f"step {n}", (call,))
        self.request = list(state.sent)
        self.add(
            e.ModelAnswered(
                message, usage, "tools", cost_of(self.rates, usage), prices=note_of(self.rates)
            )
        )
        self.add(e.ToolEnded(call.id, "look", f"{n}: " + "x" * size))


@pytest.mark.parametrize("policy", [NONE, WINDOW, AUTO])
def test_the_policy_that_the_task_had_comes_to_what_it_came_to(policy: ContextPolicy) -> None:
    log = Run(policy).turns(60).log
    was = as_it_was(log)
    assert was.prunes > 0 or policy is NONE
    assert replay(log, policy, model()) == was


@pytest.mark.parametrize("asked_for", [NONE, WINDOW, AUTO])
def test_another_policy_comes_to_about_what_it_would_have_come_to(
    asked_for: ContextPolicy,
) -> None:
    """The same task, run under each policy, is what the replays of one another must show."""
    real = as_it_was(Run(asked_for).turns(60).log)
    for policy in (NONE, WINDOW, AUTO):
        found = replay(Run(policy).turns(60).log, asked_for, model())
        assert (found.calls, found.prunes) == (real.calls, pytest.approx(real.prunes, abs=1))
        assert found.input == pytest.approx(real.input, rel=0.03)
        assert found.largest == pytest.approx(real.largest, rel=0.03)
        assert found.cost_micros == pytest.approx(real.cost_micros, rel=0.05)


def test_a_policy_that_prunes_at_every_call_pays_for_the_broken_cache() -> None:
    log = Run(NONE).turns(60).log
    sliding, none = replay(log, WINDOW, model()), replay(log, NONE, model())
    assert sliding.input < none.input
    assert sliding.cache_read / sliding.input < none.cache_read / none.input


def test_what_is_older_than_the_cache_lives_is_not_read_from_it() -> None:
    log = Run(WINDOW).turns(40).turns(1, gap_ms=900_000).log
    quick = Run(WINDOW).turns(41).log
    lost = replay(log, NONE, model())
    kept = replay(quick, NONE, model())
    assert lost.input == kept.input
    assert kept.cache_read - lost.cache_read == pytest.approx(lost.largest, rel=0.05)


def test_where_nothing_was_read_from_a_cache_none_is_reckoned_with() -> None:
    log = Run(WINDOW, caches=False).turns(40).log
    assert replay(log, NONE, model()).cache_read == 0


def test_above_the_step_the_dearer_prices_hold() -> None:
    log = Run(WINDOW).turns(40).log
    dear = Rates(RATES.input * 5, RATES.cache_read * 5, RATES.cache_write * 5, RATES.output * 5)
    stepped = Shape(1_000_000, 20_000, 50, 1_250)
    plain = replay(log, NONE, model())
    assert plain.largest > 20_000
    above = replay(log, NONE, model(stepped, dear))
    assert plain.cost_micros * 2 < above.cost_micros < plain.cost_micros * 5


def test_what_the_model_would_have_refused_is_halved_also_under_none() -> None:
    log = Run(WINDOW).turns(60).log
    small = replay(log, NONE, model(Shape(20_000, 0, 50, 1_250)))
    assert small.prunes > 0
    assert small.largest <= 20_500


def test_a_call_without_a_price_stays_without_one() -> None:
    run = Run(WINDOW)
    log = run.turns(20).log
    bare = [
        e.Recorded(
            record.seq,
            record.at_ms,
            e.ModelAnswered(record.event.message, record.event.usage, "tools", None),
        )
        if isinstance(record.event, e.ModelAnswered)
        else record
        for record in log
    ]
    found = replay(bare, NONE, model())
    assert (found.unpriced, found.cost_micros) == (20, 0)


def test_a_failed_call_and_a_limit_change_are_gone_through() -> None:
    run = Run(WINDOW).turns(10)
    run.add(asked(11))
    run.add(e.ModelFailed("rate", "wait", retriable=True))
    run.add(e.LimitChanged(Limits()))
    log = run.turns(10).log
    assert replay(log, WINDOW, model()) == as_it_was(log)


def test_a_log_without_an_answer_comes_to_nothing() -> None:
    assert replay(Run(WINDOW).log, NONE, model()) == Sums()
    with pytest.raises(ValueError, match="TaskCreated"):
        replay([], NONE, model())


def test_too_short_a_beginning_is_not_cached() -> None:
    assert usage_of(2_000, 1_000, 5, warm=True) == Usage(2_000, 0, 2_000, 5)
    assert usage_of(2_000, 1_500, 5, warm=True) == Usage(2_000, 1_500, 500, 5)
    assert usage_of(2_000, 1_500, 5, warm=False) == Usage(2_000, 0, 2_000, 5)
    assert usage_of(2_000, 1_500, 5, warm=True, writes=False) == Usage(2_000, 1_500, 0, 5)
