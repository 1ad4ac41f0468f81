"""limits show, limits set; credits show, credits add, credits set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentctl.cli import options as o
from agentctl.cli.output import say_json, tell, without_secrets
from agentctl.errors import UsageError

if TYPE_CHECKING:
    from agentctl.limits_desk import LimitChange, LimitsSet

NEWEST_MOVES = 50
Account = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="Default: the one configured.")
]
Reason = Annotated[str, typer.Option("--reason", help="Kept with the change.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
AllowUnpriced = Annotated[
    bool | None,
    typer.Option(
        "--allow-unpriced/--no-allow-unpriced",
        help="Run a model without a known price.",
        show_default=False,
    ),
]


def show(
    task: Annotated[
        str,
        typer.Argument(metavar="[TASK_ID]", help="Also the limits of this task itself."),
    ] = "",
    account: Account = None,
    since: Annotated[
        str, typer.Option(metavar="24h", help="Refusals since then: 24h, 7d, today or a day.")
    ] = "24h",
    json: Json = False,
) -> None:
    """Show limits, what is used of them and what they hold up. E.g.: agentctl limits @last"""
    from agentctl.cli.costs import period, say_fitting  # these, because --help needs none of them
    from agentctl.control import Desk, now_ms
    from agentctl.limit_lines import overview
    from agentctl.reports.limits import as_json, text

    if task and account is not None:
        raise UsageError(
            "--account: a task has its own account.", next_step=f"Type: agentctl limits {task}"
        )
    since_ms = period(since, "", None, now_ms())[0] or 0
    with Desk() as desk:
        found = overview(desk, desk.find(task) if task else None, account, since_ms)
    if json:
        say_json(as_json(found))
    else:
        say_fitting(lambda width, plain: text(found, width, plain=plain))


def set_limits(
    task: Annotated[
        str, typer.Argument(metavar="TASK_ID", help="Id, unique prefix, name or @last.")
    ],
    max_cost: o.MaxCost = None,
    max_cost_step: o.MaxCostStep = None,
    max_cost_hour: o.MaxCostHour = None,
    max_cost_day: o.MaxCostDay = None,
    max_tokens: o.MaxTokens = None,
    max_steps: o.MaxSteps = None,
    timeout: o.Timeout = None,
    max_credits: o.MaxCredits = None,
    max_credits_step: o.MaxCreditsStep = None,
    on_limit: o.OnLimit = None,
    wait_in_place: o.WaitInPlace = None,
    allow_unpriced: AllowUnpriced = None,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Change limits of a running or stopped task. E.g.: agentctl limits set @last --max-cost 2"""
    values = o.picked(locals(), o.LIMITS)
    from agentctl import limits_desk  # these, because --help needs none of them
    from agentctl.control import Desk

    if all(value is None for value in values.values()):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in values)
        raise UsageError(
            "Which limit?", next_step=f"Give at least one of: {names}. For no limit write none."
        )
    with Desk() as desk:
        row = desk.find(task)
        done = limits_desk.set_limits(
            desk, row, values, reason=without_secrets(reason), dry_run=dry_run
        )
    if json:
        say_json(limits_desk.set_json(done, dry_run=dry_run))
    else:
        tell(_told(done, dry_run=dry_run))


def _told(done: LimitsSet, *, dry_run: bool) -> str:
    from agentctl.reports.text import usd  # light, but of no use for --help

    unpriced = f" + ? {done.unpriced} unpriced" if done.unpriced else ""
    lines = [f"Task {done.task_id} ({done.status}), {usd(done.cost_micros)}{unpriced} spent:"]
    lines += [f"  {change_words(change)}" for change in done.changes]
    if dry_run:
        return "\n".join([*lines, "Nothing was changed (--dry-run)."])
    if not done.written:
        return "\n".join([*lines, "It was so already: nothing was changed."])
    if done.status == "running":
        lines.append("It takes effect before the next call.")
    else:
        lines.append(f"Go on with: agentctl resume {done.task_id}")
    return "\n".join(lines)


def change_words(change: LimitChange) -> str:
    """A limit as it was and as it will be, with what is used of it."""
    from agentctl.reports.limit_words import amount, limit_name, unit_of  # as in `_told`

    unit = unit_of(change.name)
    old, new = amount(change.old, unit), amount(change.new, unit)
    text = (
        f"{limit_name(change.name)}: {old} -> {new}"
        if old != new
        else (f"{limit_name(change.name)}: {new}, as before")
    )
    if change.used is None:
        return text
    text += f" ({amount(change.used, unit)} used)"
    if not change.is_used_up:
        return text
    # What costs nothing passes every limit of money or credits.
    paid = "paid " if change.name.endswith(("_micros", "_credits")) else ""
    return f"{text}: used up, the task stops before its next {paid}call"


# --- credits ------------------------------------------------------------------------------------

Number = Annotated[str, typer.Argument(metavar="N", help="A whole number.")]


def show_credits(
    account: Annotated[
        str | None, typer.Option("--account", metavar="NAME", help="Only this one.")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Also every change, the newest first.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the prepaid credits of each account. E.g.: agentctl credits show --history"""
    from agentctl.cli.costs import say_fitting  # these, because --help needs none of them
    from agentctl.control import Desk, now_ms
    from agentctl.limit_lines import balances
    from agentctl.reports.limits import credits_json, credits_text

    most = (-1 if json else NEWEST_MOVES) if history else None
    with Desk() as desk:
        found = balances(desk, account, moves=most)
    if json:
        say_json(credits_json(found))
    else:
        say_fitting(lambda width, plain: credits_text(found, now_ms(), width, plain=plain))


def add_credits(
    number: Number,
    account: Account = None,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Add credits to an account; a negative number takes some. E.g.: agentctl credits add 500"""
    from agentctl import limits_desk  # these, because --help needs none of them
    from agentctl.control import Desk

    name = limits_desk.account_in_force(account)
    with Desk() as desk:
        why = without_secrets(reason)
        done = limits_desk.add_credits(desk, name, number, reason=why, dry_run=dry_run)
    _answer(json, name, done, dry_run=dry_run)


def set_credits(
    number: Number,
    account: Account = None,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make an account's balance this number. E.g.: agentctl credits set 0 --account team-a"""
    from agentctl import limits_desk  # these, because --help needs none of them
    from agentctl.control import Desk

    name = limits_desk.account_in_force(account)
    with Desk() as desk:
        why = without_secrets(reason)
        done = limits_desk.set_credits(desk, name, number, reason=why, dry_run=dry_run)
    _answer(json, name, done, dry_run=dry_run)


def _answer(json: bool, account: str, done: tuple[int, int], *, dry_run: bool) -> None:
    before, after = done
    if json:
        say_json({"account": account, "before": before, "balance": after, "dry_run": dry_run})
        return
    tell(f"Account {account}: {before:,} -> {after:,} credits.")
    if dry_run:
        tell("Nothing was changed (--dry-run).")
