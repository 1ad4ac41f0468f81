"""Looking at the tools that a run here would have, and calling one outside of any task."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from agentctl import assembly, mcp_servers, own_tools, secrets
from agentctl.control import Desk, now_ms
from agentctl.core import events as e
from agentctl.core.approval import inner_refusal, permission
from agentctl.core.permissions import parse_rule
from agentctl.core.redact import Redactor
from agentctl.core.rows import StoredOutput
from agentctl.core.sanitize import storable
from agentctl.core.state import State
from agentctl.core.values import Limits, Quote, ToolCall, ToolSpec, View
from agentctl.errors import UsageError
from agentctl.ports import Ask, Tool, ToolSource
from agentctl.reports.tools import ToolLine
from agentctl.run.toolbelt import Toolbelt
from agentctl.settings import Settings
from agentctl.store import permissions


class Called(Struct, frozen=True):
    """How a call ended."""

    status: str
    """As ToolEnded has it, e.g. "ok", "error" or "denied"."""
    text: str
    duration_ms: int


class Checked(Struct, frozen=True):
    """What a run here would begin with."""

    tools: int
    sandbox: str
    """What confines commands, as was found by trying."""
    problems: tuple[str, ...]
    """What would be left out, or is not well, and why."""


class ToolDesk:
    """The tools that a run in this folder would have."""

    def __init__(
        self,
        desk: Desk,
        chosen: Settings,
        cwd: Path,
        given: Iterable[str],
        mcp: Iterable[str] = (),
        complain: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """With the entries of `given` and `mcp` besides those of the settings. Raises UsageError.

        `complain` is told which servers are left out.
        """
        self._desk, self._chosen, self._cwd = desk, chosen, cwd
        self._mcp = tuple(dict.fromkeys((*chosen.mcp, *mcp)))
        self._complain = complain
        self._words: dict[str, object] = {}
        entries = tuple(dict.fromkeys((*chosen.tools, *given)))
        self._sandbox = sandbox = assembly.fenced(chosen.sandbox(), desk.home)
        made = assembly.tools("auto", sandbox, entries, more_later=bool(self._mcp))
        self._tools: dict[str, Tool] = {tool.spec.name: tool for tool in made}
        brought = own_tools.load(entries)
        self._places = {each.tool.spec.name: each.place for each in brought}

    def lines(self) -> list[ToolLine]:
        """Every tool, in the order in which a model is told of them."""
        return [self._line(spec) for spec in self._specs()]

    def line(self, name: str) -> ToolLine:
        """The tool of this name. Raises UsageError."""
        if name in self._tools:
            return self._line(self._tools[name].spec)
        specs = {spec.name: spec for spec in self._specs(name)}
        if name not in specs:
            raise _unknown(name, specs)
        return self._line(specs[name])

    def check(self) -> Checked:
        """Open everything as a run does, ask how it is, and close it again."""

        async def look() -> tuple[int, list[str]]:
            problems: list[str] = []
            belt = Toolbelt(list(self._tools.values()), str(self._cwd), self._sources())
            try:
                await belt.open(problems.append, redactor=self._redactor())
                problems += (f"{name}: {why}" for name, why in (await belt.health()).items() if why)
                return len(belt.specs), problems
            finally:
                await belt.close()

        count, problems = asyncio.run(look())
        confined = assembly.confinement(list(self._tools.values()), str(self._cwd))
        return Checked(count, confined, tuple(problems))

    def call(
        self, name: str, arguments: str, ask: Ask | None, complain: Callable[[str], None]
    ) -> Called:
        """Call a tool once. Raises UsageError for a name or arguments that do not fit.

        `ask` asks the user where a run would; without it nobody can be asked.
        """
        call = ToolCall(f"by-hand-{os.urandom(8).hex()}", name, storable(arguments))
        return asyncio.run(self._called(call, ask, complain))

    async def _called(
        self, call: ToolCall, ask: Ask | None, complain: Callable[[str], None]
    ) -> Called:
        names = self._needed(call.name)
        lost = [name for name in names if name not in self._tools]
        sources = self._sources(*lost) if lost else []
        needed = [self._tools[name] for name in names if name in self._tools]
        belt = Toolbelt(needed or list(self._tools.values()), str(self._cwd), sources)
        if not sources:
            return await self._judged(belt, call, ask, complain)
        try:  # what a server has is known only when it is open
            await belt.open(complain, redactor=self._redactor())
            return await self._judged(belt, call, ask, complain, is_open=True)
        finally:
            await belt.close()

    async def _judged(
        self,
        belt: Toolbelt,
        call: ToolCall,
        ask: Ask | None,
        complain: Callable[[str], None],
        *,
        is_open: bool = False,
    ) -> Called:
        if call.name not in belt.specs:
            raise _unknown(call.name, belt.specs)
        spec = belt.specs[call.name]
        checked = belt.check(call)
        if checked.problem:
            raise UsageError(checked.problem, next_step=f"See: agentctl tools show {call.name}")
        state, view = self._situation(is_interactive=ask is not None)
        found = permission(state, view, call, spec)
        if found.effect == "deny":
            return Called("denied", found.why, 0)
        if found.effect == "ask" and (ask is None or await ask(call, spec, False, "") == "no"):
            return Called("denied", "Denied by the user.", 0)
        ended: list[tuple[e.ToolEnded, Sequence[StoredOutput]]] = []
        try:
            if not is_open:
                await belt.open(complain)
            await belt.run(
                [call],
                lambda event, outputs: ended.append((event, outputs)),
                lambda _signal: None,
                self._desk.store.output,
                now_ms,
                self._chosen.limits(),
                task_id=call.id,
                may=lambda *inner: inner_refusal(state, view, *inner),
                fence=False,
            )
        finally:
            await belt.close()
        event, outputs = next(each for each in ended if each[0].call_id == call.id)
        text = outputs[0].text if outputs else event.text
        return Called(event.status, self._redactor().text(text), event.duration_ms)

    def _redactor(self) -> Redactor:
        return secrets.redactor(os.environ, self._words)

    def _situation(self, *, is_interactive: bool) -> tuple[State, View]:
        """What a task that has just begun here would be judged by."""
        cwd = str(self._cwd)
        created = e.TaskCreated("", "", "", "", cwd, Limits())
        stored = permissions.stored(self._desk.store.connection, cwd)
        always = (parse_rule(each.rule, "allow", "always") for each in stored)
        rules = (*self._chosen.permissions, *always)
        view = View(now_ms(), Quote(0, 0, 0, 0), interactive=is_interactive, rules=rules)
        return State(created, approve=self._chosen.approve), view

    def _needed(self, name: str) -> list[str]:
        """A tool and those that it may make act: only these are opened."""
        names = [name]
        for each in names:
            tool = self._tools.get(each)
            names += [part for part in (tool.spec.parts if tool else ()) if part not in names]
        return names

    def _sources(self, *names: str) -> list[ToolSource]:
        """The MCP servers, or those that may have a tool of one of these names."""
        created = e.TaskCreated("", "", "", "", str(self._cwd), Limits())
        found = mcp_servers.sources(
            created, self._mcp, self._desk.home, self._sandbox, "auto", self._complain
        )
        self._words = mcp_servers.words_of(found)
        return [
            each
            for each in found
            if not names or any(mcp_servers.may_have(each, name) for name in names)
        ]

    def _specs(self, *names: str) -> list[ToolSpec]:
        """All tools, those of servers too: for that they are opened and closed again."""
        sources = self._sources(*names)
        own = [tool.spec for tool in self._tools.values()]
        if not sources:
            return own

        async def look() -> list[ToolSpec]:
            belt = Toolbelt(list(self._tools.values()), str(self._cwd), sources)
            try:
                await belt.open(self._complain, redactor=self._redactor())
                return list(belt.specs.values())
            finally:
                await belt.close()

        return asyncio.run(look())

    def _line(self, spec: ToolSpec) -> ToolLine:
        timeout_ms = self._chosen.limits().timeout_ms(spec.category, spec.timeout_ms)
        price = self._chosen.credits.get(spec.name, spec.credits)
        return ToolLine(spec, self._places.get(spec.name, ""), timeout_ms, price)


def _unknown(name: str, known: Iterable[str]) -> UsageError:
    return UsageError(f"There is no tool {name!r}.", next_step=f"There are: {', '.join(known)}.")
