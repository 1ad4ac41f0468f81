"""How the tools of a task did: as a table and as JSON. Nothing here prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from agentctl.reports.columns import Column, ascii_only, table, wrapped
from agentctl.reports.text import count, visible

if TYPE_CHECKING:
    # Only for the checker: it brings a task's events with it.
    from agentctl.core.tool_metrics import ToolMetrics

SUMMED = ("calls", "inner", "refused", "errors", "retries", "reused", "output_bytes", "told_bytes")


def text(found: Sequence[ToolMetrics], per_ktoken: int, width: int, *, plain: bool = False) -> str:
    """Return the table, at most `width` wide; tokens are estimated at `per_ktoken` bytes."""
    if not found:
        return "No call of a tool has ended in it yet."
    total = _total(found)

    def column(name: str, field: str, rank: int = 0) -> Column:
        cells = [_some(getattr(each, field)) for each in found]
        return Column(name, [*cells, _some(total[field])], rank=rank)

    def time(name: str, field: str, rank: int = 0) -> Column:
        values = [getattr(each, field) for each in found]
        return Column(name, [*("" if ms is None else count(ms) for ms in values), ""], rank=rank)

    tokens = [f"~{count(each.told_bytes * 1000 // per_ktoken)}" for each in found]
    columns = [
        column("Calls", "calls"),
        column("Errors", "errors"),
        column("Retries", "retries", rank=2),
        time("p50 ms", "p50_ms"),
        time("p95 ms", "p95_ms", rank=1),
        time("p99 ms", "p99_ms", rank=3),
        column("Bytes", "output_bytes", rank=2),
        Column("Tokens", [*tokens, f"~{count(total['told_bytes'] * 1000 // per_ktoken)}"]),
    ]
    keys = [*(visible(each.tool) for each in found), "Total"]
    lines = [*table("Tool", keys, columns, width, rules=(len(found),), plain=plain), ""]
    for remark in _remarks(total):
        lines += wrapped(ascii_only(remark) if plain else remark, width)
    return "\n".join(lines).rstrip("\n")


def as_json(found: Sequence[ToolMetrics], per_ktoken: int) -> dict[str, Any]:
    """Return schema, lines and their sums; tokens are estimates."""
    lines = [
        {**msgspec.structs.asdict(each), "tokens": each.told_bytes * 1000 // per_ktoken}
        for each in found
    ]
    total = _total(found)
    total["tokens"] = total["told_bytes"] * 1000 // per_ktoken
    return {"schema": 1, "lines": lines, "total": total}


def _total(found: Sequence[ToolMetrics]) -> dict[str, int]:
    return {name: sum(getattr(each, name) for each in found) for name in SUMMED}


def _some(number: int) -> str:
    return count(number) if number else ""


def _remarks(total: dict[str, int]) -> list[str]:
    told = {
        "inner": "made by other tools",
        "reused": "answered by an earlier result",
        "refused": "never begun: denied, invalid or unavailable; not among the calls",
    }
    return [f"{count(total[name])} {words}" for name, words in told.items() if total[name]]
