"""How calls are tried again, stopped, and share places."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from agentctl.core.values import PRIORITIES, Limits
from agentctl.errors import ToolError
from agentctl.ports import ToolContext, ToolResult
from agentctl.run.toolbelt import Toolbelt
from tests.run.belts import Seen, fails, sleeps, tool
from tests.run.parts import Do, call
from tests.sim import loop

# --- trying again -------------------------------------------------------------------------------


@pytest.mark.parametrize("repeat", ["safe", "idempotent"])
def test_a_failure_that_may_pass_is_tried_again(repeat: str) -> None:
    (end,) = Seen(tool("work", fails(2), repeat=repeat, attempts=3)).run(call("work"))
    assert (end.status, end.text, end.attempts) == ("ok", "done", 3)
    assert 3_000 <= end.duration_ms < 3_100  # waits of one and two seconds


def test_jitter_shortens_the_waits() -> None:
    (end,) = Seen(tool("work", fails(2), attempts=3)).run(call("work"), jitter=lambda: 1.0)
    assert 1_500 <= end.duration_ms < 1_600


def test_it_is_not_tried_more_often_than_it_says() -> None:
    (end,) = Seen(tool("work", fails(9), attempts=3)).run(call("work"))
    assert (end.status, end.text, end.attempts) == ("error", "busy", 3)


def test_an_unsafe_tool_is_never_tried_again() -> None:
    (end,) = Seen(tool("work", fails(1), repeat="unsafe", attempts=3)).run(call("work"))
    assert (end.status, end.attempts) == ("error", 1)


@pytest.mark.parametrize("error", [ToolError("no such file"), ZeroDivisionError("defect")])
def test_other_failures_are_not_tried_again(error: Exception) -> None:
    (end,) = Seen(tool("work", fails(1, error), attempts=3)).run(call("work"))
    assert end.attempts == 1


def test_a_time_out_is_tried_again_within_the_time_of_all_tries() -> None:
    async def hang(_context: object) -> str:
        await asyncio.sleep(10**9)
        return ""

    (end,) = Seen(tool("work", hang, attempts=3, timeout_ms=10_000)).run(call("work"))
    assert (end.status, end.attempts) == ("timeout", 3)
    assert 29_900 <= end.duration_ms <= 30_100


def test_the_place_is_free_while_a_call_waits_for_its_next_try() -> None:
    tools = tool("work", fails(1), attempts=2), tool("other")
    seen = Seen(*tools, max_concurrent=1)
    seen.run(call("work"), call("other"))
    assert seen.log == ["other-1 ok", "work-1 ok"]


def test_a_look_up_that_was_merged_is_tried_again_alone() -> None:
    class Together(Do):
        at_once = 1

        async def run_many(self, calls: Sequence[Any], timeout_ms: int) -> Any:
            for place in range(len(calls)):
                yield place, ToolError("busy", retriable=True) if place else ToolResult("one")

    made = Together("look", lambda _: "alone")
    made.spec = replace(made.spec, attempts=2)
    made.check = lambda _: ""  # type: ignore[method-assign]  # any arguments do
    ends = Seen(made).run(call("look", "a", "1"), call("look", "b", "2"))
    assert [(end.call_id, end.text, end.attempts) for end in ends] == [
        ("a", "one", 1), ("b", "alone", 2),
    ]  # fmt: skip


def test_a_call_knows_its_key_which_is_the_same_for_every_try() -> None:
    keys: list[str] = []

    def work(context: ToolContext) -> str:
        keys.append(context.key)
        if len(keys) == 1:
            raise ToolError("busy", retriable=True)
        return "done"

    Seen(tool("work", work, attempts=2)).run(call("work", "c1"))
    assert keys == [hashlib.sha256(b"t1:c1").hexdigest()[:32]] * 2


# --- what does not stop -------------------------------------------------------------------------


def stubborn() -> Callable[[ToolContext], Any]:
    async def work(_context: object) -> str:
        for _ in range(3):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                continue
        return "at last"

    return work


def test_a_tool_that_does_not_stop_is_left_behind_and_told() -> None:
    seen = Seen(tool("work", stubborn(), timeout_ms=1_000, attempts=3), tool("other"))
    late, other = seen.run(call("work"), call("other"))[::-1]
    assert (late.status, late.attempts, other.status) == ("timeout", 1, "ok")
    assert late.text == "Stopped after 1 s: the time limit of work. It has not stopped yet."
    assert 2_900 <= late.duration_ms <= 3_200


def test_what_never_stops_does_not_hold_up_the_end_of_the_loop() -> None:
    go_on = [True]

    async def work(_context: object) -> None:
        while go_on:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                continue

    (end,) = Seen(tool("work", work, timeout_ms=1_000)).run(call("work"))  # ends its loop
    assert end.status == "timeout"


def test_cancelling_does_not_wait_for_one_that_does_not_stop() -> None:
    async def process() -> float:
        belt = Toolbelt([tool("work", stubborn())], "/")
        running = asyncio.ensure_future(
            belt.run(
                [call("work")], lambda *_: None, lambda _: None, lambda _: None, lambda: 0, Limits()
            )
        )
        await asyncio.sleep(1)
        running.cancel()
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(asyncio.CancelledError):
            await running
        return asyncio.get_running_loop().time() - began_s

    took_s, _ = loop.run(process(), 0.0)
    assert 1.9 < took_s < 2.2


def test_a_tool_that_cancels_itself_is_broken() -> None:
    async def work(_context: object) -> str:
        raise asyncio.CancelledError

    (end,) = Seen(tool("work", work)).run(call("work"))
    assert (end.status, end.text) == ("broken", "work broke: RuntimeError: it cancelled itself")


def test_a_tool_that_returns_something_else_is_broken() -> None:
    class Odd(Do):
        async def run(self, arguments: str, context: ToolContext) -> Any:
            return "text"

    (end,) = Seen(Odd("work")).run(call("work"))
    assert (end.status, end.text) == (
        "broken", "work broke: TypeError: it returned str, not a ToolResult",
    )  # fmt: skip


# --- places -------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 3, 9])
def test_no_more_run_at_once_than_configured(limit: int) -> None:
    began: list[str] = []
    most = [0]
    seen = Seen(tool("work", sleeps(began, most)), max_concurrent=limit)
    seen.run(*(call("work", f"c{n}") for n in range(10)))
    assert most == [limit]


def test_a_category_may_have_a_limit_of_its_own_and_holds_up_no_other() -> None:
    began: list[str] = []
    most = [0]
    shell = tool("shell", sleeps(began, most), category="shell")
    seen = Seen(shell, tool("other"), concurrency={"shell": 1})
    seen.run(*(call("shell", f"s{n}") for n in range(7)), call("other"))
    assert most == [1]
    assert seen.log[0] == "other-1 ok"
    assert began == [f"s{n}" for n in range(7)]


def test_the_urgent_start_first_also_among_those_that_wait() -> None:
    began: list[str] = []
    tools = [
        tool(name, sleeps(began, [0]), priority=priority) for name, priority in PRIORITIES.items()
    ]
    calls = [call(name, f"{name}{n}") for n in (1, 2) for name in ("low", "normal", "high")]
    Seen(*tools, max_concurrent=1).run(*calls)
    assert began == ["high1", "high2", "normal1", "normal2", "low1", "low2"]


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="At least one"):
        Toolbelt([], "/", concurrency={"shell": 0})
