"""What a run does when the model, a tool or a shared limit is not there for it, in virtual time.

It goes on with another model, an earlier answer or another tool; it waits, parks or is let go on.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from agentctl.core import events as e
from agentctl.core.answers import CACHED
from agentctl.core.rows import Gate
from agentctl.core.values import Breaker, Limits, Message, Rates, Usage
from agentctl.ports import Answer
from agentctl.pricing import FixedPricer
from agentctl.providers.cached import Cached
from agentctl.run.world import Mind
from tests.run.parts import Do, Life, Play, busy, call, says
from tests.sim.life import START_MS, SimCounter
from tests.sim.rules import SimPricer

OTHER, THIRD = "sim2/b", "sim3/c"
QUICK = Limits(attempts=2)
FRAGILE = Breaker(failures=2, window_ms=600_000, reset_ms=30_000)


class Second(Play):
    name, model = "sim2", "b"


class Third(Play):
    name, model = "sim3", "c"


def mind(provider: Any) -> Mind:
    return Mind(provider, SimPricer(), SimCounter())


def cached(life: Life) -> Mind:
    def kept(key: str) -> Answer | None:
        found = life.store.answered(key)
        return None if found is None else Answer(found.message, Usage(), found.stop)

    return Mind(Cached(kept, "answer"), FixedPricer(Rates()), SimCounter())


def life_with(limits: Limits = QUICK, fallbacks: tuple[str, ...] = (OTHER,)) -> Life:
    return Life(limits=limits, fallbacks=fallbacks)


def down(**changes: Any) -> Exception:
    return busy(0, reason="server", **changes)


def askers(life: Life) -> list[str]:
    return [asked.provider for asked in life.events(e.ModelAsked)]


# --- another model ------------------------------------------------------------------------------


def test_when_retries_end_the_next_model_goes_on_with_the_conversation() -> None:
    life = life_with()
    first, second = Play(says("", call()), down(), down()), Second(says("done"))
    state = life.drive(first, [Do("look", lambda _: "three files")], others={OTHER: mind(second)})
    assert (state.status, state.answer) == ("done", "done")
    assert second.requests[0].messages == [
        Message("user", "goal"),
        Message("assistant", "", (call(),)),
        Message("tool", "three files", call_id="look-1"),
    ]
    (switch,) = state.switches
    assert (switch.provider, switch.model) == ("sim2", "b")
    assert switch.why == "too many requests (after 2 tries)"
    assert askers(life) == ["sim", "sim", "sim", "sim2"]
    assert (first.closed, second.closed) == (1, 1)


def test_the_run_stays_with_the_fallback() -> None:
    life = life_with()
    second = Second(says("", call()), says("", call(call_id="look-2")), says("done"))
    state = life.drive(Play(down(), down()), [Do("look")], others={OTHER: mind(second)})
    assert state.status == "done"
    assert askers(life) == ["sim", "sim", "sim2", "sim2", "sim2"]
    assert len(state.switches) == 1


def test_an_open_circuit_switches_without_further_tries() -> None:
    life = life_with(Limits(attempts=9, breaker=FRAGILE))
    first, second = Play(down(), down()), Second(says("done"))
    state = life.drive(first, others={OTHER: mind(second)})
    assert state.status == "done"
    assert len(first.requests) == FRAGILE.failures
    assert state.switches[0].why == "sim failed 2 times in a row"
    (told,) = life.events(e.LimitReached)
    assert (told.guard, told.limit) == ("circuit", "provider:sim")


def test_a_circuit_that_another_task_opened_is_gone_round_at_once() -> None:
    life = life_with(Limits(breaker=FRAGILE))
    other = e.TaskCreated("other", "", "sim", "sim-1", "/", Limits())
    life.store.create("t0", other, START_MS)
    for number in (1, 2):
        life.store.append("t0", None, [e.ModelAsked(number, "sim", "sim-1", 9, 9, 9)], START_MS)
        lost = e.ModelFailed("server", "down", retriable=True)
        life.store.append("t0", None, [lost], START_MS, gate=Gate(breaker=FRAGILE))
    first, second = Play(says("never")), Second(says("done"))
    assert life.drive(first, others={OTHER: mind(second)}).status == "done"
    assert first.requests == []


def test_without_a_fallback_an_open_circuit_is_waited_for() -> None:
    life = Life(limits=Limits(attempts=9, breaker=FRAGILE))
    provider = Play(down(), down(), says("done"))
    assert life.drive(provider).status == "done"
    assert provider.at_ms[2] - provider.at_ms[1] >= FRAGILE.reset_ms


def test_a_wrong_key_is_no_reason_to_switch_and_an_empty_purse_is() -> None:
    for reason, status in (("auth", "failed"), ("quota", "done")):
        life = life_with()
        first = Play(busy(reason=reason, retriable=False))
        state = life.drive(first, others={OTHER: mind(Second(says("done")))})
        assert (reason, state.status) == (reason, status)


def test_fallbacks_are_tried_in_their_order_and_each_only_once() -> None:
    life = life_with(fallbacks=(OTHER, THIRD))
    providers = Play(down(), down()), Second(down(), down()), Third(down(), down())
    others = {OTHER: mind(providers[1]), THIRD: mind(providers[2]), "cached/answer": cached(life)}
    state = life.drive(providers[0], others=others)
    assert state.status == "failed"
    assert [f"{s.provider}/{s.model}" for s in state.switches] == [OTHER, THIRD, "cached/answer"]
    assert askers(life) == ["sim", "sim", "sim2", "sim2", "sim3", "sim3", CACHED]
    assert state.stopped is not None
    assert "No earlier answer to the same request is kept" in state.stopped.reason


def test_the_models_that_failed_are_tried_again_after_an_answer() -> None:
    life = life_with()
    first = Play(down(), down(), says("done"))
    second = Second(says("", call()), down(), down())
    state = life.drive(first, [Do("look")], others={OTHER: mind(second)})
    assert state.status == "done"
    assert askers(life) == ["sim", "sim", "sim2", "sim2", "sim2", "sim"]


# --- an earlier answer --------------------------------------------------------------------------


def test_when_all_fail_an_earlier_answer_to_the_same_request_is_used() -> None:
    earlier = life_with()
    earlier.drive(Play(says("forty-two")), others={OTHER: mind(Second())})
    life = life_with()
    life.store.logs["t0"] = earlier.store.logs["t1"]
    others = {OTHER: mind(Second(down(), down())), "cached/answer": cached(life)}
    state = life.drive(Play(down(), down()), others=others)
    assert (state.status, state.answer) == ("done", "forty-two")
    assert [switch.provider for switch in state.switches] == ["sim2", CACHED]
    asked, answered = life.events(e.ModelAsked)[-1], life.events(e.ModelAnswered)[-1]
    assert (asked.provider, asked.reserve_micros, answered.cost_micros) == (CACHED, 0, 0)


def test_an_earlier_answer_stands_for_one_call_and_the_chosen_model_is_asked_next() -> None:
    earlier = life_with()
    earlier.drive(Play(says("", call()), says("done")), [Do("look")], others={})
    life = life_with()
    life.store.logs["t0"] = earlier.store.logs["t1"]
    first = Play(down(), down(), says("all well again"))
    others = {OTHER: mind(Second(down(), down())), "cached/answer": cached(life)}
    state = life.drive(first, [Do("look", lambda _: "something new")], others=others)
    assert (state.status, state.answer) == ("done", "all well again")
    assert askers(life) == ["sim", "sim", "sim2", "sim2", CACHED, "sim"]


def test_with_reuse_an_equal_request_is_not_paid_twice() -> None:
    first, second = Life(reuse=True), Life(reuse=True)
    paid = first.drive(Play(says("looking", call()), says("done")), [Do("look")], others={})
    second.store.logs["t0"] = first.store.logs["t1"]
    again = Play(says("never asked"))
    state = second.drive(again, [Do("look")], others={"cached/answer": cached(second)})
    assert (state.status, state.answer, len(again.requests)) == ("done", "done", 0)
    assert (state.spent_micros, state.spared_micros) == (0, paid.spent_micros)
    assert paid.spent_micros > 0


def test_with_reuse_the_model_is_asked_from_the_first_difference_on() -> None:
    first, second = Life(reuse=True), Life(reuse=True)
    first.drive(Play(says("looking", call()), says("done")), [Do("look")], others={})
    second.store.logs["t0"] = first.store.logs["t1"]
    again = Play(says("it is otherwise now"))
    others = {"cached/answer": cached(second)}
    state = second.drive(again, [Do("look", lambda _: "something new")], others=others)
    assert (state.answer, askers(second)) == ("it is otherwise now", [CACHED, "sim"])


def asked_again(earlier: Life, life: Life) -> list[str]:
    """Who answers a run after an earlier one with the same goal."""
    life.store.logs["t0"] = earlier.store.logs["t1"]
    life.drive(Play(says("anew")), others={"cached/answer": cached(life)})
    return askers(life)


def test_with_reuse_what_a_fallback_said_is_not_taken_for_the_words_of_the_first_model() -> None:
    earlier = Life(limits=QUICK, fallbacks=(OTHER,), reuse=True)
    earlier.drive(Play(down(), down()), others={OTHER: mind(Second(says("from the second")))})
    assert asked_again(earlier, Life(reuse=True)) == ["sim"]


def test_with_reuse_another_server_or_account_is_asked_anew() -> None:
    earlier = Life(reuse=True)
    earlier.drive(Play(says("done")), others={})
    assert asked_again(earlier, Life(reuse=True)) == [CACHED]
    elsewhere = Life(reuse=True, options={"sim:base_url": "http://127.0.0.1:1"})
    assert asked_again(earlier, elsewhere) == ["sim"]
    assert asked_again(earlier, Life(reuse=True, account="b")) == ["sim"]


def test_with_reuse_an_answer_that_was_cut_or_declined_is_asked_for_again() -> None:
    for answer in (says("half of", stop="length"), says("no", stop="refusal"), says("  ")):
        earlier = Life(reuse=True)
        earlier.drive(Play(answer, says("done")), others={})
        assert asked_again(earlier, Life(reuse=True))[0] == "sim"


def test_an_answer_to_another_request_is_not_used() -> None:
    earlier = life_with()
    earlier.drive(Play(says("forty-two")), [Do("another tool")], others={})
    life = life_with()
    life.store.logs["t0"] = earlier.store.logs["t1"]
    others = {OTHER: mind(Second(down(), down())), "cached/answer": cached(life)}
    assert life.drive(Play(down(), down()), others=others).status == "failed"


# --- tools --------------------------------------------------------------------------------------


def test_a_tool_whose_circuit_is_open_is_unavailable_and_the_model_goes_on() -> None:
    def breaks(_context: object) -> str:
        raise RuntimeError("a defect")

    life = Life(limits=Limits(breaker=FRAGILE))
    turns = [says("", call("act", f"a{n}")) for n in range(3)]
    provider = Play(*turns, says("found another way"))
    state = life.drive(provider, [Do("act", breaks), Do("look")])
    assert (state.status, state.answer) == ("done", "found another way")
    statuses = [event.status for event in life.events(e.ToolEnded)]
    assert statuses == ["broken", "broken", "unavailable"]
    told = provider.requests[-1].messages[-1].text
    assert told.startswith("Not available now: act failed 2 times in a row.")
    assert len(life.events(e.ToolStarted)) == 2
    (reached,) = life.events(e.LimitReached)
    assert (reached.guard, reached.limit, reached.tool) == ("circuit", "tool:act", "act")


def test_of_a_turn_of_40_calls_30_start_and_ten_a_minute_later() -> None:
    life = Life(limits=Limits(calls_per_minute={"default": 30}))
    calls = [call(call_id=f"c{n}") for n in range(40)]
    provider = Play(says("", *calls), says("done"))
    assert life.drive(provider, [Do("look")]).status == "done"
    starts = [r.at_ms for r in life.store.read("t1") if isinstance(r.event, e.ToolStarted)]
    early, late = starts[:30], starts[30:]
    assert len(late) == 10
    assert early[0] == early[-1]
    assert all(60_000 <= at_ms - early[0] < 61_000 for at_ms in late)
    answered = [m.call_id for m in provider.requests[-1].messages if m.role == "tool"]
    assert sorted(answered) == sorted(c.id for c in calls)
    (told,) = life.events(e.LimitReached)
    assert (told.guard, told.limit, told.cap) == ("rate", "default_calls_per_minute", 30)


# --- waiting ------------------------------------------------------------------------------------


def used_up_hour(cap_micros: int, **limits: Any) -> Life:
    """A task whose hour another one has used."""
    life = Life(limits=Limits(hour_cost_micros=cap_micros, **limits))
    life.store.create("t0", e.TaskCreated("other", "", "sim", "sim-1", "/", Limits()), START_MS)
    asked = e.ModelAsked(1, "sim", "sim-1", cap_micros, 9, 9)
    answered = e.ModelAnswered(Message("assistant", "yes"), Usage(), "end", cap_micros)
    life.store.append("t0", None, [asked, answered], START_MS)
    return life


def test_a_limit_raised_by_another_process_wakes_the_sleeper_at_once() -> None:
    life = used_up_hour(50_000, on_limit="wait", wait_in_place_ms=7_200_000)
    provider = Play(says("done"))
    more = Limits(hour_cost_micros=10_000_000)
    raised = life.tell(e.LimitChanged(more, "I said so"))
    assert life.drive(provider, at={600: raised}).status == "done"
    assert 600_000 <= provider.at_ms[0] - START_MS - 1_000 < 601_000


def test_a_limit_changed_to_one_that_still_refuses_leaves_it_asleep() -> None:
    life = used_up_hour(50_000, on_limit="wait", wait_in_place_ms=7_200_000)
    still = Limits(hour_cost_micros=50_000, on_limit="wait", wait_in_place_ms=7_200_000, steps=7)
    provider = Play(says("done"))
    assert life.drive(provider, at={600: life.tell(e.LimitChanged(still))}).status == "done"
    assert provider.at_ms[0] - START_MS >= 3_600_000


def test_a_task_parked_at_the_hours_limit_goes_on_when_it_is_woken_after_its_time() -> None:
    life = used_up_hour(50_000, on_limit="wait")
    state = life.drive(Play())
    assert state.status == "waiting"
    assert state.stopped is not None
    assert life.now_s < 5, "nobody sat and waited"
    life.resume()
    assert life.drive(Play()).status == "waiting", "too early"
    life.now_s = (state.stopped.wake_ms - START_MS) / 1000
    life.resume()
    assert life.drive(Play(says("done"))).status == "done"


def test_a_task_parked_for_its_pace_goes_on_when_it_is_woken_after_its_time() -> None:
    limits = Limits(calls_per_minute={"ai": 1}, wait_in_place_ms=10_000)
    life = Life(limits=limits)
    state = life.drive(Play(says("", call())), [Do("look")])
    assert state.status == "waiting"
    assert state.stopped is not None
    assert state.stopped.limit == "ai_calls_per_minute"
    life.now_s = (state.stopped.wake_ms - START_MS) / 1000
    life.resume()
    assert life.drive(Play(says("done")), [Do("look")]).status == "done"


# --- credits ------------------------------------------------------------------------------------


def test_credits_come_back_for_a_call_that_was_certainly_not_billed() -> None:
    limits = Limits(credits={"sim/sim-1": 7, "look": 2})
    for billed, paid in ((False, 7 + 2 + 7), (True, 7 + 7 + 2 + 7)):
        life = Life(limits=limits)
        life.store.credits["default"] = 100
        provider = Play(busy(0, may_be_billed=billed), says("", call()), says("done"))
        state = life.drive(provider, [Do("look")])
        assert state.status == "done"
        assert life.store.credits["default"] == 100 - paid
        assert state.credits_spent == paid


# --- what dead processes left -------------------------------------------------------------------


def test_a_run_settles_what_dead_processes_reserved_every_30_seconds() -> None:
    """Whatever it is doing meanwhile, so that no reservation outlives its owner by a minute."""
    life = Life()
    swept: list[float] = []

    def sweep() -> None:
        swept.append(asyncio.get_running_loop().time())

    async def slow() -> Answer:
        await asyncio.sleep(200)
        return says("", call())

    async def work(_context: object) -> str:
        await asyncio.sleep(100)
        return "worked"

    tool = Do("look", work, timeout_ms=10**9)
    life.drive(Play(slow, busy(50_000), says("done")), [tool], sweep=sweep)
    assert life.now_s > 350
    moments = [1.0, *swept, life.now_s]
    gaps = [late - early for early, late in itertools.pairwise(moments)]
    assert max(gaps) < 31
    assert min(gaps[:-1]) >= 30
