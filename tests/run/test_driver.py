"""The loop: what is written when, who is told, and what the model hears."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentctl.core import events as e
from agentctl.core.answers import EMPTY_NUDGE, LENGTH_NUDGE
from agentctl.core.approval import DENIED, DENIED_BY_USER
from agentctl.core.decide import UNKNOWN
from agentctl.core.live import TextDelta, ToolOutput
from agentctl.core.state import fold
from agentctl.core.values import Limits, Message, ToolCall, ToolSpec
from agentctl.errors import StoreError
from agentctl.ports import Answer
from tests.run.parts import Do, Life, Listen, Play, call, now_ms, says

# --- steps and commits --------------------------------------------------------------------------


def test_a_goal_is_reached_through_a_tool() -> None:
    life = Life()
    provider = Play(says("looking", call()), says("it is done"))
    state = life.drive(provider, [Do("look", lambda _: "three files")])
    assert (state.status, state.answer) == ("done", "it is done")
    assert provider.requests[1].messages == [
        Message("user", "goal"),
        Message("assistant", "looking", (call(),)),
        Message("tool", "three files", call_id="look-1"),
    ]


def test_an_id_that_a_dropped_turn_had_is_not_given_twice() -> None:
    life = Life()
    drop = life.tell(e.ContextPruned(mask_before=3, drop_before=3))
    turns = [says("", call()), says("", call(call_id="look-2")), says("", call()), says("done")]
    made = iter(("first", "second", "third"))

    def look(_context: object) -> str:
        text = next(made)
        if text == "second":
            drop()
        return text

    state = life.drive(Play(*turns), [Do("look", look)])
    ids = [message.call_id for message in state.messages if message.role == "tool"]
    assert ids == ["look-1", "look-2", "look-1-1"]


def commits(steps: int) -> int:
    life = Life()
    turns = [says("", call(call_id=f"c{n}")) for n in range(steps)]
    life.drive(Play(*turns, says("done")), [Do("look")])
    return life.store.commits


def test_a_steady_step_costs_two_commits() -> None:
    assert commits(20) - commits(10) == 2 * 10
    assert commits(0) == 2


def test_the_intent_is_on_disk_before_its_effect() -> None:
    life = Life()
    last: list[Any] = []

    def note(_context: object = None) -> str:
        last.append(life.store.read("t1")[-1].event)
        return "done"

    class Noting(Play):
        async def ask(self, request: Any, emit: Any) -> Any:
            note()
            return await super().ask(request, emit)

    life.drive(Noting(says("", call()), says("done")), [Do("look", note)])
    assert [type(event) for event in last] == [e.ModelAsked, e.ToolStarted, e.ModelAsked]


def test_the_drivers_state_is_what_the_log_says() -> None:
    life = Life()
    state = life.drive(Play(says("", call()), says("done")), [Do("look")])
    assert fold(life.store.read("t1")).messages == state.messages
    assert fold(life.store.read("t1")).spent_micros == state.spent_micros > 0


def test_earlier_results_of_a_turn_are_written_while_a_slow_call_runs() -> None:
    life = Life()
    seen: list[int] = []

    async def slow(_context: object) -> str:
        await asyncio.sleep(5)
        seen.append(len(life.events(e.ToolEnded)))
        return "late"

    life.drive(Play(says("", call(), call("wait")), says("done")), [Do("look"), Do("wait", slow)])
    assert seen == [1]


def test_everything_is_closed_once_whatever_happens() -> None:
    provider, tool, listener = Play(RuntimeError("a bug")), Do("look"), Listen()
    with pytest.raises(RuntimeError, match="a bug"):
        Life().drive(provider, [tool], listeners=[listener])
    assert (provider.closed, tool.closed, listener.closed) == (1, 1, 1)


def test_a_store_that_fails_ends_the_run_with_its_message() -> None:
    life = Life()
    listener = Listen()

    def fail(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    def break_store(_context: object) -> str:
        life.store.append = fail  # type: ignore[method-assign]  # the disk fills up meanwhile
        return "done"

    with pytest.raises(StoreError, match="the disk is full"):
        life.drive(Play(says("", call())), [Do("look", break_store)], listeners=[listener])
    assert listener.closed == 1


# --- listeners ----------------------------------------------------------------------------------


def test_listeners_hear_every_event_in_order_once_it_is_on_disk() -> None:
    life, listener = Life(), Listen()
    life.drive(Play(says("", call()), says("done")), [Do("look")], listeners=[listener])
    assert listener.heard == life.store.read("t1")[1:]


def test_only_live_listeners_hear_signals() -> None:
    deaf, live = Listen(), Listen(live=True)

    def talk(context: Any) -> str:
        context.emit("working…")
        return "done"

    life = Life()
    life.drive(Play(says("hi", call()), says("done.")), [Do("look", talk)], listeners=[deaf, live])
    signals = [item for item in live.heard if not isinstance(item, e.Recorded)]
    assert signals == [
        TextDelta("hi"), ToolOutput("look-1", "working…"), TextDelta("done."),
    ]  # fmt: skip
    assert all(isinstance(item, e.Recorded) for item in deaf.heard)


def test_a_listener_that_raises_is_reported_once_and_the_run_goes_on() -> None:
    class Broken(Listen):
        def hear(self, task_id: str, item: Any) -> None:
            raise OSError("no space")

        def close(self) -> None:
            raise OSError("still no space")

    life, healthy = Life(), Listen()
    state = life.drive(
        Play(says("", call()), says("done")), [Do("look")], listeners=[Broken(), healthy]
    )
    assert state.status == "done"
    assert life.complaints == ["Broken failed and is ignored: OSError: no space"]
    assert healthy.heard == life.store.read("t1")[1:]


# --- approvals ----------------------------------------------------------------------------------


def approving(*answers: str, calls: int = 2) -> tuple[Life, Play, list[str]]:
    """Drive `calls` turns that each want to `act`; the user answers as given."""
    life, left, asked = Life(approve="ask"), list(answers), []

    async def ask(wanted: ToolCall, spec: ToolSpec, in_doubt: bool, rule: str) -> str:
        asked.append(wanted.id)
        assert spec.name == wanted.name
        assert not in_doubt
        return left.pop(0)

    provider = Play(*(says("", call("act", f"a{n}")) for n in range(calls)), says("done"))
    life.drive(provider, [Do("act", changes=True)], ask=ask)
    return life, provider, asked


def test_once_allows_one_call_and_the_next_is_asked_again() -> None:
    life, _, asked = approving("once", "once")
    assert asked == ["a0", "a1"]
    assert [event.status for event in life.events(e.ToolEnded)] == ["ok", "ok"]


def test_always_allows_all_later_calls_of_the_tool() -> None:
    life, _, asked = approving("always")
    assert asked == ["a0"]
    assert len(life.events(e.ToolStarted)) == 2


def test_no_is_told_to_the_model_and_nothing_runs() -> None:
    life, provider, _ = approving("no", calls=1)
    assert life.events(e.ToolStarted) == []
    assert provider.requests[1].messages[-1] == Message("tool", DENIED_BY_USER, call_id="a0")


def test_where_nobody_can_be_asked_the_model_is_told_so() -> None:
    life = Life(approve="ask")
    provider = Play(says("", call("act")), says("done"))
    life.drive(provider, [Do("act", changes=True)])
    assert life.events(e.ToolStarted) == []
    assert provider.requests[1].messages[-1].text == DENIED["ask"]


def test_a_question_does_not_keep_a_pause_waiting() -> None:
    async def ask(*_: object) -> str:
        await asyncio.sleep(10**6)
        raise AssertionError("nobody answers")

    life = Life(approve="ask")
    state = life.drive(
        Play(says("", call("act"))), [Do("act", changes=True)], ask=ask,
        at={5: life.tell(e.PauseRequested())},
    )  # fmt: skip
    assert state.status == "paused"
    assert set(state.pending) == {"act-1"}
    assert life.now_s < 10


# --- what the model got wrong -------------------------------------------------------------------


def test_an_unknown_tool_is_told_with_the_tools_there_are() -> None:
    provider = Play(says("", call("nope")), says("done"))
    Life().drive(provider, [Do("look"), Do("act")])
    told = provider.requests[1].messages[-1].text
    assert told == "There is no tool named 'nope'. There are: look, act."


def test_arguments_that_do_not_fit_are_told_with_the_reason() -> None:
    life = Life()
    provider = Play(says("", call(arguments='{"x":')), says("done"))
    life.drive(provider, [Do("look")])
    told = provider.requests[1].messages[-1].text
    assert told == "The arguments do not fit look: a field is wrong"
    assert life.events(e.ToolStarted) == []


def test_good_calls_of_the_same_turn_run() -> None:
    life = Life()
    provider = Play(says("", call("nope"), call()), says("done"))
    life.drive(provider, [Do("look")])
    assert {event.tool: event.status for event in life.events(e.ToolEnded)} == {
        "nope": "invalid", "look": "ok",
    }  # fmt: skip


def test_calls_with_the_same_id_in_one_turn_are_told_apart() -> None:
    life = Life()
    life.drive(Play(says("", call(call_id="x"), call(call_id="x")), says("done")), [Do("look")])
    assert len({event.call_id for event in life.events(e.ToolEnded)}) == 2


def test_empty_replies_are_nudged_and_given_up_after_three() -> None:
    provider = Play(says(""), says(" "), says(""), says("too late"))
    state = Life().drive(provider)
    assert (state.status, len(provider.requests)) == ("failed", 3)
    assert provider.requests[1].messages[-1] == Message("user", EMPTY_NUDGE)
    assert state.stopped is not None
    assert "3 empty or cut replies" in state.stopped.reason


def test_a_nudge_helps() -> None:
    assert Life().drive(Play(says(""), says(""), says("done"))).status == "done"


def test_a_reply_cut_at_the_output_limit_goes_on_where_it_stopped() -> None:
    provider = Play(says("one tw", stop="length"), says("o three"))
    state = Life().drive(provider)
    assert (state.status, state.answer) == ("done", "one two three")
    assert [m.text for m in provider.requests[1].messages[1:]] == ["one tw", LENGTH_NUDGE]


def test_text_that_cannot_be_stored_is_made_storable() -> None:
    state = Life().drive(Play(says("bad \ud800 end")))
    assert state.answer.startswith("bad \ufffd")
    state.answer.encode()


# --- in doubt -----------------------------------------------------------------------------------


def test_a_call_that_was_cut_off_is_told_as_unknown_after_a_crash() -> None:
    life = Life()
    answer = e.ModelAnswered(Message("assistant", "", (call("act"),)), says().usage, "tools", 5)
    life.tell(e.ModelAsked(1, "sim", "sim-1", 9, 9, 9), answer)()
    life.tell(e.ToolStarted("act-1", "act", "unsafe"))()
    life.resume()
    provider = Play(says("I checked"))
    state = life.drive(provider, [Do("act", repeat="unsafe")])
    assert provider.requests[0].messages[-1].text == UNKNOWN
    assert state.status == "done"


def test_a_model_call_without_an_answer_is_charged_at_its_reserve() -> None:
    life = Life()
    life.tell(e.ModelAsked(1, "sim", "sim-1", 7_000, 900, 400))()
    life.resume()
    life.drive(Play(says("done")))
    (lost,) = life.events(e.ModelFailed)
    assert (lost.reason, lost.charged_micros, lost.charged_tokens) == ("interrupted", 7_000, 900)


def test_a_clock_that_was_set_back_does_not_set_the_log_back() -> None:
    life = Life()
    life.now_s = 500_000.0
    life.resume()
    life.now_s = 1.0
    life.drive(Play(says("done")))
    times = [record.at_ms for record in life.store.read("t1")]
    assert times == sorted(times)


def test_a_clock_set_forward_elsewhere_neither_stops_time_nor_uses_it_up() -> None:
    life = Life(limits=Limits(wall_ms=60_000))
    hour_ms = 3_600_000

    def others_write(_context: object) -> str:
        changed = e.LimitChanged(Limits(wall_ms=60_000))
        life.store.append("t1", None, [changed], now_ms() + hour_ms)
        return "done"

    async def slow() -> Answer:
        await asyncio.sleep(5)
        return says("done")

    state = life.drive(Play(says("", call()), slow), [Do("look", others_write)])
    assert state.status == "done"
    told, *_, last = life.store.read("t1")[-4:]
    assert last.at_ms >= told.at_ms + 5_000


# --- limits -------------------------------------------------------------------------------------


def test_the_step_limit_stops_and_more_steps_go_on() -> None:
    life = Life(limits=Limits(steps=1))
    provider = Play(says("", call()), says("done"))
    state = life.drive(provider, [Do("look")])
    assert (state.status, len(provider.requests)) == ("limit", 1)
    life.tell(e.LimitChanged(Limits(steps=2)))()
    life.resume()
    assert life.drive(provider, [Do("look")]).status == "done"


def test_a_limit_that_is_raised_just_before_it_would_stop_the_task_keeps_it_going() -> None:
    life = Life(limits=Limits(steps=1))

    def look(_: object) -> str:
        life.tell(e.LimitChanged(Limits(steps=2)))()
        return "done"

    assert life.drive(Play(says("", call()), says("done")), [Do("look", look)]).status == "done"
    assert life.events(e.LimitReached) == []


def test_the_provider_is_given_what_the_budget_still_allows() -> None:
    provider = Play(says("done"))
    Life(limits=Limits(task_cost_micros=9_000)).drive(provider)
    allowed = provider.requests[0].max_output
    assert 256 <= allowed < 4_000
