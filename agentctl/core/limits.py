"""Arithmetic of limits: what is used, what is left, when to warn."""

from __future__ import annotations

from collections.abc import Iterator

from agentctl.core.state import State

WARNING_PERCENT = 80
CRITICAL_PERCENT = 95
MTOK = 1_000_000
"""Prices are per million tokens."""


def level(used: int, cap: int) -> str:
    """Return "ok", "warning" (from 80 %), "critical" (from 95 %) or "over"."""
    if used > cap:
        return "over"
    if cap and used * 100 >= cap * CRITICAL_PERCENT:
        return "critical"
    if cap and used * 100 >= cap * WARNING_PERCENT:
        return "warning"
    return "ok"


def uses(state: State) -> Iterator[tuple[str, int, int]]:
    """Yield name, use and cap of each limit of the task itself; the name ends in its unit."""
    limits = state.limits
    if limits.task_cost_micros is not None:
        yield "task_cost_micros", state.spent_micros, limits.task_cost_micros
    if limits.task_tokens is not None:
        yield "task_tokens", state.tokens_processed, limits.task_tokens
    if limits.steps is not None:
        yield "steps", state.steps, limits.steps
    if limits.wall_ms is not None:
        yield "wall_ms", state.active_ms, limits.wall_ms


def ceil_div(dividend: int, divisor: int) -> int:
    """Divide and round up: money is never rounded in our favour."""
    return -(-dividend // divisor)
