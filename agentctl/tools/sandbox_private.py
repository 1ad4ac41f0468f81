"""The private folders that stand for /tmp and HOME inside a sandbox, and their end."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PREFIX = "agentctl-sandbox-"

_made: set[str] = set()


@cache
def private_folder() -> str:
    """The folder with `tmp` and `home`, for the life of this process.

    A lock in it tells that its owner lives; those of owners who were killed are removed first.
    """
    _sweep(Path(tempfile.gettempdir()))
    folder = tempfile.mkdtemp(prefix=PREFIX)
    lock = os.open(f"{folder}/lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # until this process ends
    for name in ("tmp", "home"):
        Path(folder, name).mkdir(mode=0o700)
    atexit.register(_clean, folder, os.getpid())
    return folder


def remove_at_end(folders: Iterable[str]) -> None:
    """Remove these folders when this process ends, if they are still empty."""
    _made.update(folders)


def _sweep(top: Path) -> None:
    """Remove what dead processes of ours have left."""
    for folder in top.glob(f"{PREFIX}*"):
        try:
            if folder.lstat().st_uid != os.getuid():
                continue
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue  # it is being made or removed
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


def _clean(folder: str, pid: int) -> None:
    """Remove what was made for commands; not in a fork, which shares it with its parent."""
    if os.getpid() != pid:
        return
    shutil.rmtree(folder, ignore_errors=True)
    for path in _made:
        try:
            Path(path).rmdir()
        except OSError:  # it is used by now, or gone
            continue
