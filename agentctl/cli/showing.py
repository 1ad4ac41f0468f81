"""show: one task."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl.cli.listing import as_dict
from agentctl.cli.output import say, say_json, show

Task = Annotated[str, typer.Argument(metavar="TASK_ID", help="Id, unique prefix, name or @last.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def show_task(
    task: Task,
    json: Json = False,
    events: Annotated[bool, typer.Option("--events", help="Print the log, line by line.")] = False,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Show its tokens: the window, each call, savings.")
    ] = False,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Show what it looked up more than once.")
    ] = False,
    tools: Annotated[
        bool, typer.Option("--tools", help="Show how its tools did: calls, failures, times.")
    ] = False,
    output: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Print a tool's whole output, by hash or call id."),
    ] = None,
) -> None:
    """Show a task: goal, state, steps, cost and answer. E.g.: agentctl show @last"""
    if output is not None:
        from agentctl.cli.outputs import show_output  # only here

        show_output(task, output, json=json)
        return
    if duplicates:
        from agentctl.cli.duplicates import show_duplicates  # only here

        show_duplicates(task, json=json)
        return
    if tools:
        from agentctl.cli.tool_metrics import show_metrics  # only here

        show_metrics(task, json=json)
        return
    if tokens:
        from agentctl.cli.tokens import show_tokens  # only here

        show_tokens(task, json=json)
        return
    from agentctl.control import Desk  # the store, not needed for --help
    from agentctl.core.events import to_json
    from agentctl.core.state import fold

    with Desk() as desk:
        row = desk.find(task)
        log = desk.store.read(row.id)
    state = fold(log)
    if events:
        for record in log:
            kind, body = to_json(record.event)
            say(f"{record.seq:4d} {kind} {body.decode()}")
    elif json:
        goal = state.created.goal
        say_json(as_dict(row) | {"goal": goal, "answer": state.answer, "events": len(log)})
    else:
        from agentctl.reports.tasks import task_report  # Rich

        show(task_report(row, state, log))
