"""What a server says of its tools, made fit for a model: names, texts, schemas, all bounded.

A server's words are data of a stranger. Nothing invisible gets through, and a tool whose schema is
broken is left out alone: the others of its server stay.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import msgspec
from msgspec import Struct

from agentctl.core.values import TIMEOUTS_MS, Repeat, ToolSpec
from agentctl.errors import ToolError
from agentctl.tools.base import bounded
from agentctl.tools.mcp_config import Server, prefix
from agentctl.tools.treeworker import printable

MAX_NAME = 64
MAX_DESCRIPTION = 2_000
MAX_SCHEMA_BYTES = 20_000
MAX_SCHEMA_DEPTH = 32
MAX_TOOLS = 128

_HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint")
_FOR_READING = ("description", "title", "$comment")
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


class Unfit(Exception):
    """Why a tool is left out."""


class Offered(Struct, frozen=True):
    """One tool as its server offers it, cleaned."""

    remote: str
    """Its name at the server."""
    spec: ToolSpec
    fingerprint: str
    """Changes when anything does that was said of it."""


def clean(text: str, most: int) -> str:
    """Text of a stranger for a model: what is invisible shown, line ends kept, length bounded."""
    cut = text[: most + 1]
    shown = "\n".join(map(printable, cut.replace("\r\n", "\n").split("\n"))).strip()
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def line(text: str, most: int = 500) -> str:
    """The same on one line."""
    return clean(text, most).replace("\n", " ")


def tool_name(server: str, tool: str) -> str:
    """A name that every provider takes, the same in each run."""
    whole = f"{prefix(server)}_{re.sub('[^A-Za-z0-9_-]+', '_', tool)}"
    if len(whole) <= MAX_NAME:
        return whole
    return f"{whole[: MAX_NAME - 9]}_{_digest(server, tool)[:8]}"


def offered(server: Server, raw: dict[str, Any]) -> Offered:
    """Read one entry of a server's list of tools. Raises Unfit."""
    remote, description = raw.get("name"), raw.get("description") or raw.get("title") or ""
    if not isinstance(remote, str) or not 0 < len(remote) <= 256 or not remote.isprintable():
        raise Unfit("its name is not a plain text")
    if not isinstance(description, str):
        raise Unfit("its description is not a text")
    schema = _schema(raw.get("inputSchema"))
    hints = raw.get("annotations")
    hints = {name for name in _HINTS if isinstance(hints, dict) and hints.get(name) is True}
    spec = spec_of(
        server,
        remote,
        clean(description, MAX_DESCRIPTION) or f"{line(remote)} of the MCP server {server.name}.",
        schema,
        read_only="readOnlyHint" in hints and "destructiveHint" not in hints,
        idempotent="idempotentHint" in hints,
    )
    said = json.dumps([description, raw.get("inputSchema"), sorted(hints)], sort_keys=True)
    return Offered(remote, spec, _digest(said))


def spec_of(
    server: Server,
    remote: str,
    description: str,
    schema: str,
    *,
    read_only: bool,
    idempotent: bool = False,
) -> ToolSpec:
    """What the model and the guards are told of one tool of this server."""
    repeat: Repeat = "safe" if read_only else "idempotent" if idempotent else "unsafe"
    return ToolSpec(
        name=tool_name(server.name, remote),
        description=description,
        parameters=schema,
        category=server.category,
        repeat=repeat,
        changes=not read_only,
        timeout_ms=TIMEOUTS_MS.get(server.category, TIMEOUTS_MS["default"]),
        origin=f"mcp:{server.name}",
        attempts=1 if repeat == "unsafe" else 2,
    )


def _schema(raw: object) -> str:
    """Stable JSON text of a schema that providers take. Raises Unfit."""
    if not isinstance(raw, dict) or raw.get("type", "object") != "object":
        raise Unfit("its schema is not one of an object")
    try:
        cleaned = _cleaned(raw, 0)
        text = json.dumps({**cleaned, "type": "object"}, sort_keys=True, allow_nan=False)
        size_bytes = len(text.encode())
    except (RecursionError, ValueError, UnicodeEncodeError) as error:
        raise Unfit("its schema is not plain JSON") from error
    if size_bytes > MAX_SCHEMA_BYTES:
        raise Unfit(f"its schema has {size_bytes:,} bytes, of at most {MAX_SCHEMA_BYTES:,}")
    _check_schema(cleaned)
    return text


def _cleaned(node: Any, depth: int) -> Any:
    """The same with texts cleaned; other names and values would not be what the server wants."""
    if depth > MAX_SCHEMA_DEPTH:
        raise Unfit(f"its schema is more than {MAX_SCHEMA_DEPTH} deep")
    if isinstance(node, dict):
        for key, value in node.items():
            if not key.isprintable():
                raise Unfit("its schema has names that cannot be shown")
            if key == "$ref" and isinstance(value, str) and not value.startswith("#"):
                raise Unfit("its schema refers to another document")
        return {
            key: clean(value, MAX_DESCRIPTION)
            if key in _FOR_READING and isinstance(value, str)
            else _cleaned(value, depth + 1)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_cleaned(each, depth + 1) for each in node]
    if isinstance(node, str) and not "".join(node.split()).isprintable():
        raise Unfit("its schema has values that cannot be shown")
    return node


def _check_schema(schema: dict[str, Any]) -> None:
    """A provider refuses the whole request for one schema that is none. Raises Unfit."""
    # Here, because it is heavy; it comes with the SDK and is needed only where that is.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path)) or "its top"
        raise Unfit(f"its schema is broken at {line(where, 80)}") from error
    except RecursionError as error:
        raise Unfit("its schema refers to itself without end") from error


def arguments_problem(parameters: str, arguments: str) -> str:
    """Why these arguments do not fit, as far as can be told at the top; the server knows the rest.

    A whole check would give a hostile schema a way to keep us busy for ever.
    """
    try:
        given = decode(arguments)
    except Unfit as unfit:
        return str(unfit)
    schema = json.loads(parameters)
    properties = schema.get("properties", {})
    missing = [name for name in schema.get("required", []) if name not in given]
    if missing:
        return f"Object missing required field `{missing[0]}`"
    for name, value in given.items():
        known = properties.get(name)
        if known is None and name not in properties:
            if schema.get("additionalProperties") is False:
                return f"Object contains unknown field `{name}`"
            continue
        problem = _value_problem(known, value)
        if problem:
            return f"{problem} - at `$.{name}`"
    return ""


def decode(arguments: str) -> dict[str, Any]:
    """The arguments as an object; none at all is an empty one. Raises Unfit."""
    try:
        given = msgspec.json.decode(bounded(arguments))
    except ToolError as error:
        raise Unfit(error.what) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unfit(str(error)) from error
    if not isinstance(given, dict):
        raise Unfit("Expected `object`")
    return given


def _value_problem(schema: object, value: object) -> str:
    if not isinstance(schema, dict):
        return ""
    wanted = schema.get("type")
    names = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
    if names and not any(_is(value, str(name)) for name in names):
        return f"Expected `{' | '.join(map(str, names))}`, got `{_name_of(value)}`"
    choices = schema.get("enum")
    if isinstance(choices, list) and value not in choices:
        return f"Expected one of {json.dumps(choices)[:300]}"
    return ""


def _is(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(name, object))


def _name_of(value: object) -> str:
    return next(name for name in ("boolean", *_TYPES) if _is(value, name))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
