"""One locked file: the kernel frees it when its holder dies, whatever killed it.

Light: `pause` needs it to see who drives a task, and must start quickly.
"""

from __future__ import annotations

import fcntl
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from agentctl.store.opening import translated

COMMAND_CHARS = 60


class Holder(Struct, frozen=True):
    """Who holds a lock, as its file says: what is unknown is 0 or empty."""

    pid: int = 0
    since: str = ""
    command: str = ""

    def __str__(self) -> str:
        who = f"process {self.pid}" if self.pid else "another process"
        known = [self.command, f"since {self.since}" if self.since else ""]
        text = ", ".join(part for part in known if part)
        return f"{who} ({text})" if text else who


def take(path: Path) -> int | None:
    """Lock and sign the file; return its handle, or None while somebody else has it.

    Raises StoreError, e.g. on a full disk; the lock is free again then.
    """
    with translated(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if _locked(handle, fcntl.LOCK_EX) and _is_at(path, handle):
                sign(handle)
                return handle
        except BaseException:
            free(handle)
            raise
        os.close(handle)
        return None


def free(handle: int) -> None:
    """Give a lock back, also where a forked child still has the file open."""
    try:
        fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def look(path: Path) -> Holder | None:
    """Who holds the lock now; None if nobody does. Creates nothing. Raises StoreError."""
    with translated(path):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return None if _locked(handle, fcntl.LOCK_SH) else _read(handle)
        finally:
            os.close(handle)


def _locked(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, handle: int) -> bool:
    """Whether the locked file still has this name: its last holder may have removed it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def sign(handle: int) -> None:
    """Write that this process holds the lock, over what stood there: it is never without a name."""
    program = Path(sys.argv[0]).name if sys.argv else ""
    command = " ".join([program, *sys.argv[1:2]])[:COMMAND_CHARS]
    since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    lines = (str(os.getpid()), since, " ".join(command.split()))
    text = "".join(f"{line}\n" for line in lines).encode(errors="replace")
    os.pwrite(handle, text, 0)
    os.ftruncate(handle, len(text))


def _read(handle: int) -> Holder:
    text = os.pread(handle, 1_000, 0).decode(errors="replace")
    pid, since, command = [*text.splitlines(), "", "", ""][:3]
    return Holder(int(pid), since, command) if pid.isascii() and pid.isdigit() else Holder()
