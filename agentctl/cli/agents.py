"""agents list, agents show, agents check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentctl.cli import options as o
from agentctl.cli.output import say, say_json
from agentctl.errors import EXIT_CODES

if TYPE_CHECKING:
    from agentctl.reports.agents import AgentLine

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the agent.")]
Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILE]...", help="Default: every one that counts here."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def list_agents(cwd: o.Cwd = None, json: Json = False) -> None:
    """List the agents that a run here could work by. E.g.: agentctl agents list"""
    from agentctl.cli.costs import say_fitting  # these, because --help needs none of them
    from agentctl.reports import agents as report

    lines = _lines(cwd)
    if json:
        say_json({"agents": [report.as_json(line) for line in lines]})
    else:
        say_fitting(lambda width, plain: report.text(lines, width, plain=plain))


def show_agent(name: Name, cwd: o.Cwd = None, json: Json = False) -> None:
    """Show what an agent is told and may use. E.g.: agentctl agents show reviewer"""
    from agentctl.cli.costs import say_fitting  # as above
    from agentctl.errors import UsageError
    from agentctl.reports import agents as report

    lines = _lines(cwd)
    line = next((line for line in lines if line.name == name), None)
    if line is None:
        raise UsageError(f"There is no agent {name!r}.", next_step="See: agentctl agents list")
    if json:
        say_json(report.as_json(line, whole=True))
    else:
        say_fitting(lambda width, plain: report.details(line, width, plain=plain))


def check_agents(files: Files = None, cwd: o.Cwd = None, json: Json = False) -> int:
    """Say what is wrong with definitions of agents. E.g.: agentctl agents check"""
    from agentctl.reports import agents as report  # as above

    lines = _lines(cwd, files, tools=True)
    notes = [note for line in lines for note in line.notes]
    if json:
        say_json({"checked": len(lines), "notes": [report.note_json(note) for note in notes]})
    else:
        for note in notes:
            say(f"{note.path}: {report.said(note)}")
        count = sum(note.bad for note in notes)
        say(f"{len(lines)} checked, {count} {'problem' if count == 1 else 'problems'}")
    return EXIT_CODES["failed" if any(note.bad for note in notes) else "done"]


def _lines(
    cwd: str | None, files: list[str] | None = None, *, tools: bool = False
) -> list[AgentLine]:
    import os  # these, because --help needs none of them
    from pathlib import Path

    from agentctl import agent_lines, settings
    from agentctl.orders import workspace

    folder = workspace(cwd, settings.here())
    paths = [settings.here() / Path(each).expanduser() for each in files or ()]
    return agent_lines.lines(folder, os.environ, paths, tools=tools)
