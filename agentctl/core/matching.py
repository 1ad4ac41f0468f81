"""Rules for paths, addresses and other arguments: what a pattern is held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from agentctl.core.globs import escaped, fits, fits_path, is_literal

Hit = Literal["yes", "perhaps", "no"]
ANY = ("", "*", "**")
"""Patterns of rules that deny or ask which fit whatever the arguments are."""


class Subject:
    """What of a call the patterns of its tool are about. This one can be told by no pattern."""

    def hit(self, pattern: str) -> Hit:
        """Whether a pattern that denies or asks fits; in doubt it is not "no"."""
        return "yes"

    def doubt(self) -> str:
        """Why a "perhaps" is one."""
        return "its arguments can be read in several ways"

    def allowed_by(self, patterns: Sequence[str]) -> int | None:
        """Index of the pattern that allows, the last one where several are needed together."""
        return next((n for n, pattern in enumerate(patterns) if not pattern), None)

    def why_not(self) -> str:
        """What keeps allowing rules from being asked, or an empty string."""
        return "its arguments are no JSON object of the expected kind"

    def usual(self) -> str:
        """The pattern that an "always" stands for."""
        return ""


class _Plain(Subject):
    """A subject for which each pattern is asked alone."""

    def allowed_by(self, patterns: Sequence[str]) -> int | None:
        """The first pattern that fits beyond doubt."""
        fit = (n for n, each in enumerate(patterns) if not each or self.allows(each))
        return next(fit, None)

    def allows(self, pattern: str) -> bool:
        """Whether a pattern that allows fits."""
        raise NotImplementedError


# --- paths ---------------------------------------------------------------------------------------


class PathSubject(_Plain):
    """The paths that a call names; links are not followed."""

    def __init__(self, paths: Sequence[str], cwd: str) -> None:
        self.cwd = _resolved("/", cwd)
        self.paths = [_resolved(self.cwd, path) for path in paths]
        self.odd = any("\0" in path for path in paths)

    def hit(self, pattern: str) -> Hit:
        """Whether one of the paths fits, in upper or lower case."""
        if pattern in ANY:
            return "yes"
        lower = _absolute(self.cwd, pattern).lower()
        if any(fits_path(path.lower(), lower) for path in self.paths):
            return "yes"
        # `**/.env` is meant wherever the file lies.
        anywhere = pattern.lower() if pattern.startswith("**/") else ""
        if anywhere and any(fits_path(path.lower(), anywhere) for path in self.paths):
            return "yes"
        return "perhaps" if self.odd else "no"

    def allows(self, pattern: str) -> bool:
        """Whether all of the paths fit."""
        whole = _absolute(self.cwd, pattern)
        return not self.odd and all(fits_path(path, whole) for path in self.paths)

    def why_not(self) -> str:
        """A path with a NUL character is none."""
        return "a path has a NUL character" if self.odd else ""

    def usual(self) -> str:
        """Exactly the path, relative to the workspace if it lies there."""
        if len(self.paths) != 1:
            return "="  # no pattern is for just these paths together
        path = self.paths[0]
        below = path.removeprefix(self.cwd.rstrip("/") + "/")
        below = "." if path == self.cwd else below
        # What would be read as something else is written down as it is meant.
        exact = is_literal(below) and below == below.strip() and below[:1] not in ("~", "=")
        return below if exact else "=" + below


def _resolved(base: str, path: str) -> str:
    """The absolute path without `.`, `..` and doubled slashes; nothing is looked up."""
    parts: list[str] = []
    for part in (path if path.startswith("/") else f"{base}/{path}").split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _absolute(cwd: str, pattern: str) -> str:
    """The glob of absolute paths that a pattern means. One that ends in / means what is below."""
    if pattern[:1] == "=":
        return escaped(_resolved(cwd, pattern[1:]))
    return _resolved(escaped(cwd), pattern + ("**" if pattern.endswith("/") else ""))


# --- addresses -----------------------------------------------------------------------------------

_PORTS = {"http": 80, "https": 443}


class Url(msgspec.Struct, frozen=True):
    """An address in the parts that patterns are held against."""

    scheme: str
    host: str
    port: str
    """Empty for the usual one of the scheme."""
    rest: str
    """Path and query; dots in the path are resolved."""
    clear: bool = True
    """Everybody would read it so."""


def url_of(text: str) -> Url | None:
    """Read an address; None if it is none. Whatever readers disagree on makes it not `clear`."""
    scheme, mark, after = text.strip().partition("://")
    if not mark or not scheme.isalnum():
        return None
    after = after.partition("#")[0].replace("\\", "/")
    ends = [at for at in (after.find("/"), after.find("?")) if at >= 0]
    end = min(ends, default=len(after))
    authority, rest = after[:end], after[end:]
    _, at_sign, host_port = authority.rpartition("@")
    host, port = _host_and_port(host_port.lower())
    clear = not at_sign and _is_clear(host)
    clear = clear and "\\" not in text and text.isprintable() and " " not in text
    clear = clear and (not port or (port.isascii() and port.isdigit() and len(port) < 6))
    if clear and port:
        port = str(int(port))
        port = "" if int(port) == _PORTS.get(scheme.lower()) else port
    return Url(scheme.lower(), host, port, _rest(rest), clear)


def _is_clear(host: str) -> bool:
    """Whether a host is a plain name, or a number written as four plain ones."""
    labels = host.split(".")
    if not set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789-._") or not all(labels):
        return False
    if labels[-1][0] not in "0123456789":
        return True
    plain = [str(number) for number in range(256)]
    return len(labels) == 4 and all(label in plain for label in labels)


def _host_and_port(text: str) -> tuple[str, str]:
    end = text.rfind("]")
    host, _, port = text[end + 1 :].partition(":")
    host = text[: end + 1] + host
    return host.removesuffix("."), port


def _rest(rest: str) -> str:
    path, mark, query = rest.partition("?")
    parts: list[str] = []
    names = path.split("/")[1:]
    for part in names:
        plain = part.lower().replace("%2e", ".")
        if plain == "..":
            del parts[-1:]
        elif plain != ".":
            parts.append(part)
    if names and names[-1].lower().replace("%2e", ".") in (".", ".."):
        parts.append("")
    return "/" + "/".join(parts) + mark + query


def unquoted(text: str) -> str:
    """Text with its %41 as A."""
    if "%" not in text:
        return text
    first, *parts = text.split("%")
    data = first.encode("utf-8", "replace")
    for part in parts:
        code = part[:2]
        is_code = len(code) == 2 and set(code) <= set("0123456789abcdefABCDEF")
        data += bytes([int(code, 16)]) if is_code else b"%" + code.encode("utf-8", "replace")
        data += part[2:].encode("utf-8", "replace")
    return data.decode("utf-8", "replace")


class UrlSubject(_Plain):
    """The address that a call fetches."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.url = url_of(text)

    def hit(self, pattern: str) -> Hit:
        """Whether the address fits, with its path as written or decoded."""
        if pattern in ANY or pattern == "=" + self.text:
            return "yes"
        if self.url is None:
            return "perhaps"
        is_hit = any(_fits_url(self.url, rest, pattern, tight=True) for rest in self._rests())
        return "yes" if is_hit else "no" if self.url.clear else "perhaps"

    def doubt(self) -> str:
        """Why a "perhaps" is one."""
        return "its address can be read in several ways"

    def allows(self, pattern: str) -> bool:
        """Whether the address fits however its path is read."""
        if pattern == "=" + self.text:
            return True
        if self.url is None or not self.url.clear:
            return False
        return all(_fits_url(self.url, rest, pattern, tight=False) for rest in self._rests())

    def why_not(self) -> str:
        """An address that is not clear is never allowed by a pattern."""
        return "" if self.url and self.url.clear else self.doubt()

    def usual(self) -> str:
        """The host, with its port where that is not the usual one."""
        if self.url is None or not self.url.clear or not is_literal(self.url.host):
            return "=" + self.text
        return self.url.host + (f":{self.url.port}" if self.url.port else "")

    def _rests(self) -> set[str]:
        rest = self.url.rest if self.url else ""
        return {rest, _rest(unquoted(rest))}


