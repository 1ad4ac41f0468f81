"""run --continue: the last task of a folder is told something and goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentctl.cli import options as o
from agentctl.cli import session
from agentctl.errors import UsageError

TAKEN = {
    *o.LIMITS, "again", "goal", "file", "cwd", "provider", "model", "fallback", "approve", "allow",
    "deny", "sandbox", "context", "tools", "mcp", "no_cache", "json", "quiet", "verbose", "output",
    "detach",
}  # fmt: skip
"""Options of `run` that a task takes that goes on; all others only a new one takes."""


def continue_last(parameters: Mapping[str, Any]) -> int:
    """Do it with the parameters of `run`; return the exit code. Raises UsageError."""
    given = [name for name, value in parameters.items() if value and name not in TAKEN]
    wrong = [f"--{name.replace('_', '-')}" for name in given]
    if wrong:
        raise UsageError(
            f"{', '.join(wrong)}: only a new task can be begun so.",
            next_step="Leave that out, or begin a new task without -c.",
        )
    changes = session.Given(
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
        detach=parameters["detach"],
    )
    return session.continue_last(
        parameters["goal"],
        file=parameters["file"],
        cwd=parameters["cwd"],
        given=changes,
        screen=screen,
    )
