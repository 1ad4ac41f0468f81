"""Every setting, resolved: flag, environment, project file, user file, default, in this order.

`docs/configuration.md` describes them for users; `settings_keys.KEYS` is the list. A project's
file comes from whoever wrote the project, so before `agentctl trust` it can only make limits
tighter and name a model; it can never choose where data is sent or what may run unasked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from agentctl import settings_files, trust
from agentctl.core.values import Approve, ContextPolicy, Limits, Micros, Millis, Rates
from agentctl.errors import AgentctlError, ConfigError, StoreError, UsageError
from agentctl.paths import config_file, state_home, user_home
from agentctl.settings_keys import APPROVE_STRICTNESS, KEYS, Key

ADDRESSES = {
    "anthropic": ("ANTHROPIC_BASE_URL", "https://api.anthropic.com"),
    "openai": ("OPENAI_BASE_URL", "https://api.openai.com/v1"),
    "ollama": ("OLLAMA_HOST", "http://127.0.0.1:11434"),
}
"""The usual variables of the providers' own libraries, and where they go without."""


class Settings(Struct, frozen=True, kw_only=True):
    """Every resolved value. `origins` says for each name where it came from."""

    provider: str = ""
    """Empty: the first that is usable."""
    model: str = ""
    """Empty: the provider's own default."""
    max_cost_micros: Micros | None = 500_000
    max_cost_hour_micros: Micros | None = 10_000_000
    max_tokens: int | None = 100_000
    max_steps: int | None = 100
    timeout_ms: Millis | None = None
    approve: Approve = "ask"
    max_context_tokens: int | None = None
    keep_last_user: int | None = None
    keep_last_assistant: int | None = None
    silence_timeout_ms: Millis = 60_000
    attempts: int = 5
    ledger: str = ""
    """Absolute path of the exported cost history."""
    base_url: str = ""
    base_url_for: str = ""
    """The provider that the file with `base_url` names: no other one's key is sent there."""
    allow_unpriced: bool = False
    system: str = ""
    prices: dict[str, Rates] = {}
    """The user's own prices by "provider/model"."""
    origins: dict[str, str] = {}
    """Name as in a file to "flag", "environment X", the path of a file, or "default"."""
    warnings: list[str] = []
    """What was not taken over, and what to do about it."""
    state_home: str = ""
    user_file: str = ""
    project_file: str = ""
    """Empty: there is none above the working folder."""

    def limits(self) -> Limits:
        """Return what a task may use."""
        return Limits(
            task_cost_micros=self.max_cost_micros,
            hour_cost_micros=self.max_cost_hour_micros,
            task_tokens=self.max_tokens,
            steps=self.max_steps,
            wall_ms=self.timeout_ms,
            attempts=self.attempts,
            allow_unpriced=self.allow_unpriced,
        )

    def context(self) -> ContextPolicy:
        """Return when requests are shortened; 8,000 tokens and 3 + 3 once any part is set."""
        parts = (self.max_context_tokens, self.keep_last_user, self.keep_last_assistant)
        if all(part is None for part in parts):
            return ContextPolicy()
        tokens, user, assistant = parts
        return ContextPolicy(
            max_tokens=8_000 if tokens is None else tokens,
            keep_user=3 if user is None else user,
            keep_assistant=3 if assistant is None else assistant,
        )

    def address(self, provider: str, env: Mapping[str, str]) -> str:
        """Return the server to use for this provider; an empty string if it has none."""
        if self.base_url and self.base_url_for == provider:
            return self.base_url
        variable, usual = ADDRESSES.get(provider, ("", ""))
        address = env.get(variable, "").strip() or usual
        if "@" in address:
            raise ConfigError(
                f"{variable}: an address with a user name or password would be stored and shown.",
                next_step="Leave them out, and put the key into the provider's own variable.",
            )
        return address

    def paths(self) -> dict[str, str]:
        """Return every path that agentctl may use, by what it is for."""
        home = Path(self.state_home)
        return {
            "state home": self.state_home,
            "database": str(home / "agentctl.db"),
            "locks": str(home / "locks"),
            "ledger": self.ledger,
            "trusted folders": str(home / "trusted.json"),
            "user file": self.user_file,
            "project file": self.project_file,
        }


