"""Own tools: their options, results, calls, look-ups and life."""

from __future__ import annotations

import asyncio
import json
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import BaseModel

import agentctl
from agentctl import ToolContext, ToolError, tool
from agentctl.core.lookups import Lookup
from agentctl.ports import Tool, ToolResult
from tests.tools.helpers import call, context_of


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: float = 0.0


class Person(BaseModel):
    name: str
    title: str = ""
    friends: list[Person] = []


@tool(repeat="safe")
def tidy(number: int, word: str = "a") -> str:
    """Tell what was given."""
    return f"{number} {word}"


def test_without_options_a_tool_is_unsafe_and_changes_something() -> None:
    @tool
    def plain() -> None:
        """Do it."""

    assert (plain.spec.name, plain.spec.origin) == ("plain", "own")
    assert (plain.spec.repeat, plain.spec.changes, plain.spec.timeout_ms) == (
        "unsafe",
        True,
        30_000,
    )
    assert (plain.spec.category, plain.spec.attempts, plain.spec.credits) == ("default", 1, 0)
    assert not tidy.spec.changes  # it is safe


def test_options_reach_the_spec() -> None:
    @tool(
        name="look-up", category="http", repeat="idempotent", timeout_ms=500, cost=3,
        priority="high", attempts=2, changes=False,
    )  # fmt: skip
    def look() -> None:
        """Look."""

    spec = look.spec
    assert (spec.name, spec.category, spec.repeat) == ("look-up", "http", "idempotent")
    assert (spec.timeout_ms, spec.credits, spec.attempts) == (500, 3, 2)
    assert (spec.priority > 0, spec.changes) == (True, False)


def test_a_category_brings_its_time_out() -> None:
    @tool(category="email")
    def send() -> None:
        """Send."""

    assert send.spec.timeout_ms == 10_000


# --- results ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is\n", "as it is\n"),
        ("", ""),
        (None, "done"),
        (b"caf\xc3\xa9 \xff", "café \ufffd"),
        (3, "3"),
        (True, "true"),
        ([1, "é"], '[1,"é"]'),
        (Point(1), '{"x":1,"y":0.0}'),
        (Person(name="A"), '{"name":"A","title":"","friends":[]}'),
        (Colour.RED, '"red"'),
        ({"path": Path("a")}, '{"path":"a"}'),
    ],
)
def test_a_result_is_told_as_text_or_json(tmp_path: Path, value: Any, text: str) -> None:
    @tool
    def give() -> Any:
        """Give it."""
        return value

    assert call(give, context_of(tmp_path)) == ToolResult(text)


# --- how it is called -------------------------------------------------------------------------

WHO: ContextVar[str] = ContextVar("who", default="nobody")


def test_a_sync_function_runs_in_a_thread_with_the_context_s_variables(tmp_path: Path) -> None:
    @tool
    def where() -> list[Any]:
        """Tell where."""
        return [threading.current_thread() is threading.main_thread(), WHO.get()]

    async def run() -> ToolResult:
        WHO.set("me")
        return await where.run("", context_of(tmp_path))

    assert asyncio.run(run()).text == '[false,"me"]'


def test_an_async_function_runs_in_the_loop(tmp_path: Path) -> None:
    @tool
    async def where() -> bool:
        """Tell where."""
        await asyncio.sleep(0)
        return threading.current_thread() is threading.main_thread()

    assert call(where, context_of(tmp_path)).text == "true"


def test_a_tool_is_still_the_plain_function() -> None:
    assert tidy(2, word="b") == "2 b"
    assert (tidy.__name__, tidy.__doc__) == ("tidy", "Tell what was given.")

    @tool
    async def later(number: int) -> int:
        """Give it."""
        return number

    assert asyncio.run(later(3)) == 3


@pytest.mark.parametrize("is_async", [False, True])
def test_the_context_and_the_key_are_given_and_not_part_of_the_schema(
    tmp_path: Path, is_async: bool
) -> None:
    def both(word: str, context: ToolContext, idempotency_key: str) -> list[str | None]:
        """Tell what there is."""
        print("printed")
        context.emit("live")
        return [word, context.cwd, context.key, idempotency_key, context.read_stored("r1")]

    async def later(word: str, context: ToolContext | None, *, idempotency_key: str) -> Any:
        """Tell what there is."""
        assert context is not None
        return both(word, context, idempotency_key)

    own = tool(later if is_async else both)
    assert list(json.loads(own.spec.parameters)["properties"]) == ["word"]
    heard: list[str] = []
    context = replace(context_of(tmp_path, heard.append, {"r1": "whole"}), key="k1")
    found = json.loads(call(own, context, word="a").text)
    assert found == ["a", str(tmp_path), "k1", "k1", "whole"]
    assert "".join(heard) == "printed\nlive"


