"""Look-ups of one turn that a tool makes together: each call ends as it would alone."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agentctl.core import events as e
from agentctl.core.live import Batched, Signal
from agentctl.core.rows import TaskRow
from agentctl.core.values import MAX_CONCURRENT, Limits, ToolCall, ToolSpec
from agentctl.errors import ToolError
from agentctl.listeners.progress import Progress
from agentctl.ports import ToolContext, ToolResult
from agentctl.run.toolbelt import Toolbelt
from agentctl.tools.files import ReadFile
from agentctl.tools.http import HttpGet
from tests.run.parts import Do, Life, Play, call, says
from tests.sim import loop
from tests.tools.test_together import Server

ROW = TaskRow("t1", "", "goal", "running", "/", "sim", "sim-1", 0, 0, 0, 0, 0, 0, 0, 0, 0)
Answer = Callable[[str], Any]


class Look:
    """A look-up that can be made with others; what it gives is a test's function."""

    def __init__(self, answer: Answer = lambda arguments: f"saw {arguments}") -> None:
        self.spec = ToolSpec(
            "look", "", "{}", repeat="safe", changes=False, timeout_ms=2_500, lookup=True
        )
        self._answer = answer
        self.alone: list[str] = []
        self.batches: list[list[str]] = []
        self.timeouts_ms: list[int] = []
        self.ended = 0

    def check(self, arguments: str) -> str:
        return ""

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        self.alone.append(arguments)
        return ToolResult(self._answer(arguments))

    at_once = 1

    async def run_many(
        self, calls: Sequence[tuple[str, ToolContext]], timeout_ms: int
    ) -> AsyncGenerator[tuple[int, ToolResult | Exception], None]:
        self.batches.append([arguments for arguments, _ in calls])
        self.timeouts_ms.append(timeout_ms)
        try:
            for place, (arguments, context) in reversed(list(enumerate(calls))):
                earlier = context.earlier
                await asyncio.sleep(1)
                answer = self._answer(arguments)
                if isinstance(answer, Exception):
                    yield place, answer
                elif earlier is not None:
                    yield place, ToolResult(earlier.text, proof=earlier.proof, again=True)
                else:
                    yield place, ToolResult(answer, proof=arguments)
        finally:
            self.ended += 1

    async def close(self) -> None:
        return None


def asks(*arguments: str) -> list[ToolCall]:
    return [call("look", f"c{n}", one) for n, one in enumerate(arguments)]


def run(
    *tools: Any, calls: Sequence[ToolCall], limits: Limits | None = None
) -> tuple[list[e.ToolEnded], list[Signal]]:
    """What ended, in this order, and what was signalled."""
    ends: list[e.ToolEnded] = []
    heard: list[Signal] = []

    def clock() -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    async def process() -> None:
        belt = Toolbelt(tools, "/")
        await belt.run(
            calls,
            lambda end, _: ends.append(end),
            heard.append,
            lambda _: None,
            clock,
            limits or Limits(),
        )
        assert asyncio.all_tasks() == {asyncio.current_task()}

    loop.run(process(), 0.0)
    return ends, heard


