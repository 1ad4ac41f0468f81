"""Files of the workspace: read_file, write_file, edit_file, list_dir."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from threading import Event, Thread
from typing import Annotated

from msgspec import Meta

from agentctl.core.files import CHANGE_BYTES_MAX, FileChange
from agentctl.core.values import Millis, Sandbox
from agentctl.errors import ToolError
from agentctl.ports import ToolContext, ToolResult
from agentctl.tools import proofs, textfile
from agentctl.tools.base import (
    Arguments,
    BuiltIn,
    FirstLine,
    LineCount,
    PathText,
    line_range,
    shown,
    spec_of,
    told,
)
from agentctl.tools.beneath import Place, place


class ReadFileArguments(Arguments, frozen=True):
    """Which file, and which lines of it."""

    path: PathText
    start_line: FirstLine = 1
    lines: LineCount = 0


class _Reading:
    """A thread that reads one file after the other, until nobody waits any more.

    At its end the process does not wait for a thread whose file never comes.
    """

    def __init__(
        self,
        read: Callable[[str, ToolContext], ToolResult | Exception],
        calls: Sequence[tuple[str, ToolContext]],
    ) -> None:
        self.answers = asyncio.Queue[ToolResult | Exception]()
        self.over = Event()
        loop = asyncio.get_running_loop()

        def work() -> None:
            for arguments, context in calls:
                if self.over.is_set():
                    return
                answer = read(arguments, context)
                with suppress(RuntimeError):  # the loop has ended: nobody waits
                    loop.call_soon_threadsafe(self.answers.put_nowait, answer)

        if calls:
            Thread(target=work, name="read_file", daemon=True).start()


class ReadFile(BuiltIn[ReadFileArguments]):
    """Reads a text file or a range of its lines."""

    arguments = ReadFileArguments
    at_once = 1
    spec = spec_of(
        "read_file",
        "Read a text file of the workspace.",
        ReadFileArguments,
        category="file",
        repeat="safe",
        changes=False,
        lookup=True,
    )

    def __init__(self, now: proofs.NowNs = proofs.now_ns, *, policy: Sandbox | None = None) -> None:
        """`now` tells nanoseconds since the epoch; a test may hold its own clock."""
        super().__init__(policy=policy)
        self._now = now

    async def act(self, arguments: ReadFileArguments, context: ToolContext) -> ToolResult:
        """Return the text. Raises ToolError if there is none to return."""
        return self._read(arguments, context)

    async def run_many(
        self, calls: Sequence[tuple[str, ToolContext]], timeout_ms: Millis
    ) -> AsyncGenerator[tuple[int, ToolResult | Exception], None]:
        """Read all in one thread; see `ports.BatchTool`.

        One file is read at once, many would hold up everything else. Those behind a file that takes
        too long are read in another thread, and the first one is left behind.
        """
        reading = _Reading(self._answer, calls)
        try:
            for place in range(len(calls)):
                answer: ToolResult | Exception
                try:
                    async with asyncio.timeout(timeout_ms / 1000):
                        answer = await reading.answers.get()
                except TimeoutError as error:
                    reading.over.set()
                    reading = _Reading(self._answer, calls[place + 1 :])
                    answer = error
                yield place, answer
        finally:
            reading.over.set()

    def _answer(self, arguments: str, context: ToolContext) -> ToolResult | Exception:
        try:
            return self._read(self._decode(arguments), context)
        except Exception as error:  # noqa: BLE001 - it is this call's answer
            return error

    def _read(self, arguments: ReadFileArguments, context: ToolContext) -> ToolResult:
        with place(context, arguments.path, self.guard) as file:
            proof = proofs.of_file(file, self._now)
            if context.earlier is not None and proofs.holds(proof, context):
                return ToolResult(context.earlier.text, proof=proof, again=True)
            text = _part(file, arguments)
        return ToolResult(text or "(the file is empty)", proof=proof)


def _part(file: Place, arguments: ReadFileArguments) -> str:
    """The lines that were asked for. Raises ToolError."""
    with told(file.label):
        large = arguments.lines > 0 and file.stat().st_size > textfile.MAX_READ_BYTES
    if large:
        return textfile.load_lines(file, arguments.start_line, arguments.lines)
    return line_range(textfile.load(file).text, arguments.start_line, arguments.lines)


class WriteFileArguments(Arguments, frozen=True):
    """Where, and the whole new text."""

    path: PathText
    text: str


class WriteFile(BuiltIn[WriteFileArguments]):
    """Writes a whole file, parents included."""

    arguments = WriteFileArguments
    spec = spec_of(
        "write_file",
        "Create a file, or replace it whole.",
        WriteFileArguments,
        category="file",
        repeat="idempotent",
        changes=True,
    )

    async def act(self, arguments: WriteFileArguments, context: ToolContext) -> ToolResult:
        """Write exactly this text as UTF-8. Raises ToolError."""
        with place(context, arguments.path, self.guard, writes=True) as file:
            data = arguments.text.encode()
            before, is_known = textfile.peek(file, CHANGE_BYTES_MAX + 1)
            textfile.replace(file, data)
            change = FileChange(file.below, before, data[: CHANGE_BYTES_MAX + 1], is_known)
            text = f"Wrote {len(data):,} bytes to {file.label}."
            return ToolResult(text, changes=(change,))


class EditFileArguments(Arguments, frozen=True):
    """The passage to replace."""

    path: PathText
    old: Annotated[str, Meta(min_length=1, description="exact text, occurring once")]
    new: str
    all: Annotated[bool, Meta(description="replace every occurrence")] = False


class EditFile(BuiltIn[EditFileArguments]):
    """Replaces a passage, keeping the file's encoding and line ends."""

    arguments = EditFileArguments
    spec = spec_of(
        "edit_file",
        "Replace a passage of a text file.",
        EditFileArguments,
        category="file",
        repeat="unsafe",
        changes=True,
    )

    async def act(self, arguments: EditFileArguments, context: ToolContext) -> ToolResult:
        """Replace `old` by `new`. Raises ToolError unless it occurs as often as it should."""
        with place(context, arguments.path, self.guard, writes=True) as place_:
            name, file = place_.label, textfile.load(place_)
            data, count = _edited(file, name, arguments)
            before = file.encode(file.text)[: CHANGE_BYTES_MAX + 1]
            textfile.replace(place_, data)
            change = FileChange(place_.below, before, data[: CHANGE_BYTES_MAX + 1])
        passages = "1 passage" if count == 1 else f"{count:,} passages"
        return ToolResult(f"Replaced {passages} in {name}.", changes=(change,))


