"""Before a model call: warnings, pruning, the guards' verdict and what is reserved."""

from typing import Any

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.decide import CallModel, Record, decide
from agentctl.core.state import State
from agentctl.core.values import ContextPolicy, Limits, Quote
from tests.core.parts import PAID, START_MS, answered, asked, call, ended, failed, state_of, view


def facts(state: State, **changes: Any) -> tuple[e.Event, ...]:
    action = decide(state, view(**changes))
    assert isinstance(action, Record), action
    return action.facts


# --- warnings -----------------------------------------------------------------------------------


def with_steps(steps: int, *more: e.Event) -> State:
    log: list[e.Event] = []
    for number in range(steps):
        look = call("look", f"c{number}")
        log += [asked(number + 1), answered("", look), ended(call_id=f"c{number}")]
    limits = Limits(steps=20, task_cost_micros=None, task_tokens=None)
    return state_of(*log, *more, limits=limits)


def test_a_warning_comes_once_at_80_and_once_at_95_percent() -> None:
    assert isinstance(decide(with_steps(15), view()), CallModel)
    warning = e.LimitWarned("steps", "warning", 16, 20)
    assert facts(with_steps(16)) == (warning,)
    assert isinstance(decide(with_steps(16, warning), view()), CallModel)
    critical = e.LimitWarned("steps", "critical", 19, 20)
    assert facts(with_steps(19, warning)) == (critical,)
    assert isinstance(decide(with_steps(19, warning, critical), view()), CallModel)


def test_a_critical_warning_is_not_followed_by_the_weaker_one() -> None:
    critical = e.LimitWarned("steps", "critical", 16, 20)
    assert isinstance(decide(with_steps(16, critical), view()), CallModel)


def test_a_changed_limit_is_warned_of_anew() -> None:
    warning = e.LimitWarned("steps", "warning", 16, 20)
    raised = e.LimitChanged(Limits(steps=17, task_cost_micros=None, task_tokens=None))
    (fact,) = facts(with_steps(16, warning, raised))
    assert fact == e.LimitWarned("steps", "warning", 16, 17)


# --- the model call -----------------------------------------------------------------------------


def test_the_intent_reserves_the_worst_case() -> None:
    action = decide(state_of(), view(quote=PAID))
    assert action == CallModel(
        e.ModelAsked(1, "sim", "sim-1", 3_000 + 4_000 * 15, 1_000 + 4_000, 4_000)
    )


def test_calls_are_numbered_through_failures() -> None:
    action = decide(state_of(asked(1), failed(), asked(2), failed()), view())
    assert isinstance(action, CallModel)
    assert action.intent.call == 3


def test_the_reserve_is_that_of_the_output_all_guards_allow() -> None:
    limits = Limits(task_cost_micros=3_000 + 1_000 * 15, task_tokens=1_700)
    action = decide(state_of(limits=limits), view(quote=PAID))
    assert isinstance(action, CallModel)
    assert action.intent.output_cap == 700
    assert action.intent.reserve_micros == 3_000 + 700 * 15
    assert action.intent.reserve_tokens == 1_700


def test_a_refused_call_stops_the_task_with_the_numbers() -> None:
    state = state_of(limits=Limits(task_cost_micros=5_000))
    assert facts(state, quote=PAID) == (
        e.Stopped(
            "limit", "the next call might cost more than is left", "task_cost_micros", 0, 5_000,
            3_000 + 256 * 15,
        ),
    )  # fmt: skip


def test_the_hours_limit_says_when_to_come_back() -> None:
    (fact,) = facts(state_of(), quote=PAID, hour_spent_micros=10**7, hour_opens_ms=START_MS + 9)
    assert isinstance(fact, e.Stopped)
    assert (fact.limit, fact.wake_ms) == ("hour_cost_micros", START_MS + 9)


def test_too_long_a_conversation_is_pruned_before_the_call() -> None:
    log = [asked(), answered("", call()), ended(text="x" * 9_000)]
    for number in (2, 3):
        log += [
            asked(number),
            answered("", call(call_id=f"c{number}")),
            ended(call_id=f"c{number}"),
        ]
    state = state_of(*log, context=ContextPolicy(max_tokens=1_000, keep_assistant=1))
    (fact,) = facts(state, quote=Quote(2_800, 0, 0, 4_000))
    assert isinstance(fact, e.ContextPruned)
    assert fact.mask_before > 2


def test_a_conversation_that_fits_is_left_alone() -> None:
    state = state_of(context=ContextPolicy(max_tokens=1_000))
    exactly = replace(PAID, input_tokens=1_000)
    assert isinstance(decide(state, view(quote=exactly)), CallModel)
