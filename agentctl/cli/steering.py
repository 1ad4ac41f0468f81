"""What pausing does, for `control` and `quick`: no Typer is needed for it."""

from __future__ import annotations

from agentctl.cli.output import say_json, tell, without_secrets
from agentctl.control import Desk


def pause(
    task: str, *, now: bool = False, reason: str = "", dry_run: bool = False, json: bool = False
) -> None:
    """Pause a task before its next step. Raises UnknownTask, NotResumable and StoreError."""
    with Desk() as desk:
        row = desk.find(task)
        message = desk.pause(row, now=now, reason=without_secrets(reason), dry_run=dry_run)
    answer(json, row.id, message, f"Go on with: agentctl resume {row.id}", dry_run)


def answer(json: bool, task_id: str, message: str, next_step: str, dry_run: bool) -> None:
    """Say what came of a request."""
    if json:
        say_json({"task_id": task_id, "message": message, "dry_run": dry_run})
    elif dry_run:
        tell(f"It would be: {message}\nNothing was changed (--dry-run).")
    else:
        tell(message + (f"\n{next_step}" if next_step else ""))
