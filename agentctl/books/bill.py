"""A provider's export, compared with the log: by response id where it has them, else by day."""

from __future__ import annotations

import re
from decimal import Decimal

from msgspec import Struct

from agentctl.books.check import Findings
from agentctl.books.export import Bill, BillLine
from agentctl.core.recount import Call
from agentctl.core.values import Micros
from agentctl.reports.books import number_of
from agentctl.reports.text import usd

FIELDS = ("input", "cache_read", "cache_write", "output")
LOCAL = ("cached", "offline", "ollama", "scripted")
"""Nobody sends a bill for these."""
_DATED = re.compile(r"[-@](20\d{6}|20\d\d-\d\d-\d\d|latest)$")
DAY_MS = 86_400_000


class _Sums(Struct):
    """Calls, or lines of an export, that are compared as one. None: not told."""

    lines: int = 0
    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    output: int | None = None
    cost_micros: Decimal | None = None
    unpriced: int = 0
    estimated: int = 0
    pending: int = 0
    pending_micros: Micros = 0
    pending_unpriced: int = 0

    def add(self, line: Call | BillLine) -> None:
        self.lines += 1
        for name in (*FIELDS, "cost_micros"):
            more = getattr(line, name)
            if more is not None:
                setattr(self, name, (getattr(self, name) or 0) + more)

    def take(self, call: Call) -> None:
        if call.pending:
            self.pending += 1
            self.pending_micros += call.cost_micros or 0
            self.pending_unpriced += call.cost_micros is None
            return
        self.unpriced += call.cost_micros is None
        self.estimated += call.state == "estimated"
        self.add(call)

    @property
    def at_most(self) -> str:
        """What the pending calls can have cost."""
        if not self.pending_unpriced:
            return f"at most {usd(self.pending_micros)}"
        return f"at most {usd(self.pending_micros)} + ?" if self.pending_micros else "unpriced"

    @property
    def remark(self) -> str:
        """What may explain a difference."""
        parts = []
        if self.pending:
            parts.append(f"{self.pending} unsettled here, {self.at_most}")
        if self.unpriced:
            parts.append(f"{self.unpriced} unpriced here")
        if self.estimated:
            parts.append(f"{self.estimated} estimated here")
        return ", ".join(parts)


def plain_model(name: str) -> str:
    """A model's name without its date, written as in "claude-haiku-4-5" for "Claude Haiku 4.5"."""
    return _DATED.sub("", re.sub(r"[\s._]+", "-", name.strip().lower()))


class BillBook:
    """The calls of the days that an export covers, beside what it says of them."""

    def __init__(self, bill: Bill) -> None:
        """Sort the export's lines by what they will be found by."""
        self._bill = bill
        self._by_id = bool(bill.lines) and all(line.response_id for line in bill.lines)
        # A bill of whole days has one sum for all models.
        self._by_model = any(line.model for line in bill.lines)
        self._theirs: dict[tuple[str, ...], _Sums] = {}
        days = {line.day for line in bill.lines if line.day}
        self._first, self._last = (min(days), max(days)) if days else ("", "")
        for line in bill.lines:
            self._theirs.setdefault(self._key_of(line), _Sums()).add(line)
        self._providers = {line.provider for line in bill.lines if line.provider}
        self._models = {plain_model(line.model) for line in bill.lines}
        self._ours: dict[tuple[str, ...], _Sums] = {}
        self._sources: dict[tuple[str, ...], str] = {}
        self._places: dict[tuple[str, ...], str] = {}
        self._asked = 0

    def _key_of(self, line: BillLine) -> tuple[str, ...]:
        if self._by_id:
            return (line.response_id,)
        return (line.day, plain_model(line.model) if self._by_model else "")

    def take(self, task_id: str, row: int | None, call: Call) -> None:
        """Add a call that the export should know of."""
        if not self._bill.lines or call.state == "free" or not self._is_billed(call):
            return  # a file without lines covers no time
        day = _day(call.at_ms)
        inside = not self._first or self._first <= day <= self._last
        if self._by_id:
            if not call.response_id:
                self._asked += inside and call.pending
                return
            key: tuple[str, ...] = (call.response_id,)
            if not inside and key not in self._theirs:
                return
        elif not inside:
            return
        else:
            key = (day, plain_model(call.model) if self._by_model else "")
        self._ours.setdefault(key, _Sums()).take(call)
        self._sources[key] = call.provider
        self._places[key] = f"call {call.call} of task {task_id}"

    def _is_billed(self, call: Call) -> bool:
        if self._providers:
            return call.provider in self._providers
        return call.provider not in LOCAL or plain_model(call.model) in self._models

    def close(self, findings: Findings) -> None:
        """Name each line that could not be read, and each sum that differs."""
        bill = self._bill
        for place, why in bill.problems:
            findings.differ("export", f"{bill.name}, {place}", remark=why)
        # Without a provider in the file, it is whoever has a call in it.
        ours_in_it = {self._sources[key] for key in self._ours.keys() & self._theirs.keys()}
        scope = self._providers or ours_in_it
        for key in sorted(self._ours.keys() | self._theirs.keys()):
            if key not in self._theirs and scope and self._sources[key] not in scope:
                continue
            self._compare(findings, key)
        if self._asked:
            findings.note(
                f"{number_of(self._asked, 'unsettled call')} without a response id to be found by"
            )
        period = f"{self._first} to {self._last} (UTC)" if self._first else "its response ids"
        lines = f"{number_of(len(bill.lines), 'line')} compared, {period}"
        findings.note(f"{bill.name}: {lines if bill.lines else 'it has no line to compare'}")

    def _compare(self, findings: Findings, key: tuple[str, ...]) -> None:
        what = self._name(key)
        ours, theirs = self._ours.get(key), self._theirs.get(key)
        if ours is None or theirs is None:
            here = "here, not in the export" if ours else "in the export, not here"
            cost = (ours or theirs or _Sums()).cost_micros
            amount = f", {usd(int(cost))}" if cost is not None else ""
            if ours is not None and not ours.lines:
                here = "unsettled here, not in the export"
                amount = f", {ours.at_most}"
            findings.differ("export", what, remark=here + amount)
            return
        for field in FIELDS:
            our, their = getattr(ours, field), getattr(theirs, field)
            if their is not None and (our or 0) != their:
                findings.differ("export", what, field, our or 0, their, ours.remark)
        if theirs.cost_micros is not None:
            self._compare_cost(findings, what, ours, theirs.cost_micros, theirs.lines)

    def _compare_cost(
        self, findings: Findings, what: str, ours: _Sums, theirs: Decimal, lines: int
    ) -> None:
        """Ours are rounded up to a micro-dollar by call, theirs to their decimals by line."""
        rounded = Decimal(1_000_000).scaleb(-self._bill.decimals) / 2 * lines
        our = ours.cost_micros or Decimal(0)
        if theirs - rounded <= our <= theirs + rounded + ours.lines and not ours.unpriced:
            return
        known = None if ours.unpriced and not our else int(our)
        findings.differ("export", what, "cost_micros", known, round(theirs), ours.remark)

    def _name(self, key: tuple[str, ...]) -> str:
        if self._by_id:
            place = self._places.get(key)
            return f"response {key[0]}" + (f" ({place})" if place else "")
        return f"{key[0]} {key[1]}".strip() or "no date"


def _day(at_ms: int) -> str:
    from datetime import UTC, datetime  # as in `check`

    return datetime.fromtimestamp(at_ms // 1000, UTC).date().isoformat()
