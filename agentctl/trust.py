"""Which project files the user has said may do more than tighten limits.

Trust belongs to a folder *and* to the bytes of its settings file: a changed file must be trusted
again. The list is `trusted.json` in the state home, readable by its owner only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from agentctl import atomic
from agentctl.errors import StoreError, UsageError

PROJECT_FILE = ".agentctl.toml"
MAX_BYTES = 1_000_000
AGENT_FOLDERS = (".agents", ".claude/agents")
"""Where a project keeps definitions of agents: files *.md."""
AGENTS_MAX = 200
"""So many files of one folder are looked at."""
MARK = "project:"
"""Before the path of a further file that a project names: see `trusted_file`."""


class _Trusted(Struct):
    folders: dict[str, str] = {}
    """Folder to the SHA-256 of the settings file that was trusted."""
    schema: int = 1


def digest(data: bytes) -> str:
    """Return the SHA-256 of a settings file."""
    import hashlib  # here, because most runs have no project file

    return hashlib.sha256(data).hexdigest()


def trusted(home: Path, folder: Path, data: bytes | None = None) -> bool:
    """Return whether the folder's settings file, as it is now, is trusted.

    Pass the bytes that are in use, so that nobody can swap the file in between. Raises StoreError
    when the list cannot be read.
    """
    listed = _read(home).folders.get(str(folder.resolve()))
    if listed is None:
        return False
    if data is None:
        data = _project_bytes(folder)
    return listed == digest(data)


def trusted_file(home: Path, path: Path, data: bytes) -> bool:
    """Return whether these bytes of a project's settings, or of a file they name, are trusted.

    Raises StoreError when the list cannot be read.
    """
    if path.name == PROJECT_FILE:
        return trusted(home, path.parent, data)
    return _read(home).folders.get(str(path.resolve())) == digest(data)


def trust(home: Path, folder: Path) -> list[Path]:
    """Trust a folder's settings file as it is now. Durable when it returns.

    The files of tools and MCP servers that it names, and the folder's definitions of agents, are
    trusted as they are now, too. Returns all that is trusted, the settings file first.
    """
    folder = folder.resolve()
    agents = agent_files(folder)
    settings = folder / PROJECT_FILE
    named: list[Path] = []
    found: dict[str, str] = {}
    if settings.is_file() or not agents:
        data = _project_bytes(folder)
        found[str(folder)] = digest(data)
        named = [settings, *_named(folder, data)]
    for path in (*named[1:], *agents):
        found[str(path.resolve())] = digest(path.read_bytes())

    def change(folders: dict[str, str]) -> None:
        folders.update(found)

    _change(home, change)
    return [*named, *agents]


def untrust(home: Path, folder: Path) -> bool:
    """Take the trust back; return whether there was any."""
    place = folder.resolve()
    agents = {str(path.resolve()) for path in agent_files(place)}
    was = bool({str(place), *agents} & _read(home).folders.keys())

    def change(folders: dict[str, str]) -> None:
        folders.pop(str(place), None)
        for path in [Path(each) for each in folders]:
            if path.is_relative_to(place) and path.is_file():
                folders.pop(str(path))

    if was:
        _change(home, change)
    return was


def place_of(path: Path) -> str:
    """The nearest folder above a file that has a project's settings, quoted for a shell."""
    import shlex  # here, because there is rarely something to quote

    places = (place for place in path.parents if (place / PROJECT_FILE).exists())
    return shlex.quote(str(next(places, path.parent)))


def agent_files(folder: Path) -> list[Path]:
    """The files in a folder that may define agents. None that a link leads to elsewhere."""
    found: list[Path] = []
    root = folder.resolve()
    for name in AGENT_FOLDERS:
        try:
            paths = sorted((folder / name).glob("*.md"))[:AGENTS_MAX]
            found += [p for p in paths if p.is_file() and p.resolve().is_relative_to(root)]
        except OSError:
            continue  # we may not look there
    return [path for path in found if path.stat().st_size <= MAX_BYTES]


def _named(folder: Path, data: bytes) -> list[Path]:
    """The files of tools and MCP servers that a settings file names, as far as they are there."""
    import tomllib  # here, because only `trust` needs it

    try:
        settings = tomllib.loads(data.decode())
        tables = [settings.get(name, {}) for name in ("mcp", "tools")]
        names = [each for table in tables for each in dict(table).get("files", [])]
        found = [folder / Path(each).expanduser() for each in names]
        return [path for path in found if path.is_file() and path.stat().st_size <= MAX_BYTES]
    except (ValueError, TypeError, RecursionError):
        return []  # what is wrong with it is told where it is read as settings


def _project_bytes(folder: Path) -> bytes:
    path = folder / PROJECT_FILE
    if not path.is_file():
        raise UsageError(
            f"There is no {PROJECT_FILE} in {folder}, so there is nothing to trust.",
            next_step="Create it first; docs/configuration.md lists what it may contain.",
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror}.") from error


def _read(home: Path) -> _Trusted:
    path = home / "trusted.json"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return _Trusted()
    except OSError as error:
        raise StoreError(f"Cannot read {path}: {error.strerror}.") from error
    try:
        return msgspec.json.decode(data, type=_Trusted)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{path} is damaged: {error}.",
            kept="No folder is trusted until it is repaired.",
            next_step=f"Remove it and trust your folders again: rm {path}",
        ) from error


def _change(home: Path, change: Callable[[dict[str, str]], None]) -> None:
    import filelock  # here, because only `trust` and `untrust` need it

    path = home / "trusted.json"
    try:
        atomic.make_private(home)
        # Without the lock two commands at once could bring back a trust just taken away.
        with filelock.FileLock(str(home / "trusted.lock"), timeout=10, mode=0o600):
            current = _read(home)
            change(current.folders)
            atomic.replace(path, msgspec.json.format(msgspec.json.encode(current), indent=2))
    except (OSError, filelock.Timeout) as error:
        raise StoreError(
            f"Cannot write {path}: {error}.", kept="The list of trusted folders is unchanged."
        ) from error
