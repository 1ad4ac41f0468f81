"""batch: many goals."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl.cli import options as o


def batch(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Goals as JSON lines, CSV or lines; - is stdin.")
    ],
    workers: Annotated[
        int, typer.Option("-w", "--workers", min=1, max=64, help="Goals worked on at once.")
    ] = 4,
    max_cost: Annotated[
        str | None, typer.Option(metavar="USD", help="Most that all goals together may spend.")
    ] = None,
    max_cost_each: Annotated[
        str | None, typer.Option(metavar="USD", help="Most that one goal may spend.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what is left of the file's last batch.")
    ] = False,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Pause all once one goal is not reached.")
    ] = False,
    format: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option("--format", metavar="jsonl|csv|lines", help="How FILE is written.")
    ] = None,
    provider: o.Provider = None,
    model: o.Model = None,
    fallback: o.Fallback = None,
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
    schema: o.Schema = None,
    delegate: o.Delegate = None,
    cwd: o.Cwd = None,
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
    json: Annotated[
        bool, typer.Option("--json", help="Print progress as JSON lines on stdout, too.")
    ] = False,
    quiet: o.Quiet = False,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Write results to a file.")
    ] = None,
) -> int:
    """Work towards many goals, a few at a time. E.g.: agentctl batch goals.txt --max-cost 2"""
    flags = o.picked(locals(), (*(n for n in o.LIMITS if n != "max_cost"), *o.CHOICES))
    flags |= {"max_cost": max_cost_each, "cwd": cwd, "script": script}
    flags |= {"agent": agent or None, "schema": schema}
    flags |= {"tools": tools, "mcp": mcp, "allow": allow, "deny": deny}
    flags["rules"] = False if no_rules else None
    flags["summaries"] = False if no_summaries else None
    flags["sandbox_network"] = True if sandbox_network else None
    from agentctl.cli.batch_run import run_batch  # the runner and all that it needs

    return run_batch(
        file,
        form=format,
        options=flags,
        max_cost=max_cost,
        workers=workers,
        resume=resume,
        fail_fast=fail_fast,
        json=json,
        quiet=quiet,
        output=output,
    )
