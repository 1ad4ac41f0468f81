"""Every setting, resolved: flag, environment, agent, profile, tier, project and user file, default.

`docs/configuration.md` describes them for users; `settings_keys.KEYS` is the list. A project's
file comes from whoever wrote the project, so before `agentctl trust` it can only make limits
tighter and shorten requests; it can never choose where data is sent or what may run unasked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from agentctl import settings_files, settings_tables, trust
from agentctl.core.values import Breaker, Rule
from agentctl.errors import AgentctlError, ConfigError, StoreError, UsageError
from agentctl.paths import config_file, state_home, user_home
from agentctl.settings_keys import KEYS, LIMIT_TABLES, TABLES, Key
from agentctl.settings_values import Settings

__all__ = ["Settings", "here", "load", "read_flag"]


def load(
    flags: Mapping[str, object],
    *,
    env: Mapping[str, str],
    cwd: Path,
    task: Mapping[str, str] | None = None,
    agent: settings_tables.Profile | None = None,
) -> Settings:
    """Resolve every setting. A flag that is None was not given. `agent` has those of an agent.

    `task` holds what an existing task was begun with (account, tier, profile); an empty text was
    not given.
    Raises UsageError for a flag, ConfigError for a variable or a file; each names the place and
    what to write instead.
    """
    found = _Found(Path(state_home(env)), Path(config_file(env)))
    user = settings_files.read(found.user_path, must_exist=bool(env.get("AGENTCTL_CONFIG")))
    if user is not None:
        found.take_file(user, trusted=True)
    project_path = settings_files.find_project(cwd, Path(user_home(env)))
    project = None
    if project_path is not None and not settings_files.same(project_path, found.user_path):
        project = settings_files.read(project_path, must_exist=True)
    if project is not None:
        found.take_file(project, trusted=found.is_trusted(project))
    given = _from_environment(env) + _from_flags(flags, cwd)
    given += [(name, text, "task") for name, text in (task or {}).items() if text]
    found.take([each for each in given if each[0] == "profile"])
    profile = found.profile()
    found.take_profile(profile)  # it may choose an account and a tier
    found.take([each for each in given if each[0] in ("account", "tier")])
    found.take_tier()
    found.take_profile(profile)  # what it says itself is stronger than a tier
    found.take_profile(agent)
    found.take(given)
    found.agree(agent)
    return found.settings(project.path if project else None)


def here() -> Path:
    """The current folder. Raises UsageError when it has been removed."""
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            f"The current folder cannot be found: {error.strerror}.",
            next_step="Change into a folder that exists, then type the command again.",
        ) from error


FOLDERS = frozenset({"sandbox_writable", "sandbox_readable"})
_Given = tuple[str, object, str]
"""Name, value and origin of a setting."""


def _from_environment(env: Mapping[str, str]) -> list[_Given]:
    """Return every variable that is set and not empty."""
    return [
        (name, _read(key, env[key.variable], key.variable, ConfigError), f"environment {variable}")
        for name, key in KEYS.items()
        if (variable := key.variable) and env.get(variable)
    ]


def _from_flags(flags: Mapping[str, object], cwd: Path) -> list[_Given]:
    """Return every flag that was given."""
    found: list[_Given] = []
    for name, raw in flags.items():
        if raw is None:
            continue
        value = read_flag(name, raw)
        found.append((name, _placed(name, value, cwd), "flag"))
    return found


class _Found:
    """Values found so far, from the weakest source to the strongest."""

    def __init__(self, home: Path, user_path: Path) -> None:
        self.home = home
        self.user_path = user_path
        self.values: dict[str, object] = {}
        self.tables: settings_tables.Tables = {name: {} for name in ("prices", *LIMIT_TABLES)}
        self.tiers: dict[str, settings_tables.Tier] = {}
        self.profiles: dict[str, settings_tables.Profile] = {}
        self.untrusted: dict[tuple[str, str], Path] = {}
        """Tiers and profiles that only files which are not trusted have, by kind and name."""
        self.accounts: dict[str, settings_tables.Account] = {}
        self.rules: list[Rule] = []
        self.tools: list[str] = []
        self.mcp: list[str] = []
        self.wheres: dict[str, str] = {}
        """"file:line: name" of the choice of a tier or profile that a file makes."""
        self.origins = dict.fromkeys([*KEYS, *TABLES], "default")
        self.warnings: list[str] = []

    def is_trusted(self, file: settings_files.SettingsFile) -> bool:
        """Return whether this file's bytes are trusted; an unreadable list trusts nothing."""
        try:
            return trust.trusted(self.home, file.path.parent, file.data)
        except StoreError as error:
            self.warnings.append(str(error))
            return False

    def take_file(self, file: settings_files.SettingsFile, *, trusted: bool) -> None:
        """Take over what a file may set; say what it may not."""
        ignored: list[str] = []
        looser: list[str] = []
        for name, raw in file.values.items():
            key = KEYS[name]
            value = file.value((name,), raw, key.read, key.instead)
            value = _placed(name, value, file.path.parent)
            if not trusted and self._is_refused(key, value):
                (looser if key.weight == "tighter" else ignored).append(name)
            else:
                self._set(name, value, str(file.path))
                if name == "base_url":
                    self.values["base_url_for"] = str(file.values.get("provider", ""))
                if name in ("tier", "profile"):
                    self.wheres[name] = file.where(name)
        tiers, accounts = settings_tables.tiers(file), settings_tables.accounts(file)
        profiles = settings_tables.profiles(file)
        tables = settings_tables.tables(file)
        tools = settings_tables.own_tools(file)
        mcp = settings_tables.mcp_files(file)
        source = "user" if file.path == self.user_path else "project"
        rules = settings_tables.permissions(file, source)
        # What denies or asks makes nothing looser, whoever wrote it.
        self.rules += [rule for rule in rules if trusted or rule.effect != "allow"]
        if trusted:
            self.tiers |= tiers
            self.profiles |= profiles
            self.accounts |= accounts
            self.origins |= dict.fromkeys(file.tables, str(file.path))
            self._take_tables(tables, str(file.path))
            self._take_tools(file, tools)
            # What a project names counts only as it was when the project was trusted.
            mark = "" if file.path == self.user_path else trust.MARK
            self.mcp += [mark + path for path in mcp if mark + path not in self.mcp]
        else:
            kept = {"permissions"} if all(rule.effect != "allow" for rule in rules) else set()
            ignored += [name for name in file.tables if name not in kept]
            names = [("tier", name) for name in tiers] + [("profile", name) for name in profiles]
            self.untrusted = dict.fromkeys(names, file.path)
        self._warn(str(file.path), file.path.parent, ignored, looser)

    def take(self, given: Iterable[_Given]) -> None:
        """Take over variables or flags."""
        for name, value, origin in given:
            self._set(name, value, origin)

    def profile(self) -> settings_tables.Profile | None:
        """The profile that was chosen. Raises an error for one that is not there."""
        name = self.values.get("profile")
        if name is None:
            return None
        profile = self.profiles.get(str(name))
        if profile is None:
            raise self._unknown("profile", str(name), self.profiles)
        return profile

    def take_profile(self, profile: settings_tables.Profile | None) -> None:
        """Take over the settings of a profile or an agent; say what may not be."""
        if profile is None:
            return
        ignored: list[str] = []
        looser: list[str] = []
        for name, value in profile.values.items():
            if not profile.trusted and self._is_refused(KEYS[name], value):
                (looser if KEYS[name].weight == "tighter" else ignored).append(name)
                continue
            self._set(name, _placed(name, value, profile.folder), profile.origin)
            if name == "tier":
                self.wheres["tier"] = f"{profile.origin} tier"
        if "base_url" in profile.values:
            self.values["base_url_for"] = str(profile.values.get("provider", ""))

        self._warn(profile.origin, profile.folder, ignored, looser)

    def agree(self, agent: settings_tables.Profile | None) -> None:
        """Leave out the model of an agent whose provider is not the one that was chosen."""
        if agent is None or self.origins["model"] != agent.origin or "provider" not in agent.values:
            return
        if self.values.get("provider") != agent.values["provider"]:
            self.values["model"], self.origins["model"] = "", "default"

    def take_tier(self) -> None:
        """Take over the limits of the tier that was chosen, by itself or with the account."""
        account = self.accounts.get(str(self.values.get("account", "default")))
        if "tier" not in self.values and account is not None and account.tier:
            self._set("tier", account.tier, account.origin)
            self.wheres["tier"] = account.where
        name = self.values.get("tier")
        if name is None:
            return
        tier = self.tiers.get(str(name))
        if tier is None:
            raise self._unknown("tier", str(name), self.tiers)
        for key, value in tier.values.items():
            self._set(key, value, tier.origin)
        self._take_tables(tier.tables, tier.origin)

    def settings(self, project_path: Path | None) -> Settings:
        """Return all that was found."""
        if not self.values.get("ledger"):
            self.values["ledger"] = str(self.home / ".cost_history.json")
        resolved = Settings(
            prices=self.tables["prices"],
            calls_per_minute=self.tables["rates"],
            timeouts_ms=self.tables["timeouts"],
            concurrency=self.tables["concurrency"],
            breaker=Breaker(**self.tables["circuit"]),
            credits=self.tables["credits"],
            permissions=tuple(self.rules),
            tools=tuple(self.tools),
            mcp=tuple(self.mcp),
            origins=self.origins,
            warnings=self.warnings,
            state_home=str(self.home),
            user_file=str(self.user_path),
            project_file=str(project_path or ""),
        )
        return msgspec.structs.replace(resolved, **self.values)

    def _take_tables(self, tables: settings_tables.Tables, origin: str) -> None:
        for table, entries in tables.items():
            self.tables[table] |= entries
            self.origins[table] = origin
            for name in entries:
                self.origins[f"{table}.{name}"] = origin

    def _take_tools(self, file: settings_files.SettingsFile, tools: Iterable[str]) -> None:
        """A project's tools come after the user's own."""
        mark = "" if file.path == self.user_path else trust.MARK
        for entry in tools:
            marked = mark + entry if entry.startswith("/") else entry
            if marked not in self.tools:
                self.tools.append(marked)
        for name in file.tables.get("tools", {}):
            self.origins[f"tools.{name}"] = str(file.path)

    def _unknown(self, what: str, name: str, there: Iterable[str]) -> AgentctlError:
        """The error of a tier or profile that is not there."""
        origin = self.origins[what]
        kind = UsageError if origin in ("flag", "task") else ConfigError
        where = {"flag": f"--{what}", "task": f"The task's {what}"}.get(origin)
        if origin.startswith("environment "):
            where = origin.removeprefix("environment ")
        names = ", ".join(sorted(there))
        known = f"The known ones: {names}." if names else ""
        if (what, name) in self.untrusted:
            path = self.untrusted[what, name]
            step = f"{path} has one, but its folder is not trusted. {_trust(path.parent)}"
        else:
            holds = {"tier": "limits, e.g. max_cost = 1.00."}.get(
                what, 'settings, e.g. model = "my-model".'
            )
            step = (
                f"{'Choose one of these, or write' if known else 'Write'} it into "
                f"{self.user_path}: a line [{what}s.{name}] and below it its {holds}"
            )
        said = f"{where or self.wheres[what]}: there is no {what} {name!r}. {known}".rstrip()
        return kind(said, next_step=step)

    def _set(self, name: str, value: object, origin: str) -> None:
        self.values[KEYS[name].field] = value
        self.origins[name] = origin

    def _is_refused(self, key: Key, value: object) -> bool:
        """Whether somebody who is not trusted may not set this."""
        if key.weight == "trusted" or not _is_open_word(key, value):
            return True
        return key.weight == "tighter" and self._is_looser(key, value)

    def _is_looser(self, key: Key, value: object) -> bool:
        current = self.values.get(key.field, _DEFAULTS[key.field])
        if isinstance(value, str) and isinstance(current, str):
            return key.strictness[value] < key.strictness[current]
        if current is None:  # no limit: anything is as tight
            return False
        return not (isinstance(value, int) and isinstance(current, int) and value <= current)

    def _warn(self, where: str, folder: Path, ignored: list[str], looser: list[str]) -> None:
        if not ignored and not looser:
            return
        parts = []
        if ignored:
            parts.append(f"{', '.join(ignored)}: not used, because the folder is not trusted")
        if looser:
            parts.append(f"{', '.join(looser)}: not used, because a limit is looser than yours")
        self.warnings.append(f"{where}: {'; '.join(parts)}. {_trust(folder)}")


def _is_open_word(key: Key, value: object) -> bool:
    return not key.open_words or value in key.open_words


def _trust(folder: Path) -> str:
    import shlex  # here, because there is rarely something to quote

    return f"To allow it: agentctl trust {shlex.quote(str(folder))}"


_DEFAULTS = msgspec.structs.asdict(Settings())


def read_flag(name: str, raw: object) -> object:
    """Read one flag by its setting's name. Raises UsageError."""
    return _read(KEYS[name], raw, f"--{name.replace('_', '-')}", UsageError)


def _read(key: Key, raw: object, where: str, kind: type[AgentctlError]) -> object:
    try:
        return key.read(raw)
    except ValueError as error:
        raise kind(f"{where}: {error}.", next_step=key.instead) from None


def _placed(name: str, value: Any, folder: Path) -> object:
    """A value of this setting, with paths absolute: relative ones belong to `folder`."""
    if name == "ledger":
        return _absolute(str(value), folder)
    if name in FOLDERS and isinstance(value, tuple):
        return tuple(_absolute(each, folder) for each in value)
    return value


def _absolute(path: str, folder: Path) -> str:
    return str(folder.resolve() / Path(path).expanduser()) if path else ""
