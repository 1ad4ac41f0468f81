"""Pace: calls of an account and category in any 60 seconds. A full window is waited out."""

from __future__ import annotations

from collections.abc import Sequence

from agentctl.core.guards.verdict import Deny
from agentctl.core.state import State
from agentctl.core.values import Pace, ToolSpec, View

MODEL = "ai"


def check(state: State, view: View, output_cap: int) -> int | Deny:
    """Let a model call through if the account's window has room."""
    if not view.paced:
        return output_cap
    return _full(state, view, MODEL, 0) or output_cap


def check_tool(
    state: State, view: View, spec: ToolSpec, planned: Sequence[ToolSpec]
) -> Deny | None:
    """Let a tool call through if the window of its category has room beside those planned."""
    same = sum(1 for other in planned if other.category == spec.category)
    return _full(state, view, spec.category, same)


def _full(state: State, view: View, category: str, planned: int) -> Deny | None:
    cap = state.limits.per_minute(category)
    if cap is None:
        return None
    pace = view.shared.paces.get(category) or Pace()
    if pace.used + planned + 1 <= cap:
        return None
    reason = f"{cap} {category} calls were made in the last minute"
    opens_ms = (pace.opens_ms or view.now_ms + 1) if cap else 0
    return Deny(
        "rate",
        f"{category}_calls_per_minute",
        pace.used + planned,
        cap,
        1,
        reason if cap else f"no {category} calls are allowed",
        "calls",
        opens_ms,
        patient=bool(cap),
    )
