"""One driver per task: a lock that the kernel frees when its process dies, whatever killed it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from agentctl.errors import StoreError, TaskBusy
from agentctl.store.opening import translated

PATIENCE_S = 0.5
"""A look at the lock (`owner`) holds it for microseconds; a taker waits that out."""
POLL_S = 0.01


class Lease:
    """The right to drive a task, from the constructor to `release` or the process's end."""

    def __init__(self, folder: Path, task_id: str) -> None:
        """Take the lock. Raises TaskBusy with the holder's process id."""
        self._path = folder / f"{task_id}.lock"
        with translated(folder / "locks"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(int(PATIENCE_S / POLL_S)):
            if _locked(self._handle, fcntl.LOCK_EX):
                self._sign()
                return
            time.sleep(POLL_S)
        pid = _pid(self._handle)
        os.close(self._handle)
        raise TaskBusy(
            f"Task {task_id} is already being driven by process {pid}.",
            kept="Nothing was changed.",
            next_step=f"Watch it with: agentctl show {task_id}   or stop it with: "
            f"agentctl pause {task_id}",
        )

    def _sign(self) -> None:
        """Write who holds the lock. Raises StoreError, e.g. on a full disk; it is free again."""
        try:
            with translated(self._path):
                os.ftruncate(self._handle, 0)
                os.pwrite(self._handle, str(os.getpid()).encode(), 0)
        except StoreError:
            os.close(self._handle)
            raise

    def release(self, *, forget: bool = False) -> None:
        """Give the lock back; `forget` also removes its file (the task has ended for good)."""
        if forget:
            self._path.unlink(missing_ok=True)
        os.close(self._handle)


def owner(folder: Path, task_id: str) -> int:
    """The process that drives the task now, or 0."""
    path = folder / f"{task_id}.lock"
    with translated(path):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
    try:
        return 0 if _locked(handle, fcntl.LOCK_SH) else _pid(handle)
    finally:
        os.close(handle)


def _locked(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid(handle: int) -> int:
    text = os.pread(handle, 20, 0)
    return int(text) if text.isdigit() else 0
