"""Which tools of all a task is given: those that its agent's definition names."""

from __future__ import annotations

from collections.abc import Sequence

from agentctl.core.globs import fits


def offered(only: Sequence[str] | None, name: str) -> bool:
    """Whether a tool is among these; None: every one is.

    Entries are names or globs of names; one that begins with `!` takes away what it fits.
    """
    if only is None:
        return True
    wanted = [entry for entry in only if not entry.startswith("!")]
    unwanted = [entry[1:] for entry in only if entry.startswith("!")]
    return any(fits(name, each) for each in wanted) and not any(fits(name, e) for e in unwanted)
