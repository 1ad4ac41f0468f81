"""Commands: parse, call `app` or `control`, show a report, return an exit code. No decisions."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the console script. Ends the process."""
    try:
        code = _main(sys.argv[1:])
    except KeyboardInterrupt:  # also while modules are still being imported
        code = 130
    except BrokenPipeError:
        code = 141  # the reader of our output has gone: 128 + SIGPIPE
    try:
        sys.stdout.flush()
    except OSError:
        code = code or 141
        sys.stdout = None  # or the interpreter complains at exit
    sys.exit(code)


def _main(arguments: list[str]) -> int:
    if arguments == ["--version"]:  # before Typer is imported: an answer in a few milliseconds
        from agentctl import __version__

        sys.stdout.write(f"agentctl {__version__}\n")
        return 0
    from agentctl.cli.commands import invoke  # Typer is the heaviest part of most commands

    return invoke(arguments)
