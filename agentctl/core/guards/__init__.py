"""One file, one reason to refuse. Guards are asked in this order before every call.

Before a model call a guard takes the state, the view and the output tokens that its predecessors
still allow, and answers with the output tokens that it allows, or with a Deny. Before a tool call
it takes the state, the view, the tool and those planned to start with it, and answers with a Deny
or None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentctl.core.guards import balance, circuit, cost, rate, steps, timeout, tokens
from agentctl.core.guards.verdict import Deny, strictest
from agentctl.core.state import State
from agentctl.core.values import ToolSpec, View

GUARDS: tuple[Callable[[State, View, int], int | Deny], ...] = (
    rate.check,
    cost.check,
    tokens.check,
    steps.check,
    balance.check,
    circuit.check,
    timeout.check,
)
TOOL_GUARDS: tuple[Callable[[State, View, ToolSpec, Sequence[ToolSpec]], Deny | None], ...] = (
    rate.check_tool,
    balance.check_tool,
    circuit.check_tool,
    timeout.check_tool,
)


def model_verdict(state: State, view: View) -> int | Deny:
    """Return the most output tokens of the next model call, or the strictest refusal."""
    output_cap = view.quote.max_output
    denials: list[Deny] = []
    for guard in GUARDS:
        verdict = guard(state, view, output_cap)
        if isinstance(verdict, Deny):
            denials.append(verdict)
        else:
            output_cap = verdict
    return (strictest(denials) or output_cap) if denials else output_cap


def tool_verdict(
    state: State, view: View, spec: ToolSpec, planned: Sequence[ToolSpec]
) -> Deny | None:
    """Return the strictest refusal of a tool call, or None."""
    denials = []
    for guard in TOOL_GUARDS:
        deny = guard(state, view, spec, planned)
        if deny is not None:
            denials.append(deny)
    return strictest(denials) if denials else None


__all__ = ["GUARDS", "TOOL_GUARDS", "Deny", "model_verdict", "tool_verdict"]
