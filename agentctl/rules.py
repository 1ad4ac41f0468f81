"""AGENTS.md: what a project tells every agent that works in it. Part of the system prompt."""

from __future__ import annotations

import os
from pathlib import Path

from agentctl.core.sanitize import storable
from agentctl.errors import UsageError

FILE = "AGENTS.md"
BYTES_MAX = 65_536
"""Of all files together: it is sent with every call."""
HEAD = "Rules of this project, from {}:"


def read_rules(cwd: Path) -> str:
    """Return the rules for this workspace, or an empty string.

    They are those of the workspace and of the folders above it within the same repository, the
    outermost first. A repository above that belongs to somebody else is none. A link that leads
    out of the repository is not followed: it could be put there to have a file of the user sent
    to a model. Raises UsageError for what cannot be read.
    """
    folders = places(cwd)
    root = folders[-1]
    parts, left = [], BYTES_MAX
    for folder in reversed(folders):
        path = folder / FILE
        text = _text(path, root, left)
        if text:
            parts.append(f"{HEAD.format(path.relative_to(root))}\n{text}")
            left -= len(text.encode())
    return "\n\n".join(parts)


def places(cwd: Path) -> list[Path]:
    """The workspace and the folders above it within its repository, whose word counts here."""
    root = _root(cwd)
    return [folder for folder in (cwd, *cwd.parents) if folder.is_relative_to(root)]


def _root(cwd: Path) -> Path:
    """The folder of the repository around the workspace, or the workspace itself."""
    owners = {cwd.stat().st_uid, getattr(os, "geteuid", int)()}
    for folder in (cwd, *cwd.parents):
        # In a folder where everybody may write, such as /tmp, a stranger could have put one.
        mark = folder / ".git"
        # An empty one is no repository: a sandbox keeps others from making one by it.
        is_repository = mark.is_file() or os.path.exists(mark / "HEAD")  # noqa: PTH110 - no error
        if is_repository and mark.stat().st_uid in owners:
            return folder
    return cwd


def _text(path: Path, root: Path, left: int) -> str:
    try:
        if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
            return ""
        with path.open("rb") as file:
            data = file.read(left + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.",
            next_step="Mend its rights, or work without it: --no-rules",
        ) from error
    if len(data) > left:
        raise UsageError(
            f"{path} is too long: all {FILE} files together may have {BYTES_MAX:,} bytes.",
            kept="Nothing was started.",
            next_step="Shorten it, or work without it: --no-rules",
        )
    return storable(data.decode("utf-8", "replace")).strip()
