"""The tools of a run: as a table, one by one, and as JSON. Nothing here prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agentctl.core.values import Millis, ToolSpec
from agentctl.reports.columns import Column, ascii_only, table, wrapped
from agentctl.reports.text import count, visible

_PRIORITIES = {1: "high", 0: "normal", -1: "low"}


class ToolLine(Struct, frozen=True):
    """One tool, with what is in force for it."""

    spec: ToolSpec
    place: str
    """A file or package; empty for a built-in tool."""
    timeout_ms: Millis
    credits: int


def text(
    lines: Sequence[ToolLine], unused: Mapping[str, str], width: int, *, plain: bool = False
) -> str:
    """Return the table; `unused` are names of what packages would bring, with the packages."""
    specs = [line.spec for line in lines]
    columns = [
        Column("Origin", [_origin(spec) for spec in specs], left=True),
        Column("Category", [spec.category for spec in specs], left=True, rank=2),
        Column("Time-out", [_seconds(line.timeout_ms) for line in lines], rank=3),
        Column("If cut off", [spec.repeat for spec in specs], left=True, rank=4),
        Column("Approval", ["yes" if spec.changes else "no" for spec in specs], left=True, rank=1),
    ]
    if any(line.credits for line in lines):
        columns.append(Column("Credits", [count(line.credits) for line in lines], rank=5))
    shown = table("Tool", [spec.name for spec in specs], columns, width, plain=plain)
    for name, package in unused.items():
        remark = f"Installed, but not used: {name} of {package}. To use it: --tools {name}"
        shown += wrapped(ascii_only(remark) if plain else visible(remark), width)
    return "\n".join(shown)


def details(line: ToolLine, width: int, *, plain: bool = False) -> str:
    """Return all that is known of one tool, with the schema of its arguments."""
    spec = line.spec
    about = [
        spec.name,
        *(f"  {piece}" for piece in wrapped(visible(spec.description), width - 2)),
        f"Origin      {_origin(spec)}{f', {visible(line.place)}' if line.place else ''}",
        f"Category    {spec.category}, {_PRIORITIES.get(spec.priority, spec.priority)} priority",
        f"Time-out    {_seconds(line.timeout_ms)}",
        f"If cut off  {spec.repeat}",
        f"Approval    {'yes' if spec.changes else 'no'}",
    ]
    if line.credits:
        about.append(f"Credits     {count(line.credits)} a call")
    if spec.attempts > 1:
        about.append(f"Attempts    {spec.attempts}")
    if spec.lookup:
        about.append("Look-up     an earlier result may be given again")
    if spec.parts:
        about.append(f"Made of     {', '.join(spec.parts)}")
    schema = msgspec.json.format(spec.parameters.encode(), indent=2).decode()
    about += ["Arguments", *(f"  {visible(each)}" for each in schema.splitlines())]
    return "\n".join(ascii_only(each) if plain else each for each in about)


def as_json(line: ToolLine) -> dict[str, Any]:
    """Return one tool; times are in milliseconds."""
    spec = line.spec
    return {
        "name": spec.name,
        "origin": _origin(spec),
        "place": line.place,
        "description": spec.description,
        "category": spec.category,
        "repeat": spec.repeat,
        "approval": spec.changes,
        "timeout_ms": line.timeout_ms,
        "priority": spec.priority,
        "credits": line.credits,
        "attempts": spec.attempts,
        "lookup": spec.lookup,
        "parts": list(spec.parts),
        "parameters": msgspec.json.decode(spec.parameters),
    }


def _origin(spec: ToolSpec) -> str:
    return spec.origin or "built-in"


def _seconds(timeout_ms: Millis) -> str:
    return f"{timeout_ms / 1000:g} s"
