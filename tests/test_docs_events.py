"""The table of events in docs/events.md is made from their classes; only the meanings are typed.

`AGENTCTL_GOLDEN=write python -m pytest tests/test_docs_events.py` writes it anew. What it cannot
know, the meaning of a new field, it writes as "?", which fails until somebody has said it.
"""

from __future__ import annotations

import os
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from agentctl.core.events import KINDS

PAGE = Path(__file__).parents[1] / "docs" / "events.md"
HEAD = ["| kind | what happened | field | type | meaning |", "|---|---|---|---|---|"]
PLAIN = {str: "text", int: "number", bool: "true or false", type(None): "null"}


def type_words(kind: Any) -> str:
    """The type as JSON has it, in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind in PLAIN:
        return PLAIN[kind]
    if origin is Literal:
        return "text"
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_words(each) for each in inner))
    if origin in (tuple, list):
        return f"list of {type_words(inner[0])}"
    if origin is dict or (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return "object"
    raise TypeError(f"no words for {kind}")


def default_words(value: Any) -> str:
    """What stands for a field that is left out; empty where that is nothing or a whole object."""
    if value is msgspec.NODEFAULT:
        return ", required"
    return "" if value in ("", (), {}) or isinstance(value, msgspec.Struct) else f", {plain(value)}"


def plain(value: object) -> str:
    return msgspec.json.encode(value).decode()


def fields(kind: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    hints = get_type_hints(kind)
    for each in msgspec.structs.fields(kind):
        default = each.default
        if default is msgspec.NODEFAULT and each.default_factory is not msgspec.NODEFAULT:
            default = each.default_factory()
        yield each.name, type_words(hints[each.name]) + default_words(default)


def table(text: str) -> tuple[int, int]:
    """Where the table begins and ends."""
    found = re.search(r"^\| kind \| what happened .*\n(?:\|.*\n)+", text, re.MULTILINE)
    assert found is not None, "there is no table of kinds"
    return found.start(), found.end()


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split(" | ")]


def made(text: str) -> str:
    """The table as it has to be, with the words that stand there now."""
    begin, end = table(text)
    happened: dict[str, str] = {}
    meanings: dict[tuple[str, str], str] = {}
    name = ""
    for row in text[begin:end].splitlines()[2:]:
        kind, what, field, *_, meaning = cells(row.replace("| | |", "|  |  |"))
        if kind:
            name, happened[kind] = kind, what
        meanings[name, field.strip("`")] = meaning
    lines = list(HEAD)
    for name, kind in KINDS.items():
        front = f"| {name} | {happened.get(name, '?')} |"
        for field, words in fields(kind):
            lines.append(f"{front} `{field}` | {words} | {meanings.get((name, field), '?')} |")
            front = "| | |"
    return "\n".join(lines) + "\n"


def test_the_table_of_events_is_made_from_their_classes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    expected = made(text)
    begin, end = table(text)
    if os.environ.get("AGENTCTL_GOLDEN") == "write":
        PAGE.write_text(text[:begin] + expected + text[end:], encoding="utf-8")
    assert text[begin:end] == expected


def test_every_meaning_is_told() -> None:
    text = PAGE.read_text(encoding="utf-8")
    begin, end = table(text)
    assert [row for row in text[begin:end].splitlines() if "| ? |" in row] == []
