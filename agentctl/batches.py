"""Many goals: a batch is begun or gone on with, and its goals are driven a few at a time.

Each goal is an ordinary task that names its batch and its number in it. What is left after a crash
is therefore read from the tasks; a batch keeps only what it was begun with.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from agentctl import app, batch_files, orders, secrets, settings, signals
from agentctl.batch_files import Goal
from agentctl.batch_work import Kind, View, Work, is_due
from agentctl.control import Desk, now_ms
from agentctl.core.sanitize import storable
from agentctl.core.values import Micros
from agentctl.errors import EXIT_CODES, AgentctlError, StoreError, TaskBusy, UsageError
from agentctl.store import batches
from agentctl.store.batches import Batch
from agentctl.store.lease import Lease
from agentctl.store.opening import translated

WORST = ("failed", "busy", "limit", "waiting", "paused", "cancelled")
"""The exit code is that of the first of these that a goal ended with."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What the user typed."""

    source: str
    """The file, absolute; "-": stdin."""
    shown: str
    """The same and its format, as they are typed."""
    goals: Sequence[Goal]
    options: Mapping[str, object]
    """Flags for all goals, by name; None was not given."""
    max_cost: str | None = None
    """Most that all goals together may spend."""
    workers: int = 4
    fail_fast: bool = False
    resume: bool = False

    @property
    def go_on(self) -> str:
        """The command that goes on with what is left."""
        return f"agentctl batch {self.shown} --resume"


class Ended(Struct, frozen=True):
    """How a batch stands at the end of a run."""

    batch: Batch
    work: Work
    spent_micros: Micros
    signal_name: str = ""

    @property
    def exit_code(self) -> int:
        """0 only if every goal was reached."""
        outcomes = self.work.outcomes
        if outcomes["done"] == self.work.goals_in_all:
            return EXIT_CODES["done"]
        if self.signal_name:
            return EXIT_CODES[self.signal_name]
        if self.work.is_over_cap:
            return EXIT_CODES["limit"]
        found = next((word for word in WORST if outcomes[word]), "failed")
        return EXIT_CODES[found]


def run(desk: Desk, wanted: Wanted, view: View) -> Ended:
    """Begin a batch, or go on with one, until all is done or it stops.

    Raises UsageError for what cannot be run, before anything is begun; TaskBusy while another
    process runs the batch; and StoreError.
    """
    batch = _known(desk, wanted, view) if wanted.resume else _new(desk, wanted, view)
    with _held(desk, batch, wanted), signals.leaving(wanted.go_on, view.complain):
        with translated(desk.store.path):
            rows = [desk.seen(row) for row in batches.items(desk.store.connection, batch.id)]
        closed = {row.item for row in rows if not is_due(row)}
        due = [goal for goal in wanted.goals if goal.number not in closed]
        kinds = _kinds(desk, batch, due, wanted, view)
        with translated(desk.store.path):
            (batches.update if wanted.resume else batches.insert)(desk.store.connection, batch)
        desk.settle_dead()
        work = Work(desk, batch, wanted.goals, rows, kinds, view, fail_fast=wanted.fail_fast)
        try:
            with work.ledger(_ledger(kinds)):
                signal_name = asyncio.run(work.run(wanted.workers, wanted.go_on))
            work.finish()
            with translated(desk.store.path):
                spent_micros = batches.spent(desk.store.connection, batch.id)
        except StoreError as error:  # typing the same again would begin a batch anew
            again = f"Once that is mended, go on with: {wanted.go_on}"
            raise type(error)(error.what, kept=error.kept, next_step=again) from error
    return Ended(batch, work, spent_micros, signal_name)


def _new(desk: Desk, wanted: Wanted, view: View) -> Batch:
    with translated(desk.store.path):
        last = batches.newest(desk.store.connection, wanted.source)
        left = 0
        if last is not None:
            rows = batches.items(desk.store.connection, last.id)
            left = len(last.goals) - sum(row.status in ("done", "cancelled") for row in rows)
    if last is not None and left and wanted.source != "-":
        began = datetime.fromtimestamp(last.created_ms / 1000).astimezone()
        view.complain(
            f"Note: {left} of {len(last.goals)} goals of the batch of {began:%Y-%m-%d %H:%M} are "
            f"not done. This one begins anew; to go on with that one: {wanted.go_on}"
        )
    return Batch(
        orders.new_id(),
        now_ms(),
        wanted.source,
        str(settings.here()),
        tuple(goal.digest for goal in wanted.goals),
        _without_secrets(_given(wanted.options)),
        _cap(wanted.max_cost),
    )


def _known(desk: Desk, wanted: Wanted, view: View) -> Batch:
    """The newest batch of this file, with what is typed now. Raises UsageError if it is another."""
    with translated(desk.store.path):
        found = batches.newest(desk.store.connection, wanted.source)
    if found is None:
        raise UsageError(
            f"There is no batch of {wanted.shown} to go on with.",
            next_step="Begin one with: " + wanted.go_on.removesuffix(" --resume"),
        )
    _refuse_changed(found, wanted)
    more = len(wanted.goals) - len(found.goals)
    if more:
        view.complain(f"{more} goals were added since the batch was begun; they are taken in.")
    return replace(
        found,
        goals=tuple(goal.digest for goal in wanted.goals),
        options={**found.options, **_without_secrets(_given(wanted.options))},
        cap_micros=found.cap_micros if wanted.max_cost is None else _cap(wanted.max_cost),
    )


