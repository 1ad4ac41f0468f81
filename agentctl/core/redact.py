"""Secrets taken out of text: exact values, their usual encodings, and what looks like a key.

One pass from left to right; at each place the earliest secret counts, of two at the same place the
exact value, then the longer. A marker stands where it was. No secret begins in a marker or reaches
into one, so a second pass changes nothing.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from agentctl.core.secret_patterns import (
    KEY_PATTERNS,
    STARTS,
    KeyBlock,
    KeyPattern,
    Tail,
    candidates,
    may_hold,
    tail_of,
)

VALUE_MIN = 8
"""A shorter value is left alone: it would be found in words that have nothing to do with it."""
NAME_MAX = 80
_COMMON = frozenset(
    (
        "anonymous", "changeme", "development", "disabled", "localhost", "optional", "passw0rd",
        "password", "placeholder", "production", "required", "undefined", "unlimited", "username",
    )
)  # fmt: skip
_PLACES = ("/home/", "/Users/", "/root/", "/etc/", "/var/", "/run/", "/tmp/", "/opt/", "/usr/")  # noqa: S108 - names of places, nothing is written there
_RUNS = ("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")
# Nothing of a word before it; an escaped line end or a URL-quoted sign is none.
_FREE = re.compile(r"(?:^|[^A-Za-z0-9_-]|\\[nrt]|%[0-9A-Fa-f]{2})\Z")
_BEFORE = 3
MARKER_OPENS = "[secret: "


def marker(name: str) -> str:
    """What stands in place of a secret."""
    return f"{MARKER_OPENS}{re.sub(r'[^A-Za-z0-9_ .-]', '_', name)[:NAME_MAX]}]"


def is_common(value: str) -> bool:
    """Whether a value is no secret although its name says so: a word, a place, 12345678."""
    low = value.lower()
    return (
        len(value) < VALUE_MIN
        or len(set(value)) < 4
        or low in _COMMON
        or value.startswith(("~/", "./", "../", *_PLACES))
        or any(low in run for run in _RUNS)
    )


class _Found(NamedTuple):
    """A secret in a text, or what may become one when more text comes (`end` is -1)."""

    start: int
    order: int
    end: int
    keep_to: int
    """From the start to here the text stays."""
    marker: str
    alone: bool
    pattern: int = -1


class Redactor:
    r"""Replaces secrets by `[secret: NAME]`.

    Beside each value these forms of it are known: quoted for a URL (all but letters, digits and
    `-._~`; also with `/` left, with `+` for blanks, and with small hexadecimal digits), escaped
    for JSON (with and without `\u`), hexadecimal, and base64 in both alphabets, alone or within
    something larger. Not known: a value cut into lines, reversed, compressed or encrypted.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        """Take exact values by the name of where they are from; common ones are ignored."""
        markers = {marker(name) for name in values}
        markers = {each if _plain(each) else marker("value") for each in markers}
        markers |= {marker(each.name) for each in KEY_PATTERNS}
        forms: dict[str, str] = {}
        for name, value in values.items():
            shown = marker(name) if marker(name) in markers else marker("value")
            if not is_common(value):
                for form in _forms(value):
                    core = _apart(form, markers)
                    if len(core) >= VALUE_MIN:
                        forms.setdefault(core, shown)
        self._forms = sorted(forms.items(), key=lambda item: (-len(item[0]), item[0]))
        starts = [*(form for form, _ in self._forms), *STARTS]
        self._longest = max(map(len, starts))
        self._by_first: dict[str, list[tuple[str, bool]]] = {}
        for start in starts:
            alone = start not in forms and all(e.alone for e in KEY_PATTERNS if e.start == start)
            self._by_first.setdefault(start[0], []).append((start, alone))
        self.hold_max = max(self._longest, KeyBlock.REACH, *(e.reach for e in KEY_PATTERNS))
        """Most characters that a stream holds back."""

    def text(self, text: str) -> str:
        """The text without secrets. Doing it twice changes nothing more."""
        if not self._may_touch(text):
            return text
        return StreamRedactor(self)._go(text, final=True)

    def _may_touch(self, text: str) -> bool:
        return may_hold(text) or any(form in text for form, _ in self._forms)

    def _found(self, text: str, at: int, *, final: bool) -> list[_Found]:
        """All that is or may become a secret, in the order in which it counts."""
        found = list(self._values_in(text, at))
        for place, number, each in candidates(text, at):
            order = len(self._forms) + number
            shown = marker(each.name)
            if head := re.compile(each.head).match(text, place):
                group = 1 if head.re.groups else 0
                end, keep_to = head.end(group), head.start(group)
                found.append(_Found(place, order, end, keep_to, shown, each.alone, number))
            elif not final and _undecided(each, text, place):
                found.append(_Found(place, order, -1, place, shown, each.alone))
        if not final:
            found.extend(self._begun(text, at))
        found.sort()
        return found

    def _values_in(self, text: str, at: int) -> Iterator[_Found]:
        for order, (form, shown) in enumerate(self._forms):
            place = text.find(form, at)
            while place >= 0:
                yield _Found(place, order, place + len(form), place, shown, alone=False)
                place = text.find(form, place + 1)

    def _begun(self, text: str, at: int) -> Iterator[_Found]:
        """Places near the end where a value or a start may just have begun."""
        size = len(text)
        for place in range(max(at, size - self._longest + 1), size):
            for start, alone in self._by_first.get(text[place], ()):
                if len(start) > size - place and start.startswith(text[place:]):
                    yield _Found(place, -1, -1, place, "", alone)


