"""Find and read settings files. Every complaint names the file and, where it can, the line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import Struct

from agentctl import quantities
from agentctl.errors import ConfigError
from agentctl.settings_keys import KEYS, TABLES
from agentctl.trust import MAX_BYTES, PROJECT_FILE

_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*'""")
_KEY = re.compile(rf"\s*(\[\[?)?\s*((?:{_PART.pattern})(?:\s*\.\s*(?:{_PART.pattern}))*)\s*[\]=]")
_SEE = "docs/configuration.md lists every setting."


class SettingsFile(Struct, frozen=True):
    """One settings file: known names only, values as TOML gave them."""

    path: Path
    data: bytes
    """The bytes that the values were read from: what trust is checked against."""
    values: dict[str, object]
    tables: dict[str, dict[str, object]]
    """By the names of TABLES."""

    def where(self, *path: str) -> str:
        """Return "file:line: name" for a message; names inside tables are dotted."""
        line = _line(self.data, path)
        place = f"{self.path}:{line}" if line else str(self.path)
        return f"{place}: {'.'.join(_dotted(part) for part in path)}"

    def value(self, path: Sequence[str], raw: object, read: quantities.Reader, hint: str) -> Any:
        """Read the value at this path. Raises ConfigError with `hint` as what to write instead."""
        try:
            return read(raw)
        except ValueError as error:
            raise ConfigError(f"{self.where(*path)}: {error}.", next_step=hint) from None


def find_project(cwd: Path, home: Path) -> Path | None:
    """Return the nearest project file: in the working folder, then above it.

    The search stops below the home folder and the root of the file system; a file in these counts
    only when one works in just that folder.
    """
    folder = cwd.resolve()
    home = home.resolve()
    for place in (folder, *folder.parents):
        if place != folder and (place == home or place == place.parent):
            return None
        candidate = place / PROJECT_FILE
        try:
            if candidate.exists():
                return candidate
        except OSError:
            return None  # we may not look there, so nothing above counts for us either
    return None


def same(one: Path, other: Path) -> bool:
    """Return whether two paths are one existing file."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def read(path: Path, *, must_exist: bool) -> SettingsFile | None:
    """Read a file; None when it need not exist and does not. Raises ConfigError."""
    data = _bytes(path, must_exist=must_exist)
    if data is None:
        return None
    import tomllib  # here, because most runs have no settings file

    try:
        table = tomllib.loads(data.decode(), parse_float=Decimal)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text.", next_step=_SEE) from None
    except (ValueError, RecursionError) as error:
        found = re.search(r"line (\d+)", str(error))
        place = f"{path}:{found[1]}" if found else str(path)
        raise ConfigError(f"{place}: not valid TOML: {error}.", next_step=_SEE) from None
    file = SettingsFile(path, data, table, {n: table.pop(n) for n in TABLES if n in table})
    for name, value in file.tables.items():
        if not isinstance(value, dict):
            raise ConfigError(f"{file.where(name)}: not a table.", next_step=TABLES[name])
    for name in table:
        if name not in KEYS:
            raise ConfigError(
                f"{file.where(name)}: there is no such setting.",
                next_step=closest(name, [*KEYS, *TABLES]),
            )
    return file


def _bytes(path: Path, *, must_exist: bool) -> bytes | None:
    try:
        # A pipe or device by this name would be read for ever.
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path} is not a file.", next_step="Move it away.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if must_exist:
            raise ConfigError(
                f"There is no settings file {path}.",
                next_step="Create it or unset AGENTCTL_CONFIG.",
            ) from None
        return None
    except OSError as error:
        raise ConfigError(
            f"Cannot read {path}: {error.strerror}.", next_step=f"Try: ls -l {path}"
        ) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path} has more than {MAX_BYTES} bytes: not a settings file.")
    return data


def _line(data: bytes, path: Sequence[str]) -> int:
    """The line where this key, or else the nearest table around it, is written; 0: not found.

    TOML values carry no position, so look for what looks like a key or the head of a table.
    """
    table: list[str] = []
    best, line = 0, 0
    for number, text in enumerate(data.decode(errors="replace").split("\n"), 1):
        found = _KEY.match(text)
        if found is None:
            continue
        parts = [part.strip("\"'") for part in _PART.findall(found[2])]
        if found[1]:
            table = parts
        whole = parts if found[1] else [*table, *parts]
        same = 0
        while same < min(len(whole), len(path)) and whole[same] == path[same]:
            same += 1
        if same > best:
            best, line = same, number
    return line


def _dotted(part: str) -> str:
    text = part if part.isprintable() else repr(part)
    return text if len(text) <= 100 else text[:99] + "…"


def closest(name: str, known: Iterable[str]) -> str:
    """Return what may have been meant, for the end of a message."""
    import difflib  # here, because it is only needed after a mistake

    near = difflib.get_close_matches(name, list(known), 1)
    return f"Did you mean {near[0]}? {_SEE}" if near else _SEE
