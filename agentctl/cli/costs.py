"""costs report: what was spent."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl.cli.output import say_json, show
from agentctl.errors import UsageError


def report(
    by: Annotated[str, typer.Option(metavar="day|task|model|hour", help="Sum by this.")] = "day",
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Show the costs of all tasks. E.g.: agentctl costs report --by model"""
    # The store, Rich and the settings: not needed for --help.
    from agentctl.control import Desk
    from agentctl.cost_lines import cost_lines, shares
    from agentctl.reports.costs import HEADS, as_json
    from agentctl.reports.costs import report as cost_report

    if by not in HEADS:
        raise UsageError(
            f"--by: {by!r} is none of its words.", next_step="Write day, task, model or hour."
        )
    with Desk() as desk:
        lines = cost_lines(desk, by)
        used = shares(desk)
    if json:
        say_json(as_json(lines, by, shares=used))
    else:
        show(cost_report(lines, by, shares=used))
