"""What was spent: by day, hour, task or model, as a table or as JSON. Nothing here prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from typing import Any, Literal

import msgspec
from msgspec import Struct
from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from agentctl.core.values import Micros, Millis
from agentctl.reports.text import count, usd, visible

By = Literal["day", "hour", "task", "model"]
HEADS: dict[By, str] = {"day": "Day", "hour": "Hour", "task": "Task", "model": "Model"}

# Below these widths a column would break its numbers, so it is left out.
_VERY_WIDE = 96
_WIDE = 76
_NARROW = 40


class CostLine(Struct, frozen=True):
    """Sums over the calls of one day, hour, task or model."""

    key: str
    """What the calls have in common: a day or hour, a task's id, "provider/model"."""
    calls: int = 0
    unpriced: int = 0
    """Calls without a known price, missing in the cost."""
    input: int = 0
    """All input, cache included."""
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    tokens_processed: int = 0
    """Input not served from a cache, plus output."""
    cost_micros: Micros = 0
    """Settled and estimated calls."""
    estimated: int = 0
    """Calls whose amount is an estimate, since the provider reported no usage."""
    open_micros: Micros = 0
    """At most this much more: calls that may have been billed and whose answer is missing."""


class Share(Struct, frozen=True):
    """How much of a limit is used."""

    name: str
    """E.g. "this hour"."""
    spent_micros: Micros
    cap_micros: Micros


def report(
    lines: Sequence[CostLine],
    by: By = "day",
    *,
    shares: Sequence[Share] = (),
    note: str = "",
) -> RenderableType:
    """Return the table with its total, then the share of each limit and the open amounts.

    Lines are shown in the order given. The table chooses its columns by the width it gets.
    """
    if not lines:
        parts: list[RenderableType] = [Text("No model call has been made yet.")]
    else:
        parts = [_CostTable(lines, by), *_remarks(total(lines))]
    parts += [Text(share_text(share)) for share in shares]
    if note:
        parts.append(Text(visible(note)))
    return Group(*parts)


def as_json(
    lines: Sequence[CostLine], by: By = "day", *, shares: Sequence[Share] = ()
) -> dict[str, Any]:
    """Return the report as plain values: schema, by, lines, total, limits.

    Lines and total have the fields of CostLine; costs are micro-dollars and leave out the
    `unpriced` calls and the `open_micros`.
    """
    return {
        "schema": 1,
        "by": by,
        "lines": [msgspec.structs.asdict(line) for line in lines],
        "total": msgspec.structs.asdict(total(lines)),
        "limits": [msgspec.structs.asdict(share) for share in shares],
    }


def total(lines: Iterable[CostLine], key: str = "Total") -> CostLine:
    """Return the sum of all lines."""
    sums = dict.fromkeys(_SUMMED, 0)
    for line in lines:
        for name in _SUMMED:
            sums[name] += getattr(line, name)
    return CostLine(key=key, **sums)


_SUMMED = CostLine.__struct_fields__[1:]


def by_local_time(
    slots: Iterable[tuple[Millis, CostLine]], by: Literal["day", "hour"], tz: tzinfo
) -> list[CostLine]:
    """Sum up lines by local day or hour, oldest first.

    Each line comes with a moment. For exact local days the lines must not span more than a quarter
    of an hour, since zones differ from UTC by quarters of an hour.
    """
    form = "%Y-%m-%d" if by == "day" else "%Y-%m-%d %H:00"
    groups: dict[tuple[str, str], list[CostLine]] = {}
    for moment_ms, line in sorted(slots, key=lambda slot: slot[0]):
        local = datetime.fromtimestamp(moment_ms / 1000, tz)
        # In autumn one hour happens twice; its offset from UTC tells the two apart.
        offset = local.strftime("%z") if by == "hour" else ""
        groups.setdefault((local.strftime(form), offset), []).append(line)
    labels = [label for label, _offset in groups]
    return [
        total(lines, f"{label} {offset}" if labels.count(label) > 1 else label)
        for (label, offset), lines in groups.items()
    ]


def share_text(share: Share) -> str:
    """Return e.g. "this hour $0.42 of $10.00 (4 %)", the percentage rounded down."""
    used = f"{visible(share.name)} {usd(share.spent_micros)} of {usd(share.cap_micros)}"
    if not share.cap_micros:
        return used
    return f"{used} ({share.spent_micros * 100 // share.cap_micros} %)"


def cost_text(line: CostLine) -> str:
    """Return the cost; "?" stands for what has no price, "~" for what is estimated.

    While all that is known is an upper bound, it is shown as one.
    """
    if line.unpriced and not line.cost_micros:
        return "?"
    if line.open_micros and not line.cost_micros:
        return f"≤ {usd(line.open_micros)}"
    amount = f"~{usd(line.cost_micros)}" if line.estimated else usd(line.cost_micros)
    return f"{amount} + ?" if line.unpriced else amount


class _CostTable:
    """The table, with as many columns as the width allows."""

    def __init__(self, lines: Sequence[CostLine], by: By) -> None:
        self._lines = lines
        self._by = by

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names = _columns(options.max_width, has_notes=any(_notes(line) for line in self._lines))
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        # Only the first column may be broken over lines: half a number is a wrong number.
        table.add_column(HEADS[self._by], overflow="fold")
        for name in names:
            table.add_column(name, justify="left" if name == "Note" else "right", no_wrap=True)
        for line in self._lines:
            table.add_row(*_cells(line, names))
        table.add_section()
        table.add_row(*_cells(total(self._lines), names))
        yield table


def _columns(width: int, *, has_notes: bool) -> list[str]:
    if not has_notes:
        if width >= _WIDE:
            return ["Calls", "Input", "Cached", "Output", "Cost"]
        return ["Calls", "Cost"] if width >= _NARROW else ["Cost"]
    if width >= _VERY_WIDE:
        return ["Calls", "Input", "Cached", "Output", "Cost", "Note"]
    if width >= _WIDE:
        return ["Calls", "Input", "Output", "Cost", "Note"]
    return ["Cost", "Note"] if width >= _NARROW else ["Cost"]


def _cells(line: CostLine, names: Sequence[str]) -> list[Text]:
    cells = {
        "Calls": count(line.calls),
        "Input": count(line.input),
        "Cached": count(line.cache_read),
        "Output": count(line.output),
        "Cost": cost_text(line),
        "Note": "\n".join(_notes(line)),
    }
    return [Text(visible(line.key)), *(Text(cells[name]) for name in names)]


def _notes(line: CostLine) -> list[str]:
    notes = []
    if line.unpriced:
        notes.append(f"? {count(line.unpriced)} unpriced")
    if line.estimated:
        notes.append(f"~ {count(line.estimated)} estimated")
    if line.open_micros:
        notes.append(f"≤ {usd(line.open_micros)} open")
    return notes


def _remarks(sums: CostLine) -> list[Text]:
    remarks = [
        "",
        f"{count(sums.tokens_processed)} tokens processed, "
        f"{count(sums.input + sums.output)} with those from a cache",
    ]
    if sums.unpriced:
        remarks.append(
            f"? {count(sums.unpriced)} of {count(sums.calls)} calls unpriced: not in the cost"
        )
    if sums.estimated:
        remarks.append(f"~ {count(sums.estimated)} estimated: the provider reported no usage")
    if sums.open_micros:
        remarks.append(f"unsettled, at most {usd(sums.open_micros)} more: calls without an answer")
    return [Text(remark) for remark in remarks]
