"""Calls that calls make: what is on record of them, what is refused, how they end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from agentctl.core import events as e
from agentctl.core.values import Limits
from agentctl.errors import StoreError, ToolError
from agentctl.ports import ToolContext, ToolResult
from agentctl.run.toolbelt import Toolbelt
from tests.run.belts import Seen, fails, sleeps, tool
from tests.run.parts import Do, Life, Play, call, says

# --- calls that calls make ----------------------------------------------------------------------


def outer(*names: str, **spec: Any) -> Do:
    """A tool that makes these act, one after the other, and tells what they said."""

    async def work(context: ToolContext) -> str:
        assert context.call is not None
        said = []
        for name in names:
            try:
                said.append((await context.call(name, "{}")).text)
            except ToolError as error:
                said.append(f"refused: {error}")
        return "; ".join(said)

    return tool("outer", work, **{"parts": names, **spec})


def test_an_inner_call_is_written_before_it_runs_and_when_it_ends() -> None:
    seen = Seen(outer("a", "b"), tool("a", lambda c: c.call_id), tool("b", lambda c: c.call_id))
    seen.run(call("outer", "p"))
    assert seen.log == [
        "p/1 started for p", "p/1 ok", "p/2 started for p", "p/2 ok", "p ok",
    ]  # fmt: skip
    assert [(end.parent, end.text) for end in seen.ends] == [
        ("p", "p/1"), ("p", "p/2"), ("", "p/1; p/2"),
    ]  # fmt: skip


def test_what_an_inner_call_gave_is_whole_for_its_parent() -> None:
    seen = Seen(outer("big"), tool("big", lambda _: "x" * 50_000))
    inner, parent = seen.run(call("outer", "p"))
    assert len(inner.text) < 14_000
    assert inner.output_bytes == parent.output_bytes == 50_000


def test_an_inner_call_that_fails_is_a_result_that_is_not_ok() -> None:
    results: list[ToolResult] = []

    async def work(context: ToolContext) -> str:
        assert context.call is not None
        results.append(await context.call("bad", "{}"))
        return "done"

    Seen(tool("outer", work, parts=("bad",)), tool("bad", fails(1, ToolError("no")))).run(
        call("outer")
    )
    assert results == [ToolResult("no", ok=False)]


@pytest.mark.parametrize(
    ("parts", "name", "arguments", "status", "why"),
    [
        ((), "a", "{}", "denied", "outer does not say that it makes 'a' act."),
        (("gone",), "gone", "{}", "invalid", "There is no tool named 'gone' here."),
        (("a",), "a", "[]", "invalid", "The arguments do not fit a: a field is wrong"),
        (("a",), "a", "{}", "unavailable", "the window is full"),
    ],
)
def test_a_refused_inner_call_is_told_and_on_record(
    parts: tuple[str, ...], name: str, arguments: str, status: str, why: str
) -> None:
    ran: list[str] = []

    async def work(context: ToolContext) -> str:
        assert context.call is not None
        await context.call(name, arguments)
        return "not reached"

    seen = Seen(tool("outer", work, parts=parts), tool("a", lambda c: ran.append(c.call_id)))
    seen.refused = "the window is full"
    inner, parent = seen.run(call("outer", "p"))
    assert (inner.call_id, inner.status, inner.text, inner.parent) == ("p/1", status, why, "p")
    assert (parent.status, parent.text, ran) == ("error", why, [])


def test_what_the_user_does_not_allow_is_denied() -> None:
    seen = Seen(outer("a"), tool("a"))
    inner, parent = seen.run(call("outer", "p"), may=lambda call, spec: f"no {spec.name} here")
    assert (inner.status, inner.text) == ("denied", "no a here")
    assert parent.text == "refused: no a here"


def test_calls_go_no_deeper_than_five() -> None:
    depths: list[str] = []

    async def work(context: ToolContext) -> str:
        depths.append(context.call_id)
        assert context.call is not None
        return (await context.call("again", "{}")).text

    seen = Seen(tool("again", work, parts=("again",)))
    *_, last = seen.run(call("again", "p"))
    assert depths == ["p" + "/1" * n for n in range(6)]
    assert last.text == "Tools that make tools act go no deeper than 5."


def test_inner_calls_need_no_place_that_their_parents_hold() -> None:
    seen = Seen(outer("a", category="x"), tool("a", category="x"), max_concurrent=1,
                concurrency={"x": 1})  # fmt: skip
    seen.run(*(call("outer", f"p{n}") for n in range(3)))
    assert [end.status for end in seen.ends] == ["ok"] * 6


def test_inner_calls_keep_the_limit_of_their_category() -> None:
    began: list[str] = []
    most = [0]

    async def work(context: ToolContext) -> str:
        assert context.call is not None
        await asyncio.gather(*(context.call("a", "{}") for _ in range(4)))
        return "done"

    inner = tool("a", sleeps(began, most), category="shell")
    seen = Seen(tool("outer", work, parts=("a",)), inner, concurrency={"shell": 2})
    seen.run(call("outer", "p"), call("a", "q"))
    assert most == [2]
    assert sorted(began) == ["p/1", "p/2", "p/3", "p/4", "q"]


def test_every_try_of_a_call_makes_inner_calls_with_the_same_ids_and_keys() -> None:
    keys: list[str] = []

    async def work(context: ToolContext) -> str:
        assert context.call is not None
        await context.call("a", "{}")
        if len(keys) == 1:
            raise ToolError("busy", retriable=True)
        return "done"

    a = tool("a", lambda c: keys.append(c.key) or "done", repeat="idempotent")
    Seen(tool("outer", work, parts=("a",), attempts=2), a).run(call("outer", "p"))
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_what_a_tool_left_behind_is_stopped_and_on_record() -> None:
    later: list[str] = []

    async def work(context: ToolContext) -> str:
        assert context.call is not None

        async def leave() -> None:
            await context.call("slow", "{}")

        async def too_late() -> None:
            await asyncio.sleep(50)
            try:
                await context.call("slow", "{}")
            except ToolError as error:
                later.append(str(error))

        left.extend([asyncio.ensure_future(leave()), asyncio.ensure_future(too_late())])
        await asyncio.sleep(1)
        return "done"

    async def other(_context: object) -> str:
        await asyncio.sleep(100)
        return "done"

    left: list[Any] = []
    tools = tool("outer", work, parts=("slow",)), tool("slow", other), tool("other", other)
    seen = Seen(*tools, max_concurrent=9)
    hours = Limits(timeouts_ms={"default": 10**6})
    seen.run(call("outer", "p"), call("other", "q"), limits=hours)
    assert seen.log == ["p/1 started for p", "p/1 cut", "p ok", "q ok"]
    assert later == ["The call of outer has ended already."]


def test_a_log_that_cannot_be_written_ends_the_run_whatever_the_parent_makes_of_it() -> None:
    def full(*_: object) -> str:
        raise StoreError("the disk is full")

    async def work(context: ToolContext) -> str:
        assert context.call is not None
        with contextlib.suppress(StoreError):
            await context.call("a", "{}")
        return "done"

    seen = Seen(tool("outer", work, parts=("a",)), tool("a"))
    seen.start = full  # type: ignore[method-assign]  # the disk is full
    with pytest.raises(StoreError):
        seen.run(call("outer"))
    assert seen.ends == []


def test_a_tool_is_no_safer_than_what_it_makes_act() -> None:
    tools = [
        tool("outer", parts=("mid",), repeat="safe"),
        tool("mid", parts=("act", "outer"), repeat="idempotent"),
        tool("act", repeat="unsafe", changes=True),
    ]
    specs = Toolbelt(tools, "/").specs
    assert {(spec.repeat, spec.changes) for spec in specs.values()} == {("unsafe", True)}


# --- in a run -----------------------------------------------------------------------------------


def test_inner_calls_are_in_the_log_and_not_in_the_conversation() -> None:
    life = Life()
    provider = Play(says("", call("outer", "p")), says("done"))
    state = life.drive(provider, [outer("a", "a"), tool("a", lambda c: c.call_id)])
    starts, ends = life.events(e.ToolStarted), life.events(e.ToolEnded)
    assert [(one.call_id, one.parent) for one in starts] == [("p", ""), ("p/1", "p"), ("p/2", "p")]
    assert [(one.call_id, one.parent) for one in ends] == [("p/1", "p"), ("p/2", "p"), ("p", "")]
    assert [m.text for m in state.messages if m.role == "tool"] == ["p/1; p/2"]


def test_an_inner_call_costs_what_it_says_unless_the_user_says_otherwise() -> None:
    life = Life(limits=Limits(credits={"b": 5}))
    life.store.credits["default"] = 100
    tools = [outer("a", "b", credits=1), tool("a", credits=2), tool("b", credits=3)]
    state = life.drive(Play(says("", call("outer", "p")), says("done")), tools)
    assert [one.credits for one in life.events(e.ToolStarted)] == [1, 2, 5]
    assert (state.credits_spent, life.store.credits["default"]) == (8, 92)


def test_an_inner_call_that_a_limit_forbids_is_refused_with_the_reason() -> None:
    life = Life(limits=Limits(calls_per_minute={"web": 1}))
    tools = [outer("a", "a"), tool("a", category="web")]
    state = life.drive(Play(says("", call("outer", "p")), says("done")), tools)
    (text,) = [m.text for m in state.messages if m.role == "tool"]
    assert text == "done; refused: Not now: 1 web calls were made in the last minute."


def test_no_inner_call_begins_after_a_pause() -> None:
    life = Life()

    async def slow(_context: object) -> str:
        await asyncio.sleep(5)
        return "done"

    tools = [outer("a", "a"), tool("a", slow)]
    pause = life.tell(e.PauseRequested())
    state = life.drive(Play(says("", call("outer", "p"))), tools, at={2: pause})
    assert state.status == "paused"
    (parent,) = [end for end in life.events(e.ToolEnded) if not end.parent]
    assert parent.text == "done; refused: Not begun: the task is about to stop."


def test_an_id_of_the_models_own_is_not_taken_for_an_inner_call() -> None:
    life = Life()
    provider = Play(says("", call("outer", "p"), call("a", "p/1")), says("done"))
    state = life.drive(provider, [outer("a"), tool("a", lambda c: c.call_id)])
    told = {m.call_id: m.text for m in state.messages if m.role == "tool"}
    assert told == {"p": "p/1", "p/1": "p/1"}
    assert state.status == "done"