def test_calls_of_one_turn_are_made_together_and_told_as_they_end() -> None:
    tool = Look()
    ends, heard = run(tool, calls=asks("1", "2", "3"))
    assert (tool.batches, tool.alone) == ([["1", "2", "3"]], [])
    assert [(end.call_id, end.text, end.status) for end in ends] == [
        ("c2", "saw 3", "ok"), ("c1", "saw 2", "ok"), ("c0", "saw 1", "ok"),
    ]  # fmt: skip
    assert [end.duration_ms // 1000 for end in ends] == [1, 2, 3]
    assert heard == [Batched("look", 3, 3)]


def test_a_call_alone_is_made_alone() -> None:
    tool = Look()
    _, heard = run(tool, Do("other"), calls=[*asks("1"), call("other")])
    assert (tool.batches, tool.alone, heard) == ([], ["1"], [])


def test_equal_calls_are_made_once_and_each_has_its_answer() -> None:
    tool = Look()
    ends, heard = run(tool, calls=asks('{"a": 1, "b": 2}', '{"b":2,"a":1}', "3"))
    assert tool.batches == [['{"a": 1, "b": 2}', "3"]]
    assert {end.call_id: end.text for end in ends} == {
        "c0": 'saw {"a": 1, "b": 2}', "c1": 'saw {"a": 1, "b": 2}', "c2": "saw 3",
    }  # fmt: skip
    assert heard == [Batched("look", 3, 2)]


def test_more_than_a_hundred_are_several_batches() -> None:
    tool = Look()
    ends, heard = run(tool, calls=asks(*map(str, range(250))))
    assert [signal.items for signal in heard] == [100, 100, 50]  # type: ignore[union-attr]  # all are Batched
    assert {end.call_id: end.text for end in ends} == {f"c{n}": f"saw {n}" for n in range(250)}


def test_a_batch_counts_as_one_of_those_that_run_at_once() -> None:
    running: list[int] = []
    tool = Look(lambda _: running.append(busy) or "saw")
    busy = 0

    async def work(_context: object) -> str:
        nonlocal busy
        busy += 1
        await asyncio.sleep(100)
        busy -= 1
        return "done"

    others = [call("work", f"w{n}") for n in range(MAX_CONCURRENT)]
    run(Do("work", work, timeout_ms=10**6), tool, calls=[*others, *asks("1", "2")])
    assert running == [0, 0]
    run(Do("work", work, timeout_ms=10**6), tool, calls=[*others[1:], *asks("1", "2")])
    assert running[2:] == [MAX_CONCURRENT - 1] * 2


@pytest.mark.parametrize(("most", "merged"), [(4, 0), (5, 1)])
def test_calls_are_not_merged_where_fewer_may_run_at_once_than_a_batch_would(
    most: int, merged: int
) -> None:
    look = Look()
    look.at_once = 5

    async def process() -> None:
        belt = Toolbelt([look], "/", max_concurrent=most)
        ignore = lambda *_: None  # noqa: E731 - what ended does not matter here
        await belt.run(asks("1", "2"), ignore, ignore, ignore, lambda: 0, Limits())

    loop.run(process(), 0.0)
    assert len(look.batches) == merged


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ToolError("no such file"), "error", "no such file"),
        (ZeroDivisionError("by zero"), "broken", "look broke: ZeroDivisionError: by zero"),
        (TimeoutError(), "timeout", "Stopped after 1.2 s: the time limit of look."),
    ],
)
def test_what_one_raises_is_told_of_it_alone(error: Exception, status: str, text: str) -> None:
    tool = Look(lambda arguments: error if arguments == "2" else "saw")
    limits = Limits(timeouts_ms={"default": 1_200})
    ends, _ = run(tool, calls=asks("1", "2", "3"), limits=limits)
    assert {end.call_id: (end.status, end.text) for end in ends} == {
        "c0": ("ok", "saw"), "c1": (status, text), "c2": ("ok", "saw"),
    }  # fmt: skip


def test_the_tool_is_told_how_long_a_call_may_take() -> None:
    tool = Look()
    run(tool, calls=asks("1", "2"))
    assert tool.timeouts_ms == [2_500]


def test_a_batch_that_breaks_breaks_those_that_were_not_answered() -> None:
    class Breaks(Look):
        at_once = 1

        async def run_many(self, calls: Any, timeout_ms: int) -> AsyncGenerator[Any, None]:
            yield 1, ToolResult("saw")
            raise KeyError("lost")

    ends, _ = run(Breaks(), calls=asks("1", "2"))
    assert {end.call_id: (end.status, end.text) for end in ends} == {
        "c1": ("ok", "saw"), "c0": ("broken", "look broke: KeyError: 'lost'"),
    }  # fmt: skip


def test_cancelling_stops_the_batch_and_leaves_nothing() -> None:
    tool = Look()

    async def process() -> None:
        belt = Toolbelt([tool], "/")
        running = asyncio.ensure_future(
            belt.run(
                asks("1", "2", "3"),
                lambda *_: None, lambda _: None, lambda _: None, lambda: 0, Limits(),
            )
        )  # fmt: skip
        await asyncio.sleep(1.5)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert tool.ended == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    loop.run(process(), 0.0)


