"""What keys and passwords look like today, tight enough to leave code, hashes and UUIDs alone.

A secret is found by its *start*, told by its *head* (start and so many characters that no more
are needed), and goes on as long as its *tail* has only characters such a secret may have.
A head depends on nothing behind it: so a stream is judged as the whole text would be.

Expressions are kept as text and compiled when their start is met (`re` remembers them): most runs
meet few, and all together would take longer to compile than a short command takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

ALNUM = "A-Za-z0-9"
URL64 = "A-Za-z0-9_-"
QUOTE = r"""\\?["']?"""
GAP = r"\s{0,3}"


class KeyPattern(NamedTuple):
    """How one kind of secret is found."""

    name: str
    """Stands in the marker, e.g. "anthropic key"."""
    start: str
    """Every such secret, or what it is told by, begins with this text."""
    head: str
    """From the start on; if it has a group, only that is the secret and the rest stays."""
    reach: int
    """No head is longer, in characters."""
    within: str
    """What a head can consist of after its start: where this ends too early, there is none."""
    tail: str
    """What else belongs to the secret behind its head; empty: nothing."""
    alone: bool
    """The start is so short that nothing may stand directly before it."""
    block: bool = False
    """A private key of many lines: the tail is a KeyBlock."""


def _key(name: str, start: str, count: int, chars: str = ALNUM, tail: str = "") -> KeyPattern:
    """A key with so many characters of a class, or more, behind its start."""
    return _shape(name, start, f"[{chars}]{{{count}}}", count, chars, tail or chars)


def _shape(
    name: str,
    start: str,
    body: str,
    reach: int,
    within: str,
    tail: str = "",
    *,
    alone: bool | None = None,
) -> KeyPattern:
    return KeyPattern(
        name,
        start,
        re.escape(start) + body,
        len(start) + reach,
        f"[{within}]*+",
        f"[{tail}]*+" if tail else "",
        len(start) < 6 if alone is None else alone,
    )


def _named(name: str, start: str, between: str, secret: str, tail: str) -> KeyPattern:
    """A secret told by the words before it, which stay."""
    within = rf"\s{ALNUM}._~+/%=:>\"'\\-"
    return _shape(name, start, f"{between}({secret})", 80, within, tail)


# Not a word in kebab-case: among the first forty characters is a capital or a digit.
_MIXED = r"(?=[a-z_-]{0,39}[A-Z0-9])[A-Za-z0-9_-]{40}"
_HEADER = rf"{QUOTE}{GAP}[:=]{GAP}{QUOTE}(?i:bearer|basic|token)\s{{1,3}}"
_VALUE = rf"{QUOTE}{GAP}[:=>]{{1,2}}{GAP}{QUOTE}"
_LINE_SIGNS = r"""[\s"'+,\\nr]"""
_HEADERS = "(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset): "
_KEY_END = r"[A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"

KEY_PATTERNS: tuple[KeyPattern, ...] = (
    # gitleaks: api03 and admin01 with 95 characters, oat01 and ort01 (OAuth) with 40 and more.
    _shape("anthropic key", "sk-ant-", rf"[a-z]{{2,8}}\d\d-[{URL64}]{{20}}", 31, URL64, URL64),
    # gitleaks, kingfisher: lengths vary and are above 100; the first project keys had 48.
    *(
        _shape("openai key", f"sk-{kind}-", _MIXED, 40, URL64, URL64)
        for kind in ("proj", "svcacct", "admin", "None")
    ),
    # OpenAI's first form has its name in base64 in the middle.
    _shape("openai key", "sk-", rf"[{ALNUM}]{{20}}T3BlbkFJ", 28, ALNUM, ALNUM),
    # 64 hexadecimal digits.
    _key("openrouter key", "sk-or-v1-", 32),
    # DeepSeek (32 hexadecimal digits), Moonshot and others (48 characters).
    _key("api key", "sk-", 32),
    # 39 characters in all; refused by Gemini since September 2026, not by Google's other services.
    _key("google key", "AIza", 35, URL64),
    # What Google issues for Gemini since 2026.
    _key("google key", "AQ.Ab", 40, URL64),
    # AWS: identifiers have no 0, 1, 8, 9.
    _key("aws key id", "AKIA", 16, "A-Z2-7"),
    _key("aws key id", "ASIA", 16, "A-Z2-7"),
    *(
        _named("aws secret key", start, _VALUE, f"[{ALNUM}/+]{{40}}", f"{ALNUM}/+=")
        for start in ("ecret_access_key", "ECRET_ACCESS_KEY", "ecretAccessKey")
    ),
    # GitHub's documentation; ghs_ has been ghs_APP_JWT since May 2026.
    *(_key("github token", start, 36) for start in ("ghp_", "gho_", "ghu_", "ghr_")),
    _key("github token", "ghs_", 36, r"A-Za-z0-9._-"),
    _key("github token", "github_pat_", 40, "A-Za-z0-9_"),
    # GitLab's list of prefixes; routable tokens are longer and have a full stop.
    *(
        _key("gitlab token", f"gl{kind}-", 20, URL64, "A-Za-z0-9_.-")
        for kind in ("pat", "dt", "rt", "cbt", "ptt", "soat", "agent", "imt", "ft", "oas")
    ),
    # Slack's token types: a digit after the kind.
    *(
        _shape("slack token", f"xox{kind}-", rf"\d[{ALNUM}-]{{18}}", 19, f"{ALNUM}-", f"{ALNUM}-")
        for kind in "abeprs"
    ),
    _shape("slack token", "xapp-", rf"\d-[{ALNUM}-]{{20}}", 22, f"{ALNUM}-", f"{ALNUM}-"),
    *(
        _key("stripe key", start, 16)
        for start in ("sk_live_", "rk_live_", "sk_test_", "rk_test_", "whsec_")
    ),
    _key("npm token", "npm_", 36),
    # A macaroon: the text begins with the version and the place it is for.
    _key("pypi token", "pypi-AgE", 50, URL64),
    _key("hugging face token", "hf_", 30),
    # 48 and 80 characters.
    _key("groq key", "gsk_", 40),
    _key("xai key", "xai-", 60),
    # Two parts that each begin as JSON does in base64; the signature is the tail.
    _shape(
        "jwt", "eyJ", rf"[{URL64}]{{7,512}}+\.eyJ[{URL64}]{{6}}", 522, "A-Za-z0-9_.-",
        "A-Za-z0-9_.-",
    ),
    # A shared access signature (HMAC-SHA256, URL-quoted) and the key of a storage account.
    _key("azure signature", "sig=", 40, "A-Za-z0-9%/+", "A-Za-z0-9%/+="),
    _key("azure key", "AccountKey=", 60, "A-Za-z0-9/+", "A-Za-z0-9/+="),
    # Headers as they are sent, and as code and JSON have them.
    *(
        _named("credentials", start, _HEADER, rf"[{ALNUM}._~+/-]{{16}}", rf"{ALNUM}._~+/=-")
        for start in ("uthorization", "UTHORIZATION")
    ),
    _named("api key", "-api-key", _VALUE, rf"[{ALNUM}._~+/-]{{20}}", rf"{ALNUM}._~+/=-"),
    # RFC 3986: neither part can have / ? # @. No template: ${X}, {x}, <x>, %(x)s, %s, ***.
    _shape(
        "password", "://",
        rf"[{ALNUM}._~%+&=;,!-]{{0,64}}+:([^\s/?#@\[\]{{}}<>()*$\"'`\\|]"
        rf"[^\s/?#@\[\]{{}}<>()\"'`\\|]{{2,127}}+)@",
        194, r"^\s/?#@\[\]{}<>()\"'`\\|", alone=False,
    ),
    # RFC 7468, OpenSSH and OpenPGP; told only with the key behind it.
    KeyPattern(
        "private key",
        "-----BEGIN ",
        f"-----BEGIN {_KEY_END}{_LINE_SIGNS}{{1,40}}?(?:[A-Za-z0-9+/]{{16}}|{_HEADERS})",
        130,
        r"[A-Za-z0-9+/=\s\"'\\,:-]*+",
        "",
        alone=False,
        block=True,
    ),
)  # fmt: skip


class Tail:
    """Characters that go on with a secret."""

    def __init__(self, run: str) -> None:
        """`run` matches all that belong to it."""
        self._run = run

    def take(self, text: str, at: int, *, final: bool) -> tuple[int, bool]:
        """Where it ends in this text, and whether that is known already."""
        end = _end(self._run, text, at)
        return end, final or end < len(text)


class KeyBlock:
    """The lines of a private key up to its last, or up to what no such key has."""

    REACH = 200
    """So much text must be seen before something is taken for no part of it."""
    _LINE = f"{_LINE_SIGNS}{{0,40}}?[A-Za-z0-9+/=]{{16}}"
    _HEADER = f"{_LINE_SIGNS}{{0,40}}?{_HEADERS}"
    _LAST = (
        rf"{_LINE_SIGNS}{{0,40}}?[A-Za-z0-9+/=]{{0,15}}{_LINE_SIGNS}{{0,40}}?-----END {_KEY_END}"
    )
    _REST_OF_LINE = r"[A-Za-z0-9+/=]*+"
    _REST_OF_HEADER = r"[^\n\\\[\]]*+"

    def __init__(self) -> None:
        """Begin after a head."""
        self._run = self._REST_OF_LINE

    def take(self, text: str, at: int, *, final: bool) -> tuple[int, bool]:
        """Where it ends in this text, and whether that is known already."""
        while True:
            if self._run:
                at = _end(self._run, text, at)
                if at == len(text):
                    return at, final
                self._run = ""
            seen = at + self.REACH
            if line := re.compile(self._LINE).match(text, at, seen):
                at, self._run = line.end(), self._REST_OF_LINE
            elif header := re.compile(self._HEADER).match(text, at, seen):
                at, self._run = header.end(), self._REST_OF_HEADER
            elif last := re.compile(self._LAST).match(text, at, seen):
                return last.end(), True
            else:
                return at, final or len(text) >= seen


def tail_of(pattern: KeyPattern) -> Tail | KeyBlock | None:
    """What follows the head of a secret of this kind."""
    if pattern.block:
        return KeyBlock()
    return Tail(pattern.tail) if pattern.tail else None


def _end(run: str, text: str, at: int) -> int:
    found = re.compile(run).match(text, at)
    return found.end() if found is not None else at


STARTS = tuple(dict.fromkeys(each.start for each in KEY_PATTERNS))
_SHORTEST = [s for s in STARTS if not any(s != o and s.startswith(o) for o in STARTS)]
# From the rarest in ordinary text and code to the most frequent that is needed.
_RARE = "QZ=J-zB_:AK"


def _anchors() -> dict[str, list[tuple[int, str]]]:
    """By a rare sign the starts that have it, and how far into them."""
    found: dict[str, list[tuple[int, str]]] = {}
    for start in _SHORTEST:
        sign = next(each for each in _RARE if each in start)
        found.setdefault(sign, []).append((start.index(sign), start))
    return found


def _search(anchors: Mapping[str, list[tuple[int, str]]]) -> re.Pattern[str]:
    """Finds the rare sign of each start: much faster than looking for so many words."""
    parts = []
    for sign, places in anchors.items():
        around = [
            f"(?<={re.escape(start[: at + 1])})(?={re.escape(start[at + 1 :])})"
            for at, start in places
        ]
        parts.append(f"{re.escape(sign)}(?:{'|'.join(around)})")
    return re.compile("|".join(parts))


_ANCHORS = _anchors()
_SEARCH = _search(_ANCHORS)
_BY_SHORTEST = {
    short: [(n, each) for n, each in enumerate(KEY_PATTERNS) if each.start.startswith(short)]
    for short in _SHORTEST
}


def may_hold(text: str) -> bool:
    """Whether any pattern could match."""
    return _SEARCH.search(text) is not None


def candidates(text: str, at: int) -> Iterator[tuple[int, int, KeyPattern]]:
    """Place, number and pattern of all that begins like a secret from `at` on."""
    for found in _SEARCH.finditer(text, at):
        for offset, start in _ANCHORS[found[0]]:
            place = found.start() - offset
            if place >= at and text.startswith(start, place):
                for number, each in _BY_SHORTEST[start]:
                    if text.startswith(each.start, place):
                        yield place, number, each
