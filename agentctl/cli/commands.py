"""The table of commands. Each file registers its own; heavy parts load inside the functions."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl import __version__
from agentctl.cli import control, costs, info, run
from agentctl.cli.output import show_error, tell
from agentctl.errors import EXIT_CODES, AgentctlError

app = typer.Typer(
    name="agentctl",
    help="Run LLM agents that never overspend and never lose or silently repeat work.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
run.register(app)
control.register(app)
costs.register(app)
info.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agentctl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def invoke(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors are shown, never raised."""
    command = typer.main.get_command(app)
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
    except typer.Abort:
        return EXIT_CODES["SIGINT"]
    return result if isinstance(result, int) else 0
