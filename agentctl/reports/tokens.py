"""A task's tokens: what fills the window, each call, and what was saved. Nothing here prints.

Every figure says whether its provider reported it or we estimated it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from agentctl.core.rows import TaskRow
from agentctl.reports.columns import Column, ascii_only, fits, table, wrapped
from agentctl.reports.cost_table import short
from agentctl.reports.text import count, usd, visible

if TYPE_CHECKING:
    # Only for the checker: it brings a task's whole state with it.
    from agentctl.core.tokens import CallTokens, NextRequest, Totals

SIGNS, PLAIN_SIGNS = "█▓▒░·", "#=+-."
PARTS = ("system and tools", "goal", "history", "tool output", "free")
ESTIMATED = "estimated"


class TokenReport(Struct, frozen=True):
    """Everything that `show --tokens` shows."""

    row: TaskRow
    calls: tuple[CallTokens, ...]
    totals: Totals
    next: NextRequest
    window: int | None
    """Tokens that the model's context holds; None: nobody knows."""


def figures(call: CallTokens) -> str:
    """Who counted a call's tokens."""
    return "reported" if call.usage.reported else ESTIMATED


def text(report: TokenReport, width: int, *, plain: bool = False) -> str:
    """Return the bar, the table of the calls and the sums, at most `width` wide."""
    row = report.row
    title = visible(" ".join(f"Task {row.id} {row.name or row.goal}".split()))
    head = title if len(title) <= width else title[: max(width - 1, 1)] + "…"
    lines = [ascii_only(head) if plain else head, "", *_window(report, width, plain), ""]
    if report.calls:
        keys = [*(str(call.call) for call in report.calls), "Total"]
        columns = _columns(report, count)
        if fits(keys, columns, width) < len(columns):
            columns = _columns(report, short)
        rules = (len(report.calls),)
        lines += [*table("Call", keys, columns, width, rules=rules, plain=plain), ""]
    for remark in _remarks(report):
        lines += wrapped(ascii_only(remark) if plain else remark, width)
    return "\n".join(lines)


def as_json(report: TokenReport) -> dict[str, Any]:
    """Return the next request, the calls and their sums."""
    ahead = report.next
    return {
        "schema": 1,
        "task_id": report.row.id,
        "provider": report.row.provider,
        "model": report.row.model,
        "window_tokens": report.window,
        "next_request": {
            "tokens": ahead.tokens,
            "reported": ahead.reported,
            "estimated": ahead.tokens - ahead.reported,
            "parts": {
                "system": ahead.system,
                "goal": ahead.goal,
                "history": ahead.history,
                "tool_output": ahead.tool_output,
            },
            "free": None if report.window is None else max(report.window - ahead.tokens, 0),
        },
        "calls": [call_as_json(call) for call in report.calls],
        "total": totals_as_json(report.totals),
    }


def call_as_json(call: CallTokens) -> dict[str, Any]:
    """A call's numbers. Those of "savings" but the cache's are estimates."""
    usage = call.usage
    return {
        "call": call.call,
        "provider": call.provider,
        "model": call.model,
        "purpose": call.purpose,
        "figures": figures(call),
        "input": usage.input,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "output": usage.output,
        "reasoning": usage.reasoning,
        "cost_micros": call.cost_micros,
        "savings": _savings(call),
    }


def totals_as_json(totals: Totals) -> dict[str, Any]:
    """The sums of a task's calls."""
    return {
        "calls": totals.calls,
        "estimated_calls": totals.estimated,
        "unpriced_calls": totals.unpriced,
        "input": totals.input,
        "cache_read": totals.cache_read,
        "cache_write": totals.cache_write,
        "output": totals.output,
        "reasoning": totals.reasoning,
        "cost_micros": totals.cost_micros,
        "open_micros": totals.open_micros,
        "savings": _savings(totals),
    }


def _savings(of: CallTokens | Totals) -> dict[str, int]:
    return {
        "cache_micros": of.cache_saved_micros,
        "pruned_micros": of.pruned_saved_micros,
        "cut_tokens": of.cut_tokens,
        "reused_tokens": of.reused_tokens,
    }


def _parts(ahead: NextRequest) -> tuple[int, int, int, int]:
    return ahead.system, ahead.goal, ahead.history, ahead.tool_output


