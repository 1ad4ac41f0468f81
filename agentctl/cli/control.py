"""list, show, pause, cancel."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from agentctl.cli.output import say, say_json, show, tell, without_secrets

Task = Annotated[str, typer.Argument(metavar="TASK_ID", help="Id, unique prefix, name or @last.")]
Reason = Annotated[str, typer.Option("--reason", help="Kept in the task's log.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def list_tasks(
    everything: Annotated[bool, typer.Option("--all", "-a", help="All, not just 20.")] = False,
    json: Json = False,
) -> None:
    """List tasks, the newest first. E.g.: agentctl list --all"""
    from agentctl.control import Desk, now_ms  # the store, not needed for --help

    with Desk() as desk:
        rows = desk.tasks(limit=-1 if everything else 20)
    if json:
        say_json([_as_dict(row) for row in rows])
        return
    from agentctl.reports.tasks import task_table  # Rich

    show(task_table(rows, now_ms()))


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
        say_json(_as_dict(row) | {"goal": goal, "answer": state.answer, "events": len(log)})
    else:
        from agentctl.reports.tasks import task_report  # Rich

        show(task_report(row, state, log))


def pause(
    task: Task,
    now: Annotated[bool, typer.Option("--now", help="Also cut what is running.")] = False,
    reason: Reason = "",
    json: Json = False,
) -> None:
    """Pause a task before its next step, from any terminal. E.g.: agentctl pause @last"""
    from agentctl.control import Desk  # the store, not needed for --help

    with Desk() as desk:
        row = desk.find(task)
        message = desk.pause(row, now=now, reason=without_secrets(reason))
    _answer(json, row.id, message, f"Go on with: agentctl resume {row.id}")


def cancel(task: Task, reason: Reason = "", json: Json = False) -> None:
    """End a task for good; its log and costs stay. E.g.: agentctl cancel @last"""
    from agentctl.control import Desk  # the store, not needed for --help

    with Desk() as desk:
        row = desk.find(task)
        message = desk.cancel(row, reason=without_secrets(reason))
    _answer(json, row.id, message, "")


def _as_dict(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


def _answer(json: bool, task_id: str, message: str, next_step: str) -> None:
    if json:
        say_json({"task_id": task_id, "message": message})
    else:
        tell(message + (f"\n{next_step}" if next_step else ""))
