"""pause without Typer, which alone would be most of its start-up: it is typed in a hurry.

Only plain words are understood here. Everything else, mistakes and --help among it, is Typer's; a
test holds its parameters of `pause` equal to these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SWITCHES = {"--now": "now", "--dry-run": "dry_run", "--json": "json"}
TEXTS = {"--reason": "reason"}


def read(words: Sequence[str]) -> dict[str, Any] | None:
    """The parameters of `pause`, or None where these words are not plain ones of it."""
    if words[:1] != ["pause"]:
        return None
    found: dict[str, Any] = {}
    rest = iter(words[1:])
    for word in rest:
        if word in SWITCHES:
            found[SWITCHES[word]] = True
        elif word in TEXTS:
            found[TEXTS[word]] = next(rest, "-")
            if found[TEXTS[word]].startswith("-"):
                return None
        elif not word or word.startswith("-") or "task" in found:
            return None
        else:
            found["task"] = word
    return found if "task" in found else None


def run(parameters: dict[str, Any]) -> int:
    """Pause, and return the exit code; errors are shown, never raised."""
    from agentctl.cli.output import show_error  # these, once it is known that they are needed
    from agentctl.cli.steering import pause
    from agentctl.errors import AgentctlError

    try:
        pause(**parameters)
    except AgentctlError as error:
        show_error(error)
        return error.exit_code
    return 0
