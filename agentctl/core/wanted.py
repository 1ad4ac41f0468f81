"""What somebody wants to see of the tasks. Apart from `rows`: `pause` loads those."""

from __future__ import annotations

from msgspec import Struct

from agentctl.core.values import Millis


class Wanted(Struct, frozen=True):
    """Which tasks a list is to have. What is empty leaves none out."""

    statuses: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    """Absolute: tasks that work there or below."""
    since_ms: Millis = 0
    """Something happened to them then or later."""
    text: str = ""
    """In the name or the goal, whatever the case of its letters."""
