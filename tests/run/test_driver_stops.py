"""Waits, limits that others use up, pauses and cuts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.decide import CUT
from agentctl.core.live import Waiting
from agentctl.core.values import Limits, Message, Usage
from tests.run.parts import Do, Life, Listen, Play, busy, call, forever, now_ms, says
from tests.sim.life import START_MS


async def long(_context: object) -> str:
    await asyncio.sleep(1_000)
    return "late"


def slow(repeat: Any) -> Do:
    return Do("work", long, repeat=repeat, timeout_ms=10**9)


# --- retries ------------------------------------------------------------------------------------


def waits(provider: Play) -> list[float]:
    return [
        round((late - early) / 1000, 1)
        for early, late in zip(provider.at_ms, provider.at_ms[1:], strict=False)
    ]


def test_a_busy_provider_is_tried_again_after_growing_waits() -> None:
    provider = Play(busy(), busy(), busy(), says("done"))
    assert Life().drive(provider).status == "done"
    assert waits(provider) == [1.0, 2.0, 4.0]


def test_jitter_shortens_a_wait() -> None:
    provider = Play(busy(), says("done"))
    Life().drive(provider, jitter=lambda: 0.5)
    assert waits(provider) == [0.8]


def test_the_providers_own_demand_is_waited_for() -> None:
    provider = Play(busy(7_500), says("done"))
    Life().drive(provider)
    assert waits(provider) == [7.5]


def test_a_wait_is_shown_to_whoever_watches() -> None:
    listener = Listen(live=True)
    Life().drive(Play(busy(), says("done")), listeners=[listener])
    (shown,) = [item for item in listener.heard if isinstance(item, Waiting)]
    assert shown.why == "rate: too many requests"


def test_a_wait_goes_on_after_a_crash_where_the_log_says() -> None:
    life = Life()
    retry_at_ms = START_MS + 31_000
    lost = e.ModelFailed("rate", "busy", retriable=True, retry_at_ms=retry_at_ms)
    life.tell(e.ModelAsked(1, "sim", "sim-1", 9, 9, 9), lost)()
    life.resume()
    provider = Play(says("done"))
    life.drive(provider)
    assert 0 <= provider.at_ms[0] - retry_at_ms < 100


def test_a_demand_longer_than_the_wait_in_place_parks_the_task_as_waiting() -> None:
    life = Life()
    state = life.drive(Play(busy(600_000)))
    assert state.status == "waiting"
    assert state.stopped is not None
    assert state.stopped.wake_ms == START_MS + int(life.now_s * 1000) + 600_000
    assert life.now_s < 2, "nobody sat and waited"


def test_a_parked_task_that_is_resumed_too_early_parks_again() -> None:
    life = Life()
    life.drive(Play(busy(600_000)))
    life.resume()
    provider = Play(says("too early"))
    assert life.drive(provider).status == "waiting"
    assert provider.requests == []
    life.now_s += 600
    life.resume()
    assert life.drive(Play(says("done"))).status == "done"


def test_after_the_allowed_tries_the_task_stops_as_failed_and_can_go_on() -> None:
    life = Life(limits=Limits(attempts=3))
    provider = Play(busy(), busy(), busy(), says("done"))
    assert life.drive(provider).status == "failed"
    assert len(provider.requests) == 3
    life.resume()
    assert life.drive(provider).status == "done"


def test_a_wrong_key_is_tried_once() -> None:
    provider = Play(busy(reason="auth", retriable=False), says("never"))
    assert Life().drive(provider).status == "failed"
    assert len(provider.requests) == 1


def test_a_refused_call_is_free_and_a_cut_one_costs_its_reserve() -> None:
    life = Life()
    life.drive(Play(busy(), busy(may_be_billed=True), says("done")))
    reserve = life.events(e.ModelAsked)[1].reserve_micros
    assert [event.charged_micros for event in life.events(e.ModelFailed)] == [0, reserve]


# --- the hour, shared with other tasks ----------------------------------------------------------


def test_an_hour_that_others_have_used_up_stops_the_task() -> None:
    life = Life(limits=Limits(hour_cost_micros=50_000))
    provider = Play(says("never"))
    life.store.create("t2", life.store.read("t1")[0].event, START_MS)
    life.store.append("t2", 1, [], START_MS, intents=[e.ModelAsked(1, "s", "s", 49_000, 9, 9)])
    state = life.drive(provider)
    assert provider.requests == []
    assert state.stopped is not None
    assert (state.status, state.stopped.limit) == ("limit", "hour_cost_micros")
    assert state.stopped.wake_ms > START_MS


def test_what_others_have_only_reserved_is_waited_for_and_is_no_violation() -> None:
    """Runs side by side must not end each other by their reserves."""
    life = Life(limits=Limits(hour_cost_micros=50_000))
    life.store.create("t2", life.store.read("t1")[0].event, START_MS)
    life.store.append("t2", 1, [], START_MS, intents=[e.ModelAsked(1, "s", "s", 49_000, 9, 9)])
    answered = e.ModelAnswered(Message("assistant", "hi"), Usage(input=9), "end", 100)
    provider = Play(says("done"))
    state = life.drive(
        provider, at={7.0: lambda: life.store.append("t2", None, [answered], now_ms())}
    )
    assert (state.status, len(provider.requests)) == ("done", 1)
    assert 7 <= (provider.at_ms[0] - START_MS) / 1000 <= 11
    assert life.events(e.LimitReached) == []


def spent_meanwhile(micros: int) -> tuple[Life, Play, str]:
    """Another task spends while a tool of ours runs, after the hour was last looked at."""
    life = Life(limits=Limits(hour_cost_micros=200_000))
    life.store.create("t2", life.store.read("t1")[0].event, START_MS)

    def others_spend(_context: object) -> str:
        spend = e.ModelAsked(1, "s", "s", micros, 9, 9)
        life.store.append("t2", 1, [], now_ms(), intents=[spend])
        return "done"

    provider = Play(says("", call()), says("done"))
    state = life.drive(provider, [Do("look", others_spend)])
    assert life.events(e.ToolEnded), "what was done is kept"
    return life, provider, state.status


def test_an_hour_used_up_between_decision_and_commit_is_seen_by_the_commit() -> None:
    life, provider, status = spent_meanwhile(199_000)
    assert (status, len(provider.requests)) == ("limit", 1)
    assert len(life.events(e.ModelAsked)) == 1


def test_an_hour_nearly_used_up_meanwhile_makes_the_answer_shorter() -> None:
    _, provider, status = spent_meanwhile(190_000)
    assert status == "done"
    assert provider.requests[1].max_output < provider.requests[0].max_output


def test_limits_that_come_with_the_commit_before_a_wait_are_heard_before_it() -> None:
    limits = Limits(hour_cost_micros=50_000, on_limit="wait", wait_in_place_ms=10**9)
    life = Life(limits=limits)
    life.store.create("t2", life.store.read("t1")[0].event, START_MS)
    life.store.append("t2", 1, [], START_MS, intents=[e.ModelAsked(1, "s", "s", 49_000, 9, 9)])
    paid = e.ModelAnswered(Message("assistant", "hi"), Usage(input=9), "end", 49_000)
    life.store.append("t2", None, [paid], START_MS)
    plain = life.store.append

    def raised_just_before(task_id: str, expected: Any, facts: Any, *rest: Any, **more: Any) -> Any:
        if any(isinstance(fact, e.LimitReached) for fact in facts):
            plain("t1", None, [e.LimitChanged(replace(limits, hour_cost_micros=None))], rest[0])
        return plain(task_id, expected, facts, *rest, **more)

    life.store.append = raised_just_before  # type: ignore[method-assign]  # as another process
    assert life.drive(Play(says("done"))).status == "done"
    assert life.now_s < 60


# --- pause and cancel ---------------------------------------------------------------------------


def test_a_pause_lets_the_running_tool_finish_and_starts_nothing_more() -> None:
    life = Life()
    provider = Play(says("", call("work")), says("never"))
    state = life.drive(provider, [slow("unsafe")], at={5: life.tell(e.PauseRequested())})
    assert state.status == "paused"
    assert [event.text for event in life.events(e.ToolEnded)] == ["late"]
    assert len(provider.requests) == 1


def test_a_paused_task_goes_on_where_it_stopped() -> None:
    life = Life()
    provider = Play(says("", call("work")), says("done"))
    life.drive(provider, [slow("safe")], at={5: life.tell(e.PauseRequested())})
    life.resume()
    assert life.drive(provider, [slow("safe")]).status == "done"
    assert len(life.events(e.ToolStarted)) == 1


def test_pause_now_cuts_an_unsafe_tool_and_tells_the_model_what_is_known() -> None:
    life = Life()
    provider = Play(says("", call("work")), says("done"))
    tools = [slow("unsafe")]
    state = life.drive(provider, tools, at={5: life.tell(e.PauseRequested(now=True))})
    assert state.status == "paused"
    assert life.now_s < 10
    life.resume()
    life.drive(provider, tools)
    assert provider.requests[1].messages[-1].text == CUT
    assert len(life.events(e.ToolStarted)) == 1


def test_pause_now_leaves_a_safe_tool_open_and_resume_runs_it_again() -> None:
    life = Life()
    provider = Play(says("", call("work")), says("done"))
    life.drive(provider, [slow("safe")], at={5: life.tell(e.PauseRequested(now=True))})
    assert life.events(e.ToolEnded) == []
    life.resume()
    life.drive(provider, [slow("safe")])
    assert [event.text for event in life.events(e.ToolEnded)] == ["late"]


def test_pause_now_cuts_a_model_call_at_its_reserve() -> None:
    life = Life()
    state = life.drive(Play(forever), at={5: life.tell(e.PauseRequested(now=True))})
    (cut,) = life.events(e.ModelFailed)
    assert state.status == "paused"
    assert cut.charged_micros == life.events(e.ModelAsked)[0].reserve_micros


def test_a_pause_ends_a_wait_at_once() -> None:
    life = Life()
    state = life.drive(Play(busy(50_000)), at={5: life.tell(e.PauseRequested())})
    assert state.status == "paused"
    assert life.now_s < 8


def test_a_cancel_cuts_what_runs_and_ends_the_task_for_good() -> None:
    life = Life()
    state = life.drive(
        Play(says("", call("work"))), [slow("safe")], at={5: life.tell(e.CancelRequested())}
    )
    assert state.status == "cancelled"
    assert life.now_s < 8


def test_a_signal_gives_running_work_a_moment_and_then_cuts_it() -> None:
    life = Life()

    def interrupt() -> None:
        assert life.driver is not None
        life.driver.interrupt("SIGTERM")

    state = life.drive(Play(says("", call("work"))), [slow("unsafe")], at={5: interrupt})
    assert state.status == "paused"
    assert [event.status for event in life.events(e.ToolEnded)] == ["cut"]
    assert 7.1 < life.now_s < 7.4  # at 1 s begun, 5 s later the signal, 1.2 s of grace


def test_work_that_ends_within_the_grace_is_not_cut() -> None:
    life = Life()

    async def brief(_context: object) -> str:
        await asyncio.sleep(6)
        return "whole"

    def interrupt() -> None:
        assert life.driver is not None
        life.driver.interrupt("SIGINT")

    state = life.drive(
        Play(says("", call("work"))), [Do("work", brief, timeout_ms=10**9)], at={5.5: interrupt}
    )
    assert state.status == "paused"
    assert [event.text for event in life.events(e.ToolEnded)] == ["whole"]


def test_the_running_time_cuts_a_call_that_would_not_end() -> None:
    life = Life(limits=Limits(wall_ms=20_000))
    state = life.drive(Play(forever))
    assert state.stopped is not None
    assert (state.status, state.stopped.limit) == ("limit", "wall_ms")
    assert life.now_s < 25


def test_the_running_time_ends_a_question_that_nobody_answers() -> None:
    """It is put once, not again and again."""
    asked: list[str] = []

    async def ask(tool_call: Any, _spec: object, _in_doubt: bool, _rule: str) -> str:
        asked.append(tool_call.id)
        if len(asked) < 3:
            await asyncio.sleep(1_000)
        return "no"

    life = Life(limits=Limits(wall_ms=20_000), approve="ask")
    act = Do("act", changes=True)
    state = life.drive(Play(says("", call("act")), says("done")), [act], ask=ask)
    assert (state.status, asked) == ("limit", ["act-1"])


def test_the_running_time_ends_a_wait_for_the_next_try() -> None:
    listener = Listen(live=True)
    life = Life(limits=Limits(wall_ms=20_000))
    state = life.drive(Play(busy(50_000), says("done")), listeners=[listener])
    assert state.status == "limit"
    assert len([item for item in listener.heard if isinstance(item, Waiting)]) == 1
    assert life.now_s < 25


def test_somebody_elses_cancellation_is_passed_on() -> None:
    life = Life()

    def cancel_all() -> None:
        for task in asyncio.all_tasks():
            task.cancel()

    provider = Play(forever)
    with pytest.raises(asyncio.CancelledError):
        life.drive(provider, at={5: cancel_all})
    assert provider.closed == 1
    life.resume()
    assert life.drive(Play(says("done"))).status == "done"
