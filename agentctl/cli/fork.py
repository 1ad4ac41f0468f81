"""fork: go on from a step of another task."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl.cli import options as o
from agentctl.cli.control import Task


def fork(
    task: Task,
    at: Annotated[
        int | None,
        typer.Option(
            metavar="STEP", min=0, help="After this step; default: the last complete one."
        ),
    ] = None,
    goal: Annotated[
        str, typer.Option(metavar="TEXT", help="What to do from there; - reads it from stdin.")
    ] = "",
    provider: o.Provider = None,
    model: o.Model = None,
    script: o.Script = None,
    max_cost: o.MaxCost = None,
    max_tokens: o.MaxTokens = None,
    max_steps: o.MaxSteps = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="A name to find the fork by.")] = "",
    run: Annotated[bool, typer.Option("--run", help="Drive it at once.")] = False,
    approve: o.Approve = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    output: o.Output = None,
) -> int:
    """Begin a task with the history of another one. E.g.: agentctl fork @last --at 3 --run"""
    limits = o.picked(locals(), ("max_cost", "max_tokens", "max_steps"))
    from pathlib import Path  # these, not needed for --help

    from agentctl import forks
    from agentctl.cli.goal import read_message
    from agentctl.cli.session import Screen, fork_task

    wanted = forks.Fork(
        at=at,
        goal=read_message(goal) if goal else "",
        name=name,
        provider=provider or "",
        model=model or "",
        script=str(Path(script).resolve()) if script else "",
        approve=approve or "",
        limits=limits,
    )
    screen = Screen(json=json, quiet=quiet, verbose=verbose, output=output)
    return fork_task(task, wanted, run=run, screen=screen)
