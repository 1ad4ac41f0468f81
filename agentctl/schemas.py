"""The JSON Schema that a task's answer must fit: read, checked, and held against an answer.

Nothing that a schema refers to is ever fetched: it must be in the schema itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from agentctl.errors import UsageError

MAX_BYTES = 65_536
"""It is sent with every call."""
ERRORS_MAX = 5
SHOWN_MAX = 300
_HINT = 'Write a JSON Schema, e.g. {"type": "object", "required": ["title"]}.'


def read(path: Path) -> str:
    """A file's schema as compact JSON text. Raises UsageError for what is none."""
    where = f"--schema: {path}"
    try:
        if path.exists() and not path.is_file():  # a pipe would be read for ever
            raise UsageError(f"{where} is not a file.", next_step="Name a JSON file.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{where} cannot be read: {error.strerror}.", next_step="Name a JSON file."
        ) from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"{where} has more than {MAX_BYTES:,} bytes.", next_step="Shorten it.")
    try:
        schema = _decoded(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not JSON: {_said(error)}.", next_step=_HINT) from None
    text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    checker(text, where)
    return text


def checker(text: str, where: str = "The task's schema") -> Callable[[str], str]:
    """What says why a JSON text does not fit this schema; an empty string: it fits.

    Raises UsageError for a schema that is none, or refers to what is not in it.
    """
    # Here, because they are heavy and most tasks have no schema.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing.exceptions import Unresolvable

    try:
        schema = _decoded(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not JSON: {_said(error)}.", next_step=_HINT) from None
    if not isinstance(schema, dict):
        raise UsageError(f"{where} is not an object.", next_step=_HINT)
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
        lost = next(_lost(schema), "")
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "its top"
        raise UsageError(
            f"{where} is no JSON Schema, at {place}: {error.message[:SHOWN_MAX]}.", next_step=_HINT
        ) from None
    except RecursionError:
        raise UsageError(f"{where} is too deep.", next_step="Make it flatter.") from None
    if lost:
        raise UsageError(
            f"{where} refers to {lost[:SHOWN_MAX]!r}, which is not in it. Nothing is fetched.",
            next_step='Put it below "$defs" and refer to it as "#/$defs/NAME".',
        )
    validator = kind(schema, registry=_registry())

    def misfit(answer: str) -> str:
        try:
            found = _decoded(answer)
            errors = list(islice(validator.iter_errors(found), ERRORS_MAX))
        except (ValueError, RecursionError) as error:
            return f"It is not JSON: {_said(error)}."
        except Unresolvable as error:
            return f"The schema's reference {error.ref!r} leads nowhere."
        return "\n".join(f"- at {error.json_path}: {error.message[:SHOWN_MAX]}" for error in errors)

    return misfit


def _registry() -> Any:
    """What a schema may refer to besides itself: the drafts of JSON Schema, which are installed.

    A registry of its own: the one used without would fetch what it does not know.
    """
    import referencing.jsonschema  # as above
    from jsonschema_specifications import REGISTRY

    return referencing.jsonschema.SchemaRegistry().combine(REGISTRY)


def _lost(schema: dict[str, Any]) -> Iterator[str]:
    """References of the schema that lead nowhere."""
    import referencing.exceptions  # as above
    import referencing.jsonschema

    draft = referencing.jsonschema.DRAFT202012
    whole = referencing.Resource.from_contents(schema, default_specification=draft)
    left = [(whole, _registry().resolver_with_root(whole))]
    while left:
        resource, resolver = left.pop()
        contents = resource.contents
        for key in ("$ref", "$dynamicRef", "$recursiveRef"):
            ref = contents.get(key) if isinstance(contents, dict) else None
            if isinstance(ref, str):
                try:
                    resolver.lookup(ref)
                except referencing.exceptions.Unresolvable:
                    yield ref
        left += [(each, resolver.in_subresource(each)) for each in resource.subresources()]


def _decoded(text: str) -> Any:
    """JSON as its standard has it: no NaN, no name twice."""

    def constant(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(found)
        if len(made) < len(found):
            names = [name for name, _ in found]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"an object has {twice[:SHOWN_MAX]!r} twice")
        return made

    return json.loads(text, parse_constant=constant, object_pairs_hook=pairs)


def _said(error: Exception) -> str:
    return "too deep" if isinstance(error, RecursionError) else str(error)[:SHOWN_MAX]
