"""Tokens of a task: processed so far + worst case of the next call ≤ limit."""

from __future__ import annotations

from agentctl.core.guards.verdict import Deny
from agentctl.core.state import State
from agentctl.core.values import View


def check(state: State, view: View, output_cap: int) -> int | Deny:
    """Shrink the output to what the limit leaves, or refuse."""
    cap = state.limits.task_tokens
    if cap is None:
        return output_cap
    used, quote = state.used_tokens, view.quote
    need = quote.input_tokens + min(quote.min_output, output_cap)
    if used + need > cap:
        reason = "the next call might need more tokens than are left"
        return Deny("tokens", "task_tokens", used, cap, need, reason, "tokens")
    return min(output_cap, cap - used - quote.input_tokens)
