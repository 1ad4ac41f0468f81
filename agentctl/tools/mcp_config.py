"""Which MCP servers there are: the usual `mcpServers` JSON, or tables of a settings file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from agentctl.errors import ConfigError

MAX_FILE_BYTES = 1_000_000
MAX_NAME = 40
DOCS = 'Write {"mcpServers": {"NAME": {"command": "…", "args": []}}}; docs/mcp.md has all of it.'

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:[^{}\\]|\\.)*))?\}")
_STDIO, _HTTP = ("stdio",), ("http", "streamable-http", "streamableHttp", "streamable_http")


class Server(Struct, frozen=True):
    """One server as configured, its variables filled in."""

    name: str
    command: str = ""
    """What to start; empty for one that is reached by `url`."""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str = ""
    """Where it runs; empty: the workspace."""
    url: str = ""
    headers: dict[str, str] = {}
    category: str = "mcp"
    """Whose rates, time-outs and approvals its tools have."""
    sandbox: bool | None = None
    """Whether its process is confined; None: as the run's mode says."""
    notes: tuple[str, ...] = ()
    """What its entry says that is not used."""


class Entry(Struct, frozen=True):
    """One server as it is written."""

    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str = ""
    url: str = ""
    headers: dict[str, str] = {}
    type: str = ""
    disabled: bool = False
    category: str = "mcp"
    sandbox: bool | None = None


def data_of(path: Path) -> bytes:
    """What a file holds. Raises ConfigError."""
    try:
        # A pipe or device by this name would be read for ever.
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path} is not a file.", next_step=DOCS)
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"Cannot read the MCP servers of {path}: {error.strerror}.", next_step=DOCS
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_FILE_BYTES:,} bytes.")
    return data


def servers(path: Path, data: bytes, env: Mapping[str, str]) -> tuple[Server, ...]:
    """Read the servers of JSON data, or those of `[mcp.servers]` in TOML data, of this file.

    `env` fills in `${NAME}`. Raises ConfigError, which names the file and the place in it.
    """
    try:
        if not data.lstrip().startswith(b"{"):
            return _servers(path, tomllib.loads(data.decode()).get("mcp", {}), "servers", env)
        return _servers(path, msgspec.json.decode(data), "mcpServers", env)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not readable: {error}.", next_step=DOCS) from error


def _servers(path: Path, whole: object, key: str, env: Mapping[str, str]) -> tuple[Server, ...]:
    found = whole.get(key) if isinstance(whole, dict) else None
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: there is no {key} in it.", next_step=DOCS)
    servers: dict[str, Server] = {}
    for name, raw in found.items():
        server = _server(path, f"{key}.{name}", name, raw, env)
        if server is None:
            continue
        twin = next((other for other in servers if prefix(other) == prefix(name)), None)
        if twin is not None:
            raise ConfigError(
                f"{path}: {key}.{name} and {key}.{twin} would give their tools the same names.",
                next_step="Rename one of them.",
            )
        servers[name] = server
    return tuple(servers.values())


def prefix(name: str) -> str:
    """What the names of a server's tools begin with, made of letters, digits, _ and -."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)


def _server(
    path: Path, place: str, name: str, raw: object, env: Mapping[str, str]
) -> Server | None:
    """Read one entry; None when it is switched off."""
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise ConfigError(f"{path}: {place}: a name has 1 to {MAX_NAME} letters.", next_step=DOCS)
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: {place}: not an object.", next_step=DOCS)
    try:
        entry = msgspec.convert(raw, Entry)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {place}: {error}.", next_step=DOCS) from error
    if entry.disabled:
        return None
    _check(path, place, entry)
    fill = _Filler(f"{path}: {place}", env)
    unknown = sorted(key for key in raw if key not in Entry.__struct_fields__)
    return Server(
        name,
        fill.text("command", entry.command),
        tuple(fill.text(f"args[{at}]", arg) for at, arg in enumerate(entry.args)),
        fill.table("env", entry.env),
        fill.text("cwd", entry.cwd),
        fill.text("url", entry.url),
        fill.table("headers", entry.headers),
        entry.category,
        entry.sandbox,
        tuple(f"{path}: {place}.{key} is not known here and not used" for key in unknown),
    )


def _check(path: Path, place: str, entry: Entry) -> None:
    """Refuse what cannot be meant."""
    problem = ""
    if entry.type == "sse":
        problem = (
            "the transport sse was replaced by streamable HTTP in 2025: give the address of that"
        )
    elif entry.type and entry.type not in (*_STDIO, *_HTTP):
        problem = f"type {entry.type!r} is neither stdio nor http"
    elif bool(entry.command) == bool(entry.url):
        problem = "it needs either a command or an url"
    elif entry.type in _HTTP and not entry.url:
        problem = "type http needs an url"
    elif entry.type in _STDIO and not entry.command:
        problem = "type stdio needs a command"
    elif entry.url and not re.match(r"https?://|\$\{", entry.url):
        problem = "the url must begin with http:// or https://"
    elif not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", entry.category):
        problem = "a category is one word, e.g. drive"
    if problem:
        raise ConfigError(f"{path}: {place}: {problem}.", next_step=DOCS)


class _Filler:
    """Puts variables into texts."""

    def __init__(self, where: str, env: Mapping[str, str]) -> None:
        self._where = where
        self._env = env

    def text(self, place: str, text: str) -> str:
        """The text with each `${NAME}` and `${NAME:-default}` filled in. Raises ConfigError."""

        def value(found: re.Match[str]) -> str:
            name, default = found[1], found[2]
            if self._env.get(name) or (default is None and name in self._env):
                return self._env[name]
            if default is None:
                raise ConfigError(
                    f"{self._where}.{place}: the variable {name} is not set.",
                    next_step=f"Set it, or write ${{{name}:-default}}.",
                )
            return default

        return _VARIABLE.sub(value, text)

    def table(self, place: str, table: Mapping[str, str]) -> dict[str, str]:
        """The same for each value."""
        return {key: self.text(f"{place}.{key}", value) for key, value in table.items()}
