"""What is carved out of a task's limits for those that work for it, and what counts of it."""

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.carve import share
from agentctl.core.decide import Record, RunTools, decide
from agentctl.core.guards import cost, tokens
from agentctl.core.guards.verdict import Deny
from agentctl.core.limits import uses
from agentctl.core.state import State, apply
from agentctl.core.values import Limits, ToolSpec
from tests.core.parts import (
    LOOK,
    PAID,
    START_MS,
    answered,
    asked,
    call,
    state_of,
    view,
)

HAND = ToolSpec("hand", "", "{}", repeat="idempotent", changes=False, delegates=True)
SPECS = {spec.name: spec for spec in (LOOK, HAND)}
LIMITS = Limits(task_cost_micros=101_000, task_tokens=10_110)


def wanted(*ids: str) -> State:
    """After a call of $0.001 and 110 tokens: $0.10 and 10,000 tokens are left."""
    return state_of(asked(), answered("", *(call("hand", each) for each in ids)), limits=LIMITS)


def begun(state: State) -> tuple[e.ToolStarted, ...]:
    action = decide(state, view(specs=SPECS))
    assert isinstance(action, RunTools), action
    for intent in action.intents:
        apply(state, intent, START_MS)
    return action.intents


def ended(state: State, call_id: str, **more: object) -> None:
    apply(state, replace(e.ToolEnded(call_id, "hand", ""), **more), START_MS)


def test_one_gets_half_of_what_is_left() -> None:
    (start,) = begun(wanted("h1"))
    assert (start.carved_micros, start.carved_tokens) == (50_000, 5_000)


def test_those_that_begin_together_share_that_half() -> None:
    starts = begun(wanted("h1", "h2", "h3", "h4", "h5"))
    assert {start.carved_micros for start in starts} == {10_000}
    assert {start.carved_tokens for start in starts} == {1_000}


def test_without_a_limit_nothing_is_carved_out() -> None:
    state = state_of(
        asked(), answered("", call("hand")), limits=Limits(task_cost_micros=None, task_tokens=None)
    )
    (start,) = begun(state)
    assert (start.carved_micros, start.carved_tokens) == (None, None)
    assert (state.used_micros, state.used_tokens) == (1_000, 110)
    assert share(0, 5, 1) == 0, "and never less than nothing where more was used"


def test_other_tools_carve_nothing() -> None:
    state = state_of(asked(), answered("", call()), limits=LIMITS)
    (start,) = begun(state)
    assert (start.carved_micros, start.carved_tokens) == (0, 0)


def test_what_is_carved_out_counts_until_the_call_has_ended_and_then_what_was_used() -> None:
    state = wanted("h1")
    begun(state)
    assert (state.spent_micros, state.used_micros, state.used_tokens) == (1_000, 51_000, 5_110)
    ended(state, "h1", child="t", child_cost_micros=7_000, child_tokens=700)
    assert (state.spent_micros, state.used_micros, state.used_tokens) == (1_000, 8_000, 810)
    assert {name: used for name, used, _ in uses(state)}["task_cost_micros"] == 8_000


def test_the_guards_leave_alone_what_was_used_by_others() -> None:
    state = wanted("h1")
    begun(state)
    ended(state, "h1", child="t", child_cost_micros=99_000, child_tokens=9_500)
    quote = view(quote=PAID, specs=SPECS)
    assert isinstance(cost.check(state, quote, 4_000), Deny)
    assert isinstance(tokens.check(state, quote, 4_000), Deny)


def test_a_call_that_is_begun_again_keeps_its_share() -> None:
    state = wanted("h1")
    begun(state)
    apply(state, e.LimitChanged(Limits(task_cost_micros=900_000)), START_MS)
    apply(state, e.Resumed(1), START_MS)
    (start,) = begun(state)
    assert (start.carved_micros, start.carved_tokens) == (50_000, 5_000)
    assert state.used_micros == 51_000


def test_where_nobody_knows_what_was_used_all_that_was_carved_out_is() -> None:
    for status in ("unknown", "skipped", "broken", "timeout"):
        state = wanted("h1")
        begun(state)
        ended(state, "h1", status=status)
        assert state.used_micros == 51_000, status


def test_what_was_never_begun_costs_nothing() -> None:
    state = wanted("h1")
    begun(state)
    ended(state, "h1", status="error")
    assert state.used_micros == 1_000


def test_on_unknown_skip_does_not_take_it_up_again() -> None:
    state = wanted("h1")
    begun(state)
    apply(state, e.Resumed(1, "skip"), START_MS)
    action = decide(state, view(specs=SPECS))
    assert isinstance(action, Record)
    (fact,) = action.facts
    assert isinstance(fact, e.ToolEnded)
    assert fact.status == "skipped"
