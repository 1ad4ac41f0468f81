"""Money: spent + worst case of the next call ≤ limit: of the step, task, batch, hour and day."""

from __future__ import annotations

from collections.abc import Iterator

from agentctl.core.guards.verdict import Deny
from agentctl.core.limits import MTOK, ceil_div
from agentctl.core.state import State
from agentctl.core.values import Micros, Millis, Quote, View

ROOMY_TOKENS = 4_096
"""Rather than ask for a shorter answer than this, wait for calls of others to end."""
LOOK_MS = 2_000
"""How soon to look again whether calls that are under way have left some room."""


def reserve_micros(quote: Quote, output_cap: int) -> Micros | None:
    """Worst cost of a call with this output cap; None when no price is known."""
    if quote.input_cost_micros is None:
        return None
    return quote.input_cost_micros + ceil_div(output_cap * quote.output_micros_per_mtok, MTOK)


def check(state: State, view: View, output_cap: int) -> int | Deny:
    """Shrink the output to what all limits can pay, or refuse."""
    quote, limits = view.quote, state.limits
    if quote.input_cost_micros is None:
        has_limit = limits.has_money_limit or view.shared.batch_cap_micros is not None
        if limits.allow_unpriced or not has_limit:
            return output_cap
        reason = f"no price is known for {state.provider}/{state.model}: no limit could be kept"
        name, used, cap, _ = next(caps(state, view))
        return Deny("cost", name, used, cap, 0, reason, "micros")
    least = reserve_micros(quote, min(quote.min_output, output_cap)) or 0
    if not least:  # what is free passes every limit
        return output_cap
    wanted = reserve_micros(quote, min(ROOMY_TOKENS, output_cap)) or 0
    for name, used, cap, opens_ms in caps(state, view):
        busy = _under_way(name, view)
        later = min(wanted, cap - used + busy)  # what is left for us if those turn out cheap
        if busy and cap - used < later >= least:
            # They will cost less than was reserved, and soon.
            reason = "calls of other tasks that are under way might cost what is left"
            soon_ms = view.now_ms + LOOK_MS
            return Deny(
                "cost", name, used, cap, wanted, reason, "micros", soon_ms, patient=True, brief=True
            )
        if used + least > cap:
            reason = "the next call might cost more than is left"
            # A call dearer than the whole limit never fits, however long one waits.
            wake_ms = opens_ms if least <= cap else 0
            return Deny("cost", name, used, cap, least, reason, "micros", wake_ms)
        if quote.output_micros_per_mtok:
            room = cap - used - quote.input_cost_micros
            output_cap = min(output_cap, room * MTOK // quote.output_micros_per_mtok)
    return output_cap


def _under_way(name: str, view: View) -> Micros:
    """What calls of other tasks fill this limit with now, and may partly free again."""
    if name in ("hour_cost_micros", "day_cost_micros"):
        return view.shared.under_way_micros
    return view.shared.batch_under_way_micros if name == "batch_cost_micros" else 0


def caps(state: State, view: View) -> Iterator[tuple[str, Micros, Micros, Millis]]:
    """Yield name, use, cap and when it opens, of each limit of money that is set."""
    limits, shared = state.limits, view.shared
    for name, used, cap, opens_ms in (
        ("step_cost_micros", 0, limits.step_cost_micros, 0),
        ("task_cost_micros", state.used_micros, limits.task_cost_micros, 0),
        ("batch_cost_micros", shared.batch_spent_micros, shared.batch_cap_micros, 0),
        (
            "hour_cost_micros",
            shared.hour_spent_micros,
            limits.hour_cost_micros,
            shared.hour_opens_ms,
        ),
        ("day_cost_micros", shared.day_spent_micros, limits.day_cost_micros, shared.day_opens_ms),
    ):
        if cap is not None:
            yield name, used, cap, opens_ms
