"""A file that a tool changed, as the log keeps it. Apart from `files`: `pause` loads this."""

from __future__ import annotations

from msgspec import Struct


class Change(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """A file of the workspace that a tool created or replaced."""

    path: str
    """Below the workspace, links followed."""
    before: str = ""
    """Content hash of what it held, under which that is stored; empty: there was none."""
    after: str = ""
    note: str = ""
    """Why the contents are not kept (large, binary, unreadable); redacted: without secrets."""
