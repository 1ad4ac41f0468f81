"""Results in a file of their own."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentctl.errors import AgentctlError, UsageError


class LinesFile:
    """A file of JSON lines: beside it as they come, and whole in its place at last."""

    def __init__(self, path: Path) -> None:
        """Begin `path`.part anew. Raises UsageError if it cannot be written."""
        self._path = path
        self._part = path.with_name(path.name + ".part")
        try:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._stream = self._part.open("w", encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"-o: {path} cannot be written: {error.strerror}.",
                next_step="Name a file in a folder of yours.",
            ) from error

    def add(self, value: Any) -> None:
        """Write one line."""
        with self._telling():
            self._stream.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
            self._stream.flush()

    def finish(self) -> None:
        """Put the file in its place, in one step."""
        with self._telling():
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._part.replace(self._path)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise AgentctlError(
                f"The results could not be written to {self._path}: {error.strerror}.",
                kept="What was done is kept.",
                next_step="Free space or name another file, then go on with: --resume",
            ) from error
