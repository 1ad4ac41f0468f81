"""Steps of a task."""

from __future__ import annotations

from agentctl.core.guards.verdict import Deny
from agentctl.core.state import State
from agentctl.core.values import View


def check(state: State, view: View, output_cap: int) -> int | Deny:
    """Refuse a step more than allowed."""
    cap = state.limits.steps
    if cap is None or state.steps < cap:
        return output_cap
    return Deny("steps", "steps", state.steps, cap, 1, "every allowed step was made", "steps")
