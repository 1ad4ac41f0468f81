"""A well-behaved MCP server, written with the official SDK: `python mcp_friendly.py [PORT]`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ImageContent, TextContent, ToolAnnotations

server = MCPServer("friendly", instructions="Be kind.")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(annotations=ToolAnnotations(idempotent_hint=True, destructive_hint=False))
def put(value: str) -> str:
    """Put a value."""
    return f"put {value}"


@server.tool()
def environment() -> str:
    """The names of all variables, and the folder."""
    return " ".join([os.getcwd(), *sorted(os.environ)])  # noqa: PTH109 - a text is wanted


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("no such luck")


@server.tool()
def picture() -> list[TextContent | ImageContent]:
    """A text and a picture."""
    picture = ImageContent(type="image", data="AAAA" * 100, mime_type="image/png")
    return [TextContent(type="text", text="look:"), picture]


@server.tool()
async def slow(context: Context, steps: int) -> str:
    """Work slowly and say so."""
    for step in range(steps):
        await context.report_progress(step, steps, f"step {step}")
        await context.info(f"at {step}")
    return "done"


@server.tool()
async def hang(mark: str) -> str:
    """Never answer; tell a file when it is cancelled."""
    try:
        note(mark, "begun")
        await asyncio.sleep(3_600)
    except asyncio.CancelledError:
        note(mark, "cancelled")
        raise
    return ""


def note(path: str, text: str) -> None:
    Path(path).write_text(text)


@server.tool()
async def grow(context: Context) -> str:
    """Bring one more tool."""
    server.add_tool(lambda: "grown", name="grown", description="It has grown.")
    await context.notify_tools_changed()
    return "grew"


@server.tool()
async def ask(context: Context) -> str:
    """Ask the user something."""
    from pydantic import BaseModel

    class Answer(BaseModel):
        password: str

    return str(await context.elicit("Your password?", Answer))


@server.tool()
def die(code: int) -> str:
    """End the whole server."""
    os._exit(code)


@server.resource("note://today")
def today() -> str:
    """Today's note."""
    return "buy milk"


@server.resource("note://{name}")
def named(name: str) -> str:
    """A note by name."""
    return f"about {name}"


@server.prompt()
def review(code: str) -> str:
    """Review code."""
    return f"Review this: {code}"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run()
