"""replay: live a recorded task again, without a provider."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentctl.cli import options as o
from agentctl.cli.control import Task
from agentctl.cli.output import say, say_json, tell
from agentctl.errors import EXIT_CODES

if TYPE_CHECKING:
    from agentctl.control import Desk
    from agentctl.core.events import Recorded
    from agentctl.replay.live import LiveOutcome


def replay(
    task: Task,
    live_tools: Annotated[
        bool, typer.Option("--live-tools", help="Also make the recorded calls of tools again.")
    ] = False,
    approve: o.Approve = None,
    cwd: o.Cwd = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> int:
    """Live a task again from its log, for nothing, and compare. E.g.: agentctl replay @last"""
    from agentctl.control import Desk  # these, not needed for --help
    from agentctl.replay.life import known_tools
    from agentctl.replay.life import replay as live_again
    from agentctl.reports import replay as report

    with Desk() as desk:
        row = desk.find(task)
        log = desk.store.read(row.id)
        found = live_again(log, known_tools())
        tools = _live(desk, log, cwd or row.cwd, approve) if live_tools else None
    differs = found.divergence is not None or (tools is not None and tools.different is not None)
    if json:
        said: dict[str, Any] = {
            "task_id": row.id, "identical": found.divergence is None, "events": found.events,
            "processes": found.processes, "cost_micros": 0,
            "divergence": report.divergence_json(found.divergence), "tools": _as_dict(tools),
        }  # fmt: skip
        say_json(said)
    else:
        if found.divergence is None:
            say(report.identical(found.events, found.processes))
        else:
            say(report.divergence_text(found.divergence))
        if tools is not None:
            say(report.live_text(tools))
    return EXIT_CODES["failed" if differs else "done"]


def _live(desk: Desk, log: Sequence[Recorded], folder: str, approve: str | None) -> LiveOutcome:
    """Make the calls again as a run here would, with approval where one would need it."""
    import os  # these, because a replay alone needs none of them

    from agentctl import mcp_servers, own_tools, settings
    from agentctl.cli.approval import ask_user, can_ask
    from agentctl.core.state import fold
    from agentctl.orders import workspace
    from agentctl.replay.live import run_again
    from agentctl.tool_desk import ToolDesk

    state = fold(log)
    place: Path = workspace(folder, settings.here())
    flags = {"approve": approve or state.approve}
    chosen = settings.load(flags, env=os.environ, cwd=place)
    options = state.created.options
    own, servers = own_tools.kept(options), mcp_servers.kept(options)
    tools = ToolDesk(desk, chosen, place, own, servers, tell)
    ask = ask_user(None) if can_ask() else None

    def call(name: str, arguments: str) -> tuple[str, str]:
        made = tools.call(name, arguments, ask, tell)
        return made.status, made.text

    return run_again(log, call, desk.store.output)


def _as_dict(tools: LiveOutcome | None) -> dict[str, Any] | None:
    from msgspec import to_builtins  # here, because only --json needs it

    found: dict[str, Any] | None = None if tools is None else to_builtins(tools)
    return found
