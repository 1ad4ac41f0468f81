"""run: the main command."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl.cli import options as o


def run(
    goal: Annotated[
        str | None, typer.Argument(metavar="GOAL", help="What to reach; - reads it from stdin.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("-f", "--file", metavar="FILE", help="Read the goal from a file.")
    ] = None,
    provider: o.Provider = None,
    model: o.Model = None,
    max_cost: o.MaxCost = None,
    max_cost_hour: o.MaxCostHour = None,
    max_tokens: o.MaxTokens = None,
    max_steps: o.MaxSteps = None,
    timeout: o.Timeout = None,
    cwd: Annotated[
        str | None, typer.Option(metavar="DIR", help="The workspace; default: this folder.")
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="A name to find the task by.")] = "",
    system: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Added to the system prompt.")
    ] = None,
    approve: o.Approve = None,
    script: Annotated[
        str | None, typer.Option(metavar="FILE", help="Turns for the scripted provider.")
    ] = None,
    allow_unpriced: o.AllowUnpriced = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    output: o.Output = None,
) -> int:
    """Work towards a goal. E.g.: agentctl run 'Find all TODOs and write them to todos.md'"""
    from agentctl.cli.session import Screen, run_goal  # the runner and all that it needs

    flags = {
        "provider": provider,
        "model": model,
        "max_cost": max_cost,
        "max_cost_hour": max_cost_hour,
        "max_tokens": max_tokens,
        "max_steps": max_steps,
        "timeout": timeout,
        "system": system,
        "approve": approve,
        "allow_unpriced": allow_unpriced,
    }
    return run_goal(
        goal,
        file=file,
        cwd=cwd,
        name=name,
        script=script,
        flags=flags,
        screen=Screen(json=json, quiet=quiet, verbose=verbose, output=output),
    )
