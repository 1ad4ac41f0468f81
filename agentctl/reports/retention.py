"""What can be done without: a plan of it, or what was taken out, as values, text and JSON."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from agentctl.core.values import Millis
from agentctl.reports.books import number_of
from agentctl.reports.columns import Column, ascii_only, table, wrapped


class Removable(Struct, frozen=True):
    """A task whose log can go, or has gone."""

    id: str
    ended_ms: Millis
    """When the last of its family ended."""
    events: int
    event_bytes: int
    output_bytes: int
    """Of stored outputs that nobody else refers to."""
    file_bytes: int = 0
    """Of files beside the database."""


class Plan(Struct):
    """What can go, or has gone."""

    used_bytes: int
    """Of the database, what was in use before."""
    free_bytes: int
    """What was free in it."""
    orphans: int = 0
    """Stored outputs that no event refers to."""
    orphan_bytes: int = 0
    tasks: list[Removable] = []
    after_bytes: int = 0
    """Size of the database afterwards; 0: nothing was done."""

    @property
    def freed_bytes(self) -> int:
        """What goes in all, about: pages are freed as a whole, and the costs stay."""
        return self.orphan_bytes + sum(
            t.event_bytes + t.output_bytes + t.file_bytes for t in self.tasks
        )


def retention_json(plan: Plan) -> dict[str, Any]:
    """Return it as plain values."""
    named = msgspec.structs.asdict(plan) | {
        "tasks": [msgspec.structs.asdict(t) for t in plan.tasks]
    }
    return {"schema": 1, "done": plan.after_bytes > 0, "freed_bytes": plan.freed_bytes, **named}


def retention_text(plan: Plan, ages: list[str], width: int, plain: bool = False) -> str:
    """Return a line for each task and what it comes to; `ages` says when each ended."""
    lines: list[str] = []
    if plan.tasks:
        columns = [
            Column("ended", ages, left=True),
            Column("events", [f"{each.events:,}" for each in plan.tasks]),
            Column("log", [size(each.event_bytes) for each in plan.tasks]),
            Column("outputs", [size(each.output_bytes) for each in plan.tasks]),
        ]
        lines += [*table("task", [each.id for each in plan.tasks], columns, width), ""]
    is_done = plan.after_bytes > 0
    what = f"the logs of {number_of(len(plan.tasks), 'task')}"
    if plan.orphans:
        what += f" and {number_of(plan.orphans, 'output')} that nothing refers to"
    if not plan.tasks and not plan.orphans:
        told = "Nothing is old enough to go."
    elif is_done:
        told = f"Taken out: {what}, {size(plan.freed_bytes)}. Costs are kept."
    else:
        told = (
            f"Can go: {what}, {size(plan.freed_bytes)}. Costs are kept. Nothing was changed: "
            "with --yes it is done."
        )
    lines += wrapped(told, width)
    before = plan.used_bytes + plan.free_bytes
    after = f", now {size(plan.after_bytes)}" if is_done else ""
    lines.append(f"Database: {size(before)}, {size(plan.free_bytes)} of it free{after}.")
    text = "\n".join(lines)
    return ascii_only(text) if plain else text


def size(number_bytes: int) -> str:
    """Return e.g. "12.3 MB"."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number_bytes >= factor:
            return f"{number_bytes / factor:,.1f} {unit}"
    return f"{number_bytes} B"
