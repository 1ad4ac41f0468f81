"""The table of commands: only what was asked for is imported.

Typer looks at every parameter of every command that it is given, which would be most of the
start-up of a small command.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from agentctl import __version__
from agentctl.cli import READER_GONE
from agentctl.cli.output import show_error, tell
from agentctl.errors import EXIT_CODES, AgentctlError

COMMANDS: dict[str, str] = {
    "run": "run:run",
    "batch": "batch:batch",
    "list": "listing:list_tasks",
    "show": "showing:show_task",
    "diff": "diffs:diff",
    "context": "context:context",
    "pause": "control:pause",
    "resume": "resume:resume",
    "cancel": "control:cancel",
    "send": "control:send",
    "fork": "fork:fork",
    "replay": "replay:replay",
    "export": "transfer:export_task",
    "import": "transfer:import_task",
    "attach": "follow:attach",
    "logs": "follow:logs",
    "wait": "follow:wait",
    "watch": "watch:watch",
    "costs report": "costs:report",
    "costs show": "costs:show",
    "costs status": "books:status",
    "costs forecast": "books:forecast",
    "costs check": "books:check",
    "costs rebuild": "books:rebuild",
    "costs prices": "books:prices",
    "limits show": "limits:show",
    "limits set": "limits:set_limits",
    "credits show": "limits:show_credits",
    "credits add": "limits:add_credits",
    "credits set": "limits:set_credits",
    "tokens count": "tokens:count",
    "tokens fetch": "tokens:fetch",
    "permissions list": "permissions:list_rules",
    "permissions revoke": "permissions:revoke",
    "agents list": "agents:list_agents",
    "agents show": "agents:show_agent",
    "agents check": "agents:check_agents",
    "tools list": "tools:list_tools",
    "tools show": "tools:show_tool",
    "tools call": "tools:call_tool",
    "tools check": "tools:check_tools",
    "init": "care:init",
    "doctor": "care:doctor",
    "gc": "care:gc",
    "db backup": "care:backup",
    "completion": "completing:completion",
    "info": "info:info",
    "trust": "info:trust",
    "untrust": "info:untrust",
}
"""Command, or group and command, to "file:function" in this folder."""
GROUPS = {
    "costs": "What model calls cost.",
    "limits": "Limits, their use, and changing those of a task.",
    "credits": "Prepaid credits of accounts.",
    "permissions": "What calls of tools may do, and answers that were stored.",
    "tokens": "How many tokens a text is.",
    "db": "The database.",
    "agents": "Definitions that a run here could work by.",
    "tools": "The tools that a run here would have.",
}
DEFAULTS = {"limits": "show", "credits": "show", "permissions": "list"}
"""What a group does where none of its commands is named."""
NEGATIVE = frozenset({"credits add"})
"""Commands whose argument may be a number below 0, which looks like an option."""
HELP = "Run LLM agents that never overspend and never lose or silently repeat work."


def build(words: Sequence[str] = ()) -> typer.Typer:
    """Build the application with the commands that these words can mean, or with all."""
    first = words[0] if words else ""
    wanted = [name for name in COMMANDS if name.split()[0] == first] or list(COMMANDS)
    app = _typer(HELP)
    app.callback()(_root)
    groups: dict[str, typer.Typer] = {}
    for name in wanted:
        module, _, function = COMMANDS[name].partition(":")
        command = getattr(import_module(f"agentctl.cli.{module}"), function)
        group, _, last = name.rpartition(" ")
        if group and group not in groups:
            groups[group] = _typer(GROUPS[group])
            groups[group].callback()(_group)
            app.add_typer(groups[group], name=group)
        context = {"ignore_unknown_options": True} if name in NEGATIVE else None
        (groups[group] if group else app).command(last, context_settings=context)(command)
    return app


def with_default(words: Sequence[str]) -> list[str]:
    """The words of a command line, with a group's default command where none is named."""
    default = DEFAULTS.get(words[0]) if words else None
    if default is None or words[1:2] == ["--help"]:
        return list(words)
    named = len(words) > 1 and f"{words[0]} {words[1]}" in COMMANDS
    return list(words) if named else [words[0], default, *words[1:]]


def invoke(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors are shown, never raised."""
    arguments = with_default(arguments)
    command = typer.main.get_command(build(arguments))
    try:
        result = command.main(arguments, prog_name="agentctl", standalone_mode=False)
    except AgentctlError as error:
        show_error(error)
        return error.exit_code
    except typer.TyperException as error:
        # Typer carries its own click; the class that can show itself has no public name.
        if hasattr(error, "show"):
            error.show()
        else:
            tell(str(error))
        return EXIT_CODES["usage"]
    except SystemExit:  # Typer leaves so when the reader of our output has gone
        return READER_GONE
    except typer.Abort:
        return EXIT_CODES["SIGINT"]
    return result if isinstance(result, int) else 0


def _typer(text: str) -> typer.Typer:
    return typer.Typer(
        name="agentctl",
        help=text,
        add_completion=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agentctl {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def _group() -> None:
    pass
