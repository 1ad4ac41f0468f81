"""What comes next: each rule, and which goes before which."""

from typing import Any

import pytest
from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.answers import STUMBLES_MAX
from agentctl.core.approval import DENIED
from agentctl.core.decide import (
    SKIPPED,
    UNKNOWN,
    AskUser,
    CallModel,
    Halt,
    Record,
    RunTools,
    Sleep,
    decide,
)
from agentctl.core.state import State, apply
from agentctl.core.values import Limits, ToolSpec
from tests.core.parts import (
    FREE,
    SPECS,
    START_MS,
    answered,
    asked,
    call,
    ended,
    failed,
    started,
    state_of,
    view,
)

PAUSE = e.PauseRequested(reason="lunch")
CANCEL = e.CancelRequested()


def facts(state: State, **changes: Any) -> tuple[e.Event, ...]:
    action = decide(state, view(**changes))
    assert isinstance(action, Record), action
    return action.facts


def wanted(*calls: str, **changes: Any) -> State:
    """A state in which the model has asked for these tools."""
    return state_of(asked(), answered("", *map(call, calls)), **changes)


# --- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["done", "cancelled"])
def test_a_finished_task_halts(outcome: str) -> None:
    assert decide(state_of(e.Finished(outcome)), view()) == Halt()


@pytest.mark.parametrize("outcome", ["paused", "limit", "waiting", "failed"])
def test_a_stopped_task_halts(outcome: str) -> None:
    assert decide(state_of(e.Stopped(outcome, "")), view()) == Halt()


def test_a_final_answer_finishes_the_task() -> None:
    assert facts(state_of(asked(), answered("42"))) == (e.Finished("done", "42"),)


def test_a_cancel_finishes_the_task_with_the_models_last_words() -> None:
    state = state_of(asked(), answered("so far", call()), ended(), CANCEL)
    assert facts(state) == (e.Finished("cancelled", "so far"),)


def test_a_pause_stops_the_task_with_its_reason() -> None:
    assert facts(state_of(PAUSE)) == (e.Stopped("paused", "lunch"),)
    (fact,) = facts(state_of(e.PauseRequested(by="SIGTERM")))
    assert isinstance(fact, e.Stopped)
    assert "SIGTERM" in fact.reason


# --- precedence ---------------------------------------------------------------------------------


def test_doubt_about_a_model_call_comes_before_everything() -> None:
    state = state_of(asked(reserve_micros=9_000), CANCEL, PAUSE)
    (fact,) = facts(state)
    assert isinstance(fact, e.ModelFailed)
    assert (fact.reason, fact.charged_micros, fact.charged_tokens) == ("interrupted", 9_000, 500)
    assert fact.retriable


def test_an_unpriced_call_in_doubt_stays_unpriced() -> None:
    (fact,) = facts(state_of(asked(reserve_micros=None)))
    assert isinstance(fact, e.ModelFailed)
    assert fact.charged_micros is None
    assert fact.charged_tokens == 500


def test_a_reached_goal_comes_before_cancel_and_pause() -> None:
    state = state_of(asked(), answered("42"), CANCEL, PAUSE)
    assert facts(state) == (e.Finished("done", "42"),)


def test_a_cancel_comes_before_a_pause() -> None:
    assert facts(state_of(PAUSE, CANCEL)) == (e.Finished("cancelled", ""),)


@pytest.mark.parametrize("name", ["look", "act", "nope"])
def test_a_pause_comes_before_open_tool_calls(name: str) -> None:
    state = wanted(name)
    apply(state, PAUSE, state.last_ms)
    assert facts(state) == (e.Stopped("paused", "lunch"),)


def test_a_pause_comes_before_a_retry_and_before_a_model_call() -> None:
    state = state_of(asked(), failed(retry_at_ms=START_MS + 10**9), PAUSE)
    assert facts(state) == (e.Stopped("paused", "lunch"),)


def test_tools_come_before_the_next_model_call() -> None:
    assert isinstance(decide(wanted("look"), view()), RunTools)
    state = state_of(asked(), answered("", call()), started(), ended())
    assert isinstance(decide(state, view()), CallModel)


def test_calls_that_must_not_run_are_answered_before_the_others_run() -> None:
    state = wanted("look", "nope")
    (fact,) = facts(state)
    assert isinstance(fact, e.ToolEnded)
    assert (fact.tool, fact.status) == ("nope", "invalid")
    apply(state, fact, state.last_ms)
    assert isinstance(decide(state, view()), RunTools)


def test_the_user_is_asked_before_anything_of_the_turn_runs() -> None:
    state = wanted("look", "act", approve="ask")
    assert decide(state, view(interactive=True)) == AskUser(call("act"), rule="act")


