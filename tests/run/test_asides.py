"""A driver makes calls beside the conversation: they are booked, unheard, and no steps."""

from __future__ import annotations

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.aside import SUMMARY_REQUEST
from agentctl.core.live import TextDelta
from agentctl.core.values import ContextPolicy, Limits, Message, Usage
from tests.run.parts import Do, Life, Listen, Play, busy, call, says
from tests.sim import loop

PROSE = "some words that no mask takes away. " * 60
POLICY = ContextPolicy(5_500)
LIMITS = Limits(steps=None, task_tokens=None, task_cost_micros=None, calls_per_minute={"ai": None})


def turns(count: int, first: int = 1) -> list:
    told = [says(PROSE, call(call_id=f"c{n}")) for n in range(first, first + count)]
    usages = [Usage(input=100 + 640 * n, output=600) for n in range(count)]
    return [replace(each, usage=usage) for each, usage in zip(told, usages, strict=True)]


def life() -> Life:
    return Life(context=POLICY, limits=LIMITS)


def test_a_run_asks_for_a_summary_and_goes_on_with_it() -> None:
    run, look = life(), Do("look")
    play = Play(*turns(9), says("It was all prose.", call("look", "stray")), says("done"))
    state = run.drive(play, [look])
    asked = [event.purpose for event in run.events(e.ModelAsked)]
    assert asked == [*["step"] * 9, "summary", "step"]
    summary, last = play.requests[-2:]
    assert summary.messages[-1].text == SUMMARY_REQUEST
    assert summary.messages[:-1] == play.requests[-3].messages + list(state.messages[17:19])
    assert (summary.tools, summary.system) == (last.tools, last.system), "one cached beginning"
    assert "It was all prose." in last.messages[1].text
    assert state.status == "done"
    assert state.steps == 10
    assert not [end for end in run.events(e.ToolEnded) if end.call_id == "stray"]


def test_nobody_hears_a_summary_as_if_it_were_the_answer() -> None:
    run, listen = life(), Listen(live=True)
    run.drive(Play(*turns(9), says("It was all prose."), says("done")), [Do("look")],
              listeners=[listen])  # fmt: skip
    heard = "".join(item.text for item in listen.heard if isinstance(item, TextDelta))
    assert heard == PROSE * 9 + "done"


def test_a_summary_that_fails_is_not_tried_again() -> None:
    run = life()
    play = Play(*turns(9), busy(30_000), says("done"))
    state = run.drive(play, [Do("look")])
    assert state.status == "done"
    assert play.at_ms[-1] - play.at_ms[-2] >= 30_000, "but what was asked for is obeyed"
    assert [event.purpose for event in run.events(e.ModelAsked)].count("summary") == 1
    (pruned,) = run.events(e.ContextPruned)
    assert pruned.drop_before
    assert "What you wrote" not in pruned.note


def test_a_summary_cut_by_a_crash_is_charged_and_done_without() -> None:
    run = life()

    async def cut_off() -> None:
        run.driver.interrupt("SIGTERM")
        await loop.asyncio.sleep(1_000)

    assert run.drive(Play(*turns(9), cut_off), [Do("look")]).status == "paused"
    (lost,) = run.events(e.ModelFailed)
    assert lost.charged_micros
    run.resume()
    state = run.drive(Play(says("done")), [Do("look")])
    assert state.status == "done"
    assert [event.purpose for event in run.events(e.ModelAsked)][-2:] == ["summary", "step"]


def test_equal_requests_are_reused_but_no_summary_is() -> None:
    run = Life(context=POLICY, limits=LIMITS, reuse=True)
    run.drive(Play(*turns(9), says("a summary"), says("done")), [Do("look")])
    side = next(event for event in run.events(e.ModelAsked) if event.purpose == "summary")
    assert side.request == ""


def test_reasoning_of_a_summary_is_not_kept() -> None:
    run, told = life(), says("It was all prose.")
    told = replace(told, message=Message("assistant", "It was all prose.", native='[{"x":1}]'))
    run.drive(Play(*turns(9), told, says("done")), [Do("look")])
    assert all(not event.message.native for event in run.events(e.ModelAnswered))
