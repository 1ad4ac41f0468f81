"""Tools made from tools: what flows between them, what happens when one fails, what is promised."""

from __future__ import annotations

import asyncio

import pytest

from agentctl.errors import ConfigError, ToolError
from agentctl.ports import ToolResult
from agentctl.tools.compose import (
    parallel,
    sequential,
    use,
    with_fallback,
)
from tests.tools.compose_parts import Bench, Fake

FAILS = ToolError("no such file")


# --- what flows ---------------------------------------------------------------------------------


def test_a_step_is_given_the_input_and_the_result_before_it() -> None:
    read, write = Fake("read", "some text"), Fake("write", "written")
    copy = sequential(
        "copy",
        use(read, {"path": "{input.source}"}),
        use(write, {"path": "{input.target}", "text": "copy of {input.source}: {result}"}),
        parameters={"source": "string", "target": "string"},
    )
    bench = Bench(read, write)
    assert bench.run(copy, source="a", target="b") == ToolResult("written")
    wanted = {"path": "b", "text": "copy of a: some text"}
    assert bench.asked == [("read", {"path": "a"}), ("write", wanted)]


def test_a_lone_reference_keeps_its_type_and_parts_of_json_results_can_be_named() -> None:
    find = Fake("find", '{"items": [{"name": "x", "size": 7, "tags": ["a"]}]}')
    show = Fake("show", "shown")
    flow = sequential(
        "flow",
        find,
        use(
            show,
            {
                "size": "{result.items.0.size}",
                "tags": "{steps.find.items.0.tags}",
                "text": "{result.items.0.tags} {{input}} {not json: 1}",
                "count": "{input.count}",
                "fixed": [1, {"deep": "{result.items.0.name}"}],
            },
        ),
        parameters={"count": int},
    )
    bench = Bench(find, show)
    bench.run(flow, count=3)
    assert bench.asked[1][1] == {
        "size": 7,
        "tags": ["a"],
        "text": '["a"] {input} {not json: 1}',
        "count": 3,
        "fixed": [1, {"deep": "x"}],
    }


def test_what_a_tool_printed_is_never_read_as_a_reference() -> None:
    read, write = Fake("read", "{input.secret} {steps.read}"), Fake("write")
    parameters = {"secret": "string"}
    flow = sequential("flow", read, use(write, {"text": "{result}"}), parameters=parameters)
    bench = Bench(read, write)
    bench.run(flow, secret="s")
    assert bench.asked[1][1] == {"text": "{input.secret} {steps.read}"}


def test_an_optional_input_that_is_missing_leaves_its_argument_out() -> None:
    read = Fake("read")
    step = use(read, {"path": "{input.path}", "lines": "{input.lines}"})
    flow = sequential("flow", step, parameters={"path": "string", "lines?": "integer: how many"})
    bench = Bench(read)
    bench.run(flow, path="a")
    bench.run(flow, path="a", lines=2)
    assert [arguments for _, arguments in bench.asked] == [
        {"path": "a"},
        {"path": "a", "lines": 2},
    ]


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("plain text", "{result.items.3}: that result is not JSON."),
        ('{"items": [1]}', "{result.items.3} is not there: the list has 1 items."),
        ('{"other": 1}', "{result.items.3} is not there: nothing is named 'items'."),
    ],
)
def test_a_reference_to_what_is_not_there_fails_that_step(result: str, told: str) -> None:
    read, write = Fake("read", result), Fake("write")
    flow = sequential("flow", read, use(write, {"text": "{result.items.3}"}))
    bench = Bench(read, write)
    found = bench.run(flow)
    assert found == ToolResult(
        f"Step 2 of 2 (write) failed: {told}\nDone before it: read.", ok=False
    )
    assert bench.names == ["read"]


def test_input_within_a_command_must_be_quoted_and_then_is_one_word() -> None:
    shell = Fake("run_shell", category="shell")
    parameters = {"word": "string"}
    with pytest.raises(ConfigError, match=r"Write \{input\.word:sh\}"):
        sequential("x", use("run_shell", {"command": "grep {input.word}"}), parameters=parameters)
    flow = sequential(
        "flow", use(shell, {"command": "grep {input.word:sh} notes"}), parameters=parameters
    )
    bench = Bench(shell)
    bench.run(flow, word="x'; rm -rf /")
    assert bench.asked[0][1] == {"command": """grep 'x'"'"'; rm -rf /' notes"""}


# --- sequential ---------------------------------------------------------------------------------


def test_a_sequence_stops_at_the_first_failure_and_says_what_was_done() -> None:
    a, b, c = Fake("a"), Fake("b", FAILS), Fake("c")
    bench = Bench(a, b, c)
    found = bench.run(sequential("flow", a, use(b, {}), use(c, {})))
    assert not found.ok
    assert found.text == "Step 2 of 3 (b) failed: no such file\nDone before it: a."
    assert bench.names == ["a", "b"]


def test_a_result_that_is_not_ok_fails_its_step_too() -> None:
    bench = Bench(Fake("a", ToolResult("exit code 1", ok=False)), Fake("b"))
    assert not bench.run(sequential("flow", "a", use("b", {}))).ok
    assert bench.names == ["a"]


def test_one_tool_can_be_used_twice_and_named_apart() -> None:
    echo = Fake("echo", lambda given: given["text"] + "!")
    flow = sequential(
        "flow",
        use(echo, {"text": "a"}),
        use(echo, {"text": "b"}),
        use(echo, {"text": "{steps.echo}{steps.echo_2}"}),
    )
    assert Bench(echo).run(flow).text == "a!b!!"


def test_an_error_of_the_run_itself_is_not_taken_for_a_tools() -> None:
    class Broken(Bench):
        async def call(self, name: str, arguments: str) -> ToolResult:
            raise OSError("the disk is full")

    for tool in (sequential("s", "a"), parallel("p", "a", "b"), with_fallback("f", "a", "b")):
        with pytest.raises(OSError, match="disk is full"):
            Broken().run(tool)


# --- parallel -----------------------------------------------------------------------------------


def test_parallel_runs_side_by_side_and_tells_in_the_order_given() -> None:
    ready = asyncio.Event()

    async def waits() -> str:
        await ready.wait()
        return "slow"

    async def frees() -> str:
        ready.set()
        return "fast"

    slow, fast = Fake("slow", lambda _: waits()), Fake("fast", lambda _: frees())
    found = Bench(slow, fast).run(parallel("both", slow, use(fast, label="second")))
    assert found == ToolResult("[slow]\nslow\n\n[second]\nfast")


def test_a_failed_section_leaves_the_others_and_fails_the_whole() -> None:
    a, b = Fake("a", FAILS), Fake("b", "fine")
    found = Bench(a, b).run(parallel("both", a, b))
    assert found == ToolResult("[a] failed:\nno such file\n\n[b]\nfine", ok=False)


def test_cancelling_stops_every_part() -> None:
    stopped = []

    async def hangs() -> str:
        try:
            await asyncio.sleep(10**6)
        except asyncio.CancelledError:
            stopped.append(1)
            raise
        return ""

    a, b = Fake("a", lambda _: hangs()), Fake("b", lambda _: hangs())
    bench = Bench(a, b)

    async def cancelled() -> None:
        task = asyncio.create_task(parallel("both", a, b).run("{}", bench.context))
        for _ in range(10):
            await asyncio.sleep(0)
        assert bench.names == ["a", "b"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert len(stopped) == 2
