"""Tools that only pretend, and tools that answer from a task's log."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agentctl.core import events as e
from agentctl.core.values import Limits, Message, ToolCall, ToolSpec, Usage
from agentctl.errors import ToolError
from agentctl.ports import ToolContext, ToolResult
from agentctl.testing import asked, replayed, simulated
from agentctl.tools.files import ReadFile


def context(key: str = "") -> ToolContext:
    return ToolContext("/", "c1", lambda _: None, lambda _: None, key=key)


def call(tool: Any, **arguments: Any) -> ToolResult:
    return asyncio.run(tool.run(json.dumps(arguments), context()))


# --- answers ------------------------------------------------------------------------------------


def test_it_has_the_spec_and_the_check_of_the_tool_it_stands_for() -> None:
    real = ReadFile()
    tool = simulated(real)
    assert tool.spec is real.spec
    assert tool.check('{"path": 1}') == real.check('{"path": 1}') != ""
    assert simulated(real.spec).spec is real.spec
    assert simulated("post").check("[]") == "they must be a JSON object"


def test_answers_are_found_by_arguments_whatever_their_order() -> None:
    tool = simulated(
        "look",
        responses={
            asked(b=2, a=1): "two",
            '{ "a": 3 }': ToolResult("three", ok=False),
            (lambda given: given.get("size", 0) > 10): lambda given: f"large: {given['size']}",
            asked(a="json"): {"items": [1]},
        },
        default="other",
    )
    assert call(tool, a=1, b=2).text == "two"
    assert call(tool, a=3) == ToolResult("three", ok=False)
    assert call(tool, size=11).text == "large: 11"
    assert call(tool, a="json").text == '{"items":[1]}'
    assert call(tool).text == "other"


def test_answers_can_be_given_in_order_or_by_a_function() -> None:
    tool = simulated("look", responses=["one", ToolError("two")])
    assert call(tool).text == "one"
    with pytest.raises(ToolError, match="two"):
        call(tool)
    with pytest.raises(ToolError, match=r'no prepared answer for \{"a":1\}'):
        call(tool, a=1)
    made = simulated("look", responses=lambda given: given.get("a"), default="none")
    assert (call(made, a="x").text, call(made).text) == ("x", "none")


def test_a_call_without_an_answer_fails_and_is_named() -> None:
    with pytest.raises(ToolError, match=r'look has no prepared answer for \{"path":"b"\}'):
        call(simulated("look", responses={asked(path="a"): "x"}), path="b")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: simulated("look", latency=-1),
        lambda: simulated("look", latency=(5, 1)),
        lambda: simulated("look", error_rate=1.5),
        lambda: simulated("look", responses="text"),
        lambda: simulated(object()),
        lambda: call(simulated("look", responses={7: "x"})),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        wrong()


# --- delays and failures ------------------------------------------------------------------------


def life(seed: int) -> tuple[list[float], list[bool]]:
    """How long each of 40 calls waited, and which of them failed."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    tool = simulated("look", default="x", latency=(10, 500), error_rate=0.3, seed=seed, sleep=sleep)
    for n in range(20):
        for _ in range(2):
            try:
                call(tool, n=n)
            except ToolError as error:
                assert error.retriable
    return waited, [isinstance(each.answer, ToolError) for each in tool.invocations]


def test_delays_and_failures_are_the_same_for_a_seed_and_differ_between_seeds() -> None:
    assert life(1) == life(1)
    assert life(1) != life(2)
    waited, failed = life(1)
    assert all(0.01 <= seconds <= 0.5 for seconds in waited)
    assert 4 <= sum(failed) <= 20
    assert len(set(waited)) > 10


def test_the_fate_of_a_call_does_not_depend_on_others() -> None:
    def fate(*before: int) -> bool:
        tool = simulated("look", default="x", error_rate=0.5, seed=3)
        for n in (*before, 7):
            with suppress(ToolError):
                call(tool, n=n)
        return isinstance(tool.calls(n=7)[0].answer, ToolError)

    assert fate() == fate(1, 2, 3) == fate(9)


# --- what was asked -----------------------------------------------------------------------------


