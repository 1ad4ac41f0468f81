"""A cost report as text for a terminal or a pipe, at any width. Nothing here prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentctl.core.values import Micros
from agentctl.reports.columns import Column, ascii_only, fits, table, wrapped
from agentctl.reports.costs import TIMES, CostLine, CostReport, cost_text, share_text, total
from agentctl.reports.text import count, usd, visible

SHOWN_MOST = 50
"""Lines of a report by hour, task or project, unless all are asked for."""
OFTEN_MANY = ("hour", "task", "project")
PLURALS = {"hour": "hours", "task": "tasks", "project": "projects"}


def text(report: CostReport, width: int, *, every: bool = False, plain: bool = False) -> str:
    """Return the table with its total, the remarks and the share of each limit.

    Of many hours, tasks or projects the newest or most expensive are shown unless `every`; the
    others are one line. `plain` is for streams that have no more than ASCII.
    """
    if not report.lines:
        return "\n".join(wrapped(_nothing(report), width))
    lines, left_out = shortened(report, every=every)
    rows = [row for line in lines for row in (line, *line.parts)]
    labels = [visible(key) for line in lines for key in _keys(line)]
    rows.append(report.total)
    labels.append("Total")
    columns = _columns(report, rows, count)
    if fits(labels, columns, width) < len(columns):
        shorter = _columns(report, rows, short)
        if fits(labels, shorter, width) > fits(labels, columns, width):
            columns = shorter
    shown = table(
        report.by.capitalize(), labels, columns, width, rules=(len(rows) - 1,), plain=plain
    )
    shown.append("")
    for remark in _remarks(report, left_out):
        shown += wrapped(ascii_only(remark) if plain else remark, width)
    return "\n".join(shown)


def compact(report: CostReport, width: int, *, every: bool = False, plain: bool = False) -> str:
    """Return what and cost alone, as many lines as `text` does."""
    if not report.lines:
        return "\n".join(wrapped(_nothing(report), width))
    lines, left_out = shortened(report, every=every)
    rows = [*lines, report.total]
    keys = [*(visible(line.key) for line in lines), "Total"]
    cost = Column("Cost", [cost_text(line) for line in rows])
    head = report.by.capitalize()
    shown = table(head, keys, [cost], width, rules=(len(lines),), plain=plain)
    remarks = [_left_out(report, left_out), _unpriced(report.total), _open(report.total)]
    for remark in filter(None, remarks):
        shown += wrapped(ascii_only(remark) if plain else remark, width)
    return "\n".join(shown)


def shortened(report: CostReport, *, every: bool) -> tuple[tuple[CostLine, ...], int]:
    """The lines to show, and how many others were added up in one line."""
    lines = report.lines
    hidden = len(lines) - SHOWN_MOST
    if every or report.by not in OFTEN_MANY or hidden < 2:
        return lines, 0
    old = report.by in TIMES
    others = lines[:hidden] if old else lines[SHOWN_MOST:]
    sums = total(others, f"{count(hidden)} {'earlier' if old else 'others'}")
    return ((sums, *lines[hidden:]) if old else (*lines[:SHOWN_MOST], sums)), hidden


def short(number: int) -> str:
    """A count in at most six characters: 12,345, 123k, 12.3M."""
    if number < 100_000:
        return count(number)
    for unit, size in (("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)):
        if number < 999 * size:
            return f"{number / size:.{0 if number >= 99 * size else 1}f}{unit}"
    return f"{number / 10**12:,.1f}T"


def _keys(line: CostLine) -> list[str]:
    return [line.key, *(f"  {part.key}" for part in line.parts)]


def _columns(
    report: CostReport, rows: Sequence[CostLine], number: Callable[[int], str]
) -> list[Column]:
    columns = [
        Column("Calls", [count(row.calls) for row in rows], rank=3),
        Column("Input", [number(row.input) for row in rows], rank=5),
        Column("Cached", [number(row.cache_read) for row in rows], rank=7),
        Column("Written", [number(row.cache_write) for row in rows], rank=8),
        Column("Output", [number(row.output) for row in rows], rank=4),
    ]
    if report.total.cache_read or report.total.cache_write:
        columns.append(Column("Saved", [saved_text(row.saved_micros) for row in rows], rank=9))
    columns.append(Column("Cost", [cost_text(row) for row in rows]))
    notes = ["\n".join(_notes(row)) for row in rows]
    if any(notes):
        columns.append(Column("Note", notes, left=True, rank=1))
    if any(row.label for row in rows):
        columns.append(
            Column("Goal", [visible(row.label) for row in rows], left=True, least=20, rank=2)
        )
    else:
        amounts = [row.cost_micros for row in rows]
        amounts[-1] = 0  # beside the total every other bar would be a dot
        if sum(amount > 0 for amount in amounts) > 1:
            # Days are looked at for their ups and downs, models and projects for their numbers.
            rank = 2 if report.by in TIMES else 6
            columns.append(Column("", left=True, rank=rank, bars=amounts))
    return columns


def saved_text(micros: Micros) -> str:
    """What caching saved, empty for nothing."""
    return usd(micros) if micros else ""


def _notes(line: CostLine) -> list[str]:
    notes = []
    if line.unpriced:
        notes.append(f"? {count(line.unpriced)} unpriced")
    if line.estimated:
        notes.append(f"~ {count(line.estimated)} estimated")
    if line.open_micros:
        notes.append(f"≤ {usd(line.open_micros)} open")
    return notes


def _nothing(report: CostReport) -> str:
    if report.period:
        return f"No model call was made in this period: {_when(report)}."
    return "No model call has been made yet."


def _when(report: CostReport) -> str:
    return ", ".join(visible(part) for part in (report.period, report.zone) if part)


def _remarks(report: CostReport, left_out: int) -> list[str]:
    remarks = [each for each in (_left_out(report, left_out), _when(report)) if each]
    return [*remarks, *sum_remarks(report.total), *map(share_text, report.shares)]


def _left_out(report: CostReport, left_out: int) -> str:
    return f"… and {count(left_out)} more {PLURALS[report.by]}: --all" if left_out else ""


def _unpriced(sums: CostLine) -> str:
    if not sums.unpriced:
        return ""
    return f"? {count(sums.unpriced)} of {count(sums.calls)} calls unpriced: not in the cost"


def _open(sums: CostLine) -> str:
    if not sums.open_micros:
        return ""
    return f"unsettled, at most {usd(sums.open_micros)} more: calls without an answer"


def sum_remarks(sums: CostLine) -> list[str]:
    """What is to be said of a total."""
    remarks = [
        f"{count(sums.tokens_processed)} tokens processed, "
        f"{count(sums.input + sums.output)} with those from a cache"
    ]
    if sums.saved_micros < 0:
        remarks.append(f"caching cost {usd(-sums.saved_micros)} more than it saved")
    elif sums.cache_read or sums.cache_write:
        remarks.append(f"caching saved {usd(sums.saved_micros)}")
    if sums.pruned_micros < 0:
        remarks.append(f"shortening requests cost about {usd(-sums.pruned_micros)} more")
    elif sums.pruned_micros:
        remarks.append(f"shortening requests saved about {usd(sums.pruned_micros)}")
    if sums.unpriced:
        remarks.append(_unpriced(sums))
    if sums.estimated:
        remarks.append(f"~ {count(sums.estimated)} estimated: the provider reported no usage")
    if sums.open_micros:
        remarks.append(_open(sums))
    return remarks
