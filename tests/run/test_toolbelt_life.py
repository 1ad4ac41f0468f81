"""Tools of a run from opening to end: sources, what must be started, what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.live import ToolOutput
from agentctl.core.redact import Redactor
from agentctl.core.values import Limits
from agentctl.errors import ToolError
from agentctl.ports import Emit, Resources, Tool
from agentctl.run.toolbelt import Toolbelt
from tests.run.belts import tool
from tests.run.parts import Do, Life, Listen, Play, call, says
from tests.sim import loop

HANG_S = 10**6


class Living(Do):
    """A tool that must be started; what it does then is a test's."""

    def __init__(self, name: str, steps: list[str], start: Any = None, close: Any = None) -> None:
        super().__init__(name)
        self.steps, self._start, self._close = steps, start, close
        self.ill = ""

    async def start(self, resources: Resources) -> None:
        self.steps.append(f"start {self.spec.name}")
        await _do(self._start)

    async def health(self) -> str:
        return self.ill

    async def close(self) -> None:
        self.steps.append(f"close {self.spec.name}")
        await _do(self._close)


class Source:
    """A source whose tools are a test's."""

    def __init__(
        self,
        name: str,
        tools: Sequence[Tool],
        steps: list[str],
        open_: Any = None,
        close: Any = None,
    ) -> None:
        self.name, self.offered, self.steps = name, list(tools), steps
        self._open, self._close = open_, close
        self.changed: Callable[[], None] = lambda: None
        self.listed: Any = None
        self.ill = ""

    async def open(self, changed: Callable[[], None], emit: Emit) -> Sequence[Tool]:
        self.changed = changed
        emit("hello")
        await _do(self._open)
        self.steps.append(f"open {self.name}")
        return list(self.offered)

    async def tools(self) -> Sequence[Tool]:
        await _do(self.listed)
        return list(self.offered)

    async def health(self) -> str:
        if self.ill == "hangs":
            await asyncio.sleep(HANG_S)
        return self.ill

    async def close(self) -> None:
        self.steps.append(f"close {self.name}")
        await _do(self._close)


async def _do(what: Any) -> None:
    if isinstance(what, Exception):
        raise what
    if what:
        await asyncio.sleep(what)


def made(name: str, origin: str) -> Do:
    return tool(name, origin=origin)


class Opened:
    """A belt that was opened, looked at, and closed."""

    def __init__(self, tools: Sequence[Any], sources: Sequence[Source] = ()) -> None:
        self.told: list[str] = []
        self.heard: list[Any] = []
        self.took_s = 0.0
        self.names: list[str] = []

        async def process() -> None:
            began_s = asyncio.get_running_loop().time()
            belt = Toolbelt(tools, "/", sources)
            await belt.open(self.told.append, self.heard.append)
            self.took_s = asyncio.get_running_loop().time() - began_s
            self.names = list(belt.specs)
            self.health = await belt.health()
            await belt.close()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        loop.run(process(), 0.0)


def test_what_a_source_says_and_why_it_fails_is_told_without_secrets() -> None:
    told: list[str] = []
    heard: list[Any] = []
    fault = ToolError("the token canary-91736455 is wrong")

    async def process() -> None:
        belt = Toolbelt([], "/", [Source("canary-91736455", [], [], open_=fault)])
        redactor = Redactor({"MY_TOKEN": "canary-91736455"})
        await belt.open(told.append, heard.append, redactor)
        await belt.close()

    loop.run(process(), 0.0)
    assert "the token [secret: MY_TOKEN] is wrong" in told[0]
    assert "hello" in heard[0].text
    assert "canary" not in told[0] + heard[0].text


def test_sources_open_before_tools_start_and_all_end_in_reverse() -> None:
    steps: list[str] = []
    own, theirs = Living("own", steps), Living("theirs", steps)
    opened = Opened([own], [Source("a", [theirs], steps)])
    assert steps == [
        "open a", "start own", "start theirs", "close theirs", "close a", "close own",
    ]  # fmt: skip
    assert (opened.names, opened.told) == (["own", "theirs"], [])
    assert opened.heard == [ToolOutput("a", "a: hello")]


def test_the_order_in_which_the_model_is_told_is_fixed() -> None:
    steps: list[str] = []
    late, early = (
        Source("b", [made("z", "mcp:b"), made("y", "mcp:b")], steps, 1),
        Source("c", [made("x", "mcp:c")], steps),
    )
    given = [made("both", "composed"), made("mine", "own"), made("shell", "")]
    assert Opened(given, [early, late]).names == ["shell", "mine", "both", "y", "z", "x"]


