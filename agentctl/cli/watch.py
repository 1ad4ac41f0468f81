"""watch: all tasks on one screen."""

from __future__ import annotations

import sys

from agentctl.errors import UsageError


def watch() -> None:
    """Watch and steer all tasks on one screen. E.g.: agentctl watch"""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("watch needs a terminal.", next_step="Here, type: agentctl list")
    try:
        from agentctl.tui.watch import Watch  # Textual: heavy, and an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise UsageError(
            "watch needs Textual, which is not installed.",
            next_step="Type: pip install 'agentctl[tui]'",
        ) from error
    from agentctl.control import Desk  # the store, not needed for --help

    with Desk() as desk:
        Watch(desk).run()
