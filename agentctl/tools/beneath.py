"""Paths that stay in the workspace: each part of one is opened within the folder before it.

To resolve a path first and open it then would leave a moment in which a folder can become a link
to somewhere else. Here nothing is ever opened by more than one name at a time: a folder is held by
its descriptor, links are read and followed by hand, and `..` goes back to a folder that is held.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentctl.errors import ToolError
from agentctl.ports import ToolContext
from agentctl.tools.base import shown, told
from agentctl.tools.protected import Guard
from agentctl.tools.treeworker import FOLDER, open_folder

LINKS_MAX = 40
"""So many links may lie on one path, as the kernel has it."""


class Place:
    """Where a path leads, held by the descriptor of the folder that holds it. See `place`."""

    def __init__(self, cwd: str, path: str) -> None:
        """Walk there. What does not exist yet is no error. Raises OSError, ValueError, ToolError.

        `cwd` is the workspace, without links; `path` is in the model's words.
        """
        self._cwd, self._asked = cwd, path
        self._parts: list[str] = []
        self._folders = [os.open(cwd, FOLDER)]
        """Of the workspace and of each part, as far as they were opened."""
        try:
            self._walk()
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The last part, links followed; "." is the workspace."""
        return self._parts[-1] if self._parts else "."

    @property
    def below(self) -> str:
        """The path below the workspace, links followed; empty for the workspace."""
        return "/".join(self._parts)

    @property
    def label(self) -> str:
        """The same, fit for a message."""
        return shown(self.below or ".")

    @property
    def real(self) -> str:
        """The absolute path, links followed: to compare with, never to open."""
        return str(Path(self._cwd, *self._parts))

    def parent(self) -> int:
        """Descriptor of the folder that holds it. Raises OSError where there is none."""
        return self._reach(max(len(self._parts) - 1, 0))

    def make_parent(self) -> None:
        """Make the folders that are missing on the way. Raises OSError."""
        for depth in range(1, len(self._parts)):
            try:
                self._reach(depth)
            except (FileNotFoundError, NotADirectoryError):
                # Says so where a file stands in the folder's place.
                os.mkdir(self._parts[depth - 1], dir_fd=self._folders[-1])
                self._reach(depth)

    def open(self, flags: int, mode: int = 0o666) -> int:
        """Open it; a link is refused. Returns a descriptor. Raises OSError."""
        return os.open(self.name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=self.parent())

    def stat(self) -> os.stat_result:
        """What it is; a link is not followed. Raises OSError."""
        return os.stat(self.name, dir_fd=self.parent(), follow_symlinks=False)

    def folder(self) -> int:
        """Open it as a folder that can be listed. Returns a descriptor. Raises OSError."""
        return open_folder(self.parent(), self.name)

    def close(self) -> None:
        """Let go of all folders."""
        while self._folders:
            os.close(self._folders.pop())

    def _walk(self) -> None:
        todo = deque(self._names(self._asked))
        links = 0
        while todo:
            part = todo.popleft()
            if part == "..":
                self._leave()
            elif part not in ("", "."):
                target = self._link(part)
                if target is None:
                    self._parts.append(part)
                    continue
                links += 1
                if links > LINKS_MAX:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                if target.startswith("/"):
                    while self._parts:
                        self._leave()
                todo.extendleft(reversed(self._names(target)))

    def _names(self, path: str) -> list[str]:
        """The parts of a path; of an absolute one, those below the workspace. Raises ToolError."""
        names = path.split("/")
        if not path.startswith("/"):
            return names
        if path == self._cwd or path.startswith(f"{self._cwd.rstrip('/')}/"):
            return path[len(self._cwd) :].split("/")
        # It may lead here by links that lie outside. What is left after that is walked as any.
        workspace = os.fstat(self._folders[0])
        for end in range(len(names), 0, -1):
            try:
                found = Path("/".join(names[:end]) or "/").stat()
            except OSError:
                continue
            if os.path.samestat(found, workspace):
                return names[end:]
        raise self._outside()

    def _leave(self) -> None:
        """Go back to the folder before. Raises ToolError in the workspace itself."""
        if not self._parts:
            raise self._outside()
        self._parts.pop()
        while len(self._folders) > len(self._parts) + 1:
            os.close(self._folders.pop())

    def _link(self, part: str) -> str | None:
        """Where a link in the folder that was reached leads; None for all else."""
        try:
            return os.readlink(part, dir_fd=self._reach(len(self._parts)))
        except OSError:  # no link, nothing there, or out of reach: to open it will say so
            return None

    def _reach(self, depth: int) -> int:
        """Descriptor of the folder that so many parts lead to. Raises OSError."""
        while len(self._folders) <= depth:
            part = self._parts[len(self._folders) - 1]
            self._folders.append(os.open(part, FOLDER, dir_fd=self._folders[-1]))
        return self._folders[depth]

    def _outside(self) -> ToolError:
        return ToolError(
            f"{shown(self._asked)} is outside the workspace {shown(self._cwd)}: "
            "files must stay inside."
        )


@contextmanager
def place(
    context: ToolContext, path: str, guard: Guard, *, writes: bool = False
) -> Iterator[Place]:
    """Where a path of the model leads, inside the workspace. Raises ToolError for all else."""
    if "\0" in path:
        raise ToolError("A path cannot contain a NUL character.")
    with told(path):
        found = Place(context.cwd, path)
    try:
        _permit(found, guard, context.cwd, writes=writes)
        yield found
    finally:
        found.close()


def _permit(found: Place, guard: Guard, cwd: str, *, writes: bool) -> None:
    """Raise ToolError for what tools may not touch, by whatever name it is reached."""
    problem = guard.problem(found.real, cwd, writes=writes)
    if not problem:
        try:
            problem = guard.linked(found.stat(), found.real, cwd, writes=writes)
        except OSError:
            return  # there is nothing yet, or opening it will say what is wrong
    if problem:
        raise ToolError(f"{found.label} {problem}")
