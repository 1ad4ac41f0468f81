"""export, import: tasks as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentctl.cli import options as o
from agentctl.cli.control import Json, Task
from agentctl.cli.output import say, say_json, tell


def export_task(
    task: Task,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="Default: stdout.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a task to a file, without secrets. E.g.: agentctl export @last -o task.jsonl"""
    from agentctl import transfers  # these, not needed for --help
    from agentctl.control import Desk
    from agentctl.errors import UsageError

    if output is None and json:
        raise UsageError(
            "--json says what was written, so a file is needed.",
            next_step="Name it: agentctl export @last -o task.jsonl --json",
        )
    with Desk() as desk:
        row = desk.find(task)
        if output is None:
            say(b"".join(transfers.lines(desk, row)).decode())
            return
        size_bytes = transfers.export(desk, row, Path(output))
    if json:
        say_json({"task_id": row.id, "file": output, "bytes": size_bytes})
    else:
        tell(f"Task {row.id} is in {output} ({size_bytes:,} bytes).")


def import_task(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Written by agentctl export.")],
    cwd: o.Cwd = None,
    json: Json = False,
) -> None:
    """Take in a task of another machine. E.g.: agentctl import task.jsonl --cwd ."""
    from agentctl import settings, transfers  # these, not needed for --help
    from agentctl.control import Desk
    from agentctl.orders import workspace

    with Desk() as desk:
        found = transfers.bring(desk, Path(file), workspace(cwd, settings.here()))
    if json:
        say_json({name: getattr(found, name) for name in found.__struct_fields__})
        return
    say(found.task_id)
    tell(f"Task {found.exported_as} is here as {found.task_id} ({found.status}).")
    if found.dropped:
        tell(f"Not taken over, since no file may choose it: {', '.join(found.dropped)}.")
    tell(f"See it with: agentctl show {found.task_id}")
