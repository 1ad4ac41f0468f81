"""Arithmetic of limits: what is used, what is left, when to warn."""

from __future__ import annotations

from collections.abc import Iterator

from agentctl.core.state import State
from agentctl.core.values import Shared

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


def uses(state: State, shared: Shared | None = None) -> Iterator[tuple[str, int, int]]:
    """Yield name, use and cap of each limit that fills up; the name ends in its unit.

    Those that all tasks share are left out where `shared` is None.
    """
    limits = state.limits
    if limits.task_cost_micros is not None:
        yield "task_cost_micros", state.used_micros, limits.task_cost_micros
    if limits.task_tokens is not None:
        yield "task_tokens", state.used_tokens, limits.task_tokens
    if limits.steps is not None:
        yield "steps", state.steps, limits.steps
    if limits.wall_ms is not None:
        yield "wall_ms", state.active_ms, limits.wall_ms
    if limits.task_credits is not None and state.credits_spent:
        yield "task_credits", state.credits_spent, limits.task_credits
    if shared is None:
        return
    if limits.hour_cost_micros is not None:
        yield "hour_cost_micros", shared.hour_spent_micros, limits.hour_cost_micros
    if limits.day_cost_micros is not None:
        yield "day_cost_micros", shared.day_spent_micros, limits.day_cost_micros


def ceil_div(dividend: int, divisor: int) -> int:
    """Divide and round up: money is never rounded in our favour."""
    return -(-dividend // divisor)
