"""Compare what was written down with the log that it follows from. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Protocol

from agentctl.control import Desk
from agentctl.core import events as e
from agentctl.core.recount import FIELDS, TOTALS, Call, Count, recount
from agentctl.core.values import Millis
from agentctl.reports.books import Check, Difference, Pending, Value
from agentctl.store import book_queries as sql
from agentctl.store import lease
from agentctl.store.opening import translated

LISTED_MAX = 10_000
"""More differences than this are counted, not listed."""
QUARTER_MS = 900_000


class Book(Protocol):
    """Something else that tells of the same calls: the ledger file, a provider's export."""

    def take(self, task_id: str, row: int | None, call: Call) -> None:
        """Take note of a call of the log; `row` is the id of its usage row, if it has one."""
        ...

    def close(self, findings: Findings) -> None:
        """Say what does not agree."""
        ...


class Findings:
    """Collects what is found."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.check = Check()

    def differ(
        self,
        book: str,
        what: str,
        field: str = "",
        ours: Value = None,
        theirs: Value = None,
        remark: str = "",
    ) -> None:
        """Name a difference."""
        if len(self.check.differences) >= LISTED_MAX:
            self.check.more += 1
            return
        self.check.differences.append(Difference(book, what, field, ours, theirs, remark))

    def fields(
        self,
        book: str,
        what: str,
        names: Sequence[str],
        ours: Sequence[object],
        theirs: Sequence[object],
    ) -> None:
        """Name each field that differs."""
        if tuple(ours) == tuple(theirs):
            return
        for name, our, their in zip(names, ours, theirs, strict=True):
            if our != their:
                self.differ(book, what, name, plain(our), plain(their))

    def note(self, text: str) -> None:
        """Say what is no difference and should still be known."""
        self.check.notes.append(text)


def plain(value: object) -> Value:
    """What can be shown: a damaged table or file may hold anything where a number belongs."""
    return value if value is None or isinstance(value, int | str) else str(value)


def check(desk: Desk, books: Sequence[Book] = ()) -> Check:
    """Compare the tables, and other books, with the log as it stands at one moment."""
    findings = Findings()
    with translated(desk.store.path), sql.reading(desk.store.connection):
        compare(desk, findings, books)
    return findings.check


def compare(desk: Desk, findings: Findings, books: Sequence[Book] = ()) -> None:
    """The same within a transaction of the caller's."""
    for number in sql.torn(desk.store.connection):
        findings.differ("log", f"task number {number}", remark="it lacks events")
    tables = _Tables(desk, findings, books)
    for number, count in counted(desk, findings):
        tables.take(number, count)
    tables.close()
    for book in books:
        book.close(findings)


def counted(desk: Desk, findings: Findings) -> Iterator[tuple[int, Count]]:
    """The calls of each task that has any, by the log; what cannot be read is named."""
    for number, rows in groupby(sql.logged(desk.store.connection), key=lambda row: row[0]):
        problems: list[str] = []
        count = recount(_events(rows, problems))
        for problem in (*problems, *count.problems):
            findings.differ("log", f"task number {number}", remark=problem)
        yield number, count


def _events(
    rows: Iterator[tuple[int, int, Millis, str, str]], problems: list[str]
) -> Iterator[tuple[Millis, e.Event]]:
    for _, seq, at_ms, kind, body in rows:
        try:
            event = e.from_json(kind, body)
        except (KeyError, ValueError) as error:  # msgspec's errors are ValueErrors
            problems.append(f"event {seq} cannot be read: {error}")
        else:
            yield at_ms, event


NOTHING = tuple(getattr(Count(), name) for name in TOTALS)


