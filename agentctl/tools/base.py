"""What the built-in tools share: arguments with a schema, errors of paths, ranges of lines.

A tool is a class with a `spec`, an argument Struct and one method `act`. Everything that came from
the model has passed the Struct before `act` sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

from agentctl.core.values import TIMEOUTS_MS, Millis, Repeat, Sandbox, ToolSpec
from agentctl.errors import ToolError
from agentctl.ports import ToolContext, ToolResult
from agentctl.tools.protected import Guard
from agentctl.tools.treeworker import printable

MAX_ARGUMENT_BYTES = 1_000_000
MAX_ARGUMENT_DEPTH = 32

# The closing quote is optional so that an unclosed string is passed over once, not per character.
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)

_UNTOLD = frozenset({"minLength", "maxLength"})

PathText = Annotated[str, Meta(min_length=1, max_length=4096)]
FirstLine = Annotated[int, Meta(ge=1)]
LineCount = Annotated[int, Meta(ge=0, description="0: all")]


class Arguments(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every tool's arguments: a name that the tool does not know is an error."""


A = TypeVar("A", bound=Arguments)

shown = printable
"""Makes a file name fit for a message."""


class BuiltIn(Generic[A]):
    """A tool whose arguments are a Struct. Subclasses set `spec` and `arguments`, write `act`."""

    spec: ToolSpec
    arguments: type[A]

    def __init__(self, *, policy: Sandbox | None = None) -> None:
        """`policy` says what is hidden, and which of the protected files may be written."""
        self.guard = Guard(policy)

    def check(self, arguments: str) -> str:
        """Return why this JSON text does not fit the tool, or an empty string."""
        try:
            self._decode(arguments)
        except ToolError as error:
            return error.what
        return ""

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        """Decode the arguments and act on them. Raises ToolError."""
        return await self.act(self._decode(arguments), context)

    async def act(self, arguments: A, context: ToolContext) -> ToolResult:
        """Do the work. Raises ToolError for what the model should hear."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing outlives a call unless a subclass says so."""

    def _decode(self, arguments: str) -> A:
        """Read the model's JSON. Raises ToolError with a message that names the field."""
        try:
            return msgspec.json.decode(bounded(arguments), type=self.arguments)
        except msgspec.DecodeError as error:
            raise ToolError(str(error)) from error


def bounded(arguments: str) -> bytes:
    """Return the model's JSON text as bytes to be read. Raises ToolError if it is too large."""
    try:
        data = arguments.encode().strip()
    except UnicodeEncodeError as error:
        raise ToolError(str(error)) from error
    if len(data) > MAX_ARGUMENT_BYTES:
        raise ToolError(f"The arguments are larger than {MAX_ARGUMENT_BYTES:,} bytes.")
    if _depth(arguments) > MAX_ARGUMENT_DEPTH:
        raise ToolError(f"The arguments are nested over {MAX_ARGUMENT_DEPTH} deep.")
    # Some models send nothing at all for a call without arguments.
    return data or b"{}"


def _depth(text: str) -> int:
    """How deep brackets nest, those inside strings left out. Cheap for ordinary calls."""
    if text.count("[") + text.count("{") <= MAX_ARGUMENT_DEPTH:
        return 0
    depth = deepest = 0
    for found in _BRACKETS.finditer(text):
        mark = found[0]
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def spec_of(
    name: str,
    description: str,
    arguments: type[Arguments],
    *,
    category: str,
    repeat: Repeat,
    changes: bool,
    timeout_ms: Millis | None = None,
    lookup: bool = False,
    delegates: bool = False,
) -> ToolSpec:
    """Make a tool's spec; its JSON schema comes from the argument Struct.

    Without `timeout_ms` the time-out is that of the category. With `lookup` its results say what
    they were got from (`ports.ToolResult.proof`).
    """
    schema = msgspec.json.schema(arguments)
    (flat,) = schema["$defs"].values()
    # Every request pays for this text, so what a model does not need is left to check().
    properties = {
        name: {key: value for key, value in field.items() if key not in _UNTOLD}
        for name, field in flat["properties"].items()
    }
    wanted = {"type": "object", "properties": properties, "required": flat["required"]}
    text = msgspec.json.encode(wanted, order="sorted").decode()
    usual_ms = TIMEOUTS_MS.get(category, TIMEOUTS_MS["default"])
    return ToolSpec(
        name=name,
        description=description,
        parameters=text,
        category=category,
        repeat=repeat,
        changes=changes,
        timeout_ms=usual_ms if timeout_ms is None else timeout_ms,
        lookup=lookup,
        delegates=delegates,
    )


@contextmanager
def told(path: str) -> Iterator[None]:
    """Turn what the operating system says about a path into a ToolError."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ToolError(f"{shown(path)}: {reason}.") from error
    except ValueError as error:
        # Text that cannot be a file name here, e.g. a lone surrogate.
        raise ToolError(f"{shown(path)}: not a usable path.") from error


def line_range(text: str, start_line: int, lines: int, *, wrap: int = 0) -> str:
    """Cut `lines` lines (0: all) out of a text and say where they lie.

    With `wrap`, every so many characters of a line count as a line of their own.
    """
    every = text.split("\n")
    if every[-1] == "":
        every.pop()  # the text ends with a line end, which starts no further line
    if wrap:
        every = [line[at : at + wrap] for line in every for at in range(0, len(line) or 1, wrap)]
    if start_line > max(1, len(every)):
        raise ToolError(f"There is no line {start_line:,}: the text has {len(every):,} lines.")
    end = len(every) if lines == 0 else min(len(every), start_line - 1 + lines)
    if start_line == 1 and end == len(every):
        return text
    return "\n".join([*every[start_line - 1 : end], f"[lines {start_line}-{end} of {len(every)}]"])
