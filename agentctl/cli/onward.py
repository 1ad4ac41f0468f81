"""run --continue: the last task of a folder is told something and goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentctl.cli import options as o
from agentctl.cli import session
from agentctl.errors import UsageError

FIRST = (
    "account", "tier", "name", "system", "no_rules", "no_summaries", "sandbox_network", "script",
    "reuse", "estimate",
)  # fmt: skip
"""Options of `run` that only a new task takes."""


def continue_last(parameters: Mapping[str, Any]) -> int:
    """Do it with the parameters of `run`; return the exit code. Raises UsageError."""
    wrong = [f"--{name.replace('_', '-')}" for name in FIRST if parameters[name]]
    if wrong:
        raise UsageError(
            f"{', '.join(wrong)}: only a new task can be begun so.",
            next_step="Leave that out, or begin a new task without -c.",
        )
    given = session.Given(
        limits=o.picked(parameters, o.LIMITS),
        provider=parameters["provider"] or "",
        model=parameters["model"] or "",
        fallback=parameters["fallback"],
        approve=parameters["approve"],
        rules={name: parameters[name] or () for name in ("allow", "deny")},
        sandbox=parameters["sandbox"],
        context=parameters["context"],
        tools=parameters["tools"] or (),
        mcp=parameters["mcp"] or (),
        no_cache=bool(parameters["no_cache"]),
    )
    screen = session.Screen(
        json=parameters["json"],
        quiet=parameters["quiet"],
        verbose=parameters["verbose"],
        output=parameters["output"],
    )
    return session.continue_last(
        parameters["goal"],
        file=parameters["file"],
        cwd=parameters["cwd"],
        given=given,
        screen=screen,
    )
