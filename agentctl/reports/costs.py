"""What was spent, as values: lines of a report, their sums, and their JSON. Nothing here prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct

from agentctl.core.values import Micros, Millis, Rates
from agentctl.reports.text import usd, visible

By = Literal[
    "day", "week", "month", "hour", "task", "model", "provider", "tool", "project", "account"
]
KINDS: tuple[By, ...] = get_args(By)
TIMES: tuple[By, ...] = ("hour", "day", "week", "month")
MTOK = 1_000_000


class CostLine(Struct, frozen=True):
    """Sums over the calls that have something in common: a day, a task, a model."""

    key: str
    """What they have in common: 2026-11-01, 2026-W44, a task's id, "provider/model", a folder."""
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
    saved_micros: Micros = 0
    """What the same input would have cost more without a cache, rounded down; negative when
    writing to the cache cost more than reading from it saved."""
    pruned_micros: Micros = 0
    """What leaving out old text saved, about; negative where paying anew for what stayed, once its
    place in the cache was lost, cost more."""
    label: str = ""
    """Of a task its name, or the beginning of its goal."""
    parts: tuple[CostLine, ...] = ()
    """The same by model, the most expensive first, where that was asked for."""


class Share(Struct, frozen=True):
    """How much of a limit is used."""

    name: str
    """E.g. "this hour"."""
    spent_micros: Micros
    cap_micros: Micros


class CostReport(Struct, frozen=True):
    """Everything that a cost report shows."""

    by: By
    lines: tuple[CostLine, ...]
    """In the order to show: times from old to new, all else from expensive to cheap."""
    total: CostLine
    shares: tuple[Share, ...] = ()
    since_ms: Millis | None = None
    """Beginning of the period; None: with the first call."""
    until_ms: Millis | None = None
    """End of the period, itself not in it; None: now."""
    period: str = ""
    """The same in words, when only a part of the time was asked for."""
    zone: str = ""
    """Name of the time zone, when one was asked for."""


class Sums:
    """Adds up calls exactly; a line is rounded only when it is made."""

    __slots__ = ("_saved", "counts")

    def __init__(self) -> None:
        """Begin with nothing."""
        # calls, unpriced, input, cache read and write, output, cost, estimated, open, pruned
        self.counts = [0] * 10
        self._saved = 0

    def add(self, counts: Sequence[int], rates: Rates | None) -> None:
        """Add calls at the same prices: ten numbers, from calls to what pruning saved."""
        mine = self.counts
        for place, number in enumerate(counts):
            mine[place] += number
        if rates is not None:
            self._saved += counts[3] * (rates.input - rates.cache_read)
            self._saved -= counts[4] * (rates.cache_write - rates.input)

    def line(self, key: str, label: str = "", parts: tuple[CostLine, ...] = ()) -> CostLine:
        """The sums as a line of a report."""
        calls, unpriced, given, read, written, output, cost, estimated, at_most, pruned = (
            self.counts
        )
        return CostLine(
            key, calls, unpriced, given, read, written, output, given - read + output, cost,
            estimated, at_most, self._saved // MTOK, pruned, label, parts,
        )  # fmt: skip


def kind(word: str) -> By:
    """Return the word as one of KINDS. Raises ValueError."""
    for known in KINDS:
        if known == word:
            return known
    raise ValueError(f"{word!r} is none of {', '.join(KINDS)}")


_SUMMED = CostLine.__struct_fields__[1:-2]


def total(lines: Iterable[CostLine], key: str = "Total") -> CostLine:
    """Return the sum of lines. What caching saved may fall short by a micro-dollar for each."""
    sums = dict.fromkeys(_SUMMED, 0)
    for line in lines:
        for name in _SUMMED:
            sums[name] += getattr(line, name)
    return msgspec.structs.replace(CostLine(key), **sums)


def by_cost(lines: Iterable[CostLine]) -> tuple[CostLine, ...]:
    """The most expensive first; calls that may have been billed count."""
    return tuple(
        sorted(lines, key=lambda line: (-line.cost_micros - line.open_micros, line.key, line.label))
    )


def as_json(report: CostReport) -> dict[str, Any]:
    """Return the report as plain values: schema, by, lines, total, limits, since, until, timezone.

    Lines and total have the fields of CostLine; costs are micro-dollars and leave out the
    `unpriced` calls and the `open_micros`.
    """
    return {
        "schema": 1,
        "by": report.by,
        "since_ms": report.since_ms,
        "until_ms": report.until_ms,
        "timezone": report.zone,
        "lines": [_plain(line) for line in report.lines],
        "total": _plain(report.total),
        "limits": [msgspec.structs.asdict(share) for share in report.shares],
    }


def _plain(line: CostLine) -> dict[str, Any]:
    fields = msgspec.structs.asdict(line)
    fields["parts"] = [_plain(part) for part in line.parts]
    return fields


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