def test_calls_are_kept_with_their_answer_and_key() -> None:
    tool = simulated("look", responses={asked(path="a"): "x"})
    asyncio.run(tool.run('{"path": "a"}', context("k1")))
    with pytest.raises(ToolError) as error:
        call(tool, path="b")
    first, second = tool.invocations
    assert (first.arguments, first.answer, first.key) == ({"path": "a"}, ToolResult("x"), "k1")
    assert second.answer is error.value


def test_what_was_called_can_be_asserted() -> None:
    tool = simulated("look", default="x")
    tool.assert_not_called()
    call(tool, path="a", lines=1)
    call(tool, path="a", lines=2)
    tool.assert_called()
    tool.assert_called(path="a")
    tool.assert_called(2, path="a")
    tool.assert_called(times=1, lines=2)
    tool.assert_not_called(path="b")
    with pytest.raises(AssertionError) as error:
        tool.assert_called(3, path="a")
    assert str(error.value).splitlines() == [
        'look was to be called 3 times with {"path":"a"}; it was 2 times. All calls:',
        '  {"lines":1,"path":"a"}',
        '  {"lines":2,"path":"a"}',
    ]


def test_nothing_is_kept_without_record() -> None:
    tool = simulated("look", default="x", record=False)
    call(tool)
    assert tool.invocations == []


# --- replay -------------------------------------------------------------------------------------


def log(*events: e.Event) -> list[e.Recorded]:
    return [e.Recorded(n, n, event) for n, event in enumerate(events)]


def turn(*calls: ToolCall) -> e.ModelAnswered:
    return e.ModelAnswered(Message("assistant", "", calls), Usage(), "tools", 0)


LOG = log(
    turn(ToolCall("c1", "look", '{"a":  1}'), ToolCall("c2", "post", "{}")),
    e.ToolStarted("c1", "look", "safe", "file"),
    e.ToolStarted("c2", "post", "unsafe"),
    e.ToolStarted("c2/1", "look", "safe", parent="c2"),
    e.ToolEnded("c2/1", "look", "inner", parent="c2"),
    e.ToolEnded("c2", "post", "no", "error"),
    e.ToolEnded("c1", "look", "first"),
    turn(ToolCall("c1", "look", '{"a": 1}'), ToolCall("c4", "look", '{"a": 2}')),
    e.ToolEnded("c1", "look", "second"),
    e.ToolEnded("c4", "look", "[cached …]", reused="c1", spared_bytes=900),
)


def test_a_task_is_replayed_call_by_call() -> None:
    look, post = replayed(LOG)
    assert (look.spec.name, look.spec.category, look.spec.repeat) == ("look", "file", "safe")
    assert call(look, a=1) == ToolResult("first")
    assert call(look, a=1) == ToolResult("second")
    assert post.recording.left == ["post {}", 'look {"a":2}']
    assert call(look, a=2) == ToolResult("second")
    assert call(post) == ToolResult("no", ok=False)
    assert look.recording.left == []


def test_the_first_call_that_is_not_in_the_log_says_what_is() -> None:
    look, post = replayed(LOG)
    with pytest.raises(ToolError) as error:
        call(look, a=3)
    assert str(error.value) == (
        'The replay has come apart: asked was look with {"a":3}; recorded next: {"a":1}.'
    )
    call(post)
    with pytest.raises(ToolError, match="none is left in the recording"):
        call(post)


def test_the_specs_of_the_real_tools_can_be_given() -> None:
    spec = ToolSpec("look", "Looks.", "{}")
    assert replayed(LOG, specs=[spec])[0].spec is spec


def test_a_task_of_the_state_home_is_replayed_by_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentctl.control import Desk
    from agentctl.core.rows import StoredOutput

    monkeypatch.setenv("AGENTCTL_HOME", str(tmp_path))
    created = e.TaskCreated("goal", "", "sim", "sim-1", "/", Limits())
    ended = e.ToolEnded("c1", "look", "head … tail", output_ref="r1", output_bytes=9)
    with Desk() as desk:
        desk.store.create("t1", created, 1)
        asks = e.ModelAsked(1, "sim", "sim-1", 0, 0, 10)
        desk.store.append("t1", 1, [], 1, intents=[asks])
        made = [turn(ToolCall("c1", "look")), ended]
        desk.store.append("t1", None, made, 2, outputs=[StoredOutput("r1", "all of it")])
    (look,) = replayed("@last")
    assert call(look).text == "all of it"
