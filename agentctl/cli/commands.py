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
    "list": "control:list_tasks",
    "show": "control:show_task",
    "pause": "control:pause",
    "resume": "control:resume",
    "cancel": "control:cancel",
    "costs report": "costs:report",
    "info": "info:info",
    "trust": "info:trust",
    "untrust": "info:untrust",
}
"""Command, or group and command, to "file:function" in this folder."""
GROUPS = {"costs": "What model calls cost."}
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
        (groups[group] if group else app).command(last)(command)
    return app


def invoke(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors are shown, never raised."""
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
