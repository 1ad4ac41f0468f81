"""pause, cancel, send."""

from __future__ import annotations

from typing import Annotated

import typer

from agentctl.cli.output import say_json, tell, without_secrets

Task = Annotated[str, typer.Argument(metavar="TASK_ID", help="Id, unique prefix, name or @last.")]
Reason = Annotated[str, typer.Option("--reason", help="Kept in the task's log.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


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


def send(
    task: Task,
    text: Annotated[
        str, typer.Argument(metavar="MESSAGE", help="What to say; - reads it from stdin.")
    ],
    json: Json = False,
) -> None:
    """Tell a task something before its next step. E.g.: agentctl send @last 'Only the tests'"""
    from agentctl.cli.goal import read_message  # these, not needed for --help
    from agentctl.control import Desk

    with Desk() as desk:
        row = desk.find(task)
        message = desk.send(row, without_secrets(read_message(text)))
        stands = desk.find(row.id).status != "running"
    _answer(json, row.id, message, f"Go on with: agentctl resume {row.id}" if stands else "")


def cancel(task: Task, reason: Reason = "", json: Json = False) -> None:
    """End a task for good; its log and costs stay. E.g.: agentctl cancel @last"""
    from agentctl.control import Desk  # the store, not needed for --help

    with Desk() as desk:
        row = desk.find(task)
        message = desk.cancel(row, reason=without_secrets(reason))
    _answer(json, row.id, message, "")


def _answer(json: bool, task_id: str, message: str, next_step: str) -> None:
    if json:
        say_json({"task_id": task_id, "message": message})
    else:
        tell(message + (f"\n{next_step}" if next_step else ""))
