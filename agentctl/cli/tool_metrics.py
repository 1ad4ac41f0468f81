"""show --tools: how the tools of a task did."""

from __future__ import annotations

from agentctl.cli.output import say_json


def show_metrics(task: str, *, json: bool) -> None:
    """Print calls, failures, times and sizes of a task's tools."""
    # The store, the whole log and the tables: no other `show` needs all of this.
    from agentctl.cli.costs import say_fitting
    from agentctl.cli.tokens import ratio
    from agentctl.control import Desk
    from agentctl.core.history import own_from
    from agentctl.core.tool_metrics import metrics
    from agentctl.reports import tool_metrics as report

    with Desk() as desk:
        row = desk.find(task)
        log = desk.store.read(row.id)
        found = metrics(log[own_from(log) :])
        per_ktoken = ratio(desk, row.provider, row.model)
    if json:
        say_json({"task_id": row.id, **report.as_json(found, per_ktoken)})
    else:
        say_fitting(lambda width, plain: report.text(found, per_ktoken, width, plain=plain))
