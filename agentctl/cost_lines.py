"""From the store's sums to the lines of a cost report."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from agentctl import settings
from agentctl.control import Desk, now_ms
from agentctl.reports.costs import By, CostLine, Share, by_local_time
from agentctl.store import queries
from agentctl.store.opening import translated

QUARTER_MS = 900_000


def cost_lines(desk: Desk, by: By) -> list[CostLine]:
    """The sums per local day or hour, task or model."""
    with translated(desk.store.path):
        db = desk.store.connection
        timed = by in ("day", "hour")
        rows = queries.sums(db, "quarter" if timed else by)
        names = queries.names(db) if by == "task" else {}
    if timed:
        zone = datetime.now().astimezone().tzinfo or UTC
        slots = [(int(row[0]) * QUARTER_MS, _line("", row)) for row in rows]
        return by_local_time(slots, "day" if by == "day" else "hour", zone)
    return [
        _line(names.get(int(row[0]), "?") if by == "task" else str(row[0]), row) for row in rows
    ]


def _line(key: str, row: tuple[int | str, int, int, int, int, int, int, int, int, int]) -> CostLine:
    _, calls, unpriced, given, read, written, output, cost, estimated, at_most = row
    return CostLine(
        key, calls, unpriced, given, read, written, output, given - read + output, cost, estimated,
        at_most,
    )  # fmt: skip


def shares(desk: Desk) -> list[Share]:
    """How much of the hour's limit is used, as far as there is one."""
    cap = settings.load({}, env=os.environ, cwd=settings.here()).max_cost_hour_micros
    if cap is None:
        return []
    return [Share("this hour", desk.store.hour_spent(now_ms())[0], cap)]