def _edited(file: textfile.Text, name: str, arguments: EditFileArguments) -> tuple[bytes, int]:
    """The file's new bytes, and how many passages were replaced. Raises ToolError."""
    old, new = arguments.old, arguments.new
    if file.crlf:
        old, new = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
    count = file.text.count(old)
    if count == 0:
        raise ToolError(f"The old text does not occur in {name}: read the file again.")
    if count > 1 and not arguments.all:
        raise ToolError(
            f"The old text occurs {count:,} times in {name}: "
            "give more of what stands around it, or set all."
        )
    try:
        return file.encode(file.text.replace(old, new)), count
    except UnicodeEncodeError as error:
        raise ToolError(f"{name} is {file.encoding} and cannot hold the new text.") from error


class ListDirArguments(Arguments, frozen=True):
    """Which folder."""

    path: PathText = "."


class ListDir(BuiltIn[ListDirArguments]):
    """Lists one folder."""

    arguments = ListDirArguments
    spec = spec_of(
        "list_dir",
        "List a folder: names with size in bytes; folders end in /.",
        ListDirArguments,
        category="file",
        repeat="safe",
        changes=False,
        lookup=True,
    )

    async def act(self, arguments: ListDirArguments, context: ToolContext) -> ToolResult:
        """One line for each entry, sorted by name. Raises ToolError."""
        with place(context, arguments.path, self.guard) as at, told(arguments.path):
            fd = at.folder()
            try:
                with os.scandir(fd) as entries:
                    found = sorted(entries, key=lambda each: each.name)
                lines = [_entry_line(entry) for entry in found]
            finally:
                os.close(fd)
        return proofs.of_text("\n".join(lines) or "(the folder is empty)", context)


def _entry_line(entry: os.DirEntry[str]) -> str:
    """Describe an entry without following it."""
    name = shown(entry.name)
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return f"{name} (just removed)"
    if stat.S_ISDIR(found.st_mode):
        return f"{name}/"
    if stat.S_ISLNK(found.st_mode):
        return f"{name} (a link)"
    if stat.S_ISREG(found.st_mode):
        return f"{name} {found.st_size}"
    return f"{name} ({textfile.kind_of(found.st_mode)})"
