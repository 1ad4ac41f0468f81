"""Steps and running time of a task."""

from __future__ import annotations

from agentctl.core.guards.verdict import Deny
from agentctl.core.state import State
from agentctl.core.values import View


def check(state: State, view: View, output_cap: int) -> int | Deny:
    """Refuse a step more than allowed, or one after the time is up."""
    limits = state.limits
    if limits.steps is not None and state.steps >= limits.steps:
        return Deny("steps", state.steps, limits.steps, 1, "every allowed step was made")
    if limits.wall_ms is not None:
        used_ms = state.active_ms + max(view.now_ms - state.last_ms, 0)
        if used_ms >= limits.wall_ms:
            return Deny("wall_ms", used_ms, limits.wall_ms, 1, "the running time is up")
    return output_cap
