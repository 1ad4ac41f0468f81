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
    again: Annotated[
        bool,
        typer.Option(
            "-c", "--continue", help="Say it to the last task of this folder, which goes on."
        ),
    ] = False,
    provider: o.Provider = None,
    model: o.Model = None,
    fallback: o.Fallback = None,
    max_cost: o.MaxCost = None,
    max_cost_hour: o.MaxCostHour = None,
    max_cost_day: o.MaxCostDay = None,
    max_cost_step: o.MaxCostStep = None,
    max_tokens: o.MaxTokens = None,
    max_steps: o.MaxSteps = None,
    timeout: o.Timeout = None,
    max_credits: o.MaxCredits = None,
    max_credits_step: o.MaxCreditsStep = None,
    on_limit: o.OnLimit = None,
    wait_in_place: o.WaitInPlace = None,
    account: o.Account = None,
    tier: o.Tier = None,
    profile: o.Profile = None,
    agent: o.Agent = "",
    delegate: o.Delegate = None,
    schema: o.Schema = None,
    cwd: o.Cwd = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="A name to find the task by.")] = "",
    context: o.Context = None,
    system: o.System = None,
    no_rules: o.NoRules = False,
    no_summaries: o.NoSummaries = False,
    approve: o.Approve = None,
    allow: o.Allow = None,
    deny: o.Deny = None,
    sandbox: o.Sandbox = None,
    sandbox_network: o.SandboxNetwork = False,
    script: o.Script = None,
    tools: o.Tools = None,
    mcp: o.Mcp = None,
    allow_unpriced: o.AllowUnpriced = None,
    no_cache: o.NoCache = None,
    reuse: o.Reuse = None,
    estimate: o.Estimate = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    output: o.Output = None,
    detach: o.Detach = False,
) -> int:
    """Work towards a goal. E.g.: agentctl run 'Find all TODOs and write them to todos.md'"""
    given = locals().copy()  # before any import adds a name
    if again:
        from agentctl.cli.onward import continue_last  # only here

        return continue_last(given)
    flags = o.picked(given, (*o.LIMITS, *o.CHOICES))
    flags["rules"] = False if no_rules else None
    flags["summaries"] = False if no_summaries else None
    flags["sandbox_network"] = True if sandbox_network else None
    from agentctl.cli.session import Screen, run_goal  # the runner and all that it needs

    return run_goal(
        goal,
        file=file,
        cwd=cwd,
        name=name,
        agent=agent,
        schema=schema,
        script=script,
        tools=tools or (),
        mcp=mcp or (),
        flags=flags,
        rules={"allow": allow or (), "deny": deny or ()},
        estimate=estimate,
        screen=Screen(json=json, quiet=quiet, verbose=verbose, output=output, detach=detach),
    )
