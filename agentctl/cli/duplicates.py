"""show --duplicates: what a task looked up more than once."""

from __future__ import annotations

from agentctl.cli.output import say_json


def show_duplicates(task: str, *, json: bool) -> None:
    """Print the repeated look-ups of a task, and what they cost."""
    # The store, the whole log and the tables: no other `show` needs all of this.
    from agentctl.cli.costs import say_fitting
    from agentctl.cli.tokens import ratio
    from agentctl.control import Desk
    from agentctl.core.duplicates import duplicates
    from agentctl.reports import duplicates as report

    with Desk() as desk:
        row = desk.find(task)
        log = desk.store.read(row.id)
        per_ktoken = ratio(desk, row.provider, row.model)
    found = duplicates(log)
    if json:
        say_json({"task_id": row.id, **report.as_json(found, per_ktoken)})
    else:
        say_fitting(lambda width, plain: report.text(found, per_ktoken, width, plain=plain))
