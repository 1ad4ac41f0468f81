"""What tools may not touch although it lies in the workspace: what others run or obey.

Everything is compared by name, so that it is protected before it exists; upper and lower case count
as the same, as they are on some file systems.
"""
# ruff: noqa: PTH111, PTH112, PTH116, PTH118, PTH120 - paths are compared as text, as in sandbox_view

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

from agentctl.core.values import Sandbox
from agentctl.tools.treeworker import folded

GIT = frozenset(
    {"hooks", "config", "config.worktree", "modules", "worktrees", "commondir", "gitdir"}
)
"""Below any `.git`: programs that git runs, and where else it looks for them."""
PROJECT_FILE = ".agentctl.toml"
HOME = (
    ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".profile",
    ".zshrc", ".zshenv", ".zprofile", ".zlogin", ".zlogout", ".kshrc", ".cshrc", ".tcshrc",
    ".login", ".inputrc", ".xprofile", ".xsession", ".xsessionrc", ".xinitrc", ".pam_environment",
    ".gitconfig", ".ssh", ".config/fish", ".config/git", ".config/autostart",
    ".config/systemd", ".config/environment.d", "Library/LaunchAgents",
)  # fmt: skip
"""Below the user's home: what runs when a shell, a session or git starts, and who may log in."""
_LINKS_LOOKED_AT = 1_000

_OWN = "belongs to agentctl itself: tools may not read or change it."
_LIFT = "If the user wants it changed, its path must be named in the setting sandbox_writable."
_BY_GIT = f"is protected, because git runs what it says. {_LIFT}"
_BY_US = f"is protected, because it says what agentctl may do. {_LIFT}"
_AT_START = f"is protected, because it acts when a shell or session starts. {_LIFT}"


class Guard:
    """Says what may not be read or written. Paths are absolute and without links."""

    def __init__(self, policy: Sandbox | None = None) -> None:
        """`hidden` of the policy is not to be touched, `writable` lifts what it names."""
        policy = policy or Sandbox()
        self._hidden = tuple(os.path.realpath(path) for path in policy.hidden)
        self._named = tuple(os.path.realpath(path) for path in policy.writable)

    def problem(self, path: str, cwd: str, *, writes: bool) -> str:
        """Return why not, or an empty string. A workspace in a hidden folder is not hidden."""
        for hidden in self._hidden:
            is_hidden = _within(path, hidden) and not _within(cwd, hidden)
            if is_hidden and not self._lifted(path, hidden):
                return _OWN
        if writes and (found := _protected(path)) and not self._lifted(path, found[0]):
            return found[1]
        return ""

    def linked(self, found: os.stat_result, path: str, cwd: str, *, writes: bool) -> str:
        """Return why not for a file that has further names, one of which may be protected."""
        if found.st_nlink < 2 or os.path.isdir(path):
            return ""
        for other in islice(self._files(path, writes=writes), _LINKS_LOOKED_AT):
            try:
                same = os.path.samestat(os.stat(other, follow_symlinks=False), found)
            except OSError:
                continue
            if same and (problem := self.problem(other, cwd, writes=writes)):
                return problem
        return ""

    def hidden_below(self, top: str) -> tuple[str, ...]:
        """Paths below `top`, relative to it, that a search passes over."""
        return tuple(
            os.path.relpath(hidden, top)
            for hidden in self._hidden
            if _within(hidden, top) and not self._lifted(hidden, hidden)
        )

    def _lifted(self, path: str, protected: str) -> bool:
        """Whether the user has named what is protected here, or something within it."""
        return any(_within(path, named) and _within(named, protected) for named in self._named)

    def _files(self, path: str, *, writes: bool) -> Iterator[str]:
        """Existing files that are protected and may have `path` as a further name."""
        for hidden in self._hidden:
            yield from _listed(hidden)
        if not writes:
            return
        home = _home()
        for name in HOME:
            yield from _listed(os.path.join(home, name))
        for folder in _above(path):
            yield os.path.join(folder, PROJECT_FILE)
            yield os.path.join(folder, ".git", "config")
            yield from _listed(os.path.join(folder, ".git", "hooks"))


def _protected(path: str) -> tuple[str, str] | None:
    """What protects a path from being written, and why; None for nothing."""
    parts, low = path.split("/"), folded(path).split("/")
    for at, part in enumerate(low):
        if part == ".git" and (len(low) == at + 1 or low[at + 1] in GIT):
            return "/".join(parts[: at + 1]), _BY_GIT
    if low[-1] == PROJECT_FILE:
        return path, _BY_US
    home = _home()
    for name in HOME if _within(path, home) else ():
        place = os.path.join(home, name)
        if _within(path, place):
            return place, _AT_START
    return None


def _home() -> str:
    return os.path.realpath(os.path.expanduser("~"))


def _within(path: str, folder: str) -> bool:
    path, folder = folded(path), folded(folder).rstrip("/")
    return path == folder or path.startswith(f"{folder}/")


def _above(path: str) -> Iterator[str]:
    """The folders that a path lies in, the nearest first."""
    folder = os.path.dirname(path)
    while True:
        yield folder
        if folder == os.path.dirname(folder):
            return
        folder = os.path.dirname(folder)


def _listed(path: str) -> Iterator[str]:
    """The files of a folder, or the file itself."""
    try:
        with os.scandir(path) as entries:
            yield from (entry.path for entry in entries)
    except NotADirectoryError:
        yield path
    except OSError:
        return  # there is none