def load(flags: Mapping[str, object], *, env: Mapping[str, str], cwd: Path) -> Settings:
    """Resolve every setting. A flag that is None was not given.

    Raises UsageError for a flag, ConfigError for a variable or a file; each names the place and
    what to write instead.
    """
    found = _Found(Path(state_home(env)))
    user_path = Path(config_file(env))
    user = settings_files.read(user_path, must_exist=bool(env.get("AGENTCTL_CONFIG")))
    if user is not None:
        found.take_file(user, trusted=True)
    project_path = settings_files.find_project(cwd, Path(user_home(env)))
    project = None
    if project_path is not None and not settings_files.same(project_path, user_path):
        project = settings_files.read(project_path, must_exist=True)
    if project is not None:
        found.take_file(project, trusted=found.is_trusted(project))
    found.take_environment(env)
    found.take_flags(flags, cwd)
    if not found.values.get("ledger"):
        found.values["ledger"] = str(found.home / ".cost_history.json")
    resolved = Settings(
        prices=found.prices,
        origins=found.origins,
        warnings=found.warnings,
        state_home=str(found.home),
        user_file=str(user_path),
        project_file=str(project.path) if project else "",
    )
    return msgspec.structs.replace(resolved, **found.values)


def here() -> Path:
    """The current folder. Raises UsageError when it has been removed."""
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            f"The current folder cannot be found: {error.strerror}.",
            next_step="Change into a folder that exists, then type the command again.",
        ) from error


class _Found:
    """Values found so far, from the weakest source to the strongest."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.values: dict[str, object] = {}
        self.prices: dict[str, Rates] = {}
        self.origins = dict.fromkeys([*KEYS, "prices"], "default")
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
            value = _read(key, raw, file.where(name), ConfigError)
            if name == "ledger":
                value = _absolute(str(value), file.path.parent)
            if not trusted and key.weight == "trusted":
                ignored.append(name)
            elif not trusted and key.weight == "tighter" and self._is_looser(key, value):
                looser.append(name)
            else:
                self._set(name, value, str(file.path))
                if name == "base_url":
                    self.values["base_url_for"] = str(file.values.get("provider", ""))
        prices = settings_files.prices(file)
        if prices and not trusted:
            ignored.append("prices")
        else:
            for model, rates in prices.items():
                self.prices[model] = rates
                self.origins[f'prices."{model}"'] = self.origins["prices"] = str(file.path)
        self._warn(file.path, ignored, looser)

    def take_environment(self, env: Mapping[str, str]) -> None:
        """Take over every variable that is set and not empty."""
        for name, key in KEYS.items():
            if key.variable and env.get(key.variable):
                value = _read(key, env[key.variable], key.variable, ConfigError)
                self._set(name, value, f"environment {key.variable}")

    def take_flags(self, flags: Mapping[str, object], cwd: Path) -> None:
        """Take over every flag that was given."""
        for name, raw in flags.items():
            if raw is None:
                continue
            value = read_flag(name, raw)
            if name == "ledger":
                value = _absolute(str(value), cwd)
            self._set(name, value, "flag")

    def _set(self, name: str, value: object, origin: str) -> None:
        self.values[KEYS[name].field] = value
        self.origins[name] = origin

    def _is_looser(self, key: Key, value: object) -> bool:
        current = self.values.get(key.field, _DEFAULTS[key.field])
        if isinstance(value, str) and isinstance(current, str):
            return APPROVE_STRICTNESS[value] < APPROVE_STRICTNESS[current]
        if current is None:  # no limit: anything is as tight
            return False
        return not (isinstance(value, int) and isinstance(current, int) and value <= current)

    def _warn(self, path: Path, ignored: list[str], looser: list[str]) -> None:
        if not ignored and not looser:
            return
        import shlex  # here, because there is rarely something to quote

        parts = []
        if ignored:
            parts.append(f"{', '.join(ignored)}: not used, because the folder is not trusted")
        if looser:
            parts.append(f"{', '.join(looser)}: not used, because a limit is looser than yours")
        folder = shlex.quote(str(path.parent))
        self.warnings.append(f"{path}: {'; '.join(parts)}. To allow it: agentctl trust {folder}")


_DEFAULTS = msgspec.structs.asdict(Settings())


def read_flag(name: str, raw: object) -> object:
    """Read one flag by its setting's name. Raises UsageError."""
    return _read(KEYS[name], raw, f"--{name.replace('_', '-')}", UsageError)


def _read(key: Key, raw: object, where: str, kind: type[AgentctlError]) -> object:
    try:
        return key.read(raw)
    except ValueError as error:
        raise kind(f"{where}: {error}.", next_step=key.instead) from None


def _absolute(path: str, folder: Path) -> str:
    return str(folder.resolve() / Path(path).expanduser()) if path else ""