def test_deciding_changes_nothing() -> None:
    state = wanted("look", "act", "nope")
    before = repr(state.messages) + repr(state.pending) + repr(state.seq)
    decide(state, view())
    assert repr(state.messages) + repr(state.pending) + repr(state.seq) == before


# --- tools --------------------------------------------------------------------------------------


def test_all_calls_of_a_turn_run_together_with_their_intents() -> None:
    action = decide(wanted("look", "put", "act"), view())
    assert isinstance(action, RunTools)
    assert [c.name for c in action.calls] == ["look", "put", "act"]
    assert action.intents == (started("look"), started("put"), started("act"))


def test_a_higher_priority_starts_first() -> None:
    urgent = ToolSpec("put", "", "{}", repeat="idempotent", priority=5)
    action = decide(wanted("look", "put", "act"), view(specs={**SPECS, "put": urgent}))
    assert isinstance(action, RunTools)
    assert [c.name for c in action.calls] == ["put", "look", "act"]


def test_an_unknown_tool_is_told_to_the_model() -> None:
    assert facts(wanted("nope")) == (
        e.ToolEnded("nope-1", "nope", "There is no tool named 'nope'.", "invalid"),
    )


def test_a_call_with_a_problem_is_told_to_the_model() -> None:
    state = state_of(asked(), answered("", call(problem="bad JSON")))
    assert facts(state) == (e.ToolEnded("look-1", "look", "bad JSON", "invalid"),)


def test_without_time_left_no_tool_starts() -> None:
    state = wanted("look", limits=Limits(wall_ms=2_000))
    told, fact = facts(state)
    assert isinstance(told, e.LimitReached)
    assert isinstance(fact, e.Stopped)
    assert (fact.outcome, fact.limit, fact.cap) == ("limit", "wall_ms", 2_000)


# --- approval -----------------------------------------------------------------------------------


def test_a_call_that_changes_nothing_needs_no_approval() -> None:
    for approve in ("auto", "ask", "never", "read-only"):
        assert isinstance(decide(wanted("look", approve=approve), view()), RunTools)


def test_auto_allows_every_call() -> None:
    assert isinstance(decide(wanted("act", approve="auto"), view()), RunTools)


@pytest.mark.parametrize("approve", ["ask", "never", "read-only"])
def test_where_nobody_can_be_asked_a_change_is_denied(approve: str) -> None:
    (fact,) = facts(wanted("act", approve=approve))
    assert fact == e.ToolEnded("act-1", "act", DENIED[approve], "denied")


@pytest.mark.parametrize("approve", ["never", "read-only"])
def test_never_and_read_only_do_not_even_ask(approve: str) -> None:
    assert isinstance(decide(wanted("act", approve=approve), view(interactive=True)), Record)


def test_an_approved_call_runs() -> None:
    state = wanted("act", approve="ask")
    apply(state, e.ToolApproved("act-1", "act"), state.last_ms)
    assert isinstance(decide(state, view(interactive=True)), RunTools)


def test_an_approval_of_one_call_is_none_of_the_next() -> None:
    state = state_of(
        asked(), answered("", call("act")), e.ToolApproved("act-1", "act"), started("act"),
        ended("act"), asked(2), answered("", call("act", "act-2")), approve="ask",
    )  # fmt: skip
    assert isinstance(decide(state, view(interactive=True)), AskUser)


def test_always_holds_for_later_calls_of_the_tool_also_where_nobody_can_be_asked() -> None:
    state = state_of(
        asked(), answered("", call("act")), e.ToolApproved("act-1", "act", always=True),
        started("act"), ended("act"), asked(2), answered("", call("act", "act-2")), approve="ask",
    )  # fmt: skip
    assert isinstance(decide(state, view()), RunTools)


# --- in doubt -----------------------------------------------------------------------------------


def doubtful(name: str, on_unknown: str = "tell", approve: str = "auto") -> State:
    return state_of(
        asked(), answered("", call(name)), started(name), e.Resumed(1, on_unknown),
        approve=approve,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["look", "put"])
@pytest.mark.parametrize("on_unknown", ["tell", "ask", "rerun"])
def test_a_call_that_may_be_repeated_runs_again(name: str, on_unknown: str) -> None:
    assert isinstance(decide(doubtful(name, on_unknown), view(interactive=True)), RunTools)


def test_an_unsafe_call_in_doubt_is_told_to_the_model() -> None:
    assert facts(doubtful("act")) == (e.ToolEnded("act-1", "act", UNKNOWN, "unknown"),)


@pytest.mark.parametrize("name", ["look", "put", "act"])
def test_skip_answers_every_call_in_doubt(name: str) -> None:
    assert facts(doubtful(name, "skip")) == (e.ToolEnded(f"{name}-1", name, SKIPPED, "skipped"),)


