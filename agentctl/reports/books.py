"""Whether the books agree: what a check or a rebuild found, as values, text and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from agentctl.core.values import Micros, Millis
from agentctl.reports.columns import ascii_only, wrapped
from agentctl.reports.text import count, usd, visible

Value = int | str | None


class Difference(Struct, frozen=True):
    """Two books that do not say the same."""

    book: str
    """log, usage, sums, spend, tasks, ledger or export."""
    what: str
    """E.g. "call 3 of task 07k2m9qa"."""
    field: str = ""
    """Empty: the whole is missing on one side."""
    ours: Value = None
    """What the log says; against an export, what our books say."""
    theirs: Value = None
    """What the table, the file or the provider says."""
    remark: str = ""


class Pending(Struct, frozen=True):
    """A call whose answer is not there yet."""

    task_id: str
    call: int
    at_ms: Millis
    model: str
    at_most_micros: Micros | None
    """What it can have cost; None without a known price."""
    pid: int
    """The process that waits for it; 0: none, it has died."""


class Check(Struct):
    """What was compared, and what was found."""

    calls: int = 0
    tasks: int = 0
    differences: list[Difference] = []
    more: int = 0
    """Differences beyond those that are listed."""
    pending: list[Pending] = []
    notes: list[str] = []
    """What could not be compared, or is behind without being wrong."""

    @property
    def count(self) -> int:
        """All differences."""
        return len(self.differences) + self.more


def rebuild_text(check: Check, width: int, plain: bool = False, *, dry_run: bool) -> str:
    """Return what differed and what was done about it."""
    if not check.count:
        return "Nothing differed." if dry_run else "Nothing differed; the ledger file is written."
    text = check_text(check, width, plain)
    if dry_run:
        return f"{text}\nNothing was written: without --dry-run this is put right."
    return f"{text}\nPut right: the tables and the ledger file follow from the log again."


def rebuild_json(check: Check, *, dry_run: bool) -> dict[str, Any]:
    """Return the same as plain values."""
    return {**check_json(check), "written": not dry_run, "dry_run": dry_run}


_SAYS = {"ledger": "the file", "export": "theirs", "log": "found"}


def check_text(check: Check, width: int, plain: bool = False) -> str:
    """Return every difference, what is open, and the result in the last line."""
    lines: list[str] = []
    for each in check.differences:
        lines += _hanging(difference_text(each), width)
    if check.more:
        lines.append(f"and {count(check.more)} more")
    for call in check.pending:
        lines += _hanging(_pending_text(call), width)
    for note in check.notes:
        lines += _hanging(f"note: {visible(note)}", width)
    if lines:
        lines.append("")
    found = number_of(check.count, "difference") if check.count else "no difference"
    compared = f"{number_of(check.calls, 'call')} of {number_of(check.tasks, 'task')} compared"
    lines += wrapped(f"{compared}: {found}", width)
    text = "\n".join(lines)
    return "\n".join(map(ascii_only, text.split("\n"))) if plain else text


def difference_text(each: Difference) -> str:
    """Return e.g. "usage: call 3 of task 07k2m9qa, output: the log says 80, the table 81"."""
    head = f"{each.book}: {visible(each.what)}"
    remark = f" ({visible(each.remark)})" if each.remark else ""
    if not each.field:
        return head + remark
    says = _SAYS.get(each.book, "the table")
    ours = "ours" if each.book in ("export", "ledger") else "the log says"
    return (
        f"{head}, {each.field.removesuffix('_micros')}: {ours} {_value(each.field, each.ours)}, "
        f"{says} {_value(each.field, each.theirs)}{remark}"
    )


def check_json(check: Check) -> dict[str, Any]:
    """Return the check as plain values."""
    return {
        "schema": 1,
        "calls": check.calls,
        "tasks": check.tasks,
        "count": check.count,
        "differences": [msgspec.structs.asdict(each) for each in check.differences],
        "open": [msgspec.structs.asdict(each) for each in check.pending if each.pid],
        "unsettled": [msgspec.structs.asdict(each) for each in check.pending if not each.pid],
        "notes": check.notes,
    }


def _pending_text(call: Pending) -> str:
    most = "unpriced" if call.at_most_micros is None else f"at most {usd(call.at_most_micros)}"
    what = f"call {call.call} of task {visible(call.task_id)} ({visible(call.model)})"
    if call.pid:
        return f"open: {what} waits for its answer in process {call.pid}, {most}"
    return f"unsettled: {what} was left by a process that died, {most}"


def _value(field: str, value: Value) -> str:
    if value is None:
        return "unpriced" if field == "cost_micros" else "nothing"
    if isinstance(value, str):
        return visible(value) or "nothing"
    if not field.endswith("_micros"):
        return count(value)
    # To the micro-dollar: two amounts that differ must not look the same.
    sign, amount = ("-", -value) if value < 0 else ("", value)
    return f"{sign}${amount // 1_000_000:,}.{amount % 1_000_000:06d}"


def number_of(number: int, name: str) -> str:
    """Return e.g. "1 call" or "1,234 calls"."""
    return f"{count(number)} {name}{'' if number == 1 else 's'}"


def _hanging(text: str, width: int) -> Iterator[str]:
    """Lines of a paragraph; all but the first stand two columns in."""
    first, *rest = wrapped(text, max(width - 2, 20))
    yield first
    yield from (f"  {line}" for line in rest)