class StreamRedactor:
    """The same for text that comes in pieces; all pieces together give `Redactor.text` of all."""

    def __init__(self, redactor: Redactor) -> None:
        """One stream; what is given out never has to be taken back."""
        self._redactor = redactor
        self._held = ""
        self._before = ""
        """The last characters before what is held; empty after a secret."""
        self._tail: Tail | KeyBlock | None = None

    def feed(self, chunk: str) -> str:
        """Take a piece; give out what cannot be part of a secret any more."""
        return self._go(chunk, final=False)

    def end(self) -> str:
        """Nothing more comes: give out what was held back."""
        return self._go("", final=True)

    def _go(self, chunk: str, *, final: bool) -> str:
        text, at, fresh = self._held + chunk, 0, 0
        before = self._before
        if self._tail is not None:
            at, ended = self._tail.take(text, 0, final=final)
            if not ended:
                self._held = text[at:]
                return ""
            self._tail, before, fresh = None, "", at
        given: list[str] = []
        for each in self._redactor._found(text, at, final=final):
            if each.start < at or (each.alone and not _free(before, text, fresh, each.start)):
                continue
            given.append(text[at : each.start])
            at = each.start
            if each.end < 0:
                break
            if each.keep_to > at:
                given.append(self._redactor.text(text[at : each.keep_to]))
            given.append(each.marker)
            at, before = each.end, ""
            tail = tail_of(KEY_PATTERNS[each.pattern]) if each.pattern >= 0 else None
            if tail is not None:
                at, ended = tail.take(text, at, final=final)
                if not ended:
                    self._tail = tail
                    fresh = at
                    break
            fresh = at
        else:
            given.append(text[at:])
            at = len(text)
        self._held = text[at:]
        self._before = (before + text[fresh:at])[-_BEFORE:]
        return "".join(given)


def _undecided(pattern: KeyPattern, text: str, place: int) -> bool:
    """Whether a head that has begun here may still become whole."""
    if len(text) - place >= pattern.reach or not text.startswith(pattern.start, place):
        return False
    run = re.compile(pattern.within).match(text, place + len(pattern.start))
    return run is not None and run.end() == len(text)


def _free(before: str, text: str, fresh: int, start: int) -> bool:
    """Whether no word goes on at `start`; `before` is what stood before `fresh`."""
    near = text[max(fresh, start - _BEFORE) : start]
    return _FREE.search((before + near)[-_BEFORE:]) is not None


def _plain(shown: str) -> bool:
    """Whether no pattern begins in a marker."""
    return not any(start in shown for start in STARTS)


def _apart(form: str, markers: set[str]) -> str:
    """The part of a form that no marker can be taken for a part of; empty if there is none."""
    if MARKER_OPENS in form or any(form in each for each in markers):
        return ""
    if "[" not in form and "]" not in form:  # they begin and end with these
        return form
    while True:
        size = len(form)
        for each in markers:
            for length in range(min(len(each), len(form)), 0, -1):
                if form.endswith(each[:length]):
                    form = form[:-length]
                if form and form.startswith(each[-length:]):
                    form = form[length:]
        if len(form) == size:
            return "" if any(form in each for each in markers) else form


def _forms(value: str) -> Iterator[str]:
    """A value as it may be printed."""
    raw = value.encode("utf-8", "surrogatepass")
    yield value
    for kept in ("-._~", "-._~/"):
        for digits in ("%02X", "%02x"):
            quoted = "".join(
                chr(b) if (chr(b).isalnum() and b < 128) or chr(b) in kept else "%" + digits % b
                for b in raw
            )
            yield quoted
            yield quoted.replace("%20", "+")
    if value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value):
        written = msgspec.json.encode(value).decode()[1:-1]
        yield written
        yield "".join(c if c.isascii() else _escaped(c) for c in written)
    yield raw.hex()
    yield raw.hex().upper()
    for text in _base64(raw):
        yield text
        yield text.replace("+", "-").replace("/", "_")


def _escaped(char: str) -> str:
    """A character as JSON writes it in ASCII."""
    code = char.encode("utf-16-be")
    return "".join(f"\\u{code[n : n + 2].hex()}" for n in range(0, len(code), 2))


def _base64(raw: bytes) -> Iterator[str]:
    """Base64 of these bytes alone, and what is sure of it wherever they stand within others."""
    yield binascii.b2a_base64(raw, newline=False).decode()
    for offset, unsure in enumerate((0, 2, 3)):
        text = binascii.b2a_base64(b"\0" * offset + raw, newline=False).decode()
        yield text[unsure : (offset + len(raw)) * 8 // 6]


NO_SECRETS = Redactor({})
"""Knows no value, only what keys look like."""