def _window(report: TokenReport, width: int, plain: bool) -> list[str]:
    """The next request as a bar of the window, and what each sign stands for."""
    ahead, signs = report.next, PLAIN_SIGNS if plain else SIGNS
    parts = [*_parts(ahead)]
    if report.window is not None:
        parts.append(max(report.window - ahead.tokens, 0))
    whole = max(sum(parts), 1)
    cells = _cells(parts, width)
    bar = "".join(sign * cell for sign, cell in zip(signs, cells, strict=False))
    keys = [f"{sign} {name}" for sign, name in zip(signs, PARTS, strict=True)][: len(parts)]
    columns = [
        Column("Tokens", [count(part) for part in parts]),
        Column("Share", [f"{part * 100 // whole} %" for part in parts]),
    ]
    about = "~" if ahead.tokens != ahead.reported else ""
    of = "" if report.window is None else f" of {count(report.window)}"
    said = f"Next request: {about}{count(ahead.tokens)}{of} tokens"
    rows = table("", keys, columns, width)[2:]
    notes = wrapped(_about_the_window(report), width)
    return [*wrapped(said, width), bar, *rows, *notes]


def _about_the_window(report: TokenReport) -> str:
    ahead = report.next
    if ahead.reported:
        new = ahead.tokens - ahead.reported
        said = f"{count(ahead.reported)} reported with the last answer, {count(new)} estimated;"
        said += " the parts are estimated."
    else:
        said = "All estimated, without the descriptions of the tools: nothing is reported yet."
    return said if report.window is not None else f"{said} The model's window is not known."


def _cells(parts: Sequence[int], width: int) -> list[int]:
    """How many cells each part gets: what is there is seen, and all together are the width."""
    whole = sum(parts)
    if not whole:
        return [0 for _ in parts]
    cells = [max(part * width // whole, 1) if part else 0 for part in parts]
    cells[cells.index(max(cells))] += width - sum(cells)
    return cells


def _columns(report: TokenReport, number: Callable[[int], str]) -> list[Column]:
    calls, totals = report.calls, report.totals
    usages = [call.usage for call in calls]
    total = ("~" if totals.estimated else "") + usd(totals.cost_micros)
    if totals.unpriced:
        total = "?" if totals.unpriced == totals.calls else f"{total} + ?"
    columns = [
        Column("In", [*(number(u.input) for u in usages), number(totals.input)]),
        Column(
            "Cached", [*(number(u.cache_read) for u in usages), number(totals.cache_read)], rank=1
        ),
        Column(
            "Written",
            [*(number(u.cache_write) for u in usages), number(totals.cache_write)],
            rank=3,
        ),
        Column("Out", [*(number(u.output) for u in usages), number(totals.output)]),
    ]
    if totals.reasoning:
        cells = [*(number(u.reasoning) for u in usages), number(totals.reasoning)]
        columns.append(Column("Thought", cells, rank=4))
    columns.append(Column("Cost", [*map(_cost, calls), total]))
    columns.append(Column("Figures", [*map(figures, calls), ""], left=True, rank=2))
    return columns


def _cost(call: CallTokens) -> str:
    if call.cost_micros is None:
        return "?"
    return usd(call.cost_micros) if call.usage.reported else f"~{usd(call.cost_micros)}"


def _remarks(report: TokenReport) -> list[str]:
    totals, remarks = report.totals, []
    if not totals.calls:
        return ["No model call has been answered yet."]
    every = totals.input + totals.output
    share = totals.cache_read * 100 // every if every else 0
    remarks.append(f"{count(every)} tokens in and out, {share} % of them from a cache")
    if totals.cache_read or totals.cache_write:
        remarks.append(_saved("caching", totals.cache_saved_micros, ""))
    if totals.pruned_saved_micros:
        remarks.append(_saved("shortening requests", totals.pruned_saved_micros, "about "))
    if totals.cut_tokens:
        remarks.append(f"large outputs cut: about {count(totals.cut_tokens)} tokens not sent")
    if totals.reused_tokens:
        remarks.append(f"look-ups given again: about {count(totals.reused_tokens)} tokens not sent")
    if totals.estimated:
        remarks.append(f"~ {count(totals.estimated)} estimated: the provider reported no usage")
    if totals.unpriced:
        remarks.append(f"? {count(totals.unpriced)} of {count(totals.calls)} calls unpriced")
    if totals.open_micros:
        remarks.append(f"unsettled, at most {usd(totals.open_micros)} more")
    return remarks


def _saved(what: str, micros: int, about: str) -> str:
    if micros < 0:
        return f"{what} cost {about}{usd(-micros)} more than it saved"
    return f"{what} saved {about}{usd(micros)}"