def _refuse_changed(batch: Batch, wanted: Wanted) -> None:
    """The goals that were there must be there, in their places; more may follow."""
    start_anew = wanted.go_on.removesuffix(" --resume")
    if len(wanted.goals) < len(batch.goals):
        raise UsageError(
            f"{wanted.shown} has {len(wanted.goals)} goals, and the batch had {len(batch.goals)}.",
            kept="Nothing was started.",
            next_step=f"Bring the missing ones back, or begin anew: {start_anew}",
        )
    pairs = zip(wanted.goals, batch.goals, strict=False)
    changed = [goal.line for goal, digest in pairs if goal.digest != digest]
    if changed:
        lines = ", ".join(map(str, changed[: batch_files.TOLD_MAX]))
        more = " …" if len(changed) > batch_files.TOLD_MAX else ""
        raise UsageError(
            f"The goals in {wanted.shown} are others than when the batch was begun, first in line "
            f"{lines}{more}.",
            kept="Nothing was started.",
            next_step=f"Bring them back, or begin anew: {start_anew}",
        )


@contextmanager
def _held(desk: Desk, batch: Batch, wanted: Wanted) -> Iterator[None]:
    """Hold the batch: two processes that go on with it would begin the same goals."""
    try:
        lease = Lease(desk.locks, f"batch-{batch.id}")
    except TaskBusy as error:
        raise TaskBusy(
            f"The batch of {wanted.shown} is already being run by another process.",
            kept="Nothing was changed.",
            next_step="See its tasks with: agentctl list",
        ) from error
    try:
        yield
    finally:
        lease.release(forget=True)


def _kinds(
    desk: Desk, batch: Batch, goals: Sequence[Goal], wanted: Wanted, view: View
) -> dict[int, Kind]:
    """What goals of equal options have in common, checked before anything is begun."""
    kinds: dict[bytes, Kind | AgentctlError] = {}
    found: dict[int, Kind] = {}
    problems: list[str] = []
    given = _limits(wanted.options)
    for goal in goals:
        key = msgspec.json.encode(goal.options, order="sorted")
        if key not in kinds:
            try:
                kinds[key] = _kind(desk, batch, goal, given, view, told=not kinds)
            except AgentctlError as error:
                if not goal.options:
                    raise  # it is not for the line to be mended
                kinds[key] = error
        kind = kinds[key]
        if isinstance(kind, Kind):
            found[goal.number] = kind
        else:
            problems.append(f"line {goal.line}: {kind}")
    if problems:
        raise batch_files.bad(wanted.shown, problems)
    return found


def _kind(
    desk: Desk, batch: Batch, goal: Goal, given: Mapping[str, object], view: View, *, told: bool
) -> Kind:
    options: dict[str, Any] = {**batch.options, **goal.options}
    lists = {
        name: (*_list(batch.options.get(name)), *_list(goal.options.get(name)))
        for name in batch_files.LISTS
    }
    apart = (*batch_files.LISTS, *batch_files.TEXTS)
    order = orders.read(
        goal.text,
        {name: raw for name, raw in options.items() if name not in apart},
        base=Path(batch.cwd),
        cwd=options.get("cwd"),
        agent=options.get("agent", ""),
        schema=options.get("schema"),
        script=options.get("script"),
        tools=lists["tools"],
        mcp=lists["mcp"],
        rules=lists,
    )
    for warning in order.settings.warnings if told else ():
        view.complain(f"Note: {warning}")
    return Kind(
        replace(orders.first_event(desk, order), origin="batch", parent=batch.id),
        app.run_as(order.settings, complain=view.complain),
        {**given, **_limits(goal.options)},
    )


def _ledger(kinds: Mapping[int, Kind]) -> Path:
    """Where the cost history is; it is looked after also when no goal is left."""
    found = next((kind.run.ledger for kind in kinds.values()), None)
    return found or Path(settings.load({}, env=os.environ, cwd=settings.here()).ledger)


def _list(value: Any) -> tuple[str, ...]:
    return tuple(value or ())


def _given(options: Mapping[str, object]) -> dict[str, object]:
    return {name: raw for name, raw in options.items() if raw is not None and raw != ()}


def _limits(options: Mapping[str, object]) -> dict[str, object]:
    given = _given(options)
    return {name: given[name] for name in batch_files.LIMITS if name in given}


def _cap(text: str | None) -> Micros | None:
    found: Any = None if text is None else settings.read_flag("max_cost", text)
    return None if found is None else int(found)


def _without_secrets(options: Mapping[str, object]) -> dict[str, object]:
    redact: Callable[[str], str] = secrets.redactor(os.environ).text
    return {
        name: redact(storable(raw)) if isinstance(raw, str) else raw
        for name, raw in options.items()
    }
