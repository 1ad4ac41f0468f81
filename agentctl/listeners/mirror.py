"""What a run says live, in a small file: by it `attach` and `watch` see it from other processes.

The file holds only what is not on disk as an event yet. It is never synced and never read by a run.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from agentctl.core import events as e
from agentctl.core.events import Recorded
from agentctl.core.live import Mirrored, Signal, ToolOutput, mirror_name

BYTES_MAX = 65_536
"""A longer file begins anew: readers look several times a second."""
CHUNK_CHARS = 8_192
"""Of one output; its end is kept."""
SETTLES = (e.ModelAsked, e.ModelAnswered, e.ModelFailed, e.ToolEnded)
"""After these events, what was said before is on disk or over."""


class Mirror:
    """Appends signals to a file of their task, which is there only while there is something."""

    live = True

    def __init__(self, folder: Path) -> None:
        """Write below `folder`, which need not exist yet."""
        self._folder = folder
        self._path: Path | None = None
        self._handle = -1
        self._size = self._number = 0
        self._after = -1
        self._broken = False
        self._pid = os.getpid()
        self._encode = msgspec.json.Encoder().encode

    def hear(self, task_id: str, item: Recorded | Signal) -> None:
        """Write a signal, or forget those that an event has made old."""
        if not isinstance(item, Recorded):
            if not self._broken:
                self._write(task_id, item)
            return
        self._after = item.seq
        if self._size and isinstance(item.event, SETTLES):
            os.ftruncate(self._handle, 0)
            self._size = 0

    def close(self) -> None:
        """Remove the file: the run has ended."""
        if self._path is not None:
            os.close(self._handle)
            self._path.unlink(missing_ok=True)
            self._path = None

    def _write(self, task_id: str, signal: Signal) -> None:
        if isinstance(signal, ToolOutput) and len(signal.text) > CHUNK_CHARS:
            signal = ToolOutput(signal.call_id, signal.text[-CHUNK_CHARS:])
        self._number += 1
        line = self._encode(Mirrored(self._pid, self._number, self._after, signal)) + b"\n"
        try:
            if self._path is None:
                self._open(task_id)
            if self._size + len(line) > BYTES_MAX:
                os.ftruncate(self._handle, 0)
                self._size = 0
            self._size += os.write(self._handle, line)
        except OSError:
            self._broken = True  # told once by whoever fences us, and not tried again
            raise

    def _open(self, task_id: str) -> None:
        """Create the file, readable by its owner only; what a dead process left is dropped."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / mirror_name(task_id)
        path.unlink(missing_ok=True)
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._handle = os.open(path, how, 0o600)
        self._path = path