def test_everything_opens_side_by_side() -> None:
    steps: list[str] = []
    sources = [Source(name, [Living(f"{name}1", steps, 3)], steps, 5) for name in "abc"]
    assert 7.9 < Opened([Living("own", steps, 3)], sources).took_s < 8.1


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (ToolError("no such program"), "no such program"),
        (ValueError("bad"), "ValueError: bad"),
        (HANG_S, "no answer within 20 s"),
    ],
)
def test_what_cannot_be_opened_is_left_out_and_told(fault: Any, why: str) -> None:
    steps: list[str] = []
    bad = Source("bad", [made("x", "mcp:bad")], steps, fault)
    good = Source("good", [made("y", "mcp:good")], steps)
    opened = Opened([Living("broken", steps, fault), made("shell", "")], [bad, good])
    assert opened.names == ["shell", "y"]
    assert opened.told == [
        f"The tools of bad are left out: {why}", f"broken is left out: {why}",
    ]  # fmt: skip
    assert steps.index("close bad") < steps.index("start broken")  # at once
    assert "close broken" in steps


def test_of_two_tools_with_one_name_the_first_wins_and_the_other_is_told() -> None:
    steps: list[str] = []
    sources = [Source(name, [made("read", f"mcp:{name}")], steps) for name in ("b", "a")]
    opened = Opened([made("read", "own"), made("read", "")], sources)
    assert opened.names == ["read"]
    assert opened.told == [
        "The tool read of own is left out: the one of agentctl has that name.",
        "The tool read of a is left out: the one of agentctl has that name.",
        "The tool read of b is left out: the one of agentctl has that name.",
    ]


def test_a_tool_that_is_left_out_for_its_name_is_not_started() -> None:
    steps: list[str] = []
    Opened([made("read", ""), Living("read", steps)])
    assert steps == ["close read"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (OSError("stuck"), "did not end properly: OSError: stuck"),
        (HANG_S, "did not end within 5 s."),
    ],
)
def test_what_does_not_end_is_told_and_the_others_end(fault: Any, told: str) -> None:
    steps: list[str] = []
    opened = Opened(
        [Living("own", steps), Living("stuck", steps, close=fault)],
        [Source("a", [], steps, close=fault)],
    )
    assert steps[-3:] == ["close a", "close stuck", "close own"]
    assert opened.told == [f"a {told}", f"stuck {told}"]


def test_health_says_what_is_wrong_with_each() -> None:
    steps: list[str] = []
    own, hung, bad = Living("own", steps), Source("hung", [], steps), Source("bad", [], steps)
    own.ill, hung.ill, bad.ill = "no database", "hangs", "dead"
    assert Opened([own, made("shell", "")], [hung, bad]).health == {
        "bad": "dead", "hung": "no answer within 2 s", "own": "no database",
    }  # fmt: skip


def test_closing_ends_everything_when_opening_was_cut() -> None:
    steps: list[str] = []
    sources = [Source("quick", [made("x", "mcp:quick")], steps), Source("slow", [], steps, HANG_S)]

    async def process() -> None:
        belt = Toolbelt([Living("own", steps)], "/", sources)
        opening = asyncio.ensure_future(belt.open(print))
        await asyncio.sleep(1)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert list(belt.specs) == ["own"]
        await belt.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    loop.run(process(), 0.0)
    assert steps == ["open quick", "close slow", "close quick", "close own"]


def test_closing_goes_on_when_it_is_cut() -> None:
    steps: list[str] = []

    async def process() -> None:
        belt = Toolbelt([Living("own", steps), Living("slow", steps, close=HANG_S)], "/")
        closing = asyncio.ensure_future(belt.close())
        await asyncio.sleep(1)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing

    loop.run(process(), 0.0)
    assert steps == ["close slow", "close own"]


# --- tools that change --------------------------------------------------------------------------


