"""tools list, tools show, tools call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from agentctl.cli import options as o
from agentctl.cli.output import say, say_json, tell
from agentctl.errors import EXIT_CODES

if TYPE_CHECKING:
    from agentctl.tool_desk import ToolDesk

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the tool.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def list_tools(
    tools: o.Tools = None, mcp: o.Mcp = None, cwd: o.Cwd = None, json: Json = False
) -> None:
    """List the tools that a run here would have. E.g.: agentctl tools list"""
    from agentctl import registry  # these, because --help needs none of them
    from agentctl.cli.costs import say_fitting
    from agentctl.reports import tools as report

    with _desk(tools, mcp, cwd) as (desk, used):
        lines = desk.lines()
    unused = {k: v for k, v in registry.installed_tools().items() if k not in used}
    if json:
        say_json({"tools": [report.as_json(line) for line in lines], "unused": unused})
    else:
        say_fitting(lambda width, plain: report.text(lines, unused, width, plain=plain))


def show_tool(
    name: Name,
    tools: o.Tools = None,
    mcp: o.Mcp = None,
    cwd: o.Cwd = None,
    json: Json = False,
) -> None:
    """Show what a model is told of a tool. E.g.: agentctl tools show read_file"""
    from agentctl.cli.costs import say_fitting  # as above
    from agentctl.reports import tools as report

    with _desk(tools, mcp, cwd) as (desk, _):
        line = desk.line(name)
    if json:
        say_json(report.as_json(line))
    else:
        say_fitting(lambda width, plain: report.details(line, width, plain=plain))


def check_tools(
    tools: o.Tools = None, mcp: o.Mcp = None, cwd: o.Cwd = None, json: Json = False
) -> int:
    """Start all tools and servers, and say what is wrong. E.g.: agentctl tools check"""
    with _desk(tools, mcp, cwd) as (desk, _):
        found = desk.check()
    if json:
        said = {"tools": found.tools, "sandbox": found.sandbox}
        say_json({**said, "problems": list(found.problems)})
    else:
        say(f"{found.tools} tools; {found.sandbox}")
        for problem in found.problems:
            say(f"  {problem}")
    return EXIT_CODES["failed" if found.problems else "done"]


def call_tool(
    name: Name,
    args: Annotated[
        str, typer.Option("--args", metavar="JSON", help="The arguments, as a JSON object.")
    ] = "{}",
    tools: o.Tools = None,
    mcp: o.Mcp = None,
    approve: o.Approve = None,
    cwd: o.Cwd = None,
    json: Json = False,
) -> int:
    """Call a tool outside of any task. E.g.: agentctl tools call list_dir --args '{"path": "."}'"""
    from agentctl.cli.approval import ask_user, can_ask  # as above

    with _desk(tools, mcp, cwd, approve) as (desk, _):
        called = desk.call(name, args, ask_user(None) if can_ask() else None, tell)
    is_done = called.status == "ok"
    if json:
        said = {"tool": name, "status": called.status, "text": called.text}
        say_json({**said, "duration_ms": called.duration_ms})
    elif is_done:
        say(called.text)
    else:
        tell(called.text)
    return EXIT_CODES["done" if is_done else "failed"]


@contextmanager
def _desk(
    tools: list[str] | None,
    mcp: list[str] | None,
    cwd: str | None,
    approve: str | None = None,
) -> Iterator[tuple[ToolDesk, tuple[str, ...]]]:
    """The tools as the settings and these options have them, and the entries they are from."""
    import os  # these, because --help needs none of them

    from agentctl import mcp_servers, own_tools, settings
    from agentctl.control import Desk
    from agentctl.orders import workspace
    from agentctl.tool_desk import ToolDesk

    folder = workspace(cwd, settings.here())
    chosen = settings.load({"approve": approve}, env=os.environ, cwd=folder)
    for warning in chosen.warnings:
        tell(f"Note: {warning}")
    given = own_tools.entries(tools or (), settings.here())
    with Desk() as desk:
        files = mcp_servers.entries(mcp or (), settings.here())
        yield ToolDesk(desk, chosen, folder, given, files, tell), (*chosen.tools, *given)
