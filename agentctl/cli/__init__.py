"""Commands: parse, call `app` or `control`, show a report, return an exit code. No decisions."""

from __future__ import annotations

import gc
import os
import sys

READER_GONE = 141
"""128 + SIGPIPE, as the shell says it of other programs."""
GARBAGE_AFTER = 10_000
"""New objects between two looks for garbage. Imports make many and leave none: at the usual 700
looking takes a fiftieth of the start-up of a small command."""


def main() -> None:
    """Entry point of the console script. Ends the process."""
    gc.set_threshold(GARBAGE_AFTER)
    _open_closed()
    try:
        code = _main(sys.argv[1:])
    except KeyboardInterrupt:  # also while modules are still being imported
        code = 130
    except BrokenPipeError:
        code = READER_GONE
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except OSError:
            code = code or READER_GONE
            setattr(sys, name, None)  # or the interpreter complains at exit
    sys.exit(code)


def _open_closed() -> None:
    """A standard stream that was closed (`>&-`) is empty, not the next file that we open."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - no pathlib here; it stays open
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a letter shows its code
            stream.reconfigure(errors="backslashreplace")


def _main(arguments: list[str]) -> int:
    if arguments == ["--version"]:  # before Typer is imported: an answer in a few milliseconds
        from agentctl import __version__

        sys.stdout.write(f"agentctl {__version__}\n")
        return 0
    if arguments[:1] == ["__complete"]:  # asked by a shell: see `agentctl completion`
        from agentctl.cli.completing import answer

        answer(arguments[1] if len(arguments) > 1 else "", arguments[2:])
        return 0
    if arguments[:1] == ["pause"]:
        from agentctl.cli import quick

        plain = quick.read(arguments)
        if plain is not None:
            return quick.run(plain)
    from agentctl.cli.commands import invoke  # Typer is the heaviest part of most commands

    return invoke(arguments)
