"""One file, one reason to refuse. Guards are asked in the order of GUARDS before every model call.

A guard takes the state, the view and the output tokens that its predecessors still allow, and
answers with the output tokens that it allows, or with a Deny.
"""

from collections.abc import Callable

from agentctl.core.guards import cost, steps, tokens
from agentctl.core.guards.verdict import Deny
from agentctl.core.state import State
from agentctl.core.values import View

GUARDS: tuple[Callable[[State, View, int], int | Deny], ...] = (
    cost.check,
    tokens.check,
    steps.check,
)

__all__ = ["GUARDS", "Deny"]