def test_an_end_that_cannot_be_written_stops_the_batch() -> None:
    tool = Look()

    async def process() -> None:
        def full(*_: object) -> None:
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            await Toolbelt([tool], "/").run(
                asks("1", "2", "3"), full, lambda _: None, lambda _: None, lambda: 0, Limits()
            )
        assert tool.ended == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    loop.run(process(), 0.0)


def test_an_earlier_result_answers_calls_of_a_batch_too() -> None:
    life, tool = Life(), Look(lambda arguments: f"saw {arguments} " * 100)
    turns = [says("", *asks("1", "2"))]
    turns.append(
        says("", call("look", "d1", "1"), call("look", "d2", "2"), call("look", "d3", "3"))
    )
    life.drive(Play(*turns, says("done")), [tool], lookup_ttl_ms=1)
    assert {end.call_id: end.reused for end in life.events(e.ToolEnded)} == {
        "c0": "", "c1": "", "d1": "c0", "d2": "c1", "d3": "",
    }  # fmt: skip


def test_files_of_one_turn_are_read_together(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(f"text {number}")
    ends: list[e.ToolEnded] = []
    heard: list[Signal] = []
    numbers = (0, 1, 2, 1, 9)  # the last one is not there
    calls = [
        call("read_file", f"r{place}", f'{{"path": "{number}.txt"}}')
        for place, number in enumerate(numbers)
    ]
    belt = Toolbelt([ReadFile()], str(tmp_path.resolve()))
    asyncio.run(
        belt.run(
            calls, lambda end, _: ends.append(end), heard.append, lambda _: None, lambda: 0,
            Limits(),
        )
    )  # fmt: skip
    assert {end.call_id: end.text for end in ends if end.status == "ok"} == {
        "r0": "text 0", "r1": "text 1", "r2": "text 2", "r3": "text 1",
    }  # fmt: skip
    assert [(end.call_id, end.status) for end in ends if end.status != "ok"] == [("r4", "error")]
    assert heard == [Batched("read_file", 5, 4)]


@pytest.fixture
def server() -> Iterator[Server]:
    it = Server()
    yield it
    it.close()


def test_equal_pages_of_one_turn_are_fetched_once(server: Server, tmp_path: Path) -> None:
    ends: list[e.ToolEnded] = []
    paths = ["/a", "/b", "/a", "/none", "/a"]
    calls = [
        call("http_get", f"h{n}", f'{{"url": "{server.url}{path}"}}')
        for n, path in enumerate(paths)
    ]
    belt = Toolbelt([HttpGet(allow_private=True)], str(tmp_path))
    run_belt = belt.run(
        calls, lambda end, _: ends.append(end), lambda _: None, lambda _: None, lambda: 0, Limits()
    )
    asyncio.run(run_belt)
    assert {end.call_id: end.text.split("\n")[-2] for end in ends} == {
        f"h{n}": path for n, path in enumerate(paths)
    }  # the last line closes the fence
    assert [end.call_id for end in ends if end.status != "ok"] == ["h3"]
    assert sorted(path for _, path in server.asked) == ["/a", "/b", "/none"]


def test_who_asked_for_details_sees_what_was_merged() -> None:
    told = io.StringIO()
    for verbose in (False, True):
        progress = Progress(Console(file=told, width=80), ROW, verbose=verbose)
        progress.hear("t1", Batched("look", 3, 3))
        progress.hear("t1", Batched("look", 4, 3))
        progress.close()
    assert told.getvalue() == "3 calls of look together\n4 calls of look together, 3 different\n"


def test_a_call_that_another_call_made_is_shown_with_its_arguments() -> None:
    told = io.StringIO()
    progress = Progress(Console(file=told, width=80), ROW, verbose=False)
    start = e.ToolStarted("c1/1", "run_shell", "unsafe", parent="c1", arguments='{"command":"ls"}')
    for seq, event in enumerate([start, e.ToolEnded("c1/1", "run_shell", "x", parent="c1")]):
        progress.hear("t1", e.Recorded(seq, 0, event))
    progress.close()
    assert told.getvalue() == '✓ run_shell {"command":"ls"} 0 ms\n'
