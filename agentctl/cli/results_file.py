"""Results in a file of their own."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from agentctl.errors import AgentctlError, UsageError


class LinesFile:
    """A file of JSON lines: beside it as they come, and whole in its place at last.

    What is no file, as a pipe, is written at once.
    """

    def __init__(self, path: Path) -> None:
        """Begin `path`.part anew. Raises UsageError if it cannot be written."""
        self._apart = path.is_file() or not path.exists()
        self._path = path.resolve() if self._apart else path  # a link stays
        self._part = self._path.with_name(self._path.name + ".part") if self._apart else self._path
        try:
            if self._path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self._stream = self._part.open("w", encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"-o: {path} cannot be written: {error.strerror}.",
                next_step="Name a file in a folder of yours.",
            ) from error

    def __enter__(self) -> LinesFile:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind where nothing was written."""
        with suppress(OSError):
            self._stream.close()
            if self._apart and self._part.stat().st_size == 0:
                self._part.unlink()

    def add(self, value: Any) -> None:
        """Write one line."""
        with self._telling():
            self._stream.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
            self._stream.flush()

    def finish(self) -> None:
        """Put the file in its place, in one step."""
        with self._telling():
            if self._apart:
                os.fsync(self._stream.fileno())
            self._stream.close()
            if self._apart:
                self._part.replace(self._path)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise AgentctlError(
                f"The results could not be written to {self._path}: {error.strerror}.",
                kept="What was done is kept.",
                next_step="Free space or name another file, then type the same with --resume.",
            ) from error