def test_rerun_runs_an_unsafe_call_again() -> None:
    assert isinstance(decide(doubtful("act", "rerun"), view()), RunTools)


def test_ask_asks_about_an_unsafe_call_in_doubt() -> None:
    state = doubtful("act", "ask", approve="ask")
    assert decide(state, view(interactive=True)) == AskUser(call("act"), in_doubt=True)


def test_ask_without_anybody_there_tells_the_model() -> None:
    assert facts(doubtful("act", "ask")) == (e.ToolEnded("act-1", "act", UNKNOWN, "unknown"),)


def test_a_call_in_doubt_whose_tool_is_gone_is_answered() -> None:
    (fact,) = facts(doubtful("look"), specs={})
    assert isinstance(fact, e.ToolEnded)
    assert fact.status == "unknown", "it may have happened: the model must not be told otherwise"


def test_a_call_in_doubt_that_changes_something_runs_again_only_with_approval() -> None:
    (fact,) = facts(doubtful("put", approve="never"))
    assert isinstance(fact, e.ToolEnded)
    assert fact.status == "unknown"


def test_a_request_that_was_too_long_is_shortened_and_sent_again() -> None:
    turns = [
        (asked(n), answered("", call("look", f"c{n}")), ended("look", f"c{n}", "out " * 900))
        for n in range(1, 9)
    ]
    events = [event for turn in turns for event in turn]
    state = state_of(*events, asked(9), failed(reason="context", retriable=False))
    (fact,) = facts(state, quote=replace(FREE, input_tokens=90_000))
    assert isinstance(fact, e.ContextPruned)


def test_a_request_that_cannot_be_shortened_stops_the_task() -> None:
    state = state_of(asked(), failed(reason="context", retriable=False))
    (fact,) = facts(state)
    assert isinstance(fact, e.Stopped)
    assert fact.outcome == "failed"


def test_another_provider_need_not_wait_for_what_the_first_demanded() -> None:
    late_ms = START_MS + 9 * 3_600_000
    waiting = (asked(), failed(retry_at_ms=late_ms), e.Stopped("waiting", "", wake_ms=late_ms))
    state = state_of(*waiting, e.Resumed(1, provider="other"))
    assert isinstance(decide(state, view()), CallModel)


# --- failures -----------------------------------------------------------------------------------


def test_a_retry_waits_for_the_moment_that_the_log_names() -> None:
    at_ms = START_MS + 3_601_000
    state = state_of(asked(), failed(retry_at_ms=at_ms))
    action = decide(state, view(now_ms=at_ms - 1))
    assert isinstance(action, Sleep)
    assert action.until_ms == at_ms
    assert isinstance(decide(state, view(now_ms=at_ms)), CallModel)


def test_a_wait_exactly_as_long_as_allowed_is_slept_and_a_longer_one_parks() -> None:
    now = START_MS + 3_600_000
    state = state_of(asked(), failed(retry_at_ms=now + 60_000))
    assert isinstance(decide(state, view(now_ms=now)), Sleep)
    (fact,) = facts(state, now_ms=now - 1)
    assert fact == e.Stopped("waiting", "rate: rate it was", wake_ms=now + 60_000)


def test_a_failure_that_cannot_be_mended_by_waiting_stops_the_task() -> None:
    assert facts(state_of(asked(), failed("auth", retriable=False))) == (
        e.Stopped("failed", "auth it was"),
    )


def test_the_last_allowed_try_stops_the_task() -> None:
    limits = Limits(attempts=2)
    once = state_of(asked(), failed(), limits=limits)
    assert isinstance(decide(once, view()), CallModel)
    twice = state_of(asked(), failed(), asked(2), failed(), limits=limits)
    assert facts(twice) == (e.Stopped("failed", "rate it was (after 2 tries)"),)


def test_a_refusal_stops_the_task_and_keeps_the_models_words() -> None:
    state = state_of(asked(), answered("I will not", stop="refusal"))
    (fact,) = facts(state)
    assert isinstance(fact, e.Stopped)
    assert (fact.outcome, state.answer) == ("failed", "I will not")


def test_three_stumbles_in_a_row_stop_the_task_and_two_do_not() -> None:
    log: list[e.Event] = []
    for number in range(STUMBLES_MAX):
        assert isinstance(decide(state_of(*log), view()), CallModel)
        log += [asked(number + 1), answered("")]
    (fact,) = facts(state_of(*log))
    assert isinstance(fact, e.Stopped)
    assert fact.outcome == "failed"
    assert "3 empty or cut replies" in fact.reason
