"""Write the tables that follow from the log anew, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from agentctl.books.check import NOTHING, QUARTER_MS, Book, Findings, compare, counted
from agentctl.control import Desk
from agentctl.core.recount import TOTALS
from agentctl.errors import StoreError, TaskBusy
from agentctl.reports.books import Check
from agentctl.store import book_queries as sql
from agentctl.store import lease
from agentctl.store.opening import translated

if TYPE_CHECKING:
    import sqlite3

IN_TABLES = ("usage", "sums", "spend", "tasks", "pruned")


def rebuild(desk: Desk, books: Sequence[Book] = (), *, dry_run: bool = False) -> Check:
    """Make usage, sums, spend and the tasks' totals follow from the log; return what differed.

    Nothing is written if nothing differs. Raises TaskBusy while a live process drives a task,
    whose next event would be added to what it remembers, and StoreError for a damaged log.
    """
    findings = Findings()
    with translated(desk.store.path), sql.writing(desk.store.connection):
        compare(desk, findings, books)
        found = findings.check.differences
        unsound = [each for each in found if each.book == "log"]
        if unsound:
            raise StoreError(
                f"The log itself cannot be followed: {unsound[0].what}: {unsound[0].remark}.",
                kept="Nothing was changed.",
                next_step="See all of it with: agentctl costs check",
            )
        if any(each.book in IN_TABLES for each in found) and not dry_run:
            _refuse_driven(desk)
            _write(desk, desk.store.connection)
            again = Findings()
            compare(desk, again)
            if again.check.differences:
                raise StoreError(
                    "The tables would still differ from the log after a rebuild.",
                    kept="Nothing was changed.",
                    next_step="Report this with the output of: agentctl costs check",
                )
    return findings.check


def _refuse_driven(desk: Desk) -> None:
    for task_id in sql.running(desk.store.connection):
        pid = lease.owner(desk.locks, task_id)
        if pid:
            raise TaskBusy(
                f"Task {task_id} is being driven by process {pid}.",
                kept="Nothing was changed.",
                next_step=f"Stop it with: agentctl pause {task_id}   then type the same again.",
            )


def _write(desk: Desk, db: sqlite3.Connection) -> None:
    ids = _ids(desk, db)
    totals = dict.fromkeys(sql.totals(db), NOTHING)
    pruned: list[tuple[int, ...]] = []
    sql.rewrite_usage(db, _rows(desk, db, ids, totals, pruned))
    sql.rewrite_pruned(db, pruned)
    sql.rewrite_sums(db)
    sql.rewrite_totals(db, ((*sums, number) for number, sums in totals.items()))


def _rows(
    desk: Desk,
    db: sqlite3.Connection,
    ids: dict[tuple[int, int], int],
    totals: dict[int, tuple[object, ...]],
    pruned: list[tuple[int, ...]],
) -> Iterator[tuple[Any, ...]]:
    """Every usage row by the log; fills in the tasks' totals and what pruning saved on the way."""
    offers: dict[tuple[str, str, str], int] = {}
    for number, count in counted(desk, Findings()):
        totals[number] = tuple(getattr(count, name) for name in TOTALS)
        for call in count.calls.values():
            key = (call.provider, call.model, call.prices)
            if key not in offers:
                offers[key] = sql.offer(db, *key)
            row = ids[number, call.call]
            if call.pruned_micros:
                quarter = call.at_ms // QUARTER_MS
                pruned.append((row, quarter, number, offers[key], call.pruned_micros))
            yield (
                row, number, call.call, call.at_ms, offers[key], call.purpose,
                call.state, call.input, call.cache_read, call.cache_write, call.output,
                call.reasoning, call.reserve_micros, call.cost_micros, call.response_id,
            )  # fmt: skip


def _ids(desk: Desk, db: sqlite3.Connection) -> dict[tuple[int, int], int]:
    """An id for each call: its own, or one that keeps the rows in the order of asking."""
    known: dict[tuple[int, int], int] = {}
    calls: list[tuple[int, int, int]] = []
    for number, count in counted(desk, Findings()):
        for row, call, *_ in sql.used(db, number):
            known.setdefault((number, call), row)
        calls += [(call.at_ms, number, call.call) for call in count.calls.values()]
    calls.sort()
    keys = [(number, call) for _, number, call in calls]
    # The least id that any later call has: what is missing must come before it.
    ceilings: list[int | None] = []
    ceiling: int | None = None
    for key in reversed(keys):
        ceilings.append(ceiling)
        own = known.get(key)
        if own is not None and (ceiling is None or own < ceiling):
            ceiling = own
    found: dict[tuple[int, int], int] = {}
    last = 0
    for key, above in zip(keys, reversed(ceilings), strict=True):
        own = known.get(key)
        if own is None:
            own = last + 1
            if above is not None and own >= above:
                return {each: place for place, each in enumerate(keys, 1)}  # no room left: anew
        found[key] = own
        last = max(last, own)
    return found
