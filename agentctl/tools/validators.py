"""Whether a page may be given again: by the age its server allows, or by asking it what changed."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from agentctl.core.values import Millis

AGE_MAX_S = 31_536_000
_MAX_AGE = re.compile(r'(?<![\w-])max-age\s*=\s*"?(\d{1,12})')


class Validators(Struct, frozen=True, omit_defaults=True):
    """What a server said about a page, as it is kept beside the page."""

    url: str
    """Where the page really came from, redirects followed."""
    etag: str = ""
    modified: str = ""
    """The header Last-Modified, as it was sent."""
    fresh_until_ms: Millis = 0
    """Until then the server need not be asked."""

    def headers(self) -> dict[str, str]:
        """Ask for the page only if it has changed."""
        asked = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in asked.items() if value}


def of_page(
    url: str, headers: Mapping[str, str], now_ms: Millis, *, redirected: bool
) -> Validators | None:
    """Read what the headers allow; None when the page must not be given again.

    After a redirect the server is always asked: the next time it may lead elsewhere.
    """
    rules = headers.get("cache-control", "").lower()
    if "no-store" in rules or "*" in headers.get("vary", ""):
        return None
    etag, modified = _plain(headers.get("etag", "")), _plain(headers.get("last-modified", ""))
    allowed = [int(found) for found in _MAX_AGE.findall(rules)]
    fresh_until_ms = 0
    if allowed and "no-cache" not in rules and not redirected:
        left_s = min(*allowed, AGE_MAX_S) - _seconds(headers.get("age", ""))
        fresh_until_ms = now_ms + left_s * 1000 if left_s > 0 else 0
    if not (etag or modified or fresh_until_ms):
        return None
    return Validators(url, etag, modified, fresh_until_ms)


def read(proof: str) -> Validators:
    """Read back what `written` wrote."""
    return msgspec.json.decode(proof, type=Validators)


def written(validators: Validators) -> str:
    """The validators as stable text."""
    return msgspec.json.encode(validators).decode()


def _plain(value: str) -> str:
    """A header's value if it can be sent back, else nothing."""
    value = value.strip()
    return value if value.isascii() and value.isprintable() and len(value) < 1_000 else ""


def _seconds(text: str) -> int:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
