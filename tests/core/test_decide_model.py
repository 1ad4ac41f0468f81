"""Before a model call: warnings, pruning, the guards' verdict and what is reserved."""

from typing import Any

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.decide import CallModel, Record, Sleep, decide
from agentctl.core.state import State
from agentctl.core.values import Circuit, ContextPolicy, Limits, Pace, Quote, Shared
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


def test_the_hours_limit_is_warned_of_too() -> None:
    (fact,) = facts(state_of(), shared=Shared(hour_spent_micros=8_000_000))
    assert fact == e.LimitWarned("hour_cost_micros", "warning", 8_000_000, 10_000_000)


# --- what a limit does --------------------------------------------------------------------------

FULL = Shared(10**7, START_MS + 4_000_000)
WARNED = e.LimitWarned("hour_cost_micros", "critical", 10**7, 10**7)
TOLD = e.LimitReached(
    "cost", "hour_cost_micros", 10**7, 10**7, 6_840, "micros", "", FULL.hour_opens_ms
)


def full_hour(*more: e.Event, **limits: Any) -> State:
    return state_of(WARNED, *more, limits=Limits(**limits))


def test_on_limit_fail_ends_the_run_as_failed() -> None:
    _, fact = facts(full_hour(on_limit="fail"), quote=PAID, shared=FULL)
    assert isinstance(fact, e.Stopped)
    assert (fact.outcome, fact.limit) == ("failed", "hour_cost_micros")


def test_on_limit_wait_parks_the_task_until_the_window_opens() -> None:
    assert facts(full_hour(on_limit="wait"), quote=PAID, shared=FULL) == (TOLD,)
    (fact,) = facts(full_hour(TOLD, on_limit="wait"), quote=PAID, shared=FULL)
    assert isinstance(fact, e.Stopped)
    assert (fact.outcome, fact.wake_ms) == ("waiting", FULL.hour_opens_ms)


def test_a_short_wait_is_slept_in_place() -> None:
    soon = view(quote=PAID, shared=FULL, now_ms=FULL.hour_opens_ms - 60_000)
    action = decide(full_hour(TOLD, on_limit="wait"), soon)
    assert action == Sleep(FULL.hour_opens_ms, "the next call might cost more than is left")


def test_on_limit_wait_pauses_where_waiting_opens_nothing() -> None:
    state = state_of(limits=Limits(steps=0, on_limit="wait"))
    assert isinstance(facts(state)[-1], e.Stopped)
    assert facts(state)[-1].outcome == "limit"


def test_a_full_window_of_calls_is_waited_out_whatever_on_limit_says() -> None:
    pace = Shared(paces={"ai": Pace(30, START_MS + 3_630_000)})
    (told,) = facts(state_of(), shared=pace)
    assert isinstance(told, e.LimitReached)
    assert (told.guard, told.unit) == ("rate", "calls")
    action = decide(state_of(told), view(shared=pace))
    assert isinstance(action, Sleep)
    assert action.until_ms == START_MS + 3_630_000


def test_a_limit_in_the_way_is_told_again_after_a_call_has_gone() -> None:
    pace = Shared(paces={"ai": Pace(30, START_MS + 3_630_000)})
    (told,) = facts(state_of(), shared=pace)
    later = state_of(told, asked(), answered("", call()), ended())
    (again,) = facts(later, shared=pace)
    assert isinstance(again, e.LimitReached)


# --- other providers ----------------------------------------------------------------------------

CHAIN = ("other/o-1", "third/t-1")
OPEN = Shared(circuits={"provider:sim": Circuit(5, START_MS, START_MS + 3_700_000)})


def spent_tries(number: int = 1) -> list[e.Event]:
    return [event for n in range(5) for event in (asked(number + n), failed("server"))]


def test_when_the_tries_are_used_up_the_next_provider_is_asked() -> None:
    (fact,) = facts(state_of(*spent_tries(), fallbacks=CHAIN))
    assert fact == e.Switched("other", "o-1", "server it was (after 5 tries)")


