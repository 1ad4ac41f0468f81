"""pause, cancel, send."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl.cli.output import without_secrets

Task = Annotated[str, typer.Argument(metavar="TASK_ID", help="Id, unique prefix, name or @last.")]
Reason = Annotated[str, typer.Option("--reason", help="Kept in the task's log.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def pause(
    task: Task,
    now: Annotated[bool, typer.Option("--now", help="Also cut what is running.")] = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Pause a task before its next step, from any terminal. E.g.: agentctl pause @last"""
    from agentctl.cli import steering  # the store, not needed for --help

    steering.pause(task, now=now, reason=reason, dry_run=dry_run, json=json)


def send(
    task: Task,
    text: Annotated[
        str, typer.Argument(metavar="MESSAGE", help="What to say; - reads it from stdin.")
    ],
    json: Json = False,
) -> None:
    """Tell a task something before its next step. E.g.: agentctl send @last 'Only the tests'"""
    from agentctl.cli.goal import read_message  # these, not needed for --help
    from agentctl.cli.steering import answer
    from agentctl.control import Desk

    with Desk() as desk:
        row = desk.find(task)
        message = desk.send(row, without_secrets(read_message(text)))
        stands = desk.find(row.id).status != "running"
    answer(json, row.id, message, f"Go on with: agentctl resume {row.id}" if stands else "", False)


def cancel(task: Task, reason: Reason = "", dry_run: DryRun = False, json: Json = False) -> None:
    """End a task for good; its log and costs stay. E.g.: agentctl cancel @last"""
    from agentctl.cli.steering import answer  # the store, not needed for --help
    from agentctl.control import Desk

    with Desk() as desk:
        row = desk.find(task)
        message = desk.cancel(row, reason=without_secrets(reason), dry_run=dry_run)
    answer(json, row.id, message, "", dry_run)
