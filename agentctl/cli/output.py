"""The only module that prints. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agentctl.errors import AgentctlError
from agentctl.reports.text import visible, visible_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PIPED_WIDTH = 80


def tell(text: str) -> None:
    """Write a line for the person, on stderr; control characters are made visible."""
    try:
        sys.stderr.write(visible(text, newlines=True) + "\n")
        sys.stderr.flush()
    except OSError:
        return  # the terminal has gone: nobody is left to be told, and the run must still be saved


def say(text: str) -> None:
    """Write a result on stdout: safe for a terminal, untouched for a file or pipe."""
    shown = visible(text, newlines=True) if sys.stdout.isatty() else text
    with told():
        sys.stdout.write(shown + ("" if shown.endswith("\n") else "\n"))
        sys.stdout.flush()


def give(text: str, file: str) -> None:
    """Write a document to a file, or on stdout where that is empty or "-". Raises UsageError."""
    if file in ("", "-"):
        say(text)
        return
    from pathlib import Path  # these, because few documents go to a file

    from agentctl.errors import UsageError

    path = Path(file)
    try:
        path.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"-o: {path} cannot be written: {error.strerror}.",
            next_step="Name a file in a folder of yours.",
        ) from error
    tell(f"Written to {path}.")


def say_json(value: Any) -> None:
    """Write one JSON document on one line of stdout."""
    import json  # here, because most commands print no JSON

    with told():
        text = json.dumps(value, ensure_ascii=not _utf8(), separators=(",", ":"))
        sys.stdout.write(visible_json(text) + "\n")
        sys.stdout.flush()


def paragraphs(text: str) -> None:
    """Write lines for the person, on stderr, wrapped to the terminal."""
    import shutil  # these, because not every command says so much
    import textwrap

    width = min(shutil.get_terminal_size((PIPED_WIDTH, 24)).columns, 100)
    for line in text.splitlines():
        # Long words are left whole: a path or a command must stay copyable.
        wrapped = textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)
        tell("\n".join(wrapped))


def show_error(error: AgentctlError) -> None:
    """Write what happened, what was kept and what to type next, on stderr."""
    parts = (f"Error: {error.what}", error.kept, error.next_step)
    paragraphs("\n".join(part for part in parts if part))


def console(*, stderr: bool = False) -> Console:
    """A Rich console; 80 columns where there is no terminal."""
    from rich.console import Console  # heavy: only for output with tables or colour

    class Plain(Console):
        """Leaves a gone reader to its caller: Rich itself would end the process."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Plain(file=stream, width=width, highlight=False, markup=False, emoji=False)


def show(report: RenderableType) -> None:
    """Write a report on stdout."""
    with told():
        console().print(report)


def width() -> int:
    """Columns of stdout; as many as usual where it is no terminal."""
    if not sys.stdout.isatty():
        return PIPED_WIDTH
    import shutil  # light, and loaded by Typer already

    return shutil.get_terminal_size((PIPED_WIDTH, 24)).columns


def is_plain() -> bool:
    """Whether stdout can show ASCII only."""
    try:
        "─█▏≤…└".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return False


def has_colour() -> bool:
    """Whether a person reads stdout, or colour is wanted in any case (FORCE_COLOR)."""
    return console().is_terminal


def show_fitting(make: Callable[[int, bool], RenderableType]) -> None:
    """Write a report made for a width; in ASCII where the stream can show no more."""
    report = make(width(), is_plain())
    with told():
        console().print(report, soft_wrap=True)


@contextmanager
def told() -> Iterator[None]:
    """Say in words why stdout cannot be written; a reader that has gone knows it itself."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise AgentctlError(
            f"The output could not be written: {error.strerror}.",
            kept="What was done is kept.",
            next_step="Free space or write elsewhere, then see it with: agentctl show @last",
        ) from error


def _utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def without_secrets(text: str) -> str:
    """What somebody typed, fit to be kept; secrets of the environment are taken out."""
    if not text:
        return text
    import os  # these, because most commands are given no text to keep

    from agentctl.secrets import redactor

    return redactor(os.environ).text(text)
