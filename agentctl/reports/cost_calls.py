"""A task's model calls one by one. Nothing here prints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

import msgspec

from agentctl.core.rows import TaskRow, UsageRow
from agentctl.reports.columns import Column, ascii_only, cells_of, fits, folded, table, wrapped
from agentctl.reports.cost_table import short, sum_remarks
from agentctl.reports.costs import CostLine, cost_text
from agentctl.reports.periods import local
from agentctl.reports.text import count, usd, visible


def text(
    row: TaskRow,
    calls: Sequence[UsageRow],
    total: CostLine,
    width: int,
    zone: tzinfo | None,
    plain: bool,
) -> str:
    """Return a line for each call, their total and what is to be said of it."""
    title = visible(" ".join(f"Task {row.id} {row.name or row.goal}".split()))
    title = ascii_only(title) if plain else title
    head = title
    if cells_of(title) > width:
        head = folded(title, max(width - 1, 1))[0] + ("." if plain else "…")
    if not calls:
        return f"{head}\nNo model call has been made yet."
    keys = [*(str(call.call) for call in calls), "Total"]
    columns = _columns(calls, total, zone, exact=True)
    if fits(keys, columns, width) < len(columns):
        columns = _columns(calls, total, zone, exact=False)
    lines = [head, ""]
    lines += table("Call", keys, columns, width, rules=(len(calls),), plain=plain)
    lines.append("")
    for remark in sum_remarks(total):
        lines += wrapped(ascii_only(remark) if plain else remark, width)
    return "\n".join(lines)


def as_json(row: TaskRow, calls: Sequence[UsageRow], total: CostLine) -> dict[str, Any]:
    """Return the calls with all that the ledger knows of them, and their sums."""
    return {
        "schema": 1,
        "task_id": row.id,
        "calls": [msgspec.structs.asdict(call) for call in calls],
        "total": msgspec.structs.asdict(total),
    }


def call_cost(call: UsageRow) -> str:
    """The cost of a call; "≤" and its reserve as long as its answer is missing."""
    if call.cost_micros is None:
        return "?"
    if call.state in ("open", "unsettled"):
        return f"≤ {usd(call.cost_micros)}"
    return f"~{usd(call.cost_micros)}" if call.state == "estimated" else usd(call.cost_micros)


def _columns(
    calls: Sequence[UsageRow], total: CostLine, zone: tzinfo | None, *, exact: bool
) -> list[Column]:
    number = count if exact else short
    form = "%Y-%m-%d %H:%M:%S" if exact else "%m-%d %H:%M"
    models = [visible(f"{call.provider}/{call.model}" if exact else call.model) for call in calls]
    purposes = [visible(call.purpose) for call in calls]
    reserves = [
        ("?" if call.reserve_micros is None else usd(call.reserve_micros))
        if call.state == "open"
        else ""
        for call in calls
    ]
    columns = [
        Column("Time", [f"{local(call.at_ms, zone):{form}}" for call in calls], left=True, rank=2),
        Column("Model", models, left=True, least=10, rank=3),
        Column("Purpose", purposes, left=True, rank=10 if set(purposes) == {"step"} else 4),
        Column("State", [call.state for call in calls], left=True, rank=1),
        Column("In", [number(call.input) for call in calls], rank=5),
        Column("Cached", [number(call.cache_read) for call in calls], rank=7),
        Column("Written", [number(call.cache_write) for call in calls], rank=8),
        Column("Out", [number(call.output) for call in calls], rank=6),
        Column("Reserve", reserves, rank=9),
        Column("Cost", [call_cost(call) for call in calls]),
    ]
    ends = {
        "In": number(total.input),
        "Cached": number(total.cache_read),
        "Written": number(total.cache_write),
        "Out": number(total.output),
        "Cost": cost_text(total),
    }
    return [
        msgspec.structs.replace(column, cells=[*column.cells, ends.get(column.head, "")])
        for column in columns
        if column.head != "Reserve" or any(reserves)
    ]
