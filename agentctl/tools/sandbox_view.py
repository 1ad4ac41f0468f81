"""Which parts of the file system a confined command sees, and which it may change.

Private folders of ours take the place of /tmp and HOME; what programs on PATH need is put back,
read-only; the workspace lies on top, with what must not be changed in it read-only once more.
"""
# ruff: noqa: PTH100, PTH103, PTH110, PTH111, PTH112, PTH113, PTH114, PTH117, PTH118, PTH119, PTH120, PTH208 - plain strings become arguments of other programs

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Literal

from msgspec import Struct

from agentctl.tools.protected import PROJECT_FILE

PROGRAM_FOLDERS = ("bin", "lib", "lib64", "libexec", "include", "versions", "pyvenv.cfg")
"""What belongs to the programs in a `bin` folder: its neighbours by these names."""
MAX_LINKS = 2_000
SAFE_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "shm", "pts", "fd")
_ORDER = {"private": 0, "empty": 1, "read": 2, "write": 3}


class Mount(Struct, frozen=True):
    """One place: a private folder or the workspace ("private", "write"), "read", or "empty"."""

    kind: Literal["private", "write", "read", "empty"]
    path: str
    source: str = ""


class View(Struct, frozen=True):
    """Everything else is seen and cannot be changed."""

    mounts: tuple[Mount, ...]
    """In the order in which they must be made."""
    writable: tuple[str, ...]
    hidden: tuple[str, ...]
    readable: tuple[str, ...]
    made: tuple[str, ...]
    """Empty folders that were made so that they can be protected."""


class Wanted(Struct, frozen=True):
    """What a view is made from. Paths are absolute; `hidden` ones need not exist."""

    cwd: str
    private: str
    """Holds `tmp` and `home`, which stand for /tmp and HOME."""
    writable: tuple[str, ...] = ()
    """Further than the workspace; also lifts the protection of what is named here."""
    readable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    workspace_writable: bool = True
    network: bool = False


def view_of(wanted: Wanted, env: Mapping[str, str]) -> View:
    """Work out the view for a command in `wanted.cwd`. Makes what cannot be protected else."""
    cwd = os.path.realpath(wanted.cwd)
    further = tuple(os.path.realpath(path) for path in wanted.writable)
    roots = (cwd, *further) if wanted.workspace_writable else further
    roots = tuple(dict.fromkeys(root for root in roots if os.path.exists(root)))
    covered = _covered(wanted, env, roots)
    gone = tuple(mount.path for mount in covered)
    secret = tuple(os.path.realpath(path) for path in wanted.hidden)
    hidden = (*(mount.path for mount in covered), *secret)
    readable = tuple(
        path
        for path in (
            *_programs(*map(env.get, ("PATH", "VIRTUAL_ENV", "HOME"))),
            *_asked(wanted),
            *_repository(cwd, gone),
        )
        if _within(path, hidden) and not _within(path, secret)
    )
    mounts = [*covered, *(Mount("read", path, path) for path in (*readable, cwd))]
    mounts += [Mount("write", root, root) for root in roots]
    made: list[str] = []
    for root in roots:
        mounts += _git(root, frozenset(further), made, is_workspace=root == cwd)
        project = os.path.join(root, PROJECT_FILE)  # its rules hold for the next run as well
        if os.path.isfile(project) and not os.path.islink(project) and project not in further:
            mounts.append(Mount("read", project, project))
    shown = (*roots, *readable)
    # What lies in a covered folder is not there at all, unless something around it is put back.
    told = _secrets(secret, roots, made)
    mounts += [each for each in told if _within(each.path, shown) or not _within(each.path, gone)]
    return View(_sorted(mounts), roots, hidden, readable, tuple(made))


def _covered(wanted: Wanted, env: Mapping[str, str], roots: tuple[str, ...]) -> list[Mount]:
    """The folders that private or empty ones stand for, unless one is itself to be written to."""
    places = [("private", "/tmp", "tmp"), ("private", "/var/tmp", "tmp"), ("empty", "/run", "")]  # noqa: S108 - the places that are covered
    places.append(("private", env.get("TMPDIR") or "/tmp", "tmp"))  # noqa: S108 - as above
    places.append(("private", env.get("HOME") or os.path.expanduser("~"), "home"))
    found = []
    for kind, path, source in places:
        real = os.path.realpath(path)
        if real != "/" and os.path.isdir(real) and real not in roots:
            inside = os.path.join(wanted.private, source) if source else ""
            found.append(Mount("private" if kind == "private" else "empty", real, inside))
    return found


def _repository(cwd: str, covered: Sequence[str]) -> Iterable[str]:
    """The folder of the repository around the workspace: without it git finds none."""
    folder = os.path.dirname(cwd)
    while folder != "/" and folder not in covered:
        if os.path.exists(os.path.join(folder, ".git", "HEAD")):
            yield folder
            return
        folder = os.path.dirname(folder)


def _asked(wanted: Wanted) -> Iterable[str]:
    """What is readable because it was asked for, names of hosts included."""
    yield from (path for path in wanted.readable if os.path.exists(path))
    resolver = os.path.dirname(os.path.realpath("/etc/resolv.conf"))
    if wanted.network and resolver != "/run" and os.path.isdir(resolver):
        yield resolver


