"""logs, attach, wait: what happens to a task that another process drives."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from agentctl.cli.output import say, say_json, tell, told
from agentctl.errors import EXIT_CODES, UsageError

if TYPE_CHECKING:
    from agentctl.cli.session import Screen
    from agentctl.control import Desk
    from agentctl.core.events import Recorded
    from agentctl.core.rows import TaskRow

Task = Annotated[str, typer.Argument(metavar="TASK_ID", help="Id, unique prefix, name or @last.")]
LAST = 200
"""So many events `attach` tells of what was before."""


def logs(
    task: Task,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on until the task stands still.")
    ] = False,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Events since then: 1h, 7d, today or a day.")
    ] = "",
    lines: Annotated[
        int | None, typer.Option("-n", "--lines", min=0, metavar="N", help="Only the last N.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the lines of run --json.")] = False,
) -> None:
    """Print what has happened, a line for each event. E.g.: agentctl logs @last -f"""
    from agentctl.control import Desk  # these, because --help needs none of them
    from agentctl.core.events import Recorded
    from agentctl.following import follow as following
    from agentctl.listeners.jsonl import JsonLines
    from agentctl.reports.log_lines import LogLines

    since_ms = _since_ms(since)
    shown, machine = LogLines(), JsonLines(sys.stdout)

    def show(task_id: str, record: Recorded) -> None:
        if not json:
            say(shown.line(record))
            return
        with told():
            machine.hear(task_id, record)

    with Desk() as desk:
        task_id = desk.find(task).id
        log = desk.store.read(task_id)
        kept = [record for record in log if record.at_ms >= since_ms]
        for record in kept if lines is None else kept[max(len(kept) - lines, 0) :]:
            show(task_id, record)
        try:
            for item in following(desk, task_id, after=len(log)) if follow else ():
                if isinstance(item, Recorded):
                    show(task_id, item)
        except KeyboardInterrupt:
            return  # it was to be followed until somebody has seen enough


def _since_ms(text: str) -> int:
    """A moment so long ago, to the millisecond, or the beginning of a day. Raises UsageError."""
    from agentctl.cli.costs import period  # as in `logs`
    from agentctl.control import now_ms
    from agentctl.quantities import duration_ms

    if not text:
        return 0
    try:
        ago_ms = duration_ms(text)
    except ValueError:
        return period(text, "", None, now_ms())[0] or 0
    return now_ms() - ago_ms


def attach(
    task: Task,
    json: Annotated[bool, typer.Option("--json", help="Print the lines of run --json.")] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Print tool outputs too.")
    ] = False,
) -> int:
    """Watch a run of another process; Ctrl-C leaves it running. E.g.: agentctl attach @last"""
    # The session is what runs are shown by; --help needs none of it.
    from agentctl.cli.session import Screen
    from agentctl.control import Desk

    screen = Screen(json=json, verbose=verbose)
    with Desk() as desk:
        row = desk.find(task)
        try:
            return _attached(desk, row, screen)
        except KeyboardInterrupt:
            tell(
                f"\nLeft; task {row.id} goes on. Come back with: agentctl attach {row.id}\n"
                f"Pause it with: agentctl pause {row.id}"
            )
            return EXIT_CODES["SIGINT"]


def _attached(desk: Desk, row: TaskRow, screen: Screen) -> int:
    from agentctl.app import Ended  # as in `attach`
    from agentctl.cli.output import console
    from agentctl.cli.session import json_lines, show_end
    from agentctl.control import now_ms
    from agentctl.core.events import Recorded, Resumed
    from agentctl.core.state import fold
    from agentctl.following import follow
    from agentctl.listeners.progress import Progress

    log = desk.store.read(row.id)
    first = 0 if screen.json else max(len(log) - LAST, 0)
    began = [record.at_ms for record in log if isinstance(record.event, Resumed)]
    ran_ms = now_ms() - began[-1] if began and row.pid and row.status == "running" else 0
    before = _as_it_was(row, log[:first])
    progress = None
    if not screen.json:
        verbose = screen.verbose
        progress = Progress(console(stderr=True), before, verbose=verbose, ran_ms=ran_ms)
    listeners = json_lines(desk, row) if progress is None else [progress]
    if progress is not None:  # else the lines of a long history would have no head
        for record in [each for each in log[:first] if isinstance(each.event, Resumed)][-1:]:
            progress.hear(row.id, record)
    try:
        with told():
            for item in follow(desk, row.id, after=first):
                for listener in listeners:
                    if listener.live or isinstance(item, Recorded):
                        listener.hear(row.id, item)
    finally:
        for listener in listeners:
            listener.close()
    now = desk.find(row.id)
    state = fold(desk.store.read(row.id))
    ended = Ended(state, left_as=now.status if state.status == "running" else "")
    show_end(row.id, ended, screen, progress)
    return ended.exit_code


def _as_it_was(row: TaskRow, log: Sequence[Recorded]) -> TaskRow:
    """The row as it stood after these events."""
    from msgspec.structs import replace  # these, because --help needs neither

    from agentctl.core.state import fold

    state = fold(log) if log else None
    used = ("steps", "unpriced", "tokens_processed", "tokens_total")
    changes = {name: getattr(state, name) if state else 0 for name in used}
    return replace(row, cost_micros=state.spent_micros if state else 0, **changes)


def wait(
    tasks: Annotated[
        list[str], typer.Argument(metavar="TASK_ID…", help="Ids, prefixes, names or @last.")
    ],
    timeout: Annotated[
        str, typer.Option(metavar="TIME", help="Give up after 90s, 5m, 1h; exit code 75.")
    ] = "",
    any_: Annotated[bool, typer.Option("--any", help="Until one has stopped, not all.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> int:
    """Wait until tasks have stopped; the exit code is theirs. E.g.: agentctl wait @last"""
    from agentctl.control import Desk  # these, because --help needs none of them
    from agentctl.following import wait_for
    from agentctl.quantities import duration_ms
    from agentctl.reports.text import usd

    try:
        within_ms = duration_ms(timeout) if timeout else None
    except ValueError as error:
        raise UsageError(f"--timeout: {error}.", next_step="Write e.g. 90s, 5m or 1h.") from None

    def tell_of(row: TaskRow) -> None:
        if not json:
            steps = "1 step" if row.steps == 1 else f"{row.steps} steps"
            tell(f"{row.id}  {row.status}  {steps}, {usd(row.cost_micros)}")

    with Desk() as desk:
        ids = list(dict.fromkeys(desk.find(task).id for task in tasks))
        stopped = wait_for(desk, ids, tell_of, only_one=any_, within_ms=within_ms)
    codes = [EXIT_CODES[stopped[task_id].status] for task_id in ids if task_id in stopped]
    late = len(codes) < (1 if any_ else len(ids))
    code = EXIT_CODES["waiting"] if late else next(filter(None, codes), EXIT_CODES["done"])
    if json:
        found = [
            {"task_id": row.id, "status": row.status, "exit_code": EXIT_CODES[row.status]}
            for row in stopped.values()
        ]
        say_json({"tasks": found, "timed_out": late})
    elif late:
        left = ", ".join(task_id for task_id in ids if task_id not in stopped)
        tell(f"Time is up; still running: {left}")
    return code
