"""The secrets that this process knows: what must never leave it, by where each is from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from agentctl.core.environment import looks_secret
from agentctl.core.redact import Redactor, is_common

_SCHEMES = ("bearer ", "basic ", "token ")


def secret_values(
    env: Mapping[str, str], config: Mapping[str, object] | None = None
) -> dict[str, str]:
    """Exact values of variables and settings that look secret, and the passwords of addresses.

    `config` is a table as its file has it, e.g. {"mcpServers": {…}}. Names are those of variables,
    or paths as `mcpServers.db.env.DB_TOKEN`. Values that are no secret (short, common, a place in
    the file system) are left out.
    """
    found: dict[str, str] = {}
    for name, value in (*env.items(), *_entries(config or {}, "")):
        text = _bare(value)
        if looks_secret(name.rpartition(".")[2]) or _is_authorization(name):
            _add(found, name, text)
        for password in _passwords(text):
            _add(found, f"{name} password", password)
    return found


def redactor(env: Mapping[str, str], config: Mapping[str, object] | None = None) -> Redactor:
    """What takes these secrets, and all that look like keys, out of text."""
    return Redactor(secret_values(env, config))


def _add(found: dict[str, str], name: str, value: str) -> None:
    if not is_common(value):
        key, n = name, 1
        while found.get(key, value) != value:
            n += 1
            key = f"{name} {n}"
        found[key] = value


def _bare(value: str) -> str:
    """A value as it is sent: providers' libraries strip blanks; a header's scheme is no secret."""
    text = value.strip()
    for scheme in _SCHEMES:
        if text.lower().startswith(scheme):
            return text[len(scheme) :].strip()
    return text


def _is_authorization(name: str) -> bool:
    return name.rpartition(".")[2].lower() in ("authorization", "proxy-authorization")


def _passwords(text: str) -> Iterator[str]:
    """The password of an address, as written and as meant."""
    _, is_address, rest = text.partition("://")
    if not is_address or len(text) > 4_096:
        return
    # Up to the last @ before the path: a password that was not quoted may have one itself.
    place = rest.partition("/")[0] if "@" in rest.partition("/")[0] else rest
    user, has_user, _ = place.rpartition("@")
    _, has_password, password = user.partition(":")
    if has_user and has_password and not any(c.isspace() for c in password):
        yield password
        yield unquote(password)


def _entries(table: object, path: str) -> Iterator[tuple[str, str]]:
    """Every text of nested tables with its path."""
    if isinstance(table, str):
        yield path, table
    elif isinstance(table, Mapping):
        for name, value in table.items():
            yield from _entries(value, f"{path}.{name}" if path else str(name))
    elif isinstance(table, list | tuple):
        for value in table:
            yield from _entries(value, path)
