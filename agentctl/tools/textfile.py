"""Text files as they are on disk: encoding, line ends, bounds, and replacing one atomically.

Work on a single file is done directly, not in a thread: it is short, two edits of one turn cannot
cross, and a cancelled call has either been done or not begun.
"""

from __future__ import annotations

import contextlib
import os
import stat

from msgspec import Struct

from agentctl.errors import ToolError
from agentctl.tools.base import told
from agentctl.tools.beneath import Place
from agentctl.tools.treeworker import open_folder

MAX_READ_BYTES = 10_000_000
SNIFF_BYTES = 8_192
"""A NUL byte among so many first ones makes a file binary."""

_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


class Text(Struct, frozen=True):
    r"""A file's text with `\n` as line end, and what is needed to write it back as it was."""

    text: str
    encoding: str
    mark: bytes
    """Byte order mark, or empty."""
    crlf: bool
    r"""Every line of the file ends in `\r\n`."""

    def encode(self, text: str) -> bytes:
        """Put a new text into the file's own form. Raises UnicodeEncodeError."""
        if self.crlf:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        return self.mark + text.encode(self.encoding)


def open_regular(file: Place) -> int:
    """Open an existing regular file to read; never waits for a FIFO or a device. Returns a fd."""
    with told(file.label):
        # NONBLOCK: opening a FIFO would wait for a writer.
        fd = file.open(os.O_RDONLY | os.O_NONBLOCK)
        mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    raise ToolError(f"{file.label} is {kind_of(mode)}, not a file.")


def kind_of(mode: int) -> str:
    """Name what is not a regular file."""
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a pipe, socket or device"


def load(place: Place) -> Text:
    """Read a whole text file. Raises ToolError for what is missing, binary or too large."""
    fd, name = open_regular(place), place.label
    with told(name), os.fdopen(fd, "rb") as file:
        data = file.read(MAX_READ_BYTES + 1)
        size = max(len(data), os.fstat(fd).st_size)
    if size > MAX_READ_BYTES:
        raise ToolError(
            f"{name} has {size:,} bytes, more than {MAX_READ_BYTES:,}: "
            "read a range of lines or search it."
        )
    return decode(data, name)


def decode(data: bytes, name: str) -> Text:
    """Find out encoding and line ends. Raises ToolError for binary data, with its size."""
    mark, encoding = next((pair for pair in _MARKS if data.startswith(pair[0])), (b"", ""))
    binary = b"\0" in data[:SNIFF_BYTES]
    if binary and not encoding:
        raise ToolError(f"{name} is a binary file of {len(data):,} bytes.")
    try:
        encoding = encoding or "utf-8"
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        if binary:
            raise ToolError(f"{name} is a binary file of {len(data):,} bytes.") from error
        # Latin-1 gives every byte a character, so whatever is not edited is written back as it was.
        mark, encoding, text = b"", "latin-1", data.decode("latin-1")
    ends = text.count("\n")
    crlf = ends > 0 and text.count("\r\n") == ends
    if crlf:
        text = text.replace("\r\n", "\n")
    return Text(text=text, encoding=encoding, mark=mark, crlf=crlf)


def peek(place: Place, most: int) -> tuple[bytes | None, bool]:
    """The first `most` bytes of what is to be replaced, and whether they are known.

    None if there is nothing. A file that may be written need not be readable.
    """
    try:
        fd = place.open(os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None, True
    except OSError:
        return None, False
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None, False
    with os.fdopen(fd, "rb") as file:
        return file.read(most), True


def load_lines(place: Place, start_line: int, lines: int) -> str:
    """Read a range of a file of any size, line by line and never more than the bound at once."""
    fd, name = open_regular(place), place.label
    part: list[bytes] = []
    size = 0
    with told(name), os.fdopen(fd, "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_READ_BYTES), b""), 1):
            if b"\0" in line[:SNIFF_BYTES]:
                raise ToolError(f"{name} is a binary file of {os.fstat(fd).st_size:,} bytes.")
            if number < start_line:
                continue
            size += len(line)
            if size > MAX_READ_BYTES:
                raise ToolError(f"That range has over {MAX_READ_BYTES:,} bytes: ask for less.")
            part.append(line)
            if number == start_line + lines - 1:
                break
    if not part:
        raise ToolError(f"There is no line {start_line:,} in {name}.")
    return b"".join(part).decode(errors="replace").replace("\r\n", "\n")


def replace(place: Place, data: bytes) -> None:
    """Write a file so that a crash leaves the old or the new one. Keeps an existing file's mode."""
    name = place.label
    with told(f"the folder of {name}"):
        place.make_parent()
    with told(name):
        old, folder = _existing(place), place.parent()
        temporary = f".agentctl-{os.urandom(8).hex()}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(temporary, flags, 0o666 if old is None else 0o600, dir_fd=folder)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                if old is not None:
                    _copy_owner(fd, old)
                    os.fchmod(fd, stat.S_IMODE(old.st_mode))
                os.fsync(fd)
            os.replace(temporary, place.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            raise
        _sync_folder(folder)


def _existing(place: Place) -> os.stat_result | None:
    """What is there already. Raises ToolError if it must not be replaced."""
    try:
        old = place.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(old.st_mode):
        raise ToolError(f"{place.label} is {kind_of(old.st_mode)}, not a file.")
    # A rename would get past the file's own write protection.
    if not os.access(place.name, os.W_OK, dir_fd=place.parent()):
        raise ToolError(f"{place.label} is read-only.")
    return old


def _copy_owner(fd: int, old: os.stat_result) -> None:
    """Keep the owner where that is allowed: root must not take over a user's file."""
    if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(PermissionError):  # others may not give files away
            os.fchown(fd, old.st_uid, old.st_gid)


def _sync_folder(folder: int) -> None:
    """Make the new name itself durable."""
    fd = open_folder(folder, ".")
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
