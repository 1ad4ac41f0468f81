"""run --estimate: what such a task usually takes, before it is begun."""

from __future__ import annotations

import os

from agentctl.books.estimate import estimate
from agentctl.cli.costs import say_fitting
from agentctl.cli.output import say_json
from agentctl.control import Desk
from agentctl.reports.columns import wrapped
from agentctl.reports.outlook import estimate_json, estimate_text
from agentctl.settings import Settings


def estimate_goal(settings: Settings, *, json: bool = False) -> int:
    """Show p50 and p90 of cost, steps and time of this model's tasks; return the exit code.

    Nothing is sent, and nothing is written.
    """
    with Desk() as desk:
        found = estimate(desk, settings, os.environ)
    if json:
        say_json(estimate_json(found))
        return 0
    lines = estimate_text(found).split("\n")
    say_fitting(lambda width, _: "\n".join("\n".join(wrapped(line, width)) for line in lines))
    return 0
