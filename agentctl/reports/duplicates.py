"""Repeated look-ups of a task: as a table and as JSON. Nothing here prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentctl.reports.columns import Column, ascii_only, table, wrapped
from agentctl.reports.text import count, usd, visible

if TYPE_CHECKING:
    # Only for the checker: it brings a task's whole state with it.
    from agentctl.core.duplicates import Duplicate, Duplicates

ARGUMENTS_SHOWN = 60


def text(found: Duplicates, per_ktoken: int, width: int, *, plain: bool = False) -> str:
    """Return the table, at most `width` wide; tokens are estimated at `per_ktoken` bytes."""
    rows, lines = found.found, []
    if rows:
        unpriced = "?" if found.unpriced else ""
        tokens = [each.repeat_bytes * 1000 // per_ktoken for each in rows]
        amounts = [each.repeat_micros for each in rows]
        columns = [
            Column("Calls", [*(count(each.calls) for each in rows), _sum_of(rows, "calls")]),
            Column("Reused", [*(_some(each.reused) for each in rows), _sum_of(rows, "reused")]),
            Column(
                "Bytes again",
                [*(count(each.repeat_bytes) for each in rows), _sum_of(rows, "repeat_bytes")],
                rank=2,
            ),
            Column("Tokens", [*(f"~{count(n)}" for n in tokens), f"~{count(sum(tokens))}"], rank=1),
            Column("Cost", [*map(usd, amounts), usd(sum(amounts)) + unpriced]),
        ]
        keys = [*map(_name, rows), "Total"]
        lines = table("Look-up", keys, columns, width, rules=(len(rows),), plain=plain)
        lines.append("")
    for remark in _remarks(found, per_ktoken):
        lines += wrapped(ascii_only(remark) if plain else remark, width)
    return "\n".join(lines)


def as_json(found: Duplicates, per_ktoken: int) -> dict[str, Any]:
    """Return schema, lines and their sums; tokens are estimates, costs micro-dollars."""
    lines = [
        {
            **msgspec.structs.asdict(each),
            "repeat_tokens": each.repeat_bytes * 1000 // per_ktoken,
            "spared_tokens": each.spared_bytes * 1000 // per_ktoken,
        }
        for each in found.found
    ]
    summed = [name for name in lines[0] if name not in ("tool", "arguments")] if lines else []
    return {
        "schema": 1,
        "lookups": found.lookups,
        "unpriced_calls": found.unpriced,
        "lines": lines,
        "total": {name: sum(line[name] for line in lines) for name in summed},
    }


def _name(each: Duplicate) -> str:
    given = visible(each.arguments)
    if len(given) > ARGUMENTS_SHOWN:
        given = given[: ARGUMENTS_SHOWN - 1] + "…"
    return f"{visible(each.tool)} {given}"


def _some(number: int) -> str:
    return count(number) if number else ""


def _sum_of(rows: tuple[Duplicate, ...], name: str) -> str:
    return _some(sum(getattr(each, name) for each in rows))


def _remarks(found: Duplicates, per_ktoken: int) -> list[str]:
    if not found.found:
        return [f"Nothing was looked up twice (look-ups in all: {count(found.lookups)})."]
    repeats = sum(each.repeats for each in found.found)
    remarks = [
        f"{count(repeats)} of {count(found.lookups)} look-ups had been made before. Bytes, tokens "
        "and cost are those of the repeats: the cost as input, in every call that sent them."
    ]
    spared_bytes = sum(each.spared_bytes for each in found.found)
    if spared_bytes:
        micros = sum(each.spared_micros for each in found.found)
        tokens = count(spared_bytes * 1000 // per_ktoken)
        remarks.append(f"reuse kept about {tokens} tokens out of it and saved about {usd(micros)}")
    if found.unpriced:
        remarks.append(f"? {count(found.unpriced)} calls unpriced: not in the cost")
    return remarks