@cache
def _programs(path: str | None, virtual: str | None, home: str | None) -> tuple[str, ...]:
    """What the programs on PATH consist of, agentctl's own Python and starter included.

    Looked up once: what is installed into the same folders later is seen as well.
    """
    folders = [folder for folder in (path or "").split(os.pathsep) if os.path.isabs(folder)]
    folders += [os.path.join(virtual, "bin")] if virtual else []
    folders += [os.path.join(prefix, "bin") for prefix in (sys.prefix, sys.base_prefix)]
    home = home or "/"
    outer = {"/", "/tmp", "/var/tmp", "/run", home, os.path.realpath(home)}  # noqa: S108 - never given whole
    found = dict.fromkeys(p for folder in folders for p in _program(folder) if p not in outer)
    return (*found, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _program(folder: str) -> Iterable[str]:
    """A folder of programs, its neighbours, and those that its links lead to."""
    bins = {folder, os.path.realpath(folder)}
    try:
        with os.scandir(folder) as entries:
            links = [each.path for each in islice(entries, MAX_LINKS) if each.is_symlink()]
    except OSError:
        return
    bins |= {os.path.dirname(os.path.realpath(link)) for link in links}
    for each in bins:
        yield each
        if os.path.basename(each) in ("bin", "sbin", "shims"):
            beside = (os.path.join(os.path.dirname(each), name) for name in PROGRAM_FOLDERS)
            yield from (path for path in beside if os.path.exists(path))


def _git(root: str, named: frozenset[str], made: list[str], *, is_workspace: bool) -> list[Mount]:
    """Keep git's hooks and configuration from being changed: git runs what they say.

    They are made when they do not exist yet, else a command could make them. `.git` becomes a mount
    of its own because that cannot be renamed.
    """
    git = os.path.join(root, ".git")
    if git in named:
        return []
    try:
        mode = os.lstat(git).st_mode
    except OSError:
        return [Mount("read", git, git)] if is_workspace and _make(git, made) else []
    if not stat.S_ISDIR(mode):
        return [Mount("read", git, git)]
    hooks, config = os.path.join(git, "hooks"), os.path.join(git, "config")
    if not os.path.lexists(config):  # nothing that git would use, perhaps left by one of ours
        made.append(git)
        return [Mount("read", git, git)]
    if not os.path.lexists(hooks):
        _make(hooks, [])
    parts = [path for path in (hooks, config, os.path.join(git, "modules")) if path not in named]
    whole = [path for path in parts[:2] if os.path.islink(path) or not os.path.exists(path)]
    if whole:
        return [Mount("read", git, git)]
    guarded = [Mount("read", path, path) for path in parts if os.path.exists(path)]
    return [Mount("write", git, git), *guarded]


def _secrets(secret: tuple[str, ...], roots: tuple[str, ...], made: list[str]) -> list[Mount]:
    """Hide folders; in those that can be written to, make them first and fix what lies above."""
    mounts = []
    for path in secret:
        above = [root for root in roots if _within(path, (root,)) and path != root]
        if above and not os.path.exists(path):
            _make(path, made)
        if os.path.isfile(path):
            mounts.append(Mount("read", path, os.devnull))
        elif os.path.isdir(path):
            mounts.append(Mount("empty", path))
        for root in above:
            folder = os.path.dirname(path)
            while folder != root and _within(folder, (root,)):
                mounts.append(Mount("write", folder, folder))
                folder = os.path.dirname(folder)
    return mounts


def _make(path: str, made: list[str]) -> bool:
    """Make a folder; False where we could not, and then a command cannot either."""
    try:
        os.makedirs(path, mode=0o700)
    except OSError:
        return os.path.isdir(path)
    made.append(path)
    return True


def _sorted(mounts: list[Mount]) -> tuple[Mount, ...]:
    """Outer folders first; of two for the same path the stricter one that was said last."""
    chosen: dict[str, Mount] = {}
    for mount in sorted(mounts, key=lambda mount: _ORDER[mount.kind]):
        chosen[mount.path] = mount
    for mount in mounts:  # what must be hidden or kept from changes wins over a folder as a whole
        if mount.kind == "empty" or (mount.kind == "read" and mount.source == os.devnull):
            chosen[mount.path] = mount
    return tuple(
        sorted(chosen.values(), key=lambda mount: mount.path.count("/") if mount.path != "/" else 0)
    )


def _within(path: str, folders: Iterable[str]) -> bool:
    """Whether a path is, or lies below, one of these."""
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def seen(hidden: tuple[str, ...]) -> list[str]:
    """Everything but the hidden folders, for rules that can only allow: the largest parts.

    Of /dev only what leads nowhere.
    """
    found: list[str] = [f"/dev/{name}" for name in SAFE_DEVICES]
    waiting = ["/"]
    while waiting:
        folder = waiting.pop()
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            path = os.path.join(folder, name)
            if path == "/dev" or _within(path, hidden):
                continue
            if any(_within(each, (path,)) for each in hidden):
                waiting.append(path)
            elif not os.path.islink(path):
                found.append(path)
    return found
