"""What the tests of MCP servers share."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agentctl.ports import Tool, ToolContext, ToolResult

pytest.importorskip("mcp", reason="needs the SDK: pip install 'agentctl[mcp]'")

from agentctl.tools.mcp import McpSource
from agentctl.tools.mcp_config import Server

HERE = Path(__file__).parent
FRIENDLY, HOSTILE = HERE / "mcp_friendly.py", HERE / "mcp_hostile.py"


class Opened:
    """An open source and what it said."""

    def __init__(self, source: McpSource) -> None:
        self.source = source
        self.said: list[str] = []
        self.heard: list[str] = []
        self.progress: list[str] = []
        self.changes = 0
        self.tools: dict[str, Tool] = {}

    def changed(self) -> None:
        self.changes += 1

    def take(self, tools: object) -> None:
        self.tools = {tool.spec.name: tool for tool in tools}

    async def call(self, name: str, arguments: str = "{}") -> ToolResult:
        tool = self.tools[name]
        assert tool.check(arguments) == ""
        context = ToolContext(
            "/", "c1", self.heard.append, lambda _ref: None, progress=self.progress.append
        )
        return await tool.run(arguments, context)

    @property
    def text(self) -> str:
        return "".join(self.said)


@asynccontextmanager
async def opened(server: Server, cwd: Path, **more: object) -> AsyncIterator[Opened]:
    it = Opened(McpSource(server, str(cwd), **more))
    try:
        it.take(await it.source.open(it.changed, it.said.append))
        yield it
    finally:
        await it.source.close()


def friendly(**more: object) -> Server:
    return Server("kind", sys.executable, ("-W", "ignore", str(FRIENDLY)), **more)


def hostile(how: str, *more: str) -> Server:
    return Server("evil", sys.executable, (str(HOSTILE), how, *more))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


async def soon(happened: object, seconds: float = 10) -> None:
    """Wait until something is so, within a generous bound."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)
