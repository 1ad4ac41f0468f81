"""Tools side by side: order, limits, what goes wrong, and outputs too large to show."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentctl.core import events as e
from agentctl.core.values import MAX_CONCURRENT, Limits, ToolCall
from agentctl.errors import ToolError
from agentctl.ports import ToolResult
from agentctl.run.toolbelt import HEAD_BYTES, SHOWN_BYTES_MAX, TAIL_BYTES, Toolbelt
from tests.run.parts import Do, Life, Play, call, says
from tests.sim import loop


def run(*tools: Do, calls: list[ToolCall] | None = None) -> list[tuple[e.ToolEnded, Any]]:
    """Run calls (one of each tool if not given); what ended, in this order."""
    ends: list[tuple[e.ToolEnded, Any]] = []

    def clock() -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    async def process() -> None:
        belt = Toolbelt(tools, "/")
        wanted = [call(tool.spec.name) for tool in tools] if calls is None else calls
        await belt.run(
            wanted, lambda *end: ends.append(end), lambda _: None, lambda _: None, clock, Limits()
        )

    loop.run(process(), 0.0)
    return ends


def ended(*tools: Do) -> list[e.ToolEnded]:
    return [event for event, _ in run(*tools)]


# --- checking -----------------------------------------------------------------------------------


def test_a_call_that_fits_is_returned_as_it_is() -> None:
    assert Toolbelt([Do("look")], "/").check(call()) == call()


def test_a_problem_that_the_provider_found_is_kept() -> None:
    broken = ToolCall("c1", "look", "{}", "bad JSON")
    assert Toolbelt([Do("look")], "/").check(broken) is broken


# --- running ------------------------------------------------------------------------------------


def sleeper(name: str, seconds: float) -> Do:
    async def sleep(_context: object) -> str:
        await asyncio.sleep(seconds)
        return name

    return Do(name, sleep)


def test_calls_run_side_by_side_and_are_told_as_they_end() -> None:
    ends = ended(sleeper("slow", 5), sleeper("fast", 1))
    assert [event.tool for event in ends] == ["fast", "slow"]
    assert [event.duration_ms // 1000 for event in ends] == [1, 5]


def test_no_more_run_at_once_than_allowed_and_they_start_in_order() -> None:
    started: list[str] = []
    running = most = 0

    async def work(context: Any) -> str:
        nonlocal running, most
        started.append(context.call_id)
        running += 1
        most = max(most, running)
        await asyncio.sleep(1)
        running -= 1
        return "done"

    calls = [call("work", f"c{n:02}") for n in range(MAX_CONCURRENT * 2 + 1)]
    run(Do("work", work), calls=calls)
    assert most == MAX_CONCURRENT
    assert started == [one.id for one in calls]


def test_waiting_for_its_turn_does_not_use_up_a_calls_time() -> None:
    async def work(_context: object) -> str:
        await asyncio.sleep(8)
        return "done"

    calls = [call("work", f"c{n}") for n in range(MAX_CONCURRENT * 3)]
    ends = run(Do("work", work, timeout_ms=10_000), calls=calls)
    assert {event.status for event, _ in ends} == {"ok"}


# --- what goes wrong ----------------------------------------------------------------------------


def test_a_call_over_its_time_is_stopped_and_told() -> None:
    cut: list[bool] = []

    async def hang(_context: object) -> str:
        try:
            await asyncio.sleep(10**9)
        except asyncio.CancelledError:
            cut.append(True)
            raise
        return ""

    (end,) = ended(Do("work", hang, timeout_ms=2_500))
    assert (end.status, end.text) == ("timeout", "Stopped after 2.5 s: the time limit of work.")
    assert cut == [True]


def fails(error: Exception) -> Do:
    def work(_context: object) -> str:
        raise error

    return Do("work", work)


def test_a_tools_own_error_is_told_in_its_words() -> None:
    (end,) = ended(fails(ToolError("no such file")))
    assert (end.status, end.text) == ("error", "no such file")


def test_a_broken_tool_does_not_end_the_run() -> None:
    (end,) = ended(fails(ZeroDivisionError("division by zero")))
    assert (end.status, end.text) == ("broken", "work broke: ZeroDivisionError: division by zero")


def test_a_tools_own_time_out_is_not_taken_for_the_time_limit() -> None:
    (end,) = ended(fails(TimeoutError("the server said nothing")))
    assert (end.status, end.text) == ("broken", "work broke: TimeoutError: the server said nothing")


def test_one_that_fails_leaves_the_others_running() -> None:
    ends = ended(fails(ToolError("no")), sleeper("other", 1))
    assert [(event.tool, event.status) for event in ends] == [("work", "error"), ("other", "ok")]


def test_a_result_that_is_not_ok_is_an_error() -> None:
    (end,) = ended(Do("work", lambda _: ToolResult("exit code 1", ok=False)))
    assert (end.status, end.text) == ("error", "exit code 1")


def test_cancelling_stops_every_call() -> None:
    stopped: list[str] = []

    async def hang(context: Any) -> str:
        try:
            await asyncio.sleep(10**9)
        finally:
            stopped.append(context.call_id)
        return ""

    async def process() -> None:
        belt = Toolbelt([Do("work", hang, timeout_ms=10**12)], "/")
        calls = [call("work", "a"), call("work", "b")]
        running = asyncio.ensure_future(
            belt.run(calls, lambda *_: None, lambda _: None, lambda _: None, lambda: 0, Limits())
        )
        await asyncio.sleep(1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    loop.run(process(), 0.0)
    assert sorted(stopped) == ["a", "b"]


def test_closing_one_that_fails_closes_the_others() -> None:
    class Stuck(Do):
        async def close(self) -> None:
            raise OSError("stuck")

    first, last = Do("first"), Do("last")
    loop.run(Toolbelt([first, Stuck("stuck"), last], "/").close(), 0.0)
    assert (first.closed, last.closed) == (1, 1)


# --- large outputs ------------------------------------------------------------------------------


def text_of(size_bytes: int) -> str:
    return ("0123456789" * (size_bytes // 10 + 1))[:size_bytes]


def test_an_output_of_exactly_the_most_bytes_is_shown_whole() -> None:
    ((end, outputs),) = run(Do("work", lambda _: text_of(SHOWN_BYTES_MAX)))
    assert (len(end.text), end.output_ref, outputs) == (SHOWN_BYTES_MAX, "", ())


def test_one_byte_more_is_stored_whole_and_shown_as_head_and_tail() -> None:
    whole = text_of(SHOWN_BYTES_MAX + 1)
    ((end, (stored,)),) = run(Do("work", lambda _: whole))
    assert stored.text == whole
    assert stored.ref == end.output_ref
    assert end.output_bytes == len(whole)
    assert end.text.startswith(whole[:HEAD_BYTES] + "\n[…")
    assert end.text.endswith("…]\n" + whole[-TAIL_BYTES:])
    assert f'read_output(id="{stored.ref}")' in end.text
    assert "2,001 of 14,001 bytes left out" in end.text


def test_bytes_count_and_characters_are_not_cut_in_two() -> None:
    whole = "x" + "é" * (SHOWN_BYTES_MAX // 2)
    ((end, (stored,)),) = run(Do("work", lambda _: whole))
    assert stored.text == whole
    assert "\ufffd" not in end.text


def test_the_same_output_has_the_same_id() -> None:
    big = text_of(50_000)
    (_, (one,)), (_, (two,)) = run(Do("a", lambda _: big), Do("b", lambda _: big))
    assert one.ref == two.ref


def test_text_that_cannot_be_stored_is_made_storable() -> None:
    (end,) = ended(Do("work", lambda _: "bad \udcff"))
    end.text.encode()


def test_a_large_output_can_be_read_by_the_id_that_the_model_was_shown() -> None:
    whole, read = text_of(100_000), []
    life = Life()

    def again(context: Any) -> str:
        (event,) = life.events(e.ToolEnded)
        read.extend([context.read_stored(event.output_ref), context.read_stored("nothing")])
        return "read"

    provider = Play(says("", call("big")), says("", call("again")), says("done"))
    life.drive(provider, [Do("big", lambda _: whole), Do("again", again)])
    assert read == [whole, None]
    shown = provider.requests[1].messages[-1]
    assert len(shown.text) < SHOWN_BYTES_MAX
    assert life.store.output(life.events(e.ToolEnded)[0].output_ref) == whole


def test_a_small_output_can_be_read_by_its_calls_id_after_it_was_left_out() -> None:
    read: list[Any] = []

    def again(context: Any) -> str:
        read.append(context.read_stored("look-1"))
        return "read"

    tools = [Do("look", lambda _: "three files"), Do("again", again)]
    Life().drive(Play(says("", call()), says("", call("again")), says("done")), tools)
    assert read == ["three files"]
