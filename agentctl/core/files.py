"""A file that a tool changed, as the tool says it. How the log keeps it: `change`."""

from __future__ import annotations

from msgspec import Struct

CHANGE_BYTES_MAX = 262_144
"""Larger contents of files are not kept beside what a tool did to them."""


class FileChange(Struct, frozen=True):
    """A file that a tool created or replaced. Contents need no more than CHANGE_BYTES_MAX + 1."""

    path: str
    """Below the workspace."""
    before: bytes | None
    """None: there was none, or nobody knows."""
    after: bytes
    is_known: bool = True
    """What it held before could be read, or there was nothing."""