@pytest.mark.parametrize("error", [ToolError("Not there."), ValueError("bad"), TimeoutError()])
def test_what_a_function_raises_reaches_the_tool_belt(tmp_path: Path, error: Exception) -> None:
    @tool
    def fail() -> None:
        """Fail."""
        raise error

    @tool
    async def fail_later() -> None:
        """Fail."""
        raise error

    for own in (fail, fail_later):
        with pytest.raises(type(error)) as raised:
            call(own, context_of(tmp_path))
        assert raised.value is error


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_a_function_that_wants_to_end_the_program_only_breaks(
    tmp_path: Path, error: BaseException
) -> None:
    @tool
    def leave() -> None:
        """Leave."""
        raise error

    with pytest.raises(RuntimeError, match=f"it raised {type(error).__name__}"):
        call(leave, context_of(tmp_path))


def test_a_sync_function_that_is_cancelled_is_left_behind_and_named(tmp_path: Path) -> None:
    begun, go_on, ended = (threading.Event() for _ in range(3))
    heard: list[str] = []

    @tool
    def wait(context: ToolContext) -> None:
        """Wait."""
        begun.set()
        go_on.wait()
        context.emit("too late")
        ended.set()

    async def run() -> None:
        running = asyncio.ensure_future(wait.run("", context_of(tmp_path, heard.append)))
        await asyncio.to_thread(begun.wait)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        go_on.set()
        await asyncio.to_thread(ended.wait)

    asyncio.run(run())
    (said,) = heard
    assert said.startswith("[wait cannot be stopped")


# --- look-ups ---------------------------------------------------------------------------------


def again(own: Tool, context: ToolContext, first: ToolResult, **arguments: Any) -> ToolResult:
    """The same call once more, with the first result at hand."""
    earlier = Lookup("t1", "c1", 0, first.text, first.text, first.proof)
    return call(own, replace(context, earlier=earlier), **arguments)


def test_a_cacheable_result_is_given_again(tmp_path: Path) -> None:
    calls: list[str] = []

    @tool(repeat="safe", cacheable=True)
    def look(word: str) -> str:
        """Look."""
        calls.append(word)
        return word * 2

    assert look.spec.lookup
    first = call(look, context_of(tmp_path), word="a")
    second = again(look, context_of(tmp_path), first, word="a")
    assert (second.text, second.again, second.proof, calls) == ("aa", True, first.proof, ["a"])


def test_a_result_is_given_again_only_as_long_as_its_proof_holds(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("1")

    @tool(repeat="safe", cacheable=lambda name: (tmp_path / name).read_text())
    def size(name: str) -> int:
        """Tell the size."""
        return (tmp_path / name).stat().st_size

    first = call(size, context_of(tmp_path), name="file")
    assert again(size, context_of(tmp_path), first, name="file").again
    file.write_text("23")
    changed = again(size, context_of(tmp_path), first, name="file")
    assert (changed.text, changed.again) == ("2", False)
    file.write_text("")  # no proof at all
    assert call(size, context_of(tmp_path), name="file").proof == ""


def test_what_is_not_cacheable_gives_no_proof(tmp_path: Path) -> None:
    assert call(tidy, context_of(tmp_path), number=1).proof == ""


# --- the life of a tool -----------------------------------------------------------------------


def test_start_and_stop_are_called_once_a_run_and_health_is_told(tmp_path: Path) -> None:
    log: list[Any] = []

    async def start(resources: Any) -> None:
        log.append(resources)

    @tool(start=start, stop=lambda: log.append("stop"), health=lambda: "tired")
    def work() -> None:
        """Work."""

    async def run() -> None:
        shared: Any = object()
        await work.close()  # never started
        await work.start(shared)
        assert await work.health() == "tired"
        await work.close()
        assert log == [shared, "stop"]
        await tidy.start(shared)
        assert await tidy.health() == ""

    asyncio.run(run())


# --- the public names -------------------------------------------------------------------------


def test_the_package_has_the_public_names_and_no_others() -> None:
    assert agentctl.ToolError is ToolError
    with pytest.raises(AttributeError, match="no attribute 'Tool'"):
        _ = agentctl.Tool  # type: ignore[attr-defined]  # what is tested
