"""References in the arguments of composed tools, such as `{input.path}`: found, checked, filled.

A reference names a value and nothing else. There are no expressions, so what a model or a tool
wrote can become part of an argument, but never decides which values are taken.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from agentctl.errors import ConfigError, ToolError
from agentctl.ports import ToolResult

ROOTS = ("input", "result", "steps", "item", "index")
WHOLE_INPUT = "{input}"
# `{{input}}` stands for the text "{input}". Braces of another shape, as in JSON, are plain text.
_REFERENCE = re.compile(
    r"\{\{(?P<plain>[A-Za-z_][\w-]*(?:\.[^{}.\s:]+)*(?::sh)?)\}\}"
    r"|\{(?P<name>[A-Za-z_][\w-]*(?:\.[^{}.\s:]+)*)(?P<quoted>:sh)?\}"
)
_ABSENT = object()
"""An optional input that was not given: the argument is left out too."""


class Ref(Struct, frozen=True):
    """One reference."""

    root: str
    path: tuple[str, ...]
    text: str
    """As it was written."""
    quoted: bool = False
    """Written as one word for a shell."""


class Scope(Struct):
    """The values that references can name."""

    input: dict[str, Any]
    results: dict[str, ToolResult] = {}
    """By label of the step, in the order in which they ended."""
    last: ToolResult | None = None
    item: object = None
    index: int = 0

    def value(self, ref: Ref) -> Any:
        """What is named, in its own type. Raises ToolError when it is not there."""
        if ref.root == "input":
            if ref.path and ref.path[0] not in self.input:
                return _ABSENT
            return _inside(self.input, ref.path, ref)
        if ref.root == "item":
            return _inside(self.item, ref.path, ref)
        if ref.root == "index":
            return self.index
        result, path = self._result(ref)
        return _inside(_json(result.text, ref), path, ref) if path else result.text

    def ended_well(self, ref: Ref) -> bool:
        """Whether the step that is named succeeded. Raises ToolError when it did not run."""
        return self._result(ref)[0].ok

    def _result(self, ref: Ref) -> tuple[ToolResult, tuple[str, ...]]:
        if ref.root == "result":
            found, path = self.last, ref.path
        else:
            found, path = self.results.get(ref.path[0]), ref.path[1:]
        if found is None:
            raise ToolError(f"{ref.text}: no such step has run.")
        return found, path


def parts_of(text: str) -> Iterator[str | Ref]:
    """Cut a text into plain pieces and references."""
    at = 0
    for found in _REFERENCE.finditer(text):
        if found.start() > at:
            yield text[at : found.start()]
        at = found.end()
        if found["plain"] is not None:
            yield "{" + found["plain"] + "}"
        else:
            root, *path = found["name"].split(".")
            yield Ref(root, tuple(path), found[0], found["quoted"] is not None)
    if at < len(text):
        yield text[at:]


def references(template: object) -> Iterator[Ref]:
    """Every reference in a template: a text, or lists and tables with texts in them."""
    for text in _texts(template):
        yield from (part for part in parts_of(text) if isinstance(part, Ref))


def unquoted(template: object) -> Iterator[Ref]:
    """References within longer texts that are not written as one word for a shell."""
    for text in _texts(template):
        parts = list(parts_of(text))
        if len(parts) > 1:
            yield from (part for part in parts if isinstance(part, Ref) and not part.quoted)


def lone(text: object) -> Ref | None:
    """The reference that this text is, and nothing beside it."""
    parts = list(parts_of(text)) if isinstance(text, str) else []
    return parts[0] if len(parts) == 1 and isinstance(parts[0], Ref) else None


def fill(template: object, scope: Scope) -> Any:
    """Put values in place of references. Raises ToolError when one is not there."""
    if isinstance(template, str):
        return _filled_text(template, scope)
    if isinstance(template, Mapping):
        filled = {key: fill(value, scope) for key, value in template.items()}
        return {key: value for key, value in filled.items() if value is not _ABSENT}
    if isinstance(template, list | tuple):
        return [each for each in (fill(one, scope) for one in template) if each is not _ABSENT]
    return template


def present(value: object) -> Any:
    """The value; None for an optional input that was not given."""
    return None if value is _ABSENT else value


def check(
    template: object, roots: Collection[str], steps: Collection[str], inputs: Collection[str] | None
) -> None:
    """Raise ConfigError for a reference to what cannot be there. `inputs` None: not known yet."""
    for ref in references(template):
        if ref.root not in ROOTS:
            raise ConfigError(
                f"{ref.text} refers to nothing.",
                next_step=f"References begin with {', '.join(ROOTS)}; "
                f"for the text itself write {{{ref.text}}}.",
            )
        if ref.root not in roots:
            known = ", ".join("{" + root + "}" for root in ROOTS if root in roots)
            raise ConfigError(f"{ref.text} is not known there; known are {known}.")
        if ref.root == "steps" and (not ref.path or ref.path[0] not in steps):
            names = ", ".join(steps) or "none"
            raise ConfigError(f"{ref.text}: no earlier step has that name; there are: {names}.")
        if ref.root == "input" and ref.path and inputs is not None and ref.path[0] not in inputs:
            names = ", ".join(inputs) or "none"
            raise ConfigError(f"{ref.text}: there is no such parameter; there are: {names}.")


def _texts(template: object) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, Mapping):
        for value in template.values():
            yield from _texts(value)
    elif isinstance(template, list | tuple):
        for value in template:
            yield from _texts(value)


def _filled_text(text: str, scope: Scope) -> Any:
    alone = lone(text)
    if alone is not None and not alone.quoted:
        return scope.value(alone)
    return "".join(
        _written(part, scope.value(part)) if isinstance(part, Ref) else part
        for part in parts_of(text)
    )


def _written(ref: Ref, value: object) -> str:
    if value is _ABSENT:
        raise ToolError(f"{ref.text} was not given.")
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return shlex.quote(text) if ref.quoted else text


def _json(text: str, ref: Ref) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise ToolError(f"{ref.text}: that result is not JSON.") from error


def _inside(value: object, path: tuple[str, ...], ref: Ref) -> Any:
    for name in path:
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < 10:
            if int(name) >= len(value):
                raise ToolError(f"{ref.text} is not there: the list has {len(value):,} items.")
            value = value[int(name)]
        else:
            raise ToolError(f"{ref.text} is not there: nothing is named {name!r}.")
    return value
