"""From a function's signature: the schema that a model is told, and arguments read by it."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from agentctl.errors import ToolError, UsageError
from agentctl.ports import ToolContext
from agentctl.tools import docstrings
from agentctl.tools.base import bounded

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

KEY = "idempotency_key"
MOST_TOLD = 5
MOST_PLACE_CHARS = 100
MOST_SAID_CHARS = 500
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_INNER = frozenset({"items", "additionalProperties", "contains", "not"})


class Signature:
    """What a function takes from the model, and what from agentctl."""

    def __init__(self, function: Callable[..., Any], where: str) -> None:
        """Read it. Raises UsageError, which begins with `where`, for what no schema can say."""
        self._where = where
        self.context = ""
        """Name of the parameter that gets the context; empty: none does."""
        self.key = False
        """It takes the idempotency key."""
        self._fields: dict[str, str] = {}
        """By name of the model's field that of the parameter."""
        self._needed: set[str] = set()
        taken = self._taken(function)
        self._model = self._made(function, taken)
        self.schema = _schema_text(self._model)
        """JSON schema of the arguments, as stable JSON text."""

    def read(self, arguments: str) -> dict[str, Any]:
        """Return the arguments by parameter. Raises ToolError that names the field."""
        from pydantic import ValidationError  # heavy, and loaded since the function became a tool

        data = bounded(arguments)
        try:
            read = self._model.model_validate_json(data, strict=True)
        except ValidationError as error:
            raise ToolError(_told(error, list(self._fields.values()))) from None
        except ToolError:
            raise
        except Exception as error:  # a validator of the user's own broke
            raise ToolError(f"they cannot be checked: {type(error).__name__}: {error}") from error
        given = read.model_fields_set
        return {
            name: getattr(read, field)
            for field, name in self._fields.items()
            if field in given or name in self._needed
        }

    def _taken(self, function: Callable[..., Any]) -> list[tuple[inspect.Parameter, Any]]:
        """Parameters with their types, those that agentctl itself fills left out."""
        taken = []
        scope = getattr(inspect.unwrap(function), "__globals__", {})
        for parameter in inspect.signature(function).parameters.values():
            name = parameter.name
            if parameter.kind not in _NAMED:
                raise self._wrong(
                    f"parameter {parameter} cannot be given by its name",
                    "Models give every argument by name: write each one as an ordinary parameter.",
                )
            if parameter.annotation is inspect.Parameter.empty:
                raise self._wrong(f"parameter {name} has no type", f"Write it, e.g. {name}: str.")
            hint = self._hint(name, parameter.annotation, scope)
            if hint is ToolContext or ToolContext in typing.get_args(hint):
                self.context = name
            elif name == KEY:
                self.key = True
            else:
                taken.append((parameter, hint))
        return taken

    def _hint(self, name: str, annotation: Any, scope: Mapping[str, Any]) -> Any:
        """The type, also where it is written as text."""
        try:
            holder = types.SimpleNamespace(__annotations__={name: annotation})
            return typing.get_type_hints(holder, dict(scope), include_extras=True)[name]
        except Exception as error:  # text of the user's is evaluated
            raise self._wrong(
                f"the type of parameter {name} is not known: {error}",
                "Import or define it above the function, and not only for type checkers.",
            ) from error

    def _made(
        self, function: Callable[..., Any], taken: list[tuple[inspect.Parameter, Any]]
    ) -> type[BaseModel]:
        """A model whose fields have these types. Their own names may be taken by pydantic."""
        from pydantic import ConfigDict, Field, create_model  # heavy: only for own tools
        from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
        from pydantic.fields import FieldInfo

        told = docstrings.parameters(inspect.getdoc(function) or "", [p.name for p, _ in taken])
        fields: dict[str, Any] = {}
        for number, (parameter, hint) in enumerate(taken):
            name, default = parameter.name, parameter.default
            if isinstance(default, FieldInfo):
                raise self._wrong(
                    f"the default of {name} is a Field, which Python itself would hand over",
                    f"Write {name}: Annotated[TYPE, Field(…)] = DEFAULT.",
                )
            notes = [each for each in typing.get_args(hint)[1:] if isinstance(each, FieldInfo)]
            has_own = any(note.description for note in notes)
            more: dict[str, Any] = {"alias": name}
            if name in told and not has_own:
                more["description"] = told[name]
            if default is not inspect.Parameter.empty:
                more["default"] = default
            else:
                self._needed.add(name)
            fields[f"p{number}"] = (hint, Field(**more))
            self._fields[f"p{number}"] = name
        config = ConfigDict(extra="forbid", allow_inf_nan=False)
        try:
            return create_model("Arguments", __config__=config, **fields)
        except (PydanticUserError, PydanticUndefinedAnnotation, TypeError) as error:
            raise self._no_type(taken, error) from error

    def _no_type(self, taken: list[tuple[inspect.Parameter, Any]], error: Exception) -> UsageError:
        """Name the parameter whose type is at fault."""
        from pydantic import TypeAdapter  # as above
        from pydantic.errors import PydanticUserError

        for parameter, hint in taken:
            try:
                TypeAdapter(hint)
            except (PydanticUserError, TypeError, NameError):
                shown = inspect.formatannotation(parameter.annotation)
                return self._wrong(
                    f"parameter {parameter.name} has a type that no model can write: {shown}",
                    "Take text, numbers, lists, dicts, Literal, dataclasses or pydantic models. "
                    "Before Python 3.12 TypedDict must be that of typing_extensions.",
                )
        return self._wrong(f"no schema can be made: {error}", "See docs/own-tools.md.")

    def _wrong(self, what: str, next_step: str) -> UsageError:
        return UsageError(f"{self._where}: {what}.", next_step=next_step)


