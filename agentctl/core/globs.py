"""Globs on texts, words and paths.

Written out, because a regular expression made from a pattern can be slow without bound, and a
project's patterns are written by nobody knows whom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
P = TypeVar("P")

SPECIAL = "*?["


def is_literal(glob: str) -> bool:
    """Whether a glob fits one text only."""
    return not any(mark in glob for mark in SPECIAL)


def escaped(text: str) -> str:
    """The glob that fits exactly this text."""
    return "".join(f"[{c}]" if c in SPECIAL else c for c in text)


def fits(text: str, glob: str) -> bool:
    """Whether the whole text fits: `*` any characters, `?` one, `[a-z]` and `[!a-z]` some."""
    return fits_all(text, _elements(glob), _is_star, _fits_one)


def fits_path(path: str, glob: str) -> bool:
    """The same for paths: `*` and `?` stay within one name, `**` stands for any folders."""
    return fits_all(path.split("/"), glob.split("/"), lambda part: part == "**", fits)


def fits_all(
    items: Sequence[T],
    patterns: Sequence[P],
    is_many: Callable[[P], bool],
    fits_item: Callable[[T, P], bool],
) -> bool:
    """Whether the items fit the patterns one by one; `is_many` ones stand for any number of them.

    Only the last such pattern is ever tried again, so the work is at most items times patterns.
    """
    item = pattern = 0
    retry_item = retry_pattern = -1
    while item < len(items):
        if pattern < len(patterns) and is_many(patterns[pattern]):
            retry_item, retry_pattern = item, pattern
            pattern += 1
        elif pattern < len(patterns) and fits_item(items[item], patterns[pattern]):
            item += 1
            pattern += 1
        elif retry_pattern >= 0:
            retry_item += 1
            item, pattern = retry_item, retry_pattern + 1
        else:
            return False
    return all(is_many(each) for each in patterns[pattern:])


def _elements(glob: str) -> list[str]:
    """Single characters, and sets with their brackets. A `[` that nothing closes is itself."""
    found: list[str] = []
    at = 0
    unclosed = False
    while at < len(glob):
        # The first character of a set may be a bracket that does not close it.
        start = at + 2 if glob[at + 1 : at + 2] in ("!", "^") else at + 1
        end = glob.find("]", start + 1) if glob[at] == "[" and not unclosed else -1
        unclosed = unclosed or (glob[at] == "[" and end < 0)
        end = max(end, at)
        found.append(glob[at : end + 1])
        at = end + 1
    return found


def _is_star(element: str) -> bool:
    return element == "*"


def _fits_one(char: str, element: str) -> bool:
    if len(element) == 1:
        return element in ("?", char)
    inner = element[1:-1]
    negated = inner[0] in "!^" and len(inner) > 1
    inner = inner[1:] if negated else inner
    found = False
    at = 0
    while at < len(inner):
        if inner[at + 1 : at + 2] == "-" and at + 2 < len(inner):
            found = found or inner[at] <= char <= inner[at + 2]
            at += 3
        else:
            found = found or inner[at] == char
            at += 1
    return found != negated
