"""What a check of the installation found, as values, text and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from agentctl.reports.columns import ascii_only, cells_of, wrapped
from agentctl.reports.text import visible

Level = Literal["ok", "note", "warning", "problem"]
LEVELS: tuple[Level, ...] = ("ok", "note", "warning", "problem")
"""From the best to the worst."""


class Finding(Struct, frozen=True):
    """What one check found."""

    name: str
    """Of the check, e.g. "state home"."""
    level: Level
    found: str
    remedy: str = ""
    """A command to type or a thing to do; empty where nothing is to be done."""
    fixed: str = ""
    """What was put right just now."""


def problems(findings: Sequence[Finding]) -> int:
    """How many of them are problems."""
    return sum(each.level == "problem" for each in findings)


def doctor_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings as plain values."""
    counts = {f"{level}s": sum(f.level == level for f in findings) for level in LEVELS[1:]}
    return {
        "schema": 1,
        "ok": not problems(findings),
        **counts,
        "findings": [msgspec.structs.asdict(each) for each in findings],
    }


def doctor_text(findings: Sequence[Finding], width: int, plain: bool = False) -> str:
    """Return a paragraph for each finding, its remedy below it, and the result in the last line."""
    level_width = max(map(len, LEVELS))
    name_width = max(cells_of(each.name) for each in findings)
    indent = " " * (level_width + name_width + 4)
    lines: list[str] = []
    for each in findings:
        head = f"{each.level:{level_width}}  {each.name:{name_width}}  "
        told = [each.found, *(f"fixed: {each.fixed}" for _ in each.fixed[:1])]
        room = max(width - len(indent), 20)
        body = [line for text in told for line in wrapped(visible(text), room)]
        lines += [head + body[0], *(indent + line for line in body[1:])]
        for line in each.remedy.split("\n") if each.remedy else ():
            # What is to be typed must stay copyable; sentences may be broken.
            is_prose = line.endswith(".") or "; " in line
            pieces = wrapped(visible(line), room - 3) if is_prose else [visible(line)]
            lines.append(f"{indent}-> {pieces[0]}")
            lines += [f"{indent}   {piece}" for piece in pieces[1:]]
    lines += ["", _result(findings)]
    return "\n".join(map(ascii_only, lines) if plain else lines)


def _result(findings: Sequence[Finding]) -> str:
    parts = []
    for level in reversed(LEVELS[1:]):
        number = sum(each.level == level for each in findings)
        if number:
            parts.append(f"{number} {level}{'' if number == 1 else 's'}")
    return f"{len(findings)} checks: {', '.join(parts) or 'all is well'}"
