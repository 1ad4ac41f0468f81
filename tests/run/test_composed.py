"""Composed tools in a real run: what the log has of their parts, time, crashes and pauses."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.decide import UNKNOWN
from agentctl.core.values import Limits, Repeat, Rule
from agentctl.errors import ToolError
from agentctl.ports import ToolResult
from agentctl.testing import asked, replayed, simulated
from agentctl.tools.compose import (
    Composed,
    mapped,
    parallel,
    sequential,
    settled,
    use,
    with_fallback,
)
from tests.run.parts import Do, Life, Play, call, says


def two(repeat: Repeat = "unsafe") -> tuple[list[Any], list[str]]:
    """A sequence of two tools, and a list of what was done."""
    done: list[str] = []

    def act(name: str) -> Do:
        return Do(name, lambda _: done.append(name) or f"{name} done", repeat=repeat)

    return settled([sequential("both", act("one"), use(act("two"), {}))]), done


def log(life: Life) -> list[tuple[str, str, str]]:
    """What happened to calls: id, tool and parent, an end with its status before the tool."""
    found = []
    for event in life.events(e.Event):
        if isinstance(event, e.ToolStarted):
            found.append((event.call_id, event.tool, event.parent))
        elif isinstance(event, e.ToolEnded):
            found.append((event.call_id, f"{event.status} {event.tool}", event.parent))
    return found


def answer(life: Life, tools: list[Any], *, name: str = "", arguments: str = "{}") -> str:
    """What the model was given for one call of the first tool."""
    wanted = call(name or tools[0].spec.name, "c1", arguments)
    provider = Play(says("", wanted), says("done"))
    assert life.drive(provider, tools).status == "done"
    return provider.requests[1].messages[-1].text


def test_each_call_within_is_in_the_log_below_its_parent() -> None:
    life, (tools, done) = Life(), two()
    assert answer(life, tools) == "two done"
    assert done == ["one", "two"]
    assert log(life) == [
        ("c1", "both", ""),
        ("c1/1", "one", "c1"),
        ("c1/1", "ok one", "c1"),
        ("c1/2", "two", "c1"),
        ("c1/2", "ok two", "c1"),
        ("c1", "ok both", ""),
    ]


def cut_after(life: Life, call_id: str) -> Life:
    """Another life whose log ends right after this call, as a crash leaves it."""
    records = life.store.read("t1")
    last = next(
        n for n, r in enumerate(records)
        if isinstance(r.event, e.ToolEnded) and r.event.call_id == call_id
    )  # fmt: skip
    crashed = Life()
    for record in records[1 : last + 1]:
        crashed.tell(record.event)()
    crashed.resume()
    return crashed


def test_after_a_crash_between_two_calls_an_unsafe_parent_is_in_doubt() -> None:
    life, (tools, done) = Life(), two("unsafe")
    answer(life, tools)
    crashed = cut_after(life, "c1/1")
    done.clear()
    provider = Play(says("I checked"))
    assert crashed.drive(provider, tools).status == "done"
    assert provider.requests[0].messages[-1].text == UNKNOWN
    assert done == []
    assert log(crashed)[-1] == ("c1", "unknown both", "")


def test_after_a_crash_between_two_calls_an_idempotent_parent_runs_again() -> None:
    life, (tools, done) = Life(), two("idempotent")
    answer(life, tools)
    crashed = cut_after(life, "c1/1")
    done.clear()
    provider = Play(says("done"))
    crashed.drive(provider, tools)
    assert provider.requests[0].messages[-1].text == "two done"
    assert done == ["one", "two"]


def test_a_failure_within_is_told_by_the_parent() -> None:
    def fails(_context: object) -> str:
        raise ToolError("no such file")

    life, one = Life(), Do("one", fails)
    assert answer(life, settled([sequential("both", one, use(Do("two"), {}))])) == (
        "Step 1 of 2 (one) failed: no such file\nDone before it: nothing."
    )
    assert log(life)[-2:] == [("c1/1", "error one", "c1"), ("c1", "error both", "")]


async def hangs(_context: object) -> str:
    await asyncio.sleep(10**6)
    return ""


def test_a_part_that_takes_too_long_is_told_in_its_place() -> None:
    slow = Do("slow", hangs, timeout_ms=2_000)
    told = answer(Life(), settled([parallel("both", slow, Do("fast"))]))
    assert told == ("[slow] failed:\nStopped after 2 s: the time limit of slow.\n\n[fast]\ndone")


def breaks(_context: object) -> str:
    raise ZeroDivisionError("defect")


def test_after_an_unsafe_call_that_was_cut_or_broke_no_other_is_tried() -> None:
    for run in (hangs, breaks):
        first = Do("first", run, repeat="unsafe", timeout_ms=2_000)
        other = Do("other", repeat="unsafe")
        tools = settled([with_fallback("either", first, other)])
        life = Life()
        assert answer(life, tools).startswith("Nobody knows what first did, so other was not tried")
        assert "other" not in [event.tool for event in life.events(e.ToolStarted)]
        after_no = Do("first", lambda _: ToolResult("exit code 1", ok=False), repeat="unsafe")
        assert answer(Life(), settled([with_fallback("either", after_no, other)])) == "done"


def test_a_pause_lets_no_further_call_begin() -> None:
    life = Life()

    def pauses(_context: object) -> str:
        life.tell(e.PauseRequested())()
        return "done"

    other = Do("two")
    tools = settled([sequential("both", Do("one", pauses), use(other, {}))])
    state = life.drive(Play(says("", call("both", "c1"))), tools)
    assert state.status == "paused"
    assert [event.call_id for event in life.events(e.ToolStarted)] == ["c1", "c1/1"]
    assert "Done before it: one." in life.events(e.ToolEnded)[-1].text


def test_many_items_side_by_side_and_deep_do_not_block_each_other() -> None:
    look = simulated("look", responses=lambda given: str(given["n"]))
    inner = sequential("inner", look)
    outer = mapped("outer", inner, at_once=5)
    wide = parallel("wide", *[use(outer, label=f"l{n}") for n in range(8)])
    unpaced = Life(limits=Limits(calls_per_minute={"default": None}))
    items = ",".join(f'{{"n":{n}}}' for n in range(12))
    told = answer(unpaced, settled([wide]), arguments=f'{{"items":[{items}]}}')
    assert told.count("[12 of 12]\n11") == 8
    assert len(look.invocations) == 8 * 12


def test_simulated_tools_stand_for_real_ones_and_a_log_can_be_replayed() -> None:
    fetch = simulated("fetch", responses={asked(url="a"): "page", asked(url="b"): ToolError("404")})
    real = settled([with_fallback("get", use(fetch, {"url": "b"}), use(fetch, {"url": "a"}))])
    life = Life()
    assert answer(life, real) == "page"
    fetch.assert_called(1, url="b")
    again = Life()
    tools: list[Any] = list(replayed(life.store.read("t1")))
    assert answer(again, tools, name="get") == "page"
    fetch.assert_called(2)
    assert tools[0].recording.left == []


def test_a_composed_tool_is_no_tool_without_its_parts() -> None:
    made = sequential("both", "one")
    assert isinstance(made, Composed)
    made.spec = replace(made.spec, parts=("one",))
    life = Life()
    assert "There is no tool named 'one' here." in answer(life, [made])


def test_a_rule_that_denies_a_part_holds_within_and_what_was_refused_is_on_record() -> None:
    (tools, done), life = two(), Life()
    rules = (Rule("deny", "two"),)
    provider = Play(says("", call("both", "c1")), says("done"))
    assert life.drive(provider, tools, rules=rules).status == "done"
    assert done == ["one"]
    refused = next(end for end in life.events(e.ToolEnded) if end.call_id == "c1/2")
    assert (refused.status, refused.parent, refused.arguments) == ("denied", "c1", "{}")
    started = [start.arguments for start in life.events(e.ToolStarted) if start.parent]
    assert started == ["{}"]
