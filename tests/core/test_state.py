"""What each event does to a task's state."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentctl.core import events as e
from agentctl.core.answers import EMPTY_NUDGE, LENGTH_NUDGE
from agentctl.core.state import apply, apply_all, fold
from agentctl.core.values import ContextPolicy, Limits, Message, Usage
from tests.core.parts import (
    START_MS,
    answered,
    asked,
    call,
    created,
    ended,
    events,
    failed,
    recorded,
    started,
    state_of,
)

# --- folding ------------------------------------------------------------------------------------


def test_a_log_without_its_first_event_is_refused() -> None:
    with pytest.raises(ValueError, match="begins with TaskCreated"):
        fold([e.Recorded(0, START_MS, e.PauseRequested())])
    with pytest.raises(ValueError, match="begins with TaskCreated"):
        fold([])


def test_a_hole_in_the_log_is_refused() -> None:
    log = recorded(created(), e.PauseRequested(), e.Stopped("paused", ""))
    with pytest.raises(ValueError, match="event 2 where 1 is due"):
        fold([log[0], log[2]])


def test_folding_at_once_or_in_two_parts_is_the_same() -> None:
    log = recorded(created(), asked(), answered("", call()), started(), ended(), asked(2))
    state = fold(log[:3])
    assert apply_all(state, log[3:]) == fold(log)


@settings(deadline=None, database=None, derandomize=True)
@given(st.lists(events().filter(lambda event: not isinstance(event, e.TaskCreated)), max_size=8))
def test_every_event_can_be_applied_in_any_order(anything: list[e.Event]) -> None:
    assert state_of(*anything).seq == len(anything) + 1


def test_two_tasks_share_nothing() -> None:
    state_of(asked(), answered("hello", call()), e.ToolApproved("look-1", "look", always=True))
    fresh = state_of()
    assert fresh.messages == [Message("user", "goal")]
    assert not (fresh.pending or fresh.always or fresh.approved or fresh.warned)


# --- each event ---------------------------------------------------------------------------------


def test_task_created_sets_the_task_up_and_says_the_goal() -> None:
    limits, policy = Limits(steps=7), ContextPolicy(max_tokens=9)
    state = state_of(limits=limits, context=policy, approve="never")
    assert (state.limits, state.policy, state.approve) == (limits, policy, "never")
    assert (state.provider, state.model, state.status) == ("sim", "sim-1", "running")
    assert state.messages == state.sent == [Message("user", "goal")]
    assert state.sent_bytes == 4
    assert state.ready_to_ask


def test_model_asked_opens_a_call() -> None:
    state = state_of(asked(1))
    assert state.asked == asked(1)
    assert state.calls == 1
    assert not state.ready_to_ask


def test_an_answer_settles_the_call_at_its_real_cost() -> None:
    usage = Usage(input=100, cache_read=60, output=10)
    state = state_of(asked(reserve_micros=9_000), answered("hi", cost_micros=70, usage=usage))
    assert state.asked is None
    assert state.spent_micros == 70
    assert state.tokens_processed == 50
    assert state.tokens_total == 110
    assert state.steps == 1


def test_an_answer_without_a_price_is_counted_and_not_taken_for_free() -> None:
    state = state_of(asked(), answered("hi", cost_micros=None))
    assert (state.spent_micros, state.unpriced) == (0, 1)


def test_an_answer_with_text_alone_ends_the_task() -> None:
    state = state_of(asked(), answered("all done"))
    assert state.final
    assert state.answer == "all done"


def test_an_answer_with_calls_leaves_them_pending_in_the_models_order() -> None:
    calls = (call("put", "b"), call("look", "a"))
    state = state_of(asked(), answered("working", *calls))
    assert list(state.pending) == ["b", "a"]
    assert not state.final


def test_a_reported_usage_anchors_the_next_estimate_and_an_estimated_one_does_not() -> None:
    state = state_of(asked(), answered("hi", usage=Usage(input=100, output=10)))
    assert (state.anchor_tokens, state.anchor_bytes) == (110, len("goal") + len("hi"))
    guess = Usage(input=100, output=10, reported=False)
    assert state_of(asked(), answered("hi", usage=guess)).anchor_tokens == 0


@pytest.mark.parametrize(
    ("text", "stop", "nudge"),
    [("", "end", EMPTY_NUDGE), (" \n", "end", EMPTY_NUDGE), ("half a sen", "length", LENGTH_NUDGE)],
)
def test_an_empty_or_cut_reply_is_nudged(text: str, stop: str, nudge: str) -> None:
    state = state_of(asked(), answered(text, stop=stop))
    assert not state.final
    assert state.stumbles == 1
    assert state.messages[-1] == Message("user", nudge)


def test_an_empty_reply_is_not_sent_back_to_the_provider() -> None:
    """Providers refuse messages without content."""
    state = state_of(asked(), answered(""))
    assert [message.role for message in state.sent] == ["user", "user"]


def test_an_answer_cut_at_the_output_limit_is_joined_with_its_rest() -> None:
    state = state_of(asked(), answered("one tw", stop="length"), asked(2), answered("o, three"))
    assert state.final
    assert state.answer == "one two, three"


def test_a_tool_call_after_stumbles_starts_the_count_anew() -> None:
    state = state_of(asked(), answered(""), asked(2), answered("", call()))
    assert state.stumbles == 0


def test_a_refusal_is_no_end_and_no_stumble() -> None:
    state = state_of(asked(), answered("I will not", stop="refusal"))
    assert state.refused
    assert not state.final
    assert state.stumbles == 0


def test_a_failed_call_is_charged_what_was_recorded() -> None:
    state = state_of(asked(), failed(charged_micros=9_000, charged_tokens=500))
    assert (state.spent_micros, state.tokens_processed, state.tokens_total) == (9_000, 500, 500)
    assert state.asked is None
    assert (state.failures, state.steps) == (1, 0)


def test_a_failed_call_without_a_price_is_counted() -> None:
    state = state_of(asked(reserve_micros=None), failed(charged_micros=None))
    assert (state.spent_micros, state.unpriced) == (0, 1)


def test_an_answer_ends_a_row_of_failures() -> None:
    state = state_of(asked(), failed(), asked(2), failed(), asked(3), answered("", call()))
    assert (state.failures, state.failure) == (0, None)


def test_a_started_call_is_open_until_it_ended() -> None:
    state = state_of(asked(), answered("", call()), started())
    assert set(state.started) == {"look-1"}
    state = state_of(asked(), answered("", call()), started(), ended(text="result"))
    assert not state.started
    assert not state.pending
    assert state.messages[-1] == Message("tool", "result", call_id="look-1")
    assert state.ready_to_ask


def test_a_second_end_of_the_same_call_says_nothing() -> None:
    state = state_of(asked(), answered("", call()), ended(text="one"), ended(text="two"))
    assert [m.text for m in state.messages if m.role == "tool"] == ["one"]


def test_an_approval_holds_for_one_call_or_for_a_tool() -> None:
    once = state_of(asked(), answered("", call("act")), e.ToolApproved("act-1", "act"))
    assert (once.approved, once.always) == ({"act-1"}, set())
    always = state_of(e.ToolApproved("act-1", "act", always=True))
    assert always.always == {"act"}


def test_an_approval_is_used_up_by_its_call() -> None:
    state = state_of(
        asked(), answered("", call("act")), e.ToolApproved("act-1", "act"), started("act"),
        ended("act"),
    )  # fmt: skip
    assert not state.approved


def test_approving_a_call_in_doubt_takes_the_doubt_away() -> None:
    state = state_of(
        asked(), answered("", call("act")), started("act"), e.ToolApproved("act-1", "act")
    )
    assert not state.started
    assert set(state.pending) == {"act-1"}


def test_pruning_changes_what_is_sent_and_not_what_was_said() -> None:
    log = [asked(), answered("", call()), ended(text="x" * 900), asked(2), answered("", call())]
    state = state_of(*log, e.ContextPruned(3, 0))
    assert state.messages[2].text == "x" * 900
    assert "read_output(id='look-1')" in state.sent[2].text
    assert state.sent_bytes < 900
    assert state_of(*log).sent_bytes > 900


def test_a_warning_is_remembered_with_its_cap() -> None:
    state = state_of(e.LimitWarned("steps", "warning", 8, 10))
    assert state.warned == {"steps": ("warning", 10)}


def test_new_limits_replace_all_old_ones() -> None:
    limits = Limits(steps=1, task_tokens=None)
    assert state_of(e.LimitChanged(limits)).limits == limits


def test_a_pause_is_wanted_until_the_task_stops() -> None:
    assert state_of(e.PauseRequested(reason="lunch")).pause_wanted == e.PauseRequested(
        reason="lunch"
    )
    stopped = state_of(e.PauseRequested(), e.Stopped("paused", "lunch"))
    assert stopped.pause_wanted is None
    assert (stopped.status, stopped.stopped) == ("paused", e.Stopped("paused", "lunch"))


def test_a_pause_for_a_task_that_stands_still_is_no_news() -> None:
    state = state_of(e.Stopped("limit", ""), e.PauseRequested())
    assert state.pause_wanted is None
    assert state.status == "limit"


@pytest.mark.parametrize("outcome", ["paused", "limit", "waiting", "failed"])
def test_a_cancel_wakes_a_stopped_task_so_that_it_can_end(outcome: str) -> None:
    state = state_of(e.Stopped(outcome, ""), e.CancelRequested())
    assert state.cancel_wanted
    assert state.status == "running"


def test_a_cancel_after_the_end_changes_nothing() -> None:
    assert state_of(e.Finished("done", "x"), e.CancelRequested()).status == "done"


def test_resuming_clears_what_stopped_the_task() -> None:
    state = state_of(
        asked(), answered("no", stop="refusal"), asked(2), failed(), e.Stopped("failed", ""),
        e.Resumed(7, "skip", "other", "model-2", "auto"),
    )  # fmt: skip
    assert (state.status, state.stopped, state.refused) == ("running", None, False)
    assert (state.failures, state.stumbles, state.failure) == (0, 0, None)
    assert (state.provider, state.model) == ("other", "model-2")
    assert (state.approve, state.on_unknown) == ("auto", "skip")


def test_resuming_keeps_what_it_does_not_name() -> None:
    state = state_of(e.Resumed(7), approve="never")
    assert (state.provider, state.model, state.approve) == ("sim", "sim-1", "never")


def test_a_wait_outlives_parking_and_a_crash() -> None:
    wait = failed(retry_at_ms=START_MS + 900_000)
    assert state_of(asked(), wait, e.Stopped("waiting", ""), e.Resumed(7)).failure == wait
    assert state_of(asked(), wait, e.Resumed(7)).failure == wait


def test_a_user_who_resumes_after_a_failure_or_a_pause_need_not_wait() -> None:
    wait = failed(retry_at_ms=START_MS + 900_000)
    for outcome in ("failed", "paused", "limit"):
        assert state_of(asked(), wait, e.Stopped(outcome, ""), e.Resumed(7)).failure is None


def test_another_model_counts_tokens_otherwise() -> None:
    log = [asked(), answered("", call()), ended()]
    assert state_of(*log, e.Resumed(7)).anchor_tokens == 110
    assert state_of(*log, e.Resumed(7, model="model-2")).anchor_tokens == 0


def test_resuming_keeps_doubts_and_money() -> None:
    state = state_of(asked(), answered("", call("act")), started("act"), e.Resumed(7))
    assert set(state.started) == {"act-1"}
    assert state.spent_micros == 1_000


def test_finished_keeps_the_answer() -> None:
    state = state_of(e.Finished("done", "the answer"))
    assert state.status == "done"
    assert state.finished == e.Finished("done", "the answer")


# --- time ---------------------------------------------------------------------------------------


def test_running_time_counts_between_events_while_running() -> None:
    assert state_of(asked(), answered("", call()), gap_ms=500).active_ms == 1_000


def test_a_pause_or_a_crash_is_no_running_time() -> None:
    paused = state_of(e.PauseRequested(), e.Stopped("paused", ""), e.Resumed(1), asked())
    assert paused.active_ms == 3_000  # not the second between Stopped and Resumed
    crashed = state_of(asked(), e.Resumed(1), gap_ms=60_000)
    assert crashed.active_ms == 60_000


def test_what_others_write_while_no_process_drives_the_task_is_no_running_time() -> None:
    late_ms, limits = START_MS + 9 * 3_600_000, e.LimitChanged(Limits(steps=5))
    settled = failed("interrupted", charged_micros=9_000)
    for event in (settled, limits, e.PauseRequested()):
        log = [*recorded(created(), asked()), e.Recorded(2, late_ms, event)]
        log.append(e.Recorded(3, late_ms + 1_000, e.Resumed(1)))
        state = fold([*log, e.Recorded(4, late_ms + 3_000, limits)])
        assert state.active_ms == 1_000, event
        apply(state, e.LimitWarned("steps", "warning", 4, 5), late_ms + 4_000)
        assert state.active_ms == 1_000 + 3_000, event


def test_a_cancel_of_a_stopped_task_adds_no_running_time() -> None:
    log = recorded(created(), e.Stopped("limit", ""), e.CancelRequested(), e.Finished("cancelled"))
    assert fold(log).active_ms == 1_000 + 1_000  # until the stop, and to write the end


def test_time_never_goes_back() -> None:
    log = recorded(created(), asked())
    late = e.Recorded(2, START_MS - 5_000, failed())
    state = fold([*log, late])
    assert state.last_ms == START_MS + 1_000
    assert state.active_ms == 1_000


def test_a_state_prints_in_one_short_line() -> None:
    state = state_of(asked(), answered("x" * 10_000, call()))
    assert repr(state) == "State(running, 3 events, 1 steps)"
