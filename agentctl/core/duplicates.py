"""The same look-up more than once in a task: what that put into the context, and what it cost.

A look-up is a call that is safe to repeat. Two are the same with the same tool and arguments,
whether or not what they looked at had changed in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from agentctl.core import events as e
from agentctl.core.lookups import canonical
from agentctl.core.tool_costs import Tally
from agentctl.core.values import Micros, ToolCall


class Duplicate(Struct, frozen=True):
    """One look-up that was made more than once."""

    tool: str
    arguments: str
    """Without blanks, keys sorted."""
    calls: int
    repeats: int
    """Calls after the first."""
    reused: int
    """Repeats that were answered with an earlier result, checked to hold still."""
    bytes: int
    """What all of them put into the context."""
    repeat_bytes: int
    """What the repeats did."""
    repeat_micros: Micros
    """What that cost as input, in every call of the model that sent it."""
    spared_bytes: int
    """What the repeats did not put into it, because they refer to a result above."""
    spared_micros: Micros
    """What that would have cost, about."""


class Duplicates(Struct, frozen=True):
    """All repeated look-ups of a task, the most expensive first."""

    found: tuple[Duplicate, ...]
    lookups: int
    """Look-ups in all."""
    unpriced: int
    """Calls of the model that are in no cost."""


def duplicates(log: Sequence[e.Recorded]) -> Duplicates:
    """Find them. Takes time in proportion to the log."""
    groups = _groups(log)
    names = {
        record.seq: f"repeat {record.seq}"
        for records in groups.values()
        for record in records[1:]
    }  # fmt: skip
    tally = Tally()
    tally.add(log, names)
    costs = {cost.key: cost.cost_micros for cost in tally.costs() if cost.kind == "tool"}
    by_seq = {seq: costs.get(name, 0) for seq, name in names.items()}
    found = [_sum(key, records, by_seq) for key, records in groups.items() if len(records) > 1]
    found.sort(key=lambda each: (-each.repeat_micros, -each.repeat_bytes, each.arguments))
    return Duplicates(tuple(found), sum(map(len, groups.values())), tally.unpriced)


_Groups = dict[tuple[str, str], list[e.Recorded]]


def _groups(log: Sequence[e.Recorded]) -> _Groups:
    """The ends of all look-ups by tool and arguments."""
    groups: _Groups = {}
    open_calls: dict[str, ToolCall] = {}
    safe: set[str] = set()
    for record in log:
        event = record.event
        if isinstance(event, e.ModelAnswered):
            open_calls = {call.id: call for call in event.message.calls}
            safe = set()
        elif isinstance(event, e.ToolStarted) and event.repeat == "safe":
            safe.add(event.call_id)
        elif isinstance(event, e.ToolEnded) and event.call_id in safe:
            safe.discard(event.call_id)
            call = open_calls.get(event.call_id)
            if call is not None:
                groups.setdefault((call.name, canonical(call.arguments)), []).append(record)
    return groups


def _sum(
    key: tuple[str, str], records: Sequence[e.Recorded], costs: Mapping[int, Micros]
) -> Duplicate:
    ends = [(r.seq, r.event) for r in records if isinstance(r.event, e.ToolEnded)]
    sizes = {seq: len(event.text.encode()) for seq, event in ends}
    repeats = ends[1:]
    repeat_bytes = sum(sizes[seq] for seq, _ in repeats)
    return Duplicate(
        *key,
        len(ends),
        len(repeats),
        sum(bool(event.reused) for _, event in repeats),
        sum(sizes.values()),
        repeat_bytes,
        sum(costs[seq] for seq, _ in repeats),
        sum(event.spared_bytes for _, event in repeats),
        # By its share: what the short text cost, times what it stands for.
        sum(
            costs[seq] * event.spared_bytes // sizes[seq]
            for seq, event in repeats
            if event.spared_bytes
        ),
    )