def _told(error: ValidationError, names: list[str]) -> str:
    """The first few problems, each with its field."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    told = []
    for each in problems[:MOST_TOLD]:
        place = ".".join(map(str, each["loc"]))[:MOST_PLACE_CHARS]
        if each["type"] == "missing":
            what = "is missing"
        elif each["type"] == "extra_forbidden" and len(each["loc"]) == 1:
            what = f"there is no such argument; there are: {', '.join(names) or 'none'}"
        else:
            what = each["msg"][:1].lower() + each["msg"][1:]
            if len(what) > MOST_SAID_CHARS:  # e.g. all members of a large enum
                what = f"{what[:MOST_SAID_CHARS]}…"
        told.append(f"{place}: {what}" if place else what)
    if len(problems) > MOST_TOLD:
        told.append(f"and {len(problems) - MOST_TOLD} more")
    return "; ".join(told)


def _schema_text(model: type[BaseModel]) -> str:
    """The model's schema with what nobody needs left out: every request pays for this text."""
    from pydantic.json_schema import GenerateJsonSchema  # heavy: only for own tools

    class Quiet(GenerateJsonSchema):
        """Says nothing of a default that JSON cannot hold: the function has it all the same."""

        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}

    whole = model.model_json_schema(schema_generator=Quiet)
    definitions: dict[str, Any] = whole.pop("$defs", {})
    flat = _plain(whole, definitions, ())
    wanted = {
        "type": "object",
        "properties": flat.get("properties", {}),
        "required": flat.get("required", []),
    }
    if '"$ref"' in (text := _text(wanted)):  # a type that holds itself
        kept = {name: _plain(each, {}, ()) for name, each in definitions.items()}
        text = _text({**wanted, "$defs": kept})
    return text


def _text(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _plain(node: Any, definitions: Mapping[str, Any], within: tuple[str, ...]) -> Any:
    """A schema without titles, and with what it refers to in place: not every model looks it up."""
    if not isinstance(node, dict):
        return node
    name = str(node.get("$ref", "")).removeprefix("#/$defs/")
    if name in definitions and name not in within:
        rest = {key: value for key, value in node.items() if key != "$ref"}
        whole: dict[str, Any] = _plain(definitions[name], definitions, (*within, name))
        return {**whole, **_plain(rest, definitions, within)}
    plain: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            plain[key] = {each: _plain(value[each], definitions, within) for each in value}
        elif key in _LISTS:
            plain[key] = [_plain(each, definitions, within) for each in value]
        elif key in _INNER:
            plain[key] = _plain(value, definitions, within)
        elif key != "title":
            plain[key] = value
    return plain
