"""Definitions of agents: Markdown with front matter, ours and those of other products.

What is wrong with one is told with its line. A *problem* keeps it from being used where using it
could do more than was meant (a limit that cannot be read); a *note* says what is not taken over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from agentctl import agent_words as words
from agentctl import quantities, registry
from agentctl.core.sanitize import storable
from agentctl.settings_keys import KEYS

MAX_BYTES = 131_072
HEAD_MAX_BYTES = 16_384
DEPTH_MAX = 4
DESCRIPTION_MAX = 4_000
_MARK = "---"
_LINE = re.compile(r"([A-Za-z][\w-]*)\s*:(?:\s+(.*)|)$")
_TYPO = 0.75
"""An unknown key as like a known one as this is taken for a typing mistake of it."""
_SEE = "docs/agents.md says what a definition may hold."


class Note(Struct, frozen=True):
    """Something to be said of a definition."""

    line: int
    """From 1; 0: of the whole file."""
    text: str
    remedy: str = ""
    bad: bool = False
    """The definition cannot be used as it is."""


class Definition(Struct, frozen=True, kw_only=True):
    """What one file says."""

    name: str
    path: Path
    description: str = ""
    prompt: str = ""
    tools: tuple[str, ...] | None = None
    """Names as in `core.only`; None: all."""
    values: Mapping[str, object] = {}
    """By name of the setting, read."""
    notes: tuple[Note, ...] = ()

    @property
    def problems(self) -> list[Note]:
        """What keeps it from being used."""
        return [note for note in self.notes if note.bad]


def is_definition(data: bytes) -> bool:
    """Whether these are the bytes of a definition and not of some other page."""
    return data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"---")


def read(path: Path, data: bytes) -> Definition:
    """Read a definition. Whatever is wrong with it is among its notes."""
    notes: list[Note] = []
    if len(data) > MAX_BYTES:
        text = f"it has {len(data):,} bytes, more than {MAX_BYTES:,}"
        return _broken(path, Note(0, text, "Shorten it.", bad=True))
    head, body, offset = _parts(data.decode("utf-8", "replace"))
    if head is None:
        text = "it does not begin with front matter between two lines ---"
        return _broken(path, Note(1, text, "Write name and description there.", bad=True))
    if len(head.encode()) > HEAD_MAX_BYTES:
        text = f"its front matter has more than {HEAD_MAX_BYTES:,} bytes"
        return _broken(path, Note(1, text, "Move text below it.", bad=True))
    found = _Head(head, offset, notes)
    raw = found.mapping()
    tools = _tools(raw, found)
    values = _values(raw, found)
    name = _name(raw, path, found)
    description = _text(raw, "description", found)
    if not description:
        found.note("description", "it has no description", "Say in a line what it is for.")
    _foreign(raw, found)
    if b"\x00" in data or "\ufffd" in head + body:
        notes.append(Note(0, "it is not UTF-8 text", "Save it as UTF-8.", bad=True))
    return Definition(
        name=name,
        path=path,
        description=description,
        prompt=storable(body).strip(),
        tools=tools,
        values=values,
        notes=tuple(sorted(notes, key=lambda note: note.line)),
    )


def _broken(path: Path, note: Note) -> Definition:
    return Definition(name=path.stem, path=path, notes=(note,))


def _parts(text: str) -> tuple[str | None, str, int]:
    """The front matter, the rest, and how many lines stand before the first."""
    lines = text.removeprefix("\ufeff").splitlines()
    start = next((n for n, line in enumerate(lines) if line.strip()), 0)
    if not lines or lines[start].rstrip() != _MARK:
        return None, text, 0
    for end in range(start + 1, len(lines)):
        if lines[end].rstrip() == _MARK:
            return "\n".join(lines[start + 1 : end]), "\n".join(lines[end + 1 :]), start + 1
    return None, text, 0


class _Head:
    """The front matter, and what is to be said of it."""

    def __init__(self, text: str, offset: int, notes: list[Note]) -> None:
        self.text, self.offset, self.notes = text, offset, notes

    def note(self, key: str, text: str, remedy: str = "", *, bad: bool = False) -> None:
        """Say something of a key."""
        self.notes.append(Note(self._line(key), storable(text), storable(remedy), bad))

    def _line(self, key: str) -> int:
        for number, line in enumerate(self.text.split("\n"), self.offset + 1):
            if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*:", line):
                return number
        return self.offset

    def mapping(self) -> dict[str, Any]:
        """The keys and their values.

        Other products also read what is no YAML, such as a description with a colon in it: then
        each line counts by itself.
        """
        import yaml  # here, because most runs have no definition

        try:
            problem = _structure_problem(yaml.parse(self.text, Loader=yaml.SafeLoader))
            if problem:
                self.notes.append(Note(self.offset, problem, _SEE, bad=True))
                return {}
            raw = yaml.safe_load(self.text)
        except (yaml.YAMLError, ValueError, RecursionError):
            line = self.offset + 1
            self.notes.append(
                Note(line, "its front matter is not YAML, so each line is read by itself",
                     "Put texts with a colon in them between quotes.")
            )  # fmt: skip
            return dict(_by_line(self.text))
        if raw is None:
            return {}
        if not isinstance(raw, dict):
            text = "its front matter is not a list of keys and values"
            self.notes.append(Note(self.offset + 1, text, _SEE, bad=True))
            return {}
        return {str(key): value for key, value in raw.items()}


def _structure_problem(events: Any) -> str:
    """Anchors would let a small file stand for a huge one."""
    import yaml  # as above

    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            return "anchors and aliases are not read"
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH_MAX:
            return f"its front matter is more than {DEPTH_MAX} deep"
    return ""


def _by_line(text: str) -> Iterator[tuple[str, Any]]:
    """Key and value of each line; lines "- item" below a key without one are its list."""
    key = ""
    items: list[str] = []
    for line in text.split("\n"):
        found = _LINE.match(line)
        if found is not None:
            if items:
                yield key, items
            key, items = found[1], []
            value = (found[2] or "").strip()
            if value:
                yield key, value.strip("\"'") if value[:1] == value[-1:] else value
        elif key and line.strip().startswith("- "):
            items.append(line.strip()[2:].strip().strip("\"'"))
    if items:
        yield key, items


def _name(raw: Mapping[str, Any], path: Path, head: _Head) -> str:
    given = raw.get("name", path.stem)
    try:
        return str(quantities.name(given))
    except ValueError as error:
        if "name" in raw:
            head.note("name", f"name: {error}; it goes by the name of its file", "Rename it.")
        return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem)[:64] or "agent"


def _text(raw: Mapping[str, Any], key: str, head: _Head) -> str:
    value = raw.get(key, "")
    if isinstance(value, str) and len(value) <= DESCRIPTION_MAX:
        return " ".join(storable(value).split())
    head.note(key, f"{key}: not a text of at most {DESCRIPTION_MAX:,} characters", "Shorten it.")
    return ""


def _values(raw: Mapping[str, Any], head: _Head) -> dict[str, object]:
    """The settings it holds, each read as in a settings file."""
    limits = raw.get("limits", {})
    if not isinstance(limits, dict):
        head.note("limits", "limits: not a list of keys and values", _SEE, bad=True)
        limits = {}
    found: dict[str, object] = {}
    whole = {**{str(k): v for k, v in limits.items()}, **raw}
    for key, value in whole.items():
        name = words.SAME_KEYS.get(key, key)
        if name not in words.KEYS:
            if key in limits:
                head.note(key, f"limits.{key}: there is no such limit", _near(key), bad=True)
            continue
        if name == "model":
            found |= _model(value, head)
            continue
        if name == "sandbox" and value is False:
            value = "off"  # which YAML takes for a no
        try:
            found[name] = KEYS[name].read(value)
        except ValueError as error:
            head.note(key, f"{key}: {error}", KEYS[name].instead, bad=True)
    return found


def _model(value: object, head: _Head) -> dict[str, object]:
    """A model, also as "provider/model"; `inherit` chooses none."""
    try:
        name = str(KEYS["model"].read(value))
    except ValueError as error:
        head.note("model", f"model: {error}", KEYS["model"].instead, bad=True)
        return {}
    provider, _, rest = name.partition("/")
    if rest and provider in registry.PROVIDERS:
        return {"provider": provider, "model": rest}
    return {} if name in ("inherit", "default", "") else {"model": name}


def _tools(raw: Mapping[str, Any], head: _Head) -> tuple[str, ...] | None:
    """The tools it names; None: it names none, so it has all."""
    given = raw.get("tools")
    unwanted = _listed(raw.get("disallowedTools"), "disallowedTools", head)
    if isinstance(given, dict):  # as some have it: what is not false may be used, like all others
        unwanted += [str(name) for name, on in given.items() if on is False]
        given = None
    names = ["*"] if given is None else list(_ours(_listed(given, "tools", head), "tools", head))
    if "*" in names:
        names = ["*"]
    elif names and "read_output" not in names:
        names.append("read_output")  # the rest of what its tools said
    taken = [f"!{name}" for name in _ours(unwanted, "disallowedTools", head)]
    return None if names == ["*"] and not taken else tuple(dict.fromkeys((*names, *taken)))


def _ours(given: Sequence[str], key: str, head: _Head) -> Iterator[str]:
    for text in given:
        name, note = words.tool(text)
        if note:
            head.note(key, f"{key}: {note}")
        if name:
            yield name


def _listed(value: object, key: str, head: _Head) -> list[str]:
    """A list of names, or one text with commas; those in brackets belong to their name."""
    if value is None:
        return []
    if isinstance(value, str):
        value = [part.strip() for part in re.split(r",(?![^(]*\))", value)]
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return [each for each in value if each]
    head.note(key, f"{key}: not a list of names", "Write e.g. tools: read_file, search_text",
              bad=True)  # fmt: skip
    return []


def _foreign(raw: Mapping[str, Any], head: _Head) -> None:
    """Say of each key that is not read that it is not; refuse what looks mistyped."""
    ours = {*words.OWN_KEYS, *words.KEYS, *words.SAME_KEYS}
    for key in raw:
        if key in ours:
            continue
        near = "" if key in words.FOREIGN_KEYS else _near(key)
        if near:
            head.note(key, f"{key}: there is no such key", near, bad=True)
        else:
            head.note(key, f"{key}: not read here")


def _near(key: str) -> str:
    """What may have been meant by a key, or an empty string."""
    import difflib  # here, because it is only needed after a mistake

    known = [*words.OWN_KEYS, *words.KEYS]
    near = difflib.get_close_matches(key, known, 1, _TYPO)
    return f"Did you mean {near[0]}? {_SEE}" if near else ""