def test_changed_tools_are_taken_all_at_once() -> None:
    steps: list[str] = []
    kept, gone, new = Living("kept", steps), Living("gone", steps), Living("new", steps)
    source = Source("a", [kept, gone], steps)

    async def process() -> None:
        belt = Toolbelt([], "/", [source])
        await belt.open(print)
        before = belt.specs
        assert not belt.is_stale
        source.offered = [new, kept]
        source.changed()
        assert belt.is_stale
        assert belt.specs is before
        await belt.refresh()
        assert not belt.is_stale
        assert list(before) == ["gone", "kept"]
        assert list(belt.specs) == ["kept", "new"]
        await belt.close()

    loop.run(process(), 0.0)
    assert [step for step in steps if "kept" in step] == ["start kept", "close kept"]
    assert [step for step in steps if "gone" in step] == ["start gone", "close gone"]
    assert [step for step in steps if "new" in step] == ["start new", "close new"]


def test_tools_that_cannot_be_listed_again_stay() -> None:
    told: list[str] = []
    source = Source("a", [made("x", "mcp:a")], [])
    source.listed = ToolError("gone away")

    async def process() -> None:
        belt = Toolbelt([], "/", [source])
        await belt.open(told.append)
        source.changed()
        await belt.refresh()
        assert list(belt.specs) == ["x"]
        await belt.close()

    loop.run(process(), 0.0)
    assert told == ["The tools of a stay as they were: gone away"]


# --- in a run -----------------------------------------------------------------------------------


def drive(life: Life, provider: Play, tools: Sequence[Any], source: Source, **more: Any) -> Any:
    belt = Toolbelt(tools, "/", [source])
    return life.drive(provider, belt=belt, **more)


def test_a_run_has_the_tools_of_its_sources_and_follows_their_changes() -> None:
    steps: list[str] = []
    life, hears = Life(), Listen(live=True)
    first, second = made("first", "mcp:a"), made("second", "mcp:a")
    source = Source("a", [first], steps)

    def change(_context: object) -> str:
        source.offered = [second]
        source.changed()
        return "changed"

    first._run = change
    provider = Play(
        says("", call("first")), says("", call("second"), call("first", "f2")), says("x")
    )
    state = drive(life, provider, [], source, listeners=[hears])
    assert state.status == "done"
    assert [[spec.name for spec in asked.tools] for asked in provider.requests] == [
        ["first"], ["second"], ["second"],
    ]  # fmt: skip
    told = {m.call_id: m.text for m in state.messages if m.role == "tool"}
    assert "done" in told["second-1"]
    assert told["f2"].startswith("There is no tool named 'first'")
    assert ToolOutput("a", "a: hello") in hears.heard
    assert life.events(e.ToolNote) == [e.ToolNote("a", "a: hello")], "and it is in the log"
    assert steps == ["open a", "close a"]


def test_a_longer_list_of_tools_is_reserved_for() -> None:
    life = Life()
    source = Source("a", [made("first", "mcp:a")], [])

    def change(_context: object) -> str:
        long = made("second", "mcp:a")
        long.spec = replace(long.spec, description="x" * 30_000)
        source.offered = [source.offered[0], long]
        source.changed()
        return "changed"

    source.offered[0]._run = change
    drive(life, Play(says("", call("first")), says("x")), [], source)
    first, second = life.events(e.ModelAsked)
    assert second.reserve_tokens - first.reserve_tokens > 5_000


def test_tools_that_come_with_a_resume_are_reserved_for() -> None:
    life = Life(limits=Limits(steps=1))
    life.drive(Play(says("", call("first"))), [tool("first")])
    life.tell(e.LimitChanged(Limits(steps=9)))()
    life.resume()
    source = Source("a", [tool("x", origin="mcp:a", description="x" * 30_000)], [])
    drive(life, Play(says("", call("x")), says("done")), [tool("first")], source)
    first, second, third = life.events(e.ModelAsked)
    assert second.reserve_tokens - first.reserve_tokens > 5_000
    assert third.reserve_tokens - first.reserve_tokens < 1_000  # the model has told their size


def test_a_pause_does_not_wait_for_sources_to_open() -> None:
    steps: list[str] = []
    life = Life()
    source = Source("slow", [], steps, HANG_S)
    state = drive(life, Play(), [], source, at={3: life.tell(e.PauseRequested())})
    assert (state.status, steps) == ("paused", ["close slow"])
    assert life.now_s < 6


def test_a_source_that_does_not_open_is_told_and_the_run_goes_on() -> None:
    life = Life()
    state = drive(life, Play(says("done")), [], Source("bad", [], [], ToolError("no program")))
    assert state.status == "done"
    assert life.complaints == ["The tools of bad are left out: no program"]
