"""From the store's sums to a cost report."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import tzinfo
from itertools import pairwise

import msgspec

from agentctl import settings
from agentctl.control import Desk, now_ms
from agentctl.core.rows import UsageRow
from agentctl.core.values import Millis, Rates
from agentctl.reports.costs import TIMES, By, CostLine, CostReport, Share, Sums, by_cost
from agentctl.reports.periods import SLOTS
from agentctl.reports.tool_costs import ToolReport
from agentctl.store import queries
from agentctl.store.opening import translated

Row = tuple[int | str, int, int, int, int, int, int, int, int, int, int, int]
"""A key, an offer and ten numbers: see queries.sums_by_offer."""


def cost_report(
    desk: Desk,
    by: By,
    since_ms: Millis | None = None,
    until_ms: Millis | None = None,
    *,
    zone: tzinfo | None = None,
    breakdown: bool = False,
) -> CostReport:
    """Sum up all calls of a period by anything but tools. Local times are those of `zone`.

    The period is widened to whole quarters of an hour. Without a zone it is the machine's own.
    """
    keys = {"provider": "all", "model": "all", **dict.fromkeys(TIMES, "quarter")}
    with translated(desk.store.path):
        db = desk.store.connection
        offers = _Offers(queries.offers(db))
        groups = _Groups(by, offers, zone, breakdown=breakdown and by != "model")
        groups.take(queries.sums_by_offer(db, keys.get(by, by), since_ms or 0, until_ms))
        labels = queries.labels(db) if by == "task" else {}
    return CostReport(
        by, groups.lines(labels), groups.total.line("Total"), tuple(shares(desk)),
        since_ms, until_ms,
    )  # fmt: skip


def calls_of(desk: Desk, task_id: str) -> tuple[list[UsageRow], CostLine]:
    """The model calls of a task, oldest first, and their sums."""
    with translated(desk.store.path):
        number = desk.store.number(task_id)
        calls = queries.calls(desk.store.connection, number)
        saved_micros = queries.pruned(desk.store.connection, number)
    sums = Sums()
    sums.add((0, 0, 0, 0, 0, 0, 0, 0, 0, saved_micros), None)
    for call in calls:
        cost = call.cost_micros or 0
        pending = call.state in ("open", "unsettled")
        counts = (
            1, call.cost_micros is None, call.input, call.cache_read, call.cache_write,
            call.output, 0 if pending else cost, call.state == "estimated", cost if pending else 0,
            0,
        )  # fmt: skip
        sums.add(counts, rates(call.prices))
    return calls, sums.line("Total")


def tool_report(desk: Desk, since_ms: Millis | None, until_ms: Millis | None) -> ToolReport:
    """What tools' outputs cost as input: reads the log of each task with calls in the period."""
    # The whole of a task's state: no other report needs it.
    from agentctl.core.tool_costs import Tally

    tally = Tally(since_ms or 0, until_ms)
    with translated(desk.store.path):
        rows = queries.sums(desk.store.connection, "task", since_ms or 0, until_ms)
        names = queries.names(desk.store.connection)
    for row in rows:
        task_id = names.get(int(row[0]))
        if task_id is not None:
            tally.add(desk.store.read(task_id))
    return ToolReport(
        tuple(tally.costs()), tally.calls, tally.unpriced, tally.open_micros, since_ms, until_ms
    )


class _Offers:
    """Names and prices of what was called."""

    def __init__(self, offers: dict[int, tuple[str, str, str]]) -> None:
        self.providers = {number: each[0] for number, each in offers.items()}
        self.models = {number: f"{each[0]}/{each[1]}" for number, each in offers.items()}
        self.rates = {number: rates(each[2]) for number, each in offers.items()}


def rates(prices: str) -> Rates | None:
    """The unit prices as they are stored; None while they are unknown."""
    if not prices:
        return None
    found = msgspec.json.decode(prices, type=Rates)
    return None if found.source == "unpriced" else found


class _Groups:
    """The sums of each line, and of its models."""

    def __init__(self, by: By, offers: _Offers, zone: tzinfo | None, *, breakdown: bool) -> None:
        self._by = by
        self._offers = offers
        self._zone = zone
        self._breakdown = breakdown
        self._sums: dict[int | str, Sums] = {}
        self._parts: dict[int | str, dict[str, Sums]] = {}
        self.total = Sums()

    def take(self, rows: Iterable[Row]) -> None:
        """Add up rows that come in the order of their keys."""
        slot, slot_end = "", -1
        make = SLOTS.get(self._by)
        for key, offer, *counts in rows:
            name: int | str = key
            if make is not None:
                at_ms = int(key) * queries.QUARTER_MS
                if at_ms >= slot_end:
                    slot, slot_end = make(at_ms, self._zone)
                name = slot
            elif self._by == "model":
                name = self._offers.models[offer]
            elif self._by == "provider":
                name = self._offers.providers[offer]
            self._add(name, offer, counts)

    def _add(self, name: int | str, offer: int, counts: list[int]) -> None:
        prices = self._offers.rates[offer]
        sums = self._sums.get(name)
        if sums is None:
            sums = self._sums[name] = Sums()
        sums.add(counts, prices)
        self.total.add(counts, prices)
        if self._breakdown:
            parts = self._parts.setdefault(name, {})
            parts.setdefault(self._offers.models[offer], Sums()).add(counts, prices)

    def lines(self, labels: dict[int, tuple[str, str]]) -> tuple[CostLine, ...]:
        """Times in their order, all else the most expensive first."""
        made = []
        for name, sums in self._sums.items():
            parts = self._parts.get(name, {})
            inner = by_cost(part.line(model) for model, part in parts.items())
            key, label = labels.get(name, ("?", "")) if isinstance(name, int) else (name, "")
            made.append(sums.line(key, " ".join(label.split()), inner))
        if self._by == "hour":
            return tuple(_without_offsets(made))
        return tuple(made) if self._by in TIMES else by_cost(made)


def _without_offsets(lines: list[CostLine]) -> Iterable[CostLine]:
    """In autumn one hour happens twice; only there its offset from UTC is kept in the name."""
    hours = [line.key.rpartition(" ")[0] for line in lines]
    twice = {hour for hour, after in pairwise(hours) if hour == after}
    for line, hour in zip(lines, hours, strict=True):
        yield line if hour in twice else msgspec.structs.replace(line, key=hour)


def shares(desk: Desk) -> list[Share]:
    """How much of the limits of the hour and the day is used, as far as there are any."""
    limits = settings.load({}, env=os.environ, cwd=settings.here()).limits()
    spent = desk.store.shared("default", (), now_ms())
    caps = (
        ("this hour", spent.hour_spent_micros, limits.hour_cost_micros),
        ("last 24 hours", spent.day_spent_micros, limits.day_cost_micros),
    )
    return [Share(name, used, cap) for name, used, cap in caps if cap is not None]
