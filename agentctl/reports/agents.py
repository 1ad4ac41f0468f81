"""Definitions of agents: as a table, one by one, and as JSON. Nothing here prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from agentctl.reports.columns import Column, ascii_only, table, wrapped
from agentctl.reports.text import usd, visible


class AgentNote(Struct, frozen=True):
    """Something to be said of a definition."""

    path: str
    line: int
    """From 1; 0: of the whole file."""
    text: str
    remedy: str
    bad: bool
    """It cannot be used as it is."""


class AgentLine(Struct, frozen=True):
    """One definition, as it would be used here."""

    name: str
    description: str
    path: str
    source: str
    trusted: bool
    hidden: bool
    """Another one of this name comes first."""
    prompt: str
    tools: tuple[str, ...] | None
    settings: Mapping[str, object]
    """By the fields of `Settings`."""
    notes: tuple[AgentNote, ...]


def text(lines: Sequence[AgentLine], width: int, *, plain: bool = False) -> str:
    """Return the table and, below it, what is to be said."""
    if not lines:
        return "There is no agent here. docs/agents.md says how to define one."
    columns = [
        Column("Whose", [_whose(line) for line in lines], left=True, rank=2),
        Column(
            "Model", [str(line.settings.get("model", "-")) for line in lines], left=True, rank=3
        ),
        Column("For", [visible(_short(line.description)) for line in lines], left=True, rank=1),
    ]
    shown = table("Agent", [line.name for line in lines], columns, width, plain=plain)
    if any(each.bad for line in lines for each in line.notes):
        shown += wrapped("Some cannot be used as they are. See: agentctl agents check", width)
    if any(not line.trusted for line in lines):
        shown += wrapped(
            "Those that are not trusted have their prompt and may take tools away and make limits "
            "tighter, and nothing else. To trust a folder: agentctl trust DIR",
            width,
        )
    return "\n".join(shown)


def details(line: AgentLine, width: int, *, plain: bool = False) -> str:
    """Return all that is known of one definition."""
    about = [
        line.name,
        *(f"  {piece}" for piece in wrapped(visible(line.description), width - 2)),
        f"File        {visible(line.path)}",
        f"Whose       {_whose(line)}",
    ]
    tools = "all" if line.tools is None else ", ".join(line.tools) or "none"
    about += _hanging("Tools", tools, width)
    for name, value in line.settings.items():
        about += _hanging(
            name.removesuffix("_micros").removesuffix("_ms"), _shown(name, value), width
        )
    for note in line.notes:
        about += _hanging("Problem" if note.bad else "Note", said(note), width)
    about += ["Prompt", *(f"  {visible(each)}" for each in line.prompt.splitlines())]
    return "\n".join(ascii_only(each) if plain else each for each in about)


def said(note: AgentNote) -> str:
    """What is to be said, with what to do about it."""
    place = f"line {note.line}: " if note.line else ""
    return visible(f"{place}{note.text}. {note.remedy}".strip())


def as_json(line: AgentLine, *, whole: bool = False) -> dict[str, Any]:
    """Return one definition; its prompt only with `whole`."""
    found = {
        "name": line.name,
        "description": line.description,
        "path": line.path,
        "source": line.source,
        "trusted": line.trusted,
        "hidden": line.hidden,
        "tools": None if line.tools is None else list(line.tools),
        "settings": dict(line.settings),
        "notes": [note_json(note) for note in line.notes],
    }
    return {**found, "prompt": line.prompt} if whole else found


def note_json(note: AgentNote) -> dict[str, Any]:
    """Return one note."""
    return {
        "path": note.path,
        "line": note.line,
        "text": note.text,
        "remedy": note.remedy,
        "problem": note.bad,
    }


def _shown(name: str, value: object) -> str:
    if isinstance(value, int) and name.endswith("_micros"):
        return usd(value)
    if isinstance(value, int) and name.endswith("_ms"):
        return f"{value / 1000:g} s"
    return "none" if value is None else str(value)


def _hanging(head: str, words: str, width: int) -> list[str]:
    first, *rest = wrapped(visible(words), width - 12) or [""]
    return [f"{head:11} {first}", *(f"{'':11} {each}" for each in rest)]


def _whose(line: AgentLine) -> str:
    whose = line.source if line.trusted else "project, not trusted"
    return f"{whose}, hidden" if line.hidden else whose


def _short(description: str) -> str:
    return description if len(description) <= 60 else description[:59] + "…"
