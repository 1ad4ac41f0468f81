"""delegate: a part of the work goes to another agent, which is a task of its own."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from agentctl.core.carve import Errand
from agentctl.errors import ToolError
from agentctl.ports import ToolContext, ToolResult
from agentctl.tools.base import Arguments, BuiltIn, spec_of

DAY_MS = 86_400_000


class DelegateArguments(Arguments, frozen=True):
    """What is to be done, by whom, and with how much."""

    goal: Annotated[str, Meta(min_length=1, description="All that the other agent is told.")]
    agent: Annotated[str, Meta(max_length=64)] = ""
    max_cost: Annotated[float, Meta(ge=0, le=1_000_000, description="US dollars. 0: open")] = 0
    max_steps: Annotated[int, Meta(ge=0, description="0: open")] = 0


class Delegate(BuiltIn[DelegateArguments]):
    """Has another task work for the call. What that may do is asked about there, not here."""

    arguments = DelegateArguments
    spec = spec_of(
        "delegate",
        "Give a part of the work to another agent. It works in the same folder, sees nothing of "
        "this conversation, and answers once it is done. Its cost is part of yours.",
        DelegateArguments,
        category="delegate",
        repeat="idempotent",
        changes=False,
        timeout_ms=DAY_MS,
        delegates=True,
    )

    async def act(self, arguments: DelegateArguments, context: ToolContext) -> ToolResult:
        """Wait for the other task. Raises ToolError where none can be begun."""
        if context.delegate is None:
            raise ToolError("Nobody can be delegated to here.")
        most_micros = int(arguments.max_cost * 1_000_000) or None
        most_steps = arguments.max_steps or None
        errand = Errand(arguments.goal, arguments.agent, most_micros, most_steps)
        return await context.delegate(errand, context)
