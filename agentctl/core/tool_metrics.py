"""How the tools of a task did: calls, failures, times and sizes, from its log."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from agentctl.core import events as e
from agentctl.core.breaker import TOOL_UNSENT
from agentctl.core.values import Millis

_TIMED = frozenset({"ok", "error", "timeout", "broken"})
"""Ends that say how long a call took."""


class ToolMetrics(Struct, frozen=True):
    """One tool of a task."""

    tool: str
    calls: int
    """That ran, those that other tools made too."""
    inner: int
    """Of these, made by other tools."""
    refused: int
    """That were never begun: denied, invalid, unavailable."""
    errors: int
    """Of the calls, those that did not end well."""
    retries: int
    reused: int
    """Answered by an earlier result."""
    p50_ms: Millis | None
    p95_ms: Millis | None
    p99_ms: Millis | None
    """So long did half, 95 % and 99 % of the calls take at most; None: no call has an end."""
    output_bytes: int
    """Of all results, whole."""
    told_bytes: int
    """Of what the model was told."""


class _Count(Struct):
    calls: int = 0
    inner: int = 0
    refused: int = 0
    errors: int = 0
    retries: int = 0
    reused: int = 0
    output_bytes: int = 0
    told_bytes: int = 0
    durations_ms: list[Millis] = []


def metrics(records: Iterable[e.Recorded]) -> list[ToolMetrics]:
    """Every tool that was called, by name."""
    counts: dict[str, _Count] = {}
    for record in records:
        event = record.event
        if isinstance(event, e.ToolEnded):
            _count(counts.setdefault(event.tool, _Count()), event)
    return [_made(name, counts[name]) for name in sorted(counts)]


def _count(count: _Count, event: e.ToolEnded) -> None:
    told_bytes = len(event.text.encode())
    if not event.parent:
        count.told_bytes += told_bytes
    if event.status in TOOL_UNSENT:
        count.refused += 1
        return
    count.calls += 1
    count.inner += bool(event.parent)
    count.errors += event.status != "ok"
    count.retries += event.attempts - 1
    count.reused += bool(event.reused)
    count.output_bytes += event.output_bytes or told_bytes + event.spared_bytes
    if event.status in _TIMED:
        count.durations_ms.append(event.duration_ms)


def _made(name: str, count: _Count) -> ToolMetrics:
    times_ms = sorted(count.durations_ms)
    return ToolMetrics(
        name,
        count.calls,
        count.inner,
        count.refused,
        count.errors,
        count.retries,
        count.reused,
        percentile(times_ms, 50),
        percentile(times_ms, 95),
        percentile(times_ms, 99),
        count.output_bytes,
        count.told_bytes,
    )


def percentile(ordered: list[Millis], percent: int) -> Millis | None:
    """The smallest value that so many per cent of all do not exceed; None if there is none."""
    if not ordered:
        return None
    return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)]
