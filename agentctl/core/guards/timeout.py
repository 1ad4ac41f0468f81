"""Running time of a task. How long one call may take is `Limits.timeout_ms`, by category."""

from __future__ import annotations

from collections.abc import Sequence

from agentctl.core.guards.verdict import Deny
from agentctl.core.state import State
from agentctl.core.values import ToolSpec, View


def check(state: State, view: View, output_cap: int) -> int | Deny:
    """Refuse a model call after the time is up."""
    return late(state, view) or output_cap


def check_tool(
    state: State, view: View, spec: ToolSpec, planned: Sequence[ToolSpec]
) -> Deny | None:
    """Refuse a tool call after the time is up."""
    return late(state, view)


def late(state: State, view: View) -> Deny | None:
    """Refuse whatever is next, also a question or a wait, after the time is up."""
    cap_ms = state.limits.wall_ms
    used_ms = state.active_ms + max(view.now_ms - state.ran_ms, 0)
    if cap_ms is None or used_ms < cap_ms:
        return None
    return Deny("timeout", "wall_ms", used_ms, cap_ms, 1, "the running time is up", "ms")
