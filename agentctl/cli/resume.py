"""resume: apart from the other commands, because its options would slow `pause` down."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl.cli import options as o


def resume(
    task: Annotated[
        str, typer.Argument(metavar="[TASK_ID]", help="Id, unique prefix, name or @last.")
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Every interrupted or paused task, one after the other.")
    ] = False,
    due: Annotated[
        bool,
        typer.Option("--due", help="Every waiting task whose time has come, for cron."),
    ] = False,
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
    provider: o.Provider = None,
    model: o.Model = None,
    fallback: o.Fallback = None,
    approve: o.Approve = None,
    allow: o.Allow = None,
    deny: o.Deny = None,
    sandbox: o.Sandbox = None,
    context: o.Context = None,
    tools: o.Tools = None,
    mcp: o.Mcp = None,
    on_unknown: Annotated[
        str,
        typer.Option(
            metavar="ask|rerun|skip|tell",
            help="What to do with a call that was cut off and may have happened.",
        ),
    ] = "tell",
    allow_unpriced: o.AllowUnpriced = None,
    reason: Annotated[str, typer.Option("--reason", help="Kept in the task's log.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    no_cache: o.NoCache = None,
    json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    output: o.Output = None,
    detach: o.Detach = False,
) -> int:
    """Go on with a stopped or interrupted task. E.g.: agentctl resume @last --max-cost 1.00"""
    limits = o.picked(locals(), o.LIMITS)
    from agentctl.cli.session import Given, Screen, resume_tasks  # the runner and all that it needs

    given = Given(
        limits=limits,
        provider=provider or "",
        model=model or "",
        fallback=fallback,
        approve=approve,
        rules={"allow": allow or (), "deny": deny or ()},
        sandbox=sandbox,
        context=context,
        tools=tools or (),
        mcp=mcp or (),
        no_cache=bool(no_cache),
        on_unknown=on_unknown,
        reason=reason,
    )
    screen = Screen(json=json, quiet=quiet, verbose=verbose, output=output, detach=detach)
    return resume_tasks(
        task, everything=everything, due=due, given=given, screen=screen, dry_run=dry_run
    )
