"""The tables of a settings file: prices, limits by category, accounts, tiers and profiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from agentctl import quantities
from agentctl.core.values import CALLS_PER_MINUTE, Effect, Rates, Rule
from agentctl.errors import ConfigError
from agentctl.settings_files import SettingsFile, closest
from agentctl.settings_keys import KEYS, LIMIT_TABLES, TABLES, TIER_KEYS

Tables = dict[str, dict[str, Any]]
"""Entries that were read, by name of the table."""

_PRICES = ("input", "output", "cache_read", "cache_write")
_RATE = quantities.or_none(quantities.count(0))
_TIME = quantities.at_least(1, quantities.duration_ms)
_BY_CATEGORY = {
    "rates": _RATE,
    "timeouts": _TIME,
    "concurrency": quantities.or_none(quantities.count(1)),
}
"""How the entries of tables by category are read."""
_CIRCUIT: dict[str, tuple[str, quantities.Reader]] = {
    "failures": ("failures", quantities.count(1)),
    "window": ("window_ms", _TIME),
    "reset": ("reset_ms", _TIME),
}
"""Name in a file to field of values.Breaker."""
RULE_HINT = 'Write e.g. "run_shell: git status *" or "write_file: src/**".'
EFFECTS: tuple[Effect, ...] = ("allow", "ask", "deny")
_TYPO = 0.75
"""A category as like a known one as this is taken for a typing mistake of it."""


class Tier(Struct, frozen=True):
    """A named set of limits."""

    values: dict[str, object]
    """By name of the setting."""
    tables: Tables
    origin: str


class Profile(Struct, frozen=True):
    """A named set of settings, or those of an agent."""

    values: Mapping[str, object]
    """By name of the setting; what is relative belongs to `folder`."""
    folder: Path
    origin: str
    trusted: bool = True


class Account(Struct, frozen=True):
    """What a file says of an account."""

    tier: str
    """Empty: it has none of its own."""
    where: str
    """"file:line: name" for a message."""
    origin: str


def tables(file: SettingsFile) -> Tables:
    """Return prices, and limits by category or name, of a file. Raises ConfigError."""
    found = _limits(file, (), file.tables)
    if "prices" in file.tables:
        found["prices"] = _prices(file)
    return found


def permissions(file: SettingsFile, source: str) -> tuple[Rule, ...]:
    """Return the rules of a file. Raises ConfigError."""
    table = file.tables.get("permissions", {})
    if not table:
        return ()
    from agentctl.core.permissions import parse_rule  # here, because most files have no rules

    found: list[Rule] = []
    for name, raw in table.items():
        place = ("permissions", name)
        effect = next((each for each in EFFECTS if each == name), None)
        if effect is None:
            raise ConfigError(
                f"{file.where(*place)}: there is no such list.", next_step=TABLES["permissions"]
            )
        read = partial(parse_rule, effect=effect, source=source)
        texts = file.value(place, raw, quantities.texts, TABLES["permissions"])
        found += [file.value(place, text, read, RULE_HINT) for text in texts]
    return tuple(found)


def own_tools(file: SettingsFile) -> tuple[str, ...]:
    """Return paths of files with tools, and names of what is installed. Raises ConfigError."""
    found: list[str] = []
    for name, raw in file.tables.get("tools", {}).items():
        place = ("tools", name)
        if name not in ("files", "installed"):
            raise ConfigError(
                f"{file.where(*place)}: there is no such list.", next_step=TABLES["tools"]
            )
        read = _tool_file if name == "files" else quantities.name
        for text in file.value(place, raw, quantities.texts, TABLES["tools"]):
            value = str(file.value(place, text, read, TABLES["tools"]))
            folder = file.path.parent.resolve()
            found.append(str(folder / Path(value).expanduser()) if name == "files" else value)
    return tuple(found)


def mcp_files(file: SettingsFile) -> tuple[str, ...]:
    """Return paths of files that name MCP servers: this one too, if it does. Raises ConfigError."""
    found: list[str] = []
    folder = file.path.parent.resolve()
    for name, raw in file.tables.get("mcp", {}).items():
        place = ("mcp", name)
        if name == "files":
            texts = file.value(place, raw, quantities.texts, TABLES["mcp"])
            found += [str(folder / Path(text).expanduser()) for text in texts]
        elif name == "servers" and isinstance(raw, dict):
            found.append(str(folder / file.path.name))
        else:
            raise ConfigError(f"{file.where(*place)}: not known here.", next_step=TABLES["mcp"])
    return tuple(found)


def _tool_file(value: object) -> object:
    if not str(value).endswith((".py", ".toml", ".yaml", ".yml")):
        raise ValueError(f"{quantities.shown(value)} does not end in .py, .toml, .yaml or .yml")
    return value


def tiers(file: SettingsFile) -> dict[str, Tier]:
    """Return the tiers of a file by name. Raises ConfigError."""
    found = {}
    for name, raw in _named(file, "tiers"):
        path = ("tiers", name)
        for key in raw:
            if key not in TIER_KEYS and key not in LIMIT_TABLES:
                raise ConfigError(
                    f"{file.where(*path, key)}: a tier has no such limit.",
                    next_step=closest(key, [*TIER_KEYS, *LIMIT_TABLES]),
                )
        values = {
            key: file.value((*path, key), raw[key], KEYS[key].read, KEYS[key].instead)
            for key in TIER_KEYS
            if key in raw
        }
        found[name] = Tier(values, _limits(file, path, raw), f"{file.path} [tiers.{name}]")
    return found


def profiles(file: SettingsFile) -> dict[str, Profile]:
    """Return the profiles of a file by name. Raises ConfigError."""
    found = {}
    for name, raw in _named(file, "profiles"):
        path = ("profiles", name)
        values = {}
        for key, value in raw.items():
            if key not in KEYS or key == "profile":
                raise ConfigError(
                    f"{file.where(*path, key)}: a profile has no such setting.",
                    next_step=closest(key, [each for each in KEYS if each != "profile"]),
                )
            values[key] = file.value((*path, key), value, KEYS[key].read, KEYS[key].instead)
        origin = f"{file.path} [profiles.{name}]"
        found[name] = Profile(values, file.path.parent, origin)
    return found


def accounts(file: SettingsFile) -> dict[str, Account]:
    """Return the accounts of a file by name. Raises ConfigError."""
    found = {}
    for name, raw in _named(file, "accounts"):
        path = ("accounts", name)
        for key in raw:
            if key != "tier":
                raise ConfigError(
                    f"{file.where(*path, key)}: an account has no such setting.",
                    next_step=TABLES["accounts"],
                )
        tier = ""
        if "tier" in raw:
            tier = file.value((*path, "tier"), raw["tier"], quantities.name, KEYS["tier"].instead)
        found[name] = Account(tier, file.where(*path, "tier"), f"{file.path} [accounts.{name}]")
    return found


def _named(file: SettingsFile, table: str) -> Iterator[tuple[str, dict[str, object]]]:
    for name, raw in file.tables.get(table, {}).items():
        file.value((table, name), name, quantities.name, TABLES[table])
        if not isinstance(raw, dict):
            raise ConfigError(f"{file.where(table, name)}: not a table.", next_step=TABLES[table])
        yield name, raw


def _limits(file: SettingsFile, path: tuple[str, ...], raw: Mapping[str, Any]) -> Tables:
    """Read the tables of limits that stand below this path."""
    found: Tables = {}
    for table, hint in LIMIT_TABLES.items():
        if table not in raw:
            continue
        if not isinstance(raw[table], dict):
            raise ConfigError(f"{file.where(*path, table)}: not a table.", next_step=hint)
        found[table] = {}
        for name, value in raw[table].items():
            place = (*path, table, name)
            key, read = _entry(file, place)
            found[table][key] = file.value(place, value, read, hint)
    return found


def _entry(file: SettingsFile, place: tuple[str, ...]) -> tuple[str, quantities.Reader]:
    """Return under which name this entry is kept and how it is read. Raises ConfigError."""
    *_, table, name = place
    if table == "circuit":
        if name not in _CIRCUIT:
            raise ConfigError(
                f"{file.where(*place)}: a circuit has no such setting.",
                next_step=LIMIT_TABLES[table],
            )
        return _CIRCUIT[name]
    if table == "credits":
        file.value(place, name, _priced, LIMIT_TABLES[table])
        return name, quantities.count(0)
    file.value(place, name, quantities.name, LIMIT_TABLES[table])
    if name not in CALLS_PER_MINUTE:
        import difflib  # here, because most files name only known categories

        near = difflib.get_close_matches(name, CALLS_PER_MINUTE, 1, _TYPO)
        if near:
            raise ConfigError(
                f"{file.where(*place)}: there is no such category.",
                next_step=f"Did you mean {near[0]}? The known ones: {', '.join(CALLS_PER_MINUTE)}. "
                "A tool may bring its own, by a name that is less like one of these.",
            )
    return name, _BY_CATEGORY[table]


def _priced(name: object) -> str:
    """Read the name of a tool, or provider/model."""
    return quantities.model(name) if "/" in str(name) else quantities.name(name)


def _prices(file: SettingsFile) -> dict[str, Rates]:
    """Return the user's own prices by "provider/model".

    Without a price of its own, cached input costs what other input costs: never nothing.
    """
    hint = TABLES["prices"]
    found: dict[str, Rates] = {}
    for model, table in file.tables["prices"].items():
        path = ("prices", model)
        if "/" not in model or not isinstance(table, dict):
            raise ConfigError(
                f"{file.where(*path)}: not a table named provider/model.", next_step=hint
            )
        amounts = {}
        for name, value in table.items():
            if name not in _PRICES:
                raise ConfigError(
                    f"{file.where(*path)}: {quantities.shown(name)} is not a price.",
                    next_step=hint,
                )
            amounts[name] = file.value((*path, name), value, quantities.micros, hint)
        for name in ("input", "output"):
            if name not in amounts:
                raise ConfigError(f"{file.where(*path)}: {name} is missing.", next_step=hint)
        found[model] = Rates(
            input=amounts["input"],
            cache_read=amounts.get("cache_read", amounts["input"]),
            cache_write=amounts.get("cache_write", amounts["input"]),
            output=amounts["output"],
            source="configuration",
        )
    return found