def test_an_open_circuit_switches_at_once() -> None:
    told, fact = facts(state_of(fallbacks=CHAIN), shared=OPEN)
    assert isinstance(told, e.LimitReached)
    assert fact == e.Switched("other", "o-1", "sim failed 5 times in a row")


def test_an_open_circuit_without_fallback_is_waited_out() -> None:
    (told,) = facts(state_of(), shared=OPEN)
    stopped = decide(state_of(told), view(shared=OPEN))
    assert isinstance(stopped, Record)
    assert stopped.facts[0].outcome == "waiting"


def test_a_wrong_key_is_told_at_once_in_spite_of_a_fallback() -> None:
    (fact,) = facts(state_of(asked(), failed("auth", retriable=False), fallbacks=CHAIN))
    assert isinstance(fact, e.Stopped)
    assert fact.outcome == "failed"


def test_an_empty_purse_at_the_provider_is_a_reason_to_switch() -> None:
    (fact,) = facts(state_of(asked(), failed("quota", retriable=False), fallbacks=CHAIN))
    assert isinstance(fact, e.Switched)


def test_a_request_too_long_for_one_model_is_asked_of_the_next() -> None:
    """Nothing is left out here that could be: the other model's window may be larger."""
    (fact,) = facts(state_of(asked(), failed("context", retriable=False), fallbacks=CHAIN))
    assert isinstance(fact, e.Switched)
    (alone,) = facts(state_of(asked(), failed("context", retriable=False)))
    assert isinstance(alone, e.Stopped)


def switched_through() -> list[e.Event]:
    log: list[e.Event] = []
    for number, name in enumerate((*CHAIN, "cached/answer")):
        provider, _, model = name.partition("/")
        log += [*spent_tries(number * 5 + 1), e.Switched(provider, model, f"why {number}")]
    return log


def test_after_the_last_provider_an_earlier_answer_may_do() -> None:
    (fact,) = facts(state_of(*switched_through()[:-1], fallbacks=CHAIN))
    assert fact == e.Switched("cached", "answer", "server it was (after 5 tries)")


def test_without_an_earlier_answer_the_task_fails_with_what_went_wrong_before() -> None:
    log = [*switched_through(), asked(16), failed("not_found", retriable=False)]
    (fact,) = facts(state_of(*log, fallbacks=CHAIN))
    assert fact == e.Stopped("failed", "why 2; not_found it was")


def test_an_earlier_answer_stands_for_one_step_and_then_the_first_provider_is_asked() -> None:
    log = [*switched_through(), asked(16), answered("", call()), ended()]
    action = decide(state_of(*log, fallbacks=CHAIN), view())
    assert isinstance(action, CallModel)
    assert (action.intent.provider, action.intent.model) == ("sim", "sim-1")


def test_a_resume_asks_the_first_provider_again() -> None:
    state = state_of(
        e.Switched("other", "o-1", "down"), e.Stopped("paused", ""), e.Resumed(1), fallbacks=CHAIN
    )
    assert (state.provider, state.model) == ("sim", "sim-1")


def test_equal_requests_have_one_hash_and_others_another() -> None:
    def key(**changes: Any) -> str:
        action = decide(state_of(**{"fallbacks": CHAIN, **changes}), view())
        assert isinstance(action, CallModel)
        return action.intent.request

    assert key() == key() != ""
    assert len({key(), key(goal="other"), key(system="other"), key(model="other")}) == 4
    assert key(fallbacks=()) == ""


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
    least = 3_000 + 256 * 15
    assert facts(state, quote=PAID) == (
        e.LimitReached("cost", "task_cost_micros", 0, 5_000, least, "micros"),
        e.Stopped(
            "limit", "the next call might cost more than is left", "task_cost_micros", 0, 5_000,
            least,
        ),
    )  # fmt: skip


def test_the_hours_limit_says_when_to_come_back() -> None:
    told, fact = facts(full_hour(), quote=PAID, shared=FULL)
    assert isinstance(told, e.LimitReached)
    assert isinstance(fact, e.Stopped)
    assert fact.outcome == "limit"
    assert (fact.limit, fact.wake_ms) == ("hour_cost_micros", FULL.hour_opens_ms)


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
