"""Money: spent + worst case of the next call ≤ limit, for the task and for the hour."""

from __future__ import annotations

from agentctl.core.guards.verdict import Deny
from agentctl.core.limits import MTOK, ceil_div
from agentctl.core.state import State
from agentctl.core.values import Micros, Quote, View


def reserve_micros(quote: Quote, output_cap: int) -> Micros | None:
    """Worst cost of a call with this output cap; None when no price is known."""
    if quote.input_cost_micros is None:
        return None
    return quote.input_cost_micros + ceil_div(output_cap * quote.output_micros_per_mtok, MTOK)


def check(state: State, view: View, output_cap: int) -> int | Deny:
    """Shrink the output to what both limits can pay, or refuse."""
    quote, limits = view.quote, state.limits
    if quote.input_cost_micros is None:
        cap = limits.task_cost_micros
        if limits.allow_unpriced or not limits.has_money_limit:
            return output_cap
        reason = f"no price is known for {state.provider}/{state.model}: no limit could be kept"
        if cap is None:
            return Deny(
                "hour_cost_micros", view.hour_spent_micros, limits.hour_cost_micros or 0, 0, reason
            )
        return Deny("task_cost_micros", state.spent_micros, cap, 0, reason)
    caps = (
        ("task_cost_micros", state.spent_micros, limits.task_cost_micros, 0),
        ("hour_cost_micros", view.hour_spent_micros, limits.hour_cost_micros, view.hour_opens_ms),
    )
    least = reserve_micros(quote, min(quote.min_output, output_cap)) or 0
    for name, used, cap, opens_ms in caps:
        if cap is None or not least:  # what is free passes every limit
            continue
        if used + least > cap:
            reason = "the next call might cost more than is left"
            return Deny(name, used, cap, least, reason, opens_ms)
        if quote.output_micros_per_mtok:
            room = cap - used - quote.input_cost_micros
            output_cap = min(output_cap, room * MTOK // quote.output_micros_per_mtok)
    return output_cap