def _fits_url(url: Url, rest: str, pattern: str, *, tight: bool) -> bool:
    """Part by part, so that a star in the host cannot reach into the path."""
    if pattern[:1] == "=":
        return False
    scheme, mark, after = pattern.partition("://")
    after = after if mark else pattern
    if mark and not fits(url.scheme, scheme.lower()):
        return False
    end = after.find("/") if "/" in after else len(after)
    host, port = _host_and_port(after[:end].lower())
    port = "" if port == str(_PORTS.get(url.scheme)) else port
    if not fits(url.host, host) or not (fits(url.port, port) or (tight and not port)):
        return False
    return not after[end:] or fits(rest, after[end:])


# --- other arguments -----------------------------------------------------------------------------


class OtherSubject(_Plain):
    """The arguments themselves."""

    def __init__(self, arguments: dict[str, object]) -> None:
        self.arguments = arguments
        self.whole = _json(arguments)

    def hit(self, pattern: str) -> Hit:
        """Whether the named argument, or the whole JSON, fits."""
        return "yes" if pattern in ANY or self.allows(pattern) else "no"

    def allows(self, pattern: str) -> bool:
        """The same: nothing here can be read in two ways."""
        name, mark, glob = pattern.partition("=")
        if mark and not name:
            return self.whole == glob
        if mark and name.replace("_", "").replace("-", "").isalnum():
            if name not in self.arguments:
                return False
            value = self.arguments[name]
            return fits(value if isinstance(value, str) else _json(value), glob)
        return fits(self.whole, pattern)

    def why_not(self) -> str:
        """Nothing does."""
        return ""


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
