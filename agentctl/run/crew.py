"""Where the tools of a run are from: made ready before the first call, renewed, and all ended.

Each thing is opened and closed in a task of its own, for its time only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TypeVar

from msgspec.structs import replace

from agentctl.core.only import offered
from agentctl.core.values import Repeat, ToolSpec
from agentctl.errors import AgentctlError
from agentctl.ports import LivingTool, Resources, Tool, ToolSource
from agentctl.run.bounded import TimeIsUp, bounded

OPEN_S = 20.0
CLOSE_S = 5.0
LIST_S = 10.0
HEALTH_S = 2.0
"""Longest waits for one thing."""

_T = TypeVar("_T")
_ORDER = {"": 0, "own": 1}
_WEAKEST: tuple[Repeat, ...] = ("unsafe", "idempotent", "safe")

Complain = Callable[[str], None]
Say = Callable[[str, str], None]
"""Takes the name of a source and a line that it says of itself."""


def _nothing(line: str) -> None:
    """Nobody listens."""


class Crew:
    """The tools by name, in the order in which the model is told of them."""

    def __init__(
        self,
        tools: Sequence[Tool],
        sources: Sequence[ToolSource],
        only: Sequence[str] | None = None,
    ) -> None:
        """Only `tools` are there before `open`; of those of sources `only` these are taken."""
        self._only = only
        self._given = sorted(tools, key=lambda tool: _ORDER.get(tool.spec.origin, 2))
        self._sources = sorted(sources, key=lambda source: source.name)
        self._from: dict[str, Sequence[Tool]] = {}
        self._closers: list[tuple[object, str, Callable[[], Awaitable[None]]]] = [
            (tool, tool.spec.name, tool.close) for tool in tools
        ]
        self._begun: list[Tool] = []
        self._dropped: list[Tool] = []
        self._changed: set[str] = set()
        self._told: set[str] = set()
        self._complain: Complain = _nothing
        self._resources: Resources | None = None
        self.tools: dict[str, Tool] = {}
        self.specs: dict[str, ToolSpec] = {}
        self._name()

    @property
    def is_stale(self) -> bool:
        """A source has other tools than before."""
        return bool(self._changed)

    async def open(self, resources: Resources, complain: Complain, say: Say) -> None:
        """Open every source, then start every tool that has to be started.

        What cannot is left out, and `complain` is told in a line. Whoever cancels this must still
        `close`.
        """
        self._resources, self._complain = resources, complain
        for source in self._sources:
            self._closers.append((source, source.name, source.close))
        if self._sources:
            await asyncio.gather(*(self._open(source, say) for source in self._sources))
        await self._take_in()

    async def refresh(self) -> None:
        """Take the tools of sources that have changed, all at once."""
        names, self._changed = self._changed, set()
        if names:
            changed = [source for source in self._sources if source.name in names]
            await asyncio.gather(*(self._list(source) for source in changed))
            await self._take_in()

    async def health(self) -> dict[str, str]:
        """What is wrong with each source and tool that can say so; empty: nothing."""
        asked: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            (source.name, source.health) for source in self._sources
        ]
        asked += [
            (tool.spec.name, tool.health)
            for tool in self.tools.values()
            if isinstance(tool, LivingTool)
        ]
        answers = await asyncio.gather(*(_healthy(health) for _, health in asked))
        return {name: answer for (name, _), answer in zip(asked, answers, strict=True)}

    async def close(self) -> None:
        """Close everything, what was opened last first, whatever one of them does."""
        cancelled: asyncio.CancelledError | None = None
        while self._closers:
            _, name, close = self._closers.pop()
            try:
                await self._ended(name, close)
            except asyncio.CancelledError as error:
                cancelled = error  # the others must be closed too
        if cancelled is not None:
            raise cancelled

    # --- opening -------------------------------------------------------------------------------

    async def _open(self, source: ToolSource, say: Say) -> None:
        name = source.name

        def emit(line: str) -> None:
            say(name, line)

        tools = await self._tried(
            f"The tools of {name} are left out",
            OPEN_S,
            lambda: source.open(lambda: self._changed.add(name), emit),
        )
        if tools is None:
            await self._ended(name, source.close)
        else:
            self._from[name] = self._taken(tools)

    async def _list(self, source: ToolSource) -> None:
        if source.name not in self._from:
            return
        tools = await self._tried(
            f"The tools of {source.name} stay as they were", LIST_S, source.tools
        )
        if tools is not None:
            self._from[source.name] = self._taken(tools)

    def _taken(self, tools: Sequence[Tool]) -> list[Tool]:
        """Of a source's tools those that the task has, or that others of it are made of."""
        parts = {part for tool in self._given for part in tool.spec.parts}
        return [t for t in tools if offered(self._only, t.spec.name) or t.spec.name in parts]

    async def _take_in(self) -> None:
        """Start what is new, end what is gone, then name all tools at once."""
        found = [tool for tools in self._from.values() for tool in tools]
        gone = [
            closer
            for closer in self._closers
            if _is_tool(closer[0])
            and not _among(closer[0], found)
            and not _among(closer[0], self._given)
        ]
        for closer in gone:
            self._closers.remove(closer)
        for tool in found:
            if not any(tool is owner for owner, _, _ in self._closers):
                self._closers.append((tool, tool.spec.name, tool.close))
        names = self._named()
        new = [tool for tool in names.values() if not _among(tool, self._begun)]
        living = [tool for tool in new if _is_living(tool)]
        if living:
            await asyncio.gather(*(self._start(tool) for tool in living))
        self._begun += new
        self._name()
        for _, name, close in reversed(gone):
            await self._ended(name, close)

    async def _start(self, tool: Tool) -> None:
        assert isinstance(tool, LivingTool)  # noqa: S101 - only such tools come here
        assert self._resources is not None  # noqa: S101 - open has set it
        resources = self._resources

        async def start() -> bool:
            await tool.start(resources)
            return True

        if await self._tried(f"{tool.spec.name} is left out", OPEN_S, start) is None:
            self._dropped.append(tool)

    async def _tried(
        self, what: str, most_s: float, work: Callable[[], Awaitable[_T]]
    ) -> _T | None:
        """What the work gives; None if it fails, which is told."""
        try:
            return await bounded(_awaited(work), most_s)
        except TimeIsUp:
            why = f"no answer within {most_s:g} s"
        except AgentctlError as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001 - what others wrote must not end the run: it is told
            why = f"{type(error).__name__}: {error}"
        self._complain(f"{what}: {why}")
        return None

    async def _ended(self, name: str, close: Callable[[], Awaitable[None]]) -> None:
        try:
            await bounded(_awaited(close), CLOSE_S)
        except TimeIsUp:
            self._complain(f"{name} did not end within {CLOSE_S:g} s.")
        except Exception as error:  # noqa: BLE001 - the others must be closed too
            self._complain(f"{name} did not end properly: {type(error).__name__}: {error}")

    # --- names ---------------------------------------------------------------------------------

    def _name(self) -> None:
        self.tools = self._named()
        self.specs = {name: _honest(tool.spec, self.tools) for name, tool in self.tools.items()}

    def _named(self) -> dict[str, Tool]:
        """All tools by name: of two with one name the first, and the other one is told of."""
        offered = [(tool, _whose(tool)) for tool in self._given]
        for name in sorted(self._from):
            by_name = sorted(self._from[name], key=lambda tool: tool.spec.name)
            offered += [(tool, f"of {name}") for tool in by_name]
        named: dict[str, Tool] = {}
        owners: dict[str, str] = {}
        for tool, owner in offered:
            name = tool.spec.name
            if _among(tool, self._dropped):
                continue
            if named.setdefault(name, tool) is not tool:
                line = f"The tool {name} {owner} is left out: the one {owners[name]} has that name."
                if line not in self._told and self._resources is not None:
                    self._told.add(line)
                    self._complain(line)
            else:
                owners[name] = owner
        return named


