"""Credits: a prepaid balance of the account, and what a step and a task may take from it."""

from __future__ import annotations

from collections.abc import Sequence

from agentctl.core.guards.verdict import Deny
from agentctl.core.state import State
from agentctl.core.values import Limits, ToolSpec, View


def check(state: State, view: View, output_cap: int) -> int | Deny:
    """Let a model call through if its price in credits can be paid."""
    return _short(state, view, 0, price_of_model(state)) or output_cap


def check_tool(
    state: State, view: View, spec: ToolSpec, planned: Sequence[ToolSpec]
) -> Deny | None:
    """Let a tool call through if it can be paid beside those planned."""
    limits = state.limits
    before = sum(price_of_tool(limits, other) for other in planned)
    return _short(state, view, state.step_credits + before, price_of_tool(limits, spec))


def price_of_model(state: State) -> int:
    """Credits for one call of the model in use."""
    return state.limits.credits.get(f"{state.provider}/{state.model}", 0)


def price_of_tool(limits: Limits, spec: ToolSpec) -> int:
    """Credits for one call of a tool: what the user says of it, else what it says itself."""
    return limits.credits.get(spec.name, spec.credits)


def _short(state: State, view: View, in_step: int, price: int) -> Deny | None:
    """A step is a model call and the tools it asked for; `in_step` is what it took already."""
    if not price:
        return None
    limits, planned = state.limits, max(in_step - state.step_credits, 0)
    for name, used, cap in (
        ("step_credits", in_step, limits.step_credits),
        ("task_credits", state.credits_spent + planned, limits.task_credits),
        ("account_credits", planned, view.shared.credits_left),
    ):
        if cap is not None and used + price > cap:
            reason = f"the next call costs {price} credits, and {max(cap - used, 0)} are left"
            return Deny("credits", name, used, cap, price, reason, "credits")
    return None
