"""What a docstring says of a function and of its parameters: Google, NumPy and reST style."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence

_SECTION = re.compile(r"(?:Args|Arguments|Parameters|Params):?\s*$")
_ANY_SECTION = re.compile(r"[A-Z][A-Za-z ]*:\s*$")
_GOOGLE = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_NUMPY = re.compile(r"(\w+)\s*(?::.*)?$")
_REST = re.compile(r":param\s+(?:[^:]*\s)?(\w+)\s*:\s*(.*)$")


def summary(docstring: str) -> str:
    """The first paragraph, on one line; empty if it is none but a list of parameters."""
    paragraph, _, _ = inspect.cleandoc(docstring).partition("\n\n")
    lines: list[str] = []
    for line in paragraph.splitlines():
        if _SECTION.match(line) or _REST.match(line):
            break
        lines.append(line.strip())
    return " ".join(lines).strip()


def parameters(docstring: str, names: Sequence[str]) -> dict[str, str]:
    """What it says of these parameters, each on one line."""
    lines = inspect.cleandoc(docstring).splitlines()
    found: dict[str, list[str]] = {}
    for name, text in (*_rest(lines), *_section(lines)):
        if name in names:
            found.setdefault(name, []).append(text.strip())
    return {name: " ".join(filter(None, texts)) for name, texts in found.items() if any(texts)}


def _rest(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and text of `:param name: text`, a line at a time."""
    name = ""
    for line in lines:
        field = _REST.match(line)
        if field:
            name = field[1]
            yield name, field[2]
        elif name and line[:1].isspace():
            yield name, line
        else:
            name = ""


def _section(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and text of what stands below "Args:" or "Parameters" with a rule, a line at a time."""
    start = next((n for n, line in enumerate(lines) if _SECTION.match(line)), len(lines))
    rest = lines[start + 1 :]
    if rest and set(rest[0].strip()) == {"-"}:
        yield from _numpy(rest[1:])
    else:
        yield from _google(rest)


def _google(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """`name (type): text`, all indented; what is indented further goes on with it."""
    first = next((line for line in lines if line.strip()), "")
    indent = len(first) - len(first.lstrip())
    name = ""
    for line in lines:
        depth = len(line) - len(line.lstrip())
        if line.strip() and (depth < indent or depth == 0 or _ANY_SECTION.match(line)):
            return
        entry = _GOOGLE.match(line.strip()) if depth == indent else None
        if entry:
            name = entry[1]
            yield name, entry[2]
        elif name and line.strip():
            yield name, line


def _numpy(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """`name : type`, and its text indented below."""
    name = ""
    for number, line in enumerate(lines):
        following = lines[number + 1].strip() if number + 1 < len(lines) else ""
        if following and set(following) == {"-"}:
            return  # the next section
        entry = _NUMPY.match(line) if not line[:1].isspace() else None
        if entry:
            name = entry[1]
        elif name and line.strip():
            yield name, line
