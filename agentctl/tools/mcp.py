"""MCP servers as a source of tools: their tools, resources and prompts, for as long as a run lasts.

A server is a stranger: it may hang, die, flood, or say one thing and later another. None of that
may hold up a run or change what a name stands for behind the user's back.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from agentctl.core.environment import tool_environment
from agentctl.core.values import Sandbox, ToolSpec
from agentctl.errors import ToolError, UsageError
from agentctl.ports import Emit, Tool, ToolContext, ToolResult
from agentctl.tools import mcp_acts as acts
from agentctl.tools import mcp_schema as schema
from agentctl.tools.mcp_config import Server

if TYPE_CHECKING:
    from agentctl.tools.mcp_link import Link

LIST_S = 10.0
MAX_LINES = {"us": 1_000, "log": 200, "error": 50}
"""Lines that are passed on in a run, by who says them: we of the server, or it by its log or its
standard error. So what we have to say is not drowned."""
UNCONFINED = Sandbox(mode="off")


def check_installed() -> None:
    """Raise UsageError unless the SDK is there. Loads nothing."""
    from importlib.util import find_spec  # here, because few runs have servers

    if find_spec("mcp") is None:
        raise UsageError(
            "MCP servers need the official SDK, which is not installed.",
            next_step="Install it: pip install 'agentctl[mcp]'",
        )


class McpTool:
    """One tool of a server, as it was when the model was told of it."""

    def __init__(
        self, source: McpSource, spec: ToolSpec, act: acts.Act, fingerprint: str = ""
    ) -> None:
        """`fingerprint` changes with anything that its server says of it."""
        self.spec = spec
        self.fingerprint = fingerprint
        self._source = source
        self._act = act

    def check(self, arguments: str) -> str:
        """Return why this JSON text does not fit the tool, or an empty string."""
        return schema.arguments_problem(self.spec.parameters, arguments)

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        """Ask the server. Raises ToolError; ConnectionError when the outcome is unknown."""
        try:
            given = schema.decode(arguments)
        except schema.Unfit as unfit:
            raise ToolError(str(unfit)) from unfit
        link = await self._source.link()
        self._source.check_still(self)
        try:
            return await self._act(link, given, context)
        except ConnectionError as error:
            if self.spec.repeat == "unsafe":
                raise
            raise ToolError(str(error), retriable=True) from error

    async def close(self) -> None:
        """Nothing: its server is ended by its source."""


class McpSource:
    """The tools of one server (`ports.ToolSource`)."""

    def __init__(
        self,
        server: Server,
        cwd: str,
        policy: Sandbox = UNCONFINED,
        *,
        read_only: bool = False,
    ) -> None:
        """A process runs in `cwd`, confined as `policy` says. Raises UsageError without the SDK.

        With `read_only` tools that may change something are not there.
        """
        check_installed()
        self.name = server.name
        self.server = server
        self._cwd = cwd
        self._policy = policy
        self._read_only = read_only
        self._emit: Emit = lambda _text: None
        self._changed: Callable[[], None] = lambda: None
        self._told = dict.fromkeys(MAX_LINES, 0)
        self._said = self._last = ""
        self._link: Link | None = None
        self._transport: Any = None
        self._restarts = 1
        self._lock = asyncio.Lock()
        self._stale = False
        self._tools: dict[str, McpTool] = {}
        self._called: set[str] = set()
        self._out: set[str] = set()
        """Names left out for the rest of the run."""

    async def open(self, changed: Callable[[], None], emit: Emit) -> Sequence[Tool]:
        """Start or reach the server and return its tools. Raises ToolError."""
        self._changed, self._emit = changed, emit
        try:
            self._link = await self._connect()
            return await self._list(self._link)
        except (ToolError, ConnectionError, TimeoutError) as error:
            await self.close()
            said = f" It said last: {self._last}" if self._last else ""
            raise ToolError(f"the MCP server could not be used: {_why(error)}.{said}") from error

    async def tools(self) -> Sequence[Tool]:
        """Its tools as they are now; of a server that is gone those that it had last."""
        self._stale = False
        try:
            return await self._list(await self.link())
        except (ToolError, ConnectionError, TimeoutError) as error:
            self.tell(f"its tools could not be listed: {_why(error)}")
            return list(self._tools.values())

    async def health(self) -> str:
        """Return what is wrong with it, or an empty string."""
        if self._link is None:
            return "not open"
        return self._link.why or "gone" if self._link.gone else ""

    async def close(self) -> None:
        """End the session, and the process with all that it started. Safe to call twice."""
        self._restarts = 0
        link, transport, self._link, self._transport = self._link, self._transport, None, None
        try:
            if link is not None:
                await link.close()
        finally:
            if transport is not None and hasattr(transport, "end"):
                await transport.end()

    def tell(self, text: str, who: str = "us") -> None:
        """Pass on what there is to say of the server, or what it says: a bounded line at a time."""
        for each in text.splitlines():
            shown = schema.line(each)
            if not shown or self._told[who] > MAX_LINES[who]:
                continue
            self._told[who] += 1
            last = self._told[who] > MAX_LINES[who]
            self._emit("(it says more, not shown)\n" if last else f"{shown}\n")

    def check_still(self, tool: McpTool) -> None:
        """Raise ToolError if the server offers this tool no more, or as something else."""
        if self._tools.get(tool.spec.name) is not tool:
            raise ToolError(
                f"{tool.spec.name} is not offered any more as it was: the server changed it."
            )
        self._called.add(tool.spec.name)

    async def link(self) -> Link:
        """The session; that of a server which has gone is begun once more. Raises ToolError."""
        async with self._lock:
            if self._link is not None and not self._link.gone:
                return self._link
            why = self._link.why if self._link is not None else "it is not open"
            if not self._restarts:
                raise ToolError(f"The MCP server {self.name} is gone: {why}.")
            self._restarts -= 1
            self.tell(f"the server is gone ({why}); it is started once more")
            if self._link is not None:
                await self._link.close()
            link = await self._connect()
            before = dict(self._tools)
            try:
                async with asyncio.timeout(LIST_S):
                    await self._list(link)
            except (ToolError, ConnectionError, TimeoutError) as error:
                raise ToolError(f"The MCP server {self.name} is gone: {_why(error)}") from error
            finally:
                self._link = link
            if before != self._tools:
                self._mark_changed()
            return link

    async def _connect(self) -> Link:
        """Open a new session. Raises ToolError."""
        # Here, because it is heavy: 2,775 million instructions, for runs with servers only.
        from agentctl.tools import mcp_link

        self._transport = transport = self._reach(mcp_link.http_transport)
        link = mcp_link.Link(
            self.server,
            transport,
            lambda text: self.tell(text, "log"),
            self._mark_changed,
            self._mark_changed,
        )
        await link.open()
        return link

    def _reach(
        self, by_http: Callable[[Server], AbstractAsyncContextManager[Any]]
    ) -> AbstractAsyncContextManager[Any]:
        if self.server.url:
            return by_http(self.server)
        from agentctl.tools.mcp_pipe import Pipe  # here, because it is heavy too

        passed = tool_environment(os.environ, self._policy.variables)
        env = {"PATH": os.defpath, **passed, **self.server.env}
        return Pipe(self.server, self._cwd, env, self._policy, self._hear_errors)

    def _hear_errors(self, text: str) -> None:
        """Take what the process prints as errors, in pieces of any size."""
        *lines, self._said = (self._said + text).split("\n")
        self._said = self._said[-10_000:]
        for each in lines:
            self.tell(each, "error")
            self._last = schema.line(each) or self._last

    def _mark_changed(self) -> None:
        """Say once that the tools are to be asked for again."""
        if not self._stale:
            self._stale = True
            self._changed()

    async def _list(self, link: Link) -> list[Tool]:
        """Ask the server what it has, and take it over. Raises ToolError and ConnectionError."""
        found: dict[str, McpTool] = {}
        async with asyncio.timeout(LIST_S):
            raw = await link.tools(schema.MAX_TOOLS) if link.has("tools") else []
            made = [
                McpTool(self, spec, act) for spec, act in await acts.beside_tools(self.server, link)
            ]
        if len(raw) > schema.MAX_TOOLS:
            self.tell(f"only the first {schema.MAX_TOOLS} of its tools are used")
        for entry in raw[: schema.MAX_TOOLS]:
            tool = self._take(entry)
            if tool is not None:
                made.append(tool)
        for tool in made:
            name = tool.spec.name
            if self._read_only and tool.spec.changes:
                continue
            if name in found:
                self.tell(f"{name} is there twice: the later one is left out")
            elif self._is_same(tool):
                found[name] = self._tools.get(name, tool)
                if found[name].fingerprint != tool.fingerprint:
                    found[name] = tool
        self._tools = found
        return list(found.values())

    def _take(self, entry: object) -> McpTool | None:
        """A tool from one entry; None, told, for one that cannot be used."""
        entry = entry if isinstance(entry, dict) else {}
        name = schema.line(str(entry.get("name")), 64)
        try:
            offered = schema.offered(self.server, entry)
        except schema.Unfit as unfit:
            self.tell(f"its tool {name} is left out: {unfit}")
            return None
        return McpTool(self, offered.spec, acts.call_of(offered.remote), offered.fingerprint)

    def _is_same(self, tool: McpTool) -> bool:
        """Whether it may be offered: one that was called and is another now may not."""
        name = tool.spec.name
        known = self._tools.get(name)
        if name in self._out:
            return False
        if known is None or known.fingerprint == tool.fingerprint:
            return True
        if name in self._called:
            self._out.add(name)
            self.tell(
                f"{name} was changed by its server after it was called: it is left out for the "
                "rest of this run"
            )
            return False
        self.tell(f"{name} is described in another way now")
        return True


def _why(error: BaseException) -> str:
    """What to say of an error, also of one without words."""
    if isinstance(error, TimeoutError):
        return f"it did not answer within {LIST_S:g} s"
    return str(error) or type(error).__name__
