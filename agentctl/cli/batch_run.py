"""Running a batch from the command line: reading its file, showing how far it is, its results."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentctl import batch_files, batches, settings
from agentctl.batch_files import Goal
from agentctl.batch_work import Work
from agentctl.cli.output import console, paragraphs, say_json
from agentctl.cli.results_file import LinesFile
from agentctl.control import Desk
from agentctl.errors import UsageError
from agentctl.reports import batch as report

if TYPE_CHECKING:
    from rich.live import Live


def run_batch(
    file: str,
    *,
    form: str | None,
    options: Mapping[str, object],
    max_cost: str | None,
    workers: int,
    resume: bool,
    fail_fast: bool,
    json: bool,
    quiet: bool,
    output: str | None,
) -> int:
    """Begin a batch or go on with one; return the exit code."""
    source = "-" if file == "-" else str((settings.here() / Path(file).expanduser()).resolve())
    data = _read(file, source)
    name = "stdin" if file == "-" else file
    wanted = batches.Wanted(
        source=source,
        shown=shlex.quote(file) + (f" --format {form}" if form else ""),
        goals=batch_files.read(name, data, batch_files.format_of(file, data, form)),
        options=options,
        max_cost=max_cost,
        workers=workers,
        fail_fast=fail_fast,
        resume=resume,
    )
    with ExitStack() as opened:
        results = opened.enter_context(LinesFile(Path(output))) if output is not None else None
        screen = opened.enter_context(BatchScreen(results, json=json, quiet=quiet))
        ended = batches.run(opened.enter_context(Desk()), wanted, screen)
        if results is not None:
            results.finish()
    if json:
        screen.last(ended)
    elif not quiet or ended.exit_code:
        standing = screen.standing(ended.spent_micros)
        over = ended.work.is_over_cap
        paragraphs(report.last_words(standing, wanted.go_on, over_cap=over))
    return ended.exit_code


def _read(file: str, source: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise UsageError(
            f"The goals in {file} cannot be read: {error.strerror}.",
            next_step="Name a file with one goal a line, JSON lines or CSV; - reads stdin.",
        ) from error


class BatchScreen:
    """Shows a batch on stderr, a line for each goal or one that stays; results go to stdout."""

    def __init__(self, results: LinesFile | None, *, json: bool, quiet: bool) -> None:
        """Results go to this file, else to stdout; `json` tells progress there as well."""
        self._results, self._json, self._quiet = results, json, quiet
        self._console = console(stderr=True)
        self._work: Work | None = None
        self._live: Live | None = None
        self._began_s = time.monotonic()
        self._ended_before = 0
        # Results on the same terminal would be written over the line that stays.
        self._shares = results is None and sys.stdout.isatty()

    def __enter__(self) -> BatchScreen:
        return self

    def __exit__(self, *_: object) -> None:
        self._hide()

    def standing(self, spent_micros: int | None = None) -> report.Standing:
        """How far the batch is now."""
        work = self._work
        if work is None:
            return report.Standing(0, {}, 0, 0, None)
        if spent_micros is None:
            spent_micros = work.spent_before_micros + work.spent_micros
        return report.Standing(
            work.goals_in_all,
            dict(work.outcomes),
            work.running,
            spent_micros,
            work.batch.cap_micros,
            work.ended - self._ended_before,
            round((time.monotonic() - self._began_s) * 1000),
        )

    def begun(self, work: Work) -> None:
        """Say how much there is to do."""
        self._work, self._ended_before = work, work.ended
        if self._json:
            kept = {"batch_id": work.batch.id, "goals": work.goals_in_all, "ended": work.ended}
            say_json({"kind": "BatchBegun", **kept})
        self._show()

    def began(self, goal: Goal, task_id: str) -> None:
        """Nothing on a screen: the goal's end is told."""
        if self._json:
            say_json({"kind": "GoalBegun", "item": goal.number, "task_id": task_id})

    def ended(self, goal: Goal, outcome: str, task_id: str, why: str) -> None:
        """Write a line for the goal; on a terminal only if it was not reached."""
        if self._json:
            said = {"item": goal.number, "task_id": task_id, "outcome": outcome, "reason": why}
            say_json({"kind": "GoalEnded", **said})
        if self._quiet or self._json or (self._console.is_terminal and outcome == "done"):
            return
        line = report.goal_line(self.standing(), outcome, task_id, goal.text, why)
        try:
            if self._console.is_terminal:
                self._console.print(line, no_wrap=True, overflow="ellipsis")
            else:
                self._console.print(line, soft_wrap=True)
        except OSError:
            self._quiet = True  # nobody is left to be told; the goals go on

    def result(self, document: Mapping[str, Any]) -> None:
        """Write one result."""
        if self._results is not None:
            self._results.add(document)
        if self._results is None or self._json:
            if self._shares:
                self._hide()
            say_json(document)
            if self._shares:
                self._show()

    def complain(self, line: str) -> None:
        """Write a line for the person."""
        self._hide()
        paragraphs(line)
        self._show()

    def last(self, ended: batches.Ended) -> None:
        """The last line of JSON."""
        say_json(
            {
                "kind": "BatchEnded",
                "batch_id": ended.batch.id,
                "exit_code": ended.exit_code,
                "goals": ended.work.goals_in_all,
                "outcomes": dict(ended.work.outcomes),
                "cost_micros": ended.spent_micros,
            }
        )

    def _show(self) -> None:
        shown = self._console.is_terminal and not self._quiet and not self._json
        if shown and self._live is None and self._work is not None:
            from rich.live import Live  # here, because only a terminal needs it

            self._live = Live(
                console=self._console,
                get_renderable=lambda: report.status(self.standing(), self._console.width),
                refresh_per_second=4,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def _hide(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
