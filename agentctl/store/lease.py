"""One driver per task: a lock that the kernel frees when its process dies, whatever killed it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from agentctl.errors import TaskBusy
from agentctl.store.lockfile import Holder, free, look, sign, take
from agentctl.store.opening import translated

PATIENCE_S = 0.5
"""A look at the lock (`owner`) holds it for microseconds; a taker waits that out."""
POLL_S = 0.01
POLLS = int(PATIENCE_S / POLL_S)


class Lease:
    """The right to drive a task, from the constructor to `release` or the process's end."""

    def __init__(self, folder: Path, task_id: str) -> None:
        """Take the lock. Raises TaskBusy with the holder's process id, and StoreError."""
        self._path = _path(folder, task_id)
        for _ in range(POLLS):
            handle = take(self._path)
            if handle is not None:
                self._handle = handle
                return
            time.sleep(POLL_S)
        raise TaskBusy(
            f"Task {task_id} is already being driven by {look(self._path) or Holder()}.",
            kept="Nothing was changed.",
            next_step=f"Watch it with: agentctl show {task_id}   or stop it with: "
            f"agentctl pause {task_id}",
        )

    def release(self, *, forget: bool = False) -> None:
        """Give the lock back; `forget` also removes its file (the task has ended for good)."""
        try:
            if forget:
                self._path.unlink(missing_ok=True)
        finally:
            free(self._handle)

    def take_over(self) -> None:
        """Hold, in a forked child, what its parent took. Raises StoreError; the parent lets go."""
        with translated(self._path):
            sign(self._handle)

    def let_go(self) -> None:
        """Stop holding it here: a forked child has taken it over, and it was never free between."""
        os.close(self._handle)


def owner(folder: Path, task_id: str) -> int:
    """The process that drives the task now, or 0."""
    for _ in range(POLLS):
        holder = look(_path(folder, task_id))
        if holder is None:
            return 0
        if holder.pid:
            return holder.pid
        time.sleep(POLL_S)  # taken this moment, and not signed yet
    return 0


def _path(folder: Path, task_id: str) -> Path:
    return folder / f"{task_id}.lock"
