"""Replace a file so that a reader or a crash sees the old text or the new one, never a part."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def make_private(folder: Path) -> None:
    """Create a folder, and its parents, that only this user can enter. Raises OSError."""
    for missing in reversed([folder, *folder.parents]):
        if not missing.exists():
            # Another process may have been faster; mode is set at creation, never afterwards.
            missing.mkdir(mode=0o700, exist_ok=True)


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, mode 0600, and wait until it is on the disk.

    Raises FileExistsError or another OSError; nothing is left behind then.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def replace(path: Path, data: bytes) -> None:
    """Put `data` at `path`, mode 0600, durably and in one step.

    Each call has its own temporary file in the same folder, so that processes writing at once
    cannot mix their texts: the last one wins. Raises OSError; the old file is untouched then.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    write_new(temporary, data)
    try:
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # A rename is only durable once its folder is.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
