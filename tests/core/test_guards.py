"""Guards: what they shrink and what they refuse, to the last micro-dollar and token."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agentctl.core.guards import (
    GUARDS,
    Deny,
    balance,
    circuit,
    cost,
    model_verdict,
    rate,
    steps,
    timeout,
    tokens,
)
from agentctl.core.guards.cost import reserve_micros
from agentctl.core.state import State
from agentctl.core.values import Circuit, Limits, Pace, Quote, Shared, ToolSpec
from tests.core.parts import FREE, LOOK, PAID, PUT, START_MS, state_of, view

LEAST = 3_000 + 256 * 15
"""What PAID needs at least: its input and 256 tokens of output."""
UNPRICED = Quote(1_000, None, 0, 4_000)


def state(limits: Limits, **fields: Any) -> State:
    made = state_of(limits=limits)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


# --- money --------------------------------------------------------------------------------------


def test_the_reserve_is_input_plus_capped_output_rounded_up() -> None:
    assert reserve_micros(PAID, 256) == LEAST
    assert reserve_micros(replace(PAID, output_micros_per_mtok=1), 1) == 3_001
    assert reserve_micros(UNPRICED, 256) is None


def test_with_enough_money_the_output_is_not_cut() -> None:
    assert cost.check(state(Limits()), view(quote=PAID), 4_000) == 4_000


def test_exactly_the_least_is_allowed_and_one_micro_less_refused() -> None:
    enough = Limits(task_cost_micros=LEAST)
    assert cost.check(state(enough), view(quote=PAID), 4_000) == 256
    short = cost.check(state(Limits(task_cost_micros=LEAST - 1)), view(quote=PAID), 4_000)
    assert isinstance(short, Deny)
    assert (short.limit, short.used, short.cap, short.need) == (
        "task_cost_micros", 0, LEAST - 1, LEAST,
    )  # fmt: skip


def test_what_is_spent_counts() -> None:
    limits = Limits(task_cost_micros=100_000)
    just = cost.check(state(limits, spent_micros=100_000 - LEAST), view(quote=PAID), 4_000)
    assert just == 256
    over = cost.check(state(limits, spent_micros=100_001 - LEAST), view(quote=PAID), 4_000)
    assert isinstance(over, Deny)


def test_the_output_is_cut_to_what_the_money_pays() -> None:
    limits = Limits(task_cost_micros=3_000 + 1_000 * 15)
    assert cost.check(state(limits), view(quote=PAID), 4_000) == 1_000


def test_the_hour_is_shared_and_says_when_it_opens() -> None:
    limits = Limits(hour_cost_micros=100_000)
    seen = view(quote=PAID, shared=Shared(100_001 - LEAST, START_MS))
    refused = cost.check(state(limits), seen, 4_000)
    assert isinstance(refused, Deny)
    assert (refused.limit, refused.wake_ms) == ("hour_cost_micros", START_MS)
    just = view(quote=PAID, shared=Shared(100_000 - LEAST, START_MS))
    assert cost.check(state(limits), just, 4_000) == 256


def test_the_day_is_shared_too_and_a_call_dearer_than_its_limit_never_fits() -> None:
    limits = Limits(day_cost_micros=100_000)
    full = view(quote=PAID, shared=Shared(day_spent_micros=100_001 - LEAST, day_opens_ms=START_MS))
    refused = cost.check(state(limits), full, 4_000)
    assert isinstance(refused, Deny)
    assert (refused.limit, refused.wake_ms) == ("day_cost_micros", START_MS)
    never = cost.check(state(Limits(day_cost_micros=LEAST - 1)), full, 4_000)
    assert isinstance(never, Deny)
    assert never.wake_ms == 0


def test_reserves_of_calls_that_are_under_way_are_waited_for() -> None:
    """Ten runs at once must not end each other by what they have only reserved."""
    limits = Limits(hour_cost_micros=100_000)
    busy = view(quote=PAID, shared=Shared(95_000, START_MS, under_way_micros=90_000))
    wait = cost.check(state(limits), busy, 4_000)
    assert isinstance(wait, Deny)
    assert (wait.patient, wait.brief, wait.wake_ms) == (True, True, busy.now_ms + 2_000)
    spent = view(quote=PAID, shared=Shared(95_000, START_MS, under_way_micros=0))
    refused = cost.check(state(limits), spent, 4_000)
    assert isinstance(refused, Deny)
    assert not refused.patient


def test_an_answer_is_not_cut_short_for_what_others_have_only_reserved() -> None:
    limits = Limits(hour_cost_micros=100_000)
    room = 100_000 - 3_000 - 1_000 * 15
    busy = view(quote=PAID, shared=Shared(room, START_MS, under_way_micros=room))
    assert isinstance(cost.check(state(limits), busy, 4_000), Deny)
    spent = view(quote=PAID, shared=Shared(room, START_MS))
    assert cost.check(state(limits), spent, 4_000) == 1_000


def test_the_tasks_own_limit_does_not_wait_for_others() -> None:
    limits = Limits(task_cost_micros=LEAST - 1)
    busy = view(quote=PAID, shared=Shared(90_000, START_MS, under_way_micros=90_000))
    refused = cost.check(state(limits), busy, 4_000)
    assert isinstance(refused, Deny)
    assert not refused.patient


def test_a_step_may_cost_no_more_than_its_own_limit() -> None:
    limits = Limits(step_cost_micros=LEAST)
    assert cost.check(state(limits, spent_micros=10**5), view(quote=PAID), 4_000) == 256
    refused = cost.check(state(Limits(step_cost_micros=LEAST - 1)), view(quote=PAID), 4_000)
    assert isinstance(refused, Deny)
    assert (refused.limit, refused.need) == ("step_cost_micros", LEAST)


def test_the_stricter_of_task_and_hour_counts() -> None:
    limits = Limits(task_cost_micros=3_000 + 900 * 15, hour_cost_micros=3_000 + 700 * 15)
    assert cost.check(state(limits), view(quote=PAID), 4_000) == 700


def test_a_limit_of_zero_refuses_a_paid_model() -> None:
    refused = cost.check(state(Limits(task_cost_micros=0)), view(quote=PAID), 4_000)
    assert isinstance(refused, Deny)


def test_a_limit_of_zero_allows_a_free_model() -> None:
    limits = Limits(task_cost_micros=0, hour_cost_micros=0)
    assert cost.check(state(limits), view(quote=FREE), 4_000) == 4_000


def test_a_free_model_may_go_on_when_the_money_is_gone() -> None:
    """E.g. after `resume --provider ollama`, or in an hour that a paid model has used up."""
    limits = Limits(task_cost_micros=5, hour_cost_micros=5)
    seen = view(quote=FREE, shared=Shared(9))
    assert cost.check(state(limits, spent_micros=9), seen, 4_000) == 4_000


def test_no_limit_allows_everything() -> None:
    limits = Limits(task_cost_micros=None, hour_cost_micros=None)
    dear = Quote(1_000, 10**12, 10**15, 4_000)
    assert cost.check(state(limits), view(quote=dear), 4_000) == 4_000


@pytest.mark.parametrize("limits", [Limits(), Limits(task_cost_micros=None)])
def test_an_unpriced_model_is_refused_while_there_is_a_money_limit(limits: Limits) -> None:
    refused = cost.check(state(limits), view(quote=UNPRICED), 4_000)
    assert isinstance(refused, Deny)
    assert "sim/sim-1" in refused.reason


@pytest.mark.parametrize(
    "limits", [Limits(allow_unpriced=True), Limits(task_cost_micros=None, hour_cost_micros=None)]
)
def test_an_unpriced_model_runs_when_the_user_said_so(limits: Limits) -> None:
    assert cost.check(state(limits), view(quote=UNPRICED), 4_000) == 4_000


def test_a_model_with_short_answers_needs_room_for_no_longer_one() -> None:
    short = replace(PAID, max_output=10)
    limits = Limits(task_cost_micros=3_000 + 10 * 15)
    assert cost.check(state(limits), view(quote=short), 10) == 10


@settings(deadline=None, database=None, derandomize=True, max_examples=300)
@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**5),
    st.integers(0, 10**8),
    st.integers(1, 10**5),
)
def test_spent_and_reserve_never_pass_the_limit(
    cap: int, spent: int, input_micros: int, output_price: int, max_output: int
) -> None:
    quote = Quote(100, input_micros, output_price, max_output)
    limits = Limits(task_cost_micros=cap, hour_cost_micros=None)
    allowed = cost.check(state(limits, spent_micros=spent), view(quote=quote), max_output)
    if not isinstance(allowed, Deny):
        reserve = reserve_micros(quote, allowed) or 0
        assert reserve == 0 or spent + reserve <= cap
        assert 0 < allowed <= max_output


# --- tokens -------------------------------------------------------------------------------------


def test_tokens_exactly_at_the_limit_are_allowed_and_one_more_refused() -> None:
    limits = Limits(task_tokens=1_000 + 256)
    assert tokens.check(state(limits), view(quote=PAID), 4_000) == 256
    refused = tokens.check(state(limits, tokens_processed=1), view(quote=PAID), 4_000)
    reason = "the next call might need more tokens than are left"
    assert refused == Deny("tokens", "task_tokens", 1, 1_256, 1_256, reason, "tokens")


def test_the_output_is_cut_to_the_tokens_left() -> None:
    limits = Limits(task_tokens=2_000)
    assert tokens.check(state(limits, tokens_processed=300), view(quote=PAID), 4_000) == 700


def test_without_a_token_limit_nothing_is_cut() -> None:
    assert tokens.check(state(Limits(task_tokens=None)), view(quote=PAID), 4_000) == 4_000


def test_a_token_limit_of_zero_refuses_every_call() -> None:
    assert isinstance(tokens.check(state(Limits(task_tokens=0)), view(), 4_000), Deny)


def test_a_predecessors_cap_is_kept() -> None:
    assert tokens.check(state(Limits()), view(quote=PAID), 300) == 300


# --- steps and time -----------------------------------------------------------------------------


def test_the_last_allowed_step_is_made_and_no_further_one() -> None:
    limits = Limits(steps=3)
    assert steps.check(state(limits, steps=2), view(), 4_000) == 4_000
    refused = steps.check(state(limits, steps=3), view(), 4_000)
    assert isinstance(refused, Deny)
    assert (refused.limit, refused.used, refused.cap) == ("steps", 3, 3)


def test_without_a_step_limit_steps_do_not_count() -> None:
    assert steps.check(state(Limits(steps=None), steps=10**6), view(), 4_000) == 4_000


def test_running_time_includes_the_time_since_the_last_event() -> None:
    limits = Limits(wall_ms=10_000)
    running = state(limits, active_ms=4_000, ran_ms=START_MS)
    assert timeout.check(running, view(now_ms=START_MS + 5_999), 4_000) == 4_000
    refused = timeout.check(running, view(now_ms=START_MS + 6_000), 4_000)
    assert isinstance(refused, Deny)
    assert (refused.limit, refused.used) == ("wall_ms", 10_000)


def test_a_clock_that_was_set_back_takes_no_time_away() -> None:
    running = state(Limits(wall_ms=10_000), active_ms=9_999, ran_ms=START_MS)
    assert timeout.check(running, view(now_ms=START_MS - 60_000), 4_000) == 4_000


# --- pace ---------------------------------------------------------------------------------------


def paces(used: int, category: str = "ai", opens_ms: int = START_MS + 60_000) -> Shared:
    return Shared(paces={category: Pace(used, opens_ms)})


def test_a_full_window_is_waited_out_and_says_when_it_opens() -> None:
    assert rate.check(state(Limits()), view(shared=paces(29)), 4_000) == 4_000
    refused = rate.check(state(Limits()), view(shared=paces(30)), 4_000)
    assert isinstance(refused, Deny)
    assert (refused.limit, refused.used, refused.cap) == ("ai_calls_per_minute", 30, 30)
    assert (refused.wake_ms, refused.patient) == (START_MS + 60_000, True)


def test_a_model_on_this_machine_has_no_pace() -> None:
    assert rate.check(state(Limits()), view(shared=paces(99), paced=False), 4_000) == 4_000


def test_tools_of_one_category_share_its_window_also_within_a_turn() -> None:
    limits = Limits(calls_per_minute={"web": 3})
    get, put = (ToolSpec(name, "", "{}", category="web") for name in ("get", "put"))
    seen = view(shared=paces(1, "web"))
    assert rate.check_tool(state(limits), seen, get, [put]) is None
    refused = rate.check_tool(state(limits), seen, get, [put, get])
    assert isinstance(refused, Deny)
    assert refused.limit == "web_calls_per_minute"


def test_a_category_of_no_calls_never_opens_and_one_without_a_limit_is_never_full() -> None:
    forbidden = rate.check(state(Limits(calls_per_minute={"ai": 0})), view(), 4_000)
    assert isinstance(forbidden, Deny)
    assert (forbidden.wake_ms, forbidden.patient) == (0, False)
    free = Limits(calls_per_minute={"ai": None})
    assert rate.check(state(free), view(shared=paces(10**6)), 4_000) == 4_000


# --- credits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "left", "limit"),
    [
        (Limits(credits={"sim/sim-1": 5}), 4, "account_credits"),
        (Limits(credits={"sim/sim-1": 5}, task_credits=14), 99, "task_credits"),
        (Limits(credits={"sim/sim-1": 5}, step_credits=4), 99, "step_credits"),
    ],
)
def test_a_price_in_credits_must_fit_balance_task_and_step(
    limits: Limits, left: int, limit: str
) -> None:
    refused = balance.check(
        state(limits, credits_spent=10), view(shared=Shared(credits_left=left)), 9
    )
    assert isinstance(refused, Deny)
    assert (refused.limit, refused.need, refused.wake_ms) == (limit, 5, 0)


def test_what_costs_no_credits_needs_no_balance() -> None:
    assert balance.check(state(Limits()), view(), 4_000) == 4_000
    assert balance.check_tool(state(Limits()), view(), LOOK, []) is None


def test_tools_of_a_turn_add_up_to_the_step_and_to_the_balance() -> None:
    limits = Limits(credits={"look": 5}, step_credits=12)
    busy = state(limits, step_credits=2)
    rich = view(shared=Shared(credits_left=99))
    assert balance.check_tool(busy, rich, LOOK, [LOOK]) is None
    over = balance.check_tool(busy, rich, LOOK, [LOOK, LOOK])
    assert isinstance(over, Deny)
    assert over.limit == "step_credits"
    poor = balance.check_tool(busy, view(shared=Shared(credits_left=9)), LOOK, [LOOK])
    assert isinstance(poor, Deny)
    assert (poor.limit, poor.used, poor.cap) == ("account_credits", 5, 9)


# --- circuits -----------------------------------------------------------------------------------


def broken(name: str, opens_ms: int, probe_until_ms: int = 0) -> Shared:
    return Shared(circuits={name: Circuit(5, START_MS, opens_ms, probe_until_ms)})


def test_an_open_circuit_refuses_until_its_moment_and_then_lets_one_try() -> None:
    shut = broken("provider:sim", START_MS + 30_000)
    refused = circuit.check(state(Limits()), view(now_ms=START_MS + 29_999, shared=shut), 9)
    assert isinstance(refused, Deny)
    assert (refused.limit, refused.wake_ms) == ("provider:sim", START_MS + 30_000)
    assert circuit.check(state(Limits()), view(now_ms=START_MS + 30_000, shared=shut), 9) == 9
    tried = broken("provider:sim", START_MS + 30_000, START_MS + 90_000)
    second = circuit.check(state(Limits()), view(now_ms=START_MS + 30_000, shared=tried), 9)
    assert isinstance(second, Deny)
    assert second.wake_ms == START_MS + 35_000  # it looks again soon


def test_a_model_on_this_machine_has_no_circuit() -> None:
    shut = broken("provider:sim", START_MS + 10**9)
    assert circuit.check(state(Limits()), view(shared=shut, paced=False), 9) == 9


def test_of_a_turn_one_call_of_a_tool_is_the_probe() -> None:
    seen = view(now_ms=START_MS + 30_000, shared=broken("tool:look", START_MS + 30_000))
    assert circuit.check_tool(state(Limits()), seen, LOOK, []) is None
    assert isinstance(circuit.check_tool(state(Limits()), seen, LOOK, [LOOK]), Deny)
    assert circuit.check_tool(state(Limits()), seen, PUT, [LOOK]) is None


# --- all ----------------------------------------------------------------------------------------


def test_the_order_of_the_guards() -> None:
    in_order = (rate, cost, tokens, steps, balance, circuit, timeout)
    assert tuple(guard.check for guard in in_order) == GUARDS


def test_the_strictest_refusal_is_told() -> None:
    """Waiting for the window would be in vain where the money is gone anyway."""
    limits = Limits(task_cost_micros=1)
    verdict = model_verdict(state(limits), view(quote=PAID, shared=paces(30)))
    assert isinstance(verdict, Deny)
    assert verdict.guard == "cost"
