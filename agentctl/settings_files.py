"""Find and read settings files. Every complaint names the file and, where it can, the line."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from msgspec import Struct

from agentctl import quantities
from agentctl.core.values import Micros, Rates
from agentctl.errors import ConfigError
from agentctl.settings_keys import KEYS
from agentctl.trust import MAX_BYTES, PROJECT_FILE

_RATES = ("input", "output", "cache_read", "cache_write")
_SEE = "docs/configuration.md lists every setting."


class SettingsFile(Struct, frozen=True):
    """One settings file: known names only, values as TOML gave them."""

    path: Path
    data: bytes
    """The bytes that the values were read from: what trust is checked against."""
    values: dict[str, object]
    prices: dict[str, object]

    def where(self, name: str) -> str:
        """Return "file:line: name" for a message."""
        return _where(self.path, self.data, name)


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
    prices = table.pop("prices", {})
    if not isinstance(prices, dict):
        raise ConfigError(f"{_where(path, data, 'prices')}: not a table.", next_step=_PRICES)
    for name in table:
        if name not in KEYS:
            raise ConfigError(
                f"{_where(path, data, name)}: there is no such setting.", next_step=_closest(name)
            )
    return SettingsFile(path=path, data=data, values=table, prices=prices)


_PRICES = (
    'Write [prices."provider/model"] and below it input = 1.25, output = 10 (dollars per million '
    "tokens); cache_read and cache_write may follow."
)


def prices(file: SettingsFile) -> dict[str, Rates]:
    """Return the user's own prices by "provider/model". Raises ConfigError.

    Without a price of its own, cached input costs what other input costs: never nothing.
    """
    found: dict[str, Rates] = {}
    for model, table in file.prices.items():
        where = f"{file.where(model)} in prices"
        if "/" not in model or not isinstance(table, dict):
            raise ConfigError(f"{where}: not a table named provider/model.", next_step=_PRICES)
        amounts = {name: _amount(where, name, value) for name, value in table.items()}
        for name in ("input", "output"):
            if name not in amounts:
                raise ConfigError(f"{where}: {name} is missing.", next_step=_PRICES)
        found[model] = Rates(
            input=amounts["input"],
            cache_read=amounts.get("cache_read", amounts["input"]),
            cache_write=amounts.get("cache_write", amounts["input"]),
            output=amounts["output"],
            source="configuration",
        )
    return found


def _amount(where: str, name: str, value: object) -> Micros:
    if name not in _RATES:
        raise ConfigError(f"{where}: {quantities.shown(name)} is not a price.", next_step=_PRICES)
    try:
        return quantities.micros(value)
    except ValueError as error:
        raise ConfigError(f"{where}: {name}: {error}.", next_step=_PRICES) from None


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


def _where(path: Path, data: bytes, name: str) -> str:
    # TOML values carry no position, so look for the name where a key or a table would begin.
    quoted = re.escape(name.encode(errors="replace"))
    pattern = rb"""^[ \t]*(?:\[[^\]\n]*)?["']?""" + quoted + rb"""["']?[ \t]*[=\].]"""
    found = re.search(pattern, data, re.MULTILINE)
    newlines = data.count(b"\n", 0, found.start()) if found else 0
    line = f":{newlines + 1}" if found else ""
    return f"{path}{line}: {name if name.isprintable() else repr(name)}"


def _closest(name: str) -> str:
    import difflib  # here, because it is only needed after a mistake

    near = difflib.get_close_matches(name, [*KEYS, "prices"], 1)
    return f"Did you mean {near[0]}? {_SEE}" if near else _SEE
