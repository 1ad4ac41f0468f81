"""Limits and their values in words. Light: `limits set` needs no more of the reports."""

from __future__ import annotations

from agentctl.core.values import Millis
from agentctl.reports.periods import local
from agentctl.reports.text import count, usd

NAMES = {
    "hour_cost_micros": "Cost in 60 minutes",
    "day_cost_micros": "Cost in 24 hours",
    "account_credits": "Credits of the account",
    "task_cost_micros": "Cost of the task",
    "batch_cost_micros": "Cost of the batch",
    "step_cost_micros": "Cost of one call",
    "task_tokens": "Tokens of the task",
    "steps": "Steps of the task",
    "wall_ms": "Running time",
    "task_credits": "Credits of the task",
    "step_credits": "Credits of a step",
    "on_limit": "At a limit",
    "wait_in_place_ms": "Longest wait in place",
    "allow_unpriced": "Unpriced models allowed",
}
CALLS = "_calls_per_minute"


def limit_name(name: str) -> str:
    """A limit in words; a circuit keeps its own name."""
    if name.endswith(CALLS):
        return f"{name.removesuffix(CALLS)} calls a minute"
    return NAMES.get(name, name)


def amount(value: object, unit: str) -> str:
    """A value of a limit with its unit; None is no limit."""
    if value is None:
        return "no limit"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int):
        return str(value)
    if unit == "micros":
        return usd(value)
    if unit == "ms":
        return duration(value)
    return count(value)


def unit_of(name: str) -> str:
    """The unit that a field of Limits ends in, as `amount` knows it."""
    ending = name.rpartition("_")[2]
    return ending if ending in ("micros", "ms") else ""


def duration(ms: Millis) -> str:
    """A time as 45s, 12m 30s or 3h 05m."""
    seconds = ms // 1000
    if seconds < 60:
        return f"{ms / 1000:g}s" if ms < 10_000 else f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m {seconds % 60:02d}s"
    return f"{seconds // 3600}h {seconds % 3600 // 60:02d}m"


def clock(moment_ms: Millis, now_ms: Millis) -> str:
    """A moment in local time, with its date if that is not today's."""
    moment = local(moment_ms, None)
    same = moment.date() == local(now_ms, None).date()
    return f"{moment:%H:%M:%S}" if same else f"{moment:%Y-%m-%d %H:%M}"