def _whose(tool: Tool) -> str:
    return f"of {tool.spec.origin}" if tool.spec.origin else "of agentctl"


def _among(tool: object, tools: Collection[Tool]) -> bool:
    return any(tool is each for each in tools)


def _is_living(tool: Tool) -> bool:
    return isinstance(tool, LivingTool)


def _is_tool(owner: object) -> bool:
    return hasattr(owner, "spec")


def _honest(spec: ToolSpec, tools: Mapping[str, Tool]) -> ToolSpec:
    """What can be said of a tool that makes others act: no more than of the worst of them."""
    if not spec.parts:
        return spec
    repeat, changes, seen, left = spec.repeat, spec.changes, {spec.name}, [*spec.parts]
    while left:
        name = left.pop()
        if name in seen or name not in tools:
            continue
        seen.add(name)
        part = tools[name].spec
        repeat = min(repeat, part.repeat, key=_WEAKEST.index)
        changes = changes or part.changes
        left.extend(part.parts)
    return replace(spec, repeat=repeat, changes=changes)


async def _healthy(health: Callable[[], Awaitable[str]]) -> str:
    try:
        return await bounded(_awaited(health), HEALTH_S)
    except TimeIsUp:
        return f"no answer within {HEALTH_S:g} s"
    except Exception as error:  # noqa: BLE001 - that it cannot say is what is wrong with it
        return f"{type(error).__name__}: {error}"


async def _awaited(work: Callable[[], Awaitable[_T]]) -> _T:
    return await work()
