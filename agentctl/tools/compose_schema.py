"""Parameters of composed tools: written short or as a JSON schema.

The first level is checked here, what lies deeper by the tools that are given it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from agentctl.errors import ConfigError

Schema = dict[str, Any]

OPEN: Schema = {"type": "object"}
"""Takes any JSON object: where nothing better is known yet."""
_PYTHON: dict[object, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
}
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_NAME = re.compile(r"[A-Za-z_][\w-]{0,63}\Z")


def schema_of(parameters: Mapping[str, Any]) -> Schema:
    """Make a JSON schema of what the author wrote. Raises ConfigError.

    It is one already, or names each parameter with "TYPE", "TYPE: what it is for", a Python type,
    or a schema of its own. A name that ends in "?" may be left out.
    """
    if parameters.get("type") == "object" and isinstance(parameters.get("properties"), Mapping):
        return dict(parameters)
    properties, required = {}, []
    for written, meaning in parameters.items():
        name = written.removesuffix("?")
        if not _NAME.match(name):
            raise ConfigError(f"A parameter cannot be named {written!r}.")
        properties[name] = _property(name, meaning)
        if name == written:
            required.append(name)
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def names_in(schema: Schema) -> Collection[str] | None:
    """The parameters' names; None when it takes any."""
    if "properties" not in schema:
        return None
    closed = schema.get("additionalProperties", False) is False
    return list(schema["properties"]) if closed else None


def problem(schema: Schema, data: object) -> str:
    """Return why these arguments do not fit the schema's first level, or an empty string."""
    if not isinstance(data, dict):
        return "they must be a JSON object"
    properties: Mapping[str, Any] = schema.get("properties", {})
    missing = [name for name in schema.get("required", ()) if name not in data]
    if missing:
        return f"`{missing[0]}` is missing"
    known = names_in(schema)
    unknown = [name for name in data if known is not None and name not in known]
    if unknown:
        return f"there is no parameter {unknown[0]!r}; there are: {', '.join(properties) or 'none'}"
    for name, value in data.items():
        why = _misfit(properties.get(name, {}), value)
        if why:
            return f"`{name}` {why}"
    return ""


def _property(name: str, meaning: object) -> Schema:
    if isinstance(meaning, Mapping):
        return dict(meaning)
    kind, _, told = meaning.partition(":") if isinstance(meaning, str) else ("", "", "")
    kind = _PYTHON.get(meaning, "") if isinstance(meaning, type) else kind.strip()
    if kind not in _TYPES:
        raise ConfigError(
            f"The parameter {name!r} has no known type.",
            next_step=f'Write "TYPE: what it is for", with one of: {", ".join(_TYPES)}.',
        )
    return {"type": kind, "description": told.strip()} if told.strip() else {"type": kind}


def _misfit(schema: object, value: object) -> str:
    if not isinstance(schema, Mapping):
        return ""
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if kinds and not any(_is(value, kind) for kind in kinds):
        return f"must be of type {' or '.join(kinds)}"
    choices = schema.get("enum")
    if choices is not None and value not in choices:
        return f"must be one of {msgspec.json.encode(choices).decode()}"
    return ""


def _is(value: object, kind: str) -> bool:
    if isinstance(value, bool):  # which Python takes for an integer
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return kind not in _TYPES or isinstance(value, _TYPES[kind])
