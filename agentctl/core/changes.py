"""What tools changed in files, as the log has it, and what of it is not known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from agentctl.core.steps import Act, Step

REPORTS = frozenset({"write_file", "edit_file"})
"""Tools that say what they change."""


class File(Struct):
    """A file as it was before the first of a task's changes and after the last."""

    path: str
    """Below the workspace."""
    before: str
    """Content hash; empty: there was none."""
    after: str
    notes: set[str]
    """As in Change; empty: both contents are kept as they were."""
    calls: int = 1


class Doubt(Struct, frozen=True):
    """A call that may have changed something that nobody wrote down."""

    call_id: str
    tool: str
    arguments: str
    why: Literal["silent", "cut off", "run again"]
    """silent: this tool never says; cut off: it may have happened or not; run again: after it was
    cut off, so that what stood there before may be what it had written itself."""


def files(steps: Sequence[Step]) -> list[File]:
    """The files that were changed, in the order of their first change."""
    found: dict[str, File] = {}
    for act in _acts(steps):
        for change in act.ended.changes if act.ended is not None else ():
            notes = {change.note} if change.note else set()
            file = found.get(change.path)
            if file is None:
                found[change.path] = File(change.path, change.before, change.after, notes)
            else:
                file.after = change.after
                file.notes |= notes
                file.calls += 1
    return list(found.values())


def doubts(steps: Sequence[Step]) -> list[Doubt]:
    """The calls of which nobody knows what they changed, in their order."""
    return [
        Doubt(act.call_id, act.tool, act.arguments, why)
        for act in _acts(steps)
        if (why := _doubt(act)) is not None
    ]


def _doubt(act: Act) -> Literal["silent", "cut off", "run again"] | None:
    if not act.starts or act.repeat == "safe":
        return None
    if act.tool not in REPORTS:
        return "silent"
    if act.ended is None or act.ended.status in ("unknown", "cut", "skipped"):
        return "cut off"
    if act.ended.status != "ok":
        return None  # they change all that they are told to, or nothing
    if not act.ended.changes:
        return "silent"  # it was written down by a version that kept no changes
    return "run again" if act.starts > 1 else None


def _acts(steps: Sequence[Step]) -> Iterator[Act]:
    return (act for step in steps for act in step.acts)
