"""What tools' outputs cost as input: as a table and as JSON. Nothing here prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from agentctl.core.values import Micros, Millis
from agentctl.reports.columns import Column, ascii_only, table, wrapped
from agentctl.reports.text import count, usd, visible

if TYPE_CHECKING:
    # Only for the checker: it brings a task's whole state with it.
    from agentctl.core.tool_costs import ToolCost

NAMES = {"conversation": "(conversation)", "answers": "(answers)"}


class ToolReport(Struct, frozen=True):
    """The costs of a period by tool."""

    costs: tuple[ToolCost, ...]
    calls: int
    """Calls of the model, answered or not."""
    unpriced: int
    """How many of them have no price and are in no amount."""
    open_micros: Micros
    """At most this much more: calls without an answer."""
    since_ms: Millis | None = None
    until_ms: Millis | None = None

    @property
    def total_micros(self) -> Micros:
        """What the calls cost that have a price."""
        return sum(cost.cost_micros for cost in self.costs)


def text(report: ToolReport, period: str, width: int, *, plain: bool = False) -> str:
    """Return the table: input by tool, the conversation, the answers, and the total."""
    if not report.calls:
        said = f"No model call was made in this period: {period}."
        return "\n".join(wrapped(said if period else "No model call has been made yet.", width))
    costs, total_micros = report.costs, report.total_micros
    keys = [visible(NAMES.get(cost.kind, cost.key)) for cost in costs]
    shares = [f"{c.cost_micros * 100 // total_micros if total_micros else 0} %" for c in costs]
    amounts = [cost.cost_micros for cost in costs]
    nothing = "?" if report.unpriced else usd(0)
    total = f"{usd(total_micros) if total_micros else nothing}"
    if report.unpriced:
        total = total.removesuffix("?") + f"{' + ' if total_micros else ''}?"
    columns = [
        Column("Results", [*(count(c.results) if c.results else "" for c in costs), ""], rank=2),
        Column("Bytes", [*(count(c.bytes) if c.bytes else "" for c in costs), ""], rank=3),
        Column("Cost", [*map(usd, amounts), total]),
        Column("Share", [*shares, ""], rank=1),
    ]
    if sum(amount > 0 for amount in amounts) > 1:
        columns.append(Column("", left=True, rank=4, bars=[*amounts, 0]))
    rules = (len(costs),)
    lines = table("Tool", [*keys, "Total"], columns, width, rules=rules, plain=plain)
    lines.append("")
    for remark in _remarks(report, period):
        lines += wrapped(ascii_only(remark) if plain else remark, width)
    return "\n".join(lines)


def _remarks(report: ToolReport, period: str) -> list[str]:
    remarks = [period] if period else []
    remarks.append("A tool's cost is that of its output as input, in every call that sent it.")
    if report.unpriced:
        remarks.append(
            f"? {count(report.unpriced)} of {count(report.calls)} calls unpriced: not in the cost"
        )
    if report.open_micros:
        remarks.append(
            f"unsettled, at most {usd(report.open_micros)} more: calls without an answer"
        )
    return remarks


def as_json(report: ToolReport) -> dict[str, Any]:
    """Return schema, by, lines, total and what is not in it; costs are micro-dollars."""
    return {
        "schema": 1,
        "by": "tool",
        "since_ms": report.since_ms,
        "until_ms": report.until_ms,
        "lines": [msgspec.structs.asdict(cost) for cost in report.costs],
        "total": {
            "calls": report.calls,
            "unpriced": report.unpriced,
            "cost_micros": report.total_micros,
            "open_micros": report.open_micros,
        },
    }
