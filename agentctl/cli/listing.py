"""list: tasks, chosen and in short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentctl.cli.output import say_json, show_fitting, tell
from agentctl.errors import UsageError

if TYPE_CHECKING:
    from agentctl.core.rows import TaskRow
from agentctl.core.wanted import Wanted

LISTED = 20
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def list_tasks(
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATUS", help="Only these, e.g. running,paused; more than once."),
    ] = None,
    directory: Annotated[
        list[str] | None,
        typer.Option("--dir", metavar="DIR", help="Only those that work there or below."),
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="DAY", help="Only those active since: 2026-11-01, monday, 2d, 4h")
    ] = "",
    text: Annotated[
        str, typer.Option(metavar="WORDS", help="Only those with these words in name or goal.")
    ] = "",
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="The newest N.")] = LISTED,
    everything: Annotated[bool, typer.Option("--all", "-a", help="All, not just 20.")] = False,
    json: Json = False,
) -> None:
    """List tasks, the newest first. E.g.: agentctl list --state running,paused --dir ."""
    from agentctl.control import Desk, now_ms  # the store, not needed for --help
    from agentctl.looking import listed

    moment_ms = now_ms()
    which = _wanted(state or (), directory or (), since, text, moment_ms)
    with Desk() as desk:
        rows = listed(desk, which, None if everything else limit + 1)
    more = not everything and len(rows) > limit
    rows = rows if everything else rows[:limit]
    if json:
        say_json([as_dict(row) for row in rows])
        return
    from agentctl.core.wanted import Wanted
    from agentctl.reports.task_list import task_list  # Rich

    chosen = which != Wanted()
    show_fitting(lambda width, plain: task_list(rows, moment_ms, width, plain, chosen=chosen))
    if more:
        tell("There are older ones. See all with: agentctl list --all")


def as_dict(row: TaskRow) -> dict[str, Any]:
    """A task for `--json`."""
    return {name: getattr(row, name) for name in row.__struct_fields__}


def _wanted(states: Any, directories: Any, since: str, text: str, moment_ms: int) -> Wanted:
    """What was asked for. Raises UsageError."""
    from pathlib import Path  # these, because --help needs none

    from agentctl.cli.costs import period
    from agentctl.core.wanted import Wanted
    from agentctl.looking import STATUSES

    words = tuple(word for state in states for word in state.split(",") if word)
    for word in words:
        if word not in STATUSES:
            raise UsageError(
                f"--state: there is no status {word!r}.", next_step=f"Write {'|'.join(STATUSES)}."
            )
    begin_ms, _ = period(since, "", None, moment_ms)
    folders = tuple(_utf8(str(Path(folder).expanduser().resolve())) for folder in directories)
    return Wanted(words, folders, begin_ms or 0, _utf8(text))


def _utf8(text: str) -> str:
    """What is no UTF-8 on the command line as a text that no task has."""
    return text.encode(errors="backslashreplace").decode()
