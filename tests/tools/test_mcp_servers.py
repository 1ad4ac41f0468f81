"""MCP servers that others wrote, as they are: skipped where they are not installed."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.tools.mcp_parts import Opened, Server, opened

PYTHON = "pip install mcp-server-fetch mcp-server-git mcp-server-time (the group mcp-servers)"
NODE = "npm install -g @modelcontextprotocol/server-{}"
BOUND_S = 60.0


def program(name: str) -> str:
    """Where it is installed: beside this Python, or on the path."""
    beside = Path(sys.executable).with_name(f"mcp-server-{name}")
    found = str(beside) if beside.exists() else shutil.which(f"mcp-server-{name}")
    if found is None:
        how = PYTHON if name in ("fetch", "git", "time") else NODE.format(name)
        pytest.skip(f"mcp-server-{name} is not installed: {how}")
    return found


def story_of(
    name: str, folder: Path, story: Callable[[Opened], Awaitable[None]], *args: str
) -> None:
    server = Server(name, program(name), args)

    async def whole() -> None:
        async with opened(server, folder) as it:
            await story(it)

    asyncio.run(asyncio.wait_for(whole(), BOUND_S))


def test_time(tmp_path: Path) -> None:
    async def story(it: Opened) -> None:
        given = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
        assert "21:00" in (await it.call("time_convert_time", json.dumps(given))).text

    story_of("time", tmp_path, story, "--local-timezone=UTC")


def test_git(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    (tmp_path / "new.txt").write_text("x")

    async def story(it: Opened) -> None:
        status = await it.call("git_git_status", json.dumps({"repo_path": str(tmp_path)}))
        assert "new.txt" in status.text

    story_of("git", tmp_path, story, "--repository", str(tmp_path))


def test_fetch_has_its_tool_and_its_prompt(tmp_path: Path) -> None:
    async def story(it: Opened) -> None:
        assert "fetch_fetch" in it.tools and "fetch_get_prompt" in it.tools

    story_of("fetch", tmp_path, story)


def test_filesystem(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")

    async def story(it: Opened) -> None:
        given = json.dumps({"path": str(tmp_path / "a.txt")})
        assert "hello" in (await it.call("filesystem_read_text_file", given)).text
        assert not it.tools["filesystem_read_text_file"].spec.changes
        assert it.tools["filesystem_write_file"].spec.changes

    story_of("filesystem", tmp_path, story, str(tmp_path))


def test_memory(tmp_path: Path) -> None:
    async def story(it: Opened) -> None:
        entity = {"name": "Ada", "entityType": "person", "observations": ["likes engines"]}
        await it.call("memory_create_entities", json.dumps({"entities": [entity]}))
        assert "engines" in (await it.call("memory_read_graph")).text

    story_of("memory", tmp_path, story)


def test_everything(tmp_path: Path) -> None:
    async def story(it: Opened) -> None:
        assert "hello" in (await it.call("everything_echo", '{"message": "hello"}')).text
        assert "everything_read_resource" in it.tools and "everything_get_prompt" in it.tools

    story_of("everything", tmp_path, story, "stdio")