class _Tables:
    """The tables, compared task by task, and what they add up to."""

    def __init__(self, desk: Desk, findings: Findings, books: Sequence[Book]) -> None:
        self._desk = desk
        self._db = desk.store.connection
        self._findings = findings
        self._books = books
        self._tasks = sql.totals(self._db)
        self._unseen = set(sql.users(self._db))
        self._pruned = sql.pruned(self._db)
        self._spend: Counter[int] = Counter()
        self._sums: dict[tuple[Any, ...], list[int]] = {}

    def take(self, number: int, count: Count) -> None:
        """Compare the rows and the totals of a task."""
        findings = self._findings
        findings.check.tasks += 1
        findings.check.calls += len(count.calls)
        task_id, totals = self._tasks.pop(number, ("", ()))
        name = f"task {task_id}" if task_id else f"task number {number}"
        if not task_id:
            findings.differ("log", name, remark="the list of tasks does not have it")
        else:
            findings.fields("tasks", name, TOTALS, [getattr(count, n) for n in TOTALS], totals)
        saved = sum(call.pruned_micros for call in count.calls.values())
        theirs = self._pruned.pop(number, 0)
        findings.fields("pruned", name, ("saved_micros",), (saved,), (theirs,))
        rows = self._usage(number, name, count)
        for call in count.calls.values():
            self._add(number, call)
            for book in self._books:
                book.take(task_id, rows.get(call.call), call)
            if call.state == "open":
                findings.check.pending.append(self._pending(task_id, call))

    def _usage(self, number: int, name: str, count: Count) -> dict[int, int]:
        """Compare the usage rows of a task and return their ids by call."""
        self._unseen.discard(number)
        found: dict[int, int] = {}
        for row, *fields in sql.used(self._db, number):
            call = count.calls.get(fields[0])
            what = f"call {fields[0]} of {name}"
            if call is None:
                self._findings.differ("usage", what, remark="in the table, not in the log")
            elif fields[0] in found:
                self._findings.differ("usage", what, remark="twice in the table")
            else:
                found[fields[0]] = row
                ours = [getattr(call, field) for field in FIELDS]
                self._findings.fields("usage", what, FIELDS, ours, fields)
        for each in count.calls.keys() - found.keys():
            what = f"call {each} of {name}"
            self._findings.differ("usage", what, remark="in the log, not in the table")
        return found

    def _add(self, number: int, call: Call) -> None:
        self._spend[call.at_ms // sql.MINUTE_MS] += call.cost_micros or 0
        if call.state == "open":
            return
        key = (call.at_ms // QUARTER_MS, number, call.provider, call.model, call.prices)
        sums = self._sums.setdefault(key, [0] * len(sql.SUMS))
        cost, unsettled = call.cost_micros or 0, call.state == "unsettled"
        more = (
            1, call.cost_micros is None, call.input, call.cache_read, call.cache_write,
            call.output, 0 if unsettled else cost, call.state == "estimated",
            cost if unsettled else 0,
        )  # fmt: skip
        for place, each in enumerate(more):
            sums[place] += each

    def _pending(self, task_id: str, call: Call) -> Pending:
        pid = lease.owner(self._desk.locks, task_id) if task_id else 0
        model = f"{call.provider}/{call.model}"
        return Pending(task_id, call.call, call.at_ms, model, call.cost_micros, pid)

    def close(self) -> None:
        """Compare what is summed over all tasks, and name rows that no event speaks of."""
        findings = self._findings
        for number, (task_id, totals) in self._tasks.items():
            findings.fields("tasks", f"task {task_id}", TOTALS, NOTHING, totals)
            self._usage(number, f"task {task_id}", Count())
        for number in sorted(self._unseen):
            self._usage(number, f"task number {number}", Count())
        for number, saved in self._pruned.items():
            what = f"task number {number}"
            findings.fields("pruned", what, ("saved_micros",), (0,), (saved,))
        for key, theirs in sql.sums(self._db):
            ours = self._sums.pop(key, None)
            if ours is None:
                findings.differ("sums", _quarter(key), remark="in the table, not in the log")
            else:
                findings.fields("sums", _quarter(key), sql.SUMS, ours, theirs)
        for key in self._sums:
            findings.differ("sums", _quarter(key), remark="in the log, not in the table")
        self._compare_spend()

    def _compare_spend(self) -> None:
        minutes = dict(sql.spend(self._db))
        hours: Counter[int] = Counter()  # of the table's minutes: what is wrong there is told once
        for minute, micros in minutes.items():
            hours[minute // 60] += micros
        for unit, unit_ms, ours, table in (
            ("minute", sql.MINUTE_MS, self._spend, minutes),
            ("hour", 60 * sql.MINUTE_MS, hours, dict(sql.spend_hours(self._db))),
        ):
            for time in sorted(ours.keys() | table.keys()):
                what = f"{unit} {moment(time * unit_ms)}"
                mine, theirs = (ours[time],), (table.get(time, 0),)
                self._findings.fields("spend", what, ("spent_micros",), mine, theirs)


def _quarter(key: tuple[Any, ...]) -> str:
    quarter, task, provider, model, _ = key
    return f"{moment(quarter * QUARTER_MS)}, task number {task}, {provider}/{model}"


def moment(at_ms: Millis) -> str:
    """A moment of the log to the minute, in UTC."""
    from datetime import UTC, datetime  # here: only differences need it

    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%MZ")
