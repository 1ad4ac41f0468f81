"""Calling a tool as the tool belt does, and looking at the process table."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from agentctl.ports import Tool, ToolContext, ToolResult


def context_of(
    folder: Path,
    emit: Callable[[str], None] = lambda _text: None,
    stored: dict[str, str] | None = None,
) -> ToolContext:
    return ToolContext(
        cwd=str(folder.resolve()), call_id="c1", emit=emit, read_stored=(stored or {}).get
    )


async def acall(tool: Tool, context: ToolContext, **arguments: Any) -> ToolResult:
    text = json.dumps(arguments)
    assert tool.check(text) == ""
    return await tool.run(text, context)


def call(tool: Tool, context: ToolContext, **arguments: Any) -> ToolResult:
    async def once() -> ToolResult:
        try:
            return await acall(tool, context, **arguments)
        finally:
            await tool.close()

    return asyncio.run(once())


def marked(marker: str) -> list[int]:
    """Processes that carry a marker in their command line; the dead do not count."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        if any(marker in part for part in process.info["cmdline"] or ()):
            found.append(process.pid)
    return found


def comes_true(fact: Callable[[], bool], within_s: float = 10) -> bool:
    """Ask again until a fact holds; False when it never does."""
    end = time.monotonic() + within_s
    while not fact():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
