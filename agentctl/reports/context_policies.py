"""What a task cost, and what it would have cost under other context policies. Nothing prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from agentctl.core.rows import TaskRow
from agentctl.reports.columns import Column, ascii_only, fits, table, wrapped
from agentctl.reports.cost_table import short
from agentctl.reports.text import count, usd, visible

if TYPE_CHECKING:
    # Only for the checker: it brings the whole core with it.
    from agentctl.core.context_replay import Sums
    from agentctl.core.values import ContextPolicy


class Comparison(Struct, frozen=True):
    """A task as it was, and replayed through policies."""

    row: TaskRow
    own: str
    """The policy that the task had."""
    was: Sums
    found: tuple[tuple[ContextPolicy, Sums], ...]
    failed: int
    """Calls without an answer, which are left out of all lines."""
    saw_cache: bool
    """The task read something from a cache."""


def text(found: Comparison, width: int, *, plain: bool = False) -> str:
    """Return the table and how to read it, at most `width` wide."""
    row, was = found.row, found.was
    title = visible(" ".join(f"Task {row.id} {row.name or row.goal}".split()))
    head = title if len(title) <= width else title[: max(width - 1, 1)] + "…"
    lines = [ascii_only(head) if plain else head, ""]
    if was.calls:
        sums = [was, *(each for _, each in found.found)]
        keys = [f"as it was ({visible(found.own)})", *(policy.name for policy, _ in found.found)]
        columns = _columns(sums, was, large=False)
        if fits(keys, columns, width) < len(columns):
            columns = _columns(sums, was, large=True)
        lines += [*table("Policy", keys, columns, width, rules=(1,), plain=plain), ""]
    for remark in _remarks(found):
        lines += wrapped(ascii_only(remark) if plain else remark, width)
    return "\n".join(lines)


def as_json(found: Comparison) -> dict[str, Any]:
    """Return the task as it was, and each policy's estimate."""
    return {
        "schema": 1,
        "task_id": found.row.id,
        "policy": found.own,
        "calls": found.was.calls,
        "calls_left_out": found.failed,
        "was": _as_json(found.was),
        "estimated": [
            {
                "policy": policy.name,
                "max_tokens": None if policy.name == "none" else policy.max_tokens,
                **_as_json(sums),
            }
            for policy, sums in found.found
        ],
    }


def _as_json(sums: Sums) -> dict[str, Any]:
    return {
        "cost_micros": sums.cost_micros,
        "unpriced_calls": sums.unpriced,
        "input": sums.input,
        "cache_read": sums.cache_read,
        "largest": sums.largest,
        "prunes": sums.prunes,
    }


def _columns(sums: list[Sums], was: Sums, *, large: bool) -> list[Column]:
    number = short if large else count
    return [
        Column("Cost", [_cost(each, is_real=each is was) for each in sums]),
        Column("Change", [_change(each, was) for each in sums]),
        Column("Sent", [number(each.input) for each in sums]),
        Column(
            "Cached", [f"{each.cache_read * 100 // max(each.input, 1)} %" for each in sums], rank=2
        ),
        Column("Largest", [number(each.largest) for each in sums]),
        Column("Prunes", [count(each.prunes) for each in sums], rank=1),
    ]


def _cost(sums: Sums, *, is_real: bool) -> str:
    if sums.unpriced:
        return "?"
    return usd(sums.cost_micros) if is_real else f"~{usd(sums.cost_micros)}"


def _change(sums: Sums, was: Sums) -> str:
    if sums is was or sums.unpriced or not was.cost_micros:
        return ""
    return f"{100 * (sums.cost_micros / was.cost_micros - 1):+.1f} %"


def _remarks(found: Comparison) -> Iterator[str]:
    was = found.was
    if not was.calls:
        yield "No model call has been answered yet: there is nothing to compare."
        return
    yield (
        f"~ is an estimate: the {count(was.calls)} answers and all results are taken as they came, "
        "though with less to read the model might have needed more calls: the cheapest is not by "
        "that the best. Sent and Largest are input tokens, from those reported and the bytes that "
        "were more or less."
    )
    if found.saw_cache:
        yield "What a request has in common with the one before is taken to come from the cache."
    else:
        yield "Nothing of this task came from a cache, so none is reckoned with."
    if found.failed:
        yield f"{count(found.failed)} calls without an answer are left out of every line."
    if was.unpriced:
        yield f"? {count(was.unpriced)} of {count(was.calls)} calls unpriced"
