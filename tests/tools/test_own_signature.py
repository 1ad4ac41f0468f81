"""Own tools: what becomes of a signature, of a docstring and of arguments."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from agentctl import tool
from agentctl.errors import UsageError
from agentctl.ports import Tool
from agentctl.tools.base import MAX_ARGUMENT_BYTES, MAX_ARGUMENT_DEPTH
from tests.tools.helpers import call, context_of


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: float = 0.0


class Person(BaseModel):
    name: str
    title: str = ""
    friends: list[Person] = []


class Options(TypedDict):
    deep: NotRequired[bool]


def made(annotation: Any, *default: Any) -> Tool:
    """A tool whose one parameter has this type."""

    def take(value: Any = ...) -> Any:
        """Take a value."""
        return value

    take.__annotations__["value"] = annotation
    take.__defaults__ = default or None
    return tool(repeat="safe")(take)


def schema(of: Tool) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(of.spec.parameters)
    return found


NULL = {"type": "null"}
SCHEMAS: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (str, (), {"type": "string"}),
    ("str", (), {"type": "string"}),
    (int, (), {"type": "integer"}),
    (int, (3,), {"type": "integer", "default": 3}),
    (float, (), {"type": "number"}),
    (bool, (False,), {"type": "boolean", "default": False}),
    (Any, (), {}),
    (int | None, (None,), {"anyOf": [{"type": "integer"}, NULL], "default": None}),
    (Literal["a", "b"], (), {"enum": ["a", "b"], "type": "string"}),
    (Colour, (), {"enum": ["red", "blue"], "type": "string"}),
    (list[int], (), {"type": "array", "items": {"type": "integer"}}),
    (dict[str, int], (), {"type": "object", "additionalProperties": {"type": "integer"}}),
    (tuple[int, ...], (), {"type": "array", "items": {"type": "integer"}}),
    (Path, (), {"type": "string", "format": "path"}),
    (Annotated[int, Field(ge=1)], (), {"type": "integer", "minimum": 1}),
    (
        Annotated[str, Field(description="A word.")],
        (),
        {"type": "string", "description": "A word."},
    ),
    (
        Point,
        (),
        {
            "type": "object",
            "properties": {"x": {"type": "integer"}, "y": {"type": "number", "default": 0.0}},
            "required": ["x"],
            "additionalProperties": False,
        },
    ),
    (
        Options,
        (),
        {
            "type": "object",
            "properties": {"deep": {"type": "boolean"}},
            "additionalProperties": False,
        },
    ),
]


@pytest.mark.parametrize(("annotation", "default", "expected"), SCHEMAS)
def test_a_type_becomes_its_json_schema(
    annotation: Any, default: tuple[Any, ...], expected: dict[str, Any]
) -> None:
    found = schema(made(annotation, *default))
    assert found["properties"]["value"] == expected
    assert found["required"] == ([] if default else ["value"])
    assert set(found) == {"type", "properties", "required"}


def test_a_type_that_holds_itself_is_referred_to_and_keeps_its_field_named_title() -> None:
    found = schema(made(Person))
    assert "$ref" in json.dumps(found["properties"])
    assert set(found["$defs"]["Person"]["properties"]) == {"name", "title", "friends"}


def test_a_default_that_json_cannot_hold_is_left_out_and_still_used(tmp_path: Path) -> None:
    marker = object()
    own = made(Any, marker)
    assert schema(own)["properties"]["value"] == {}

    @tool(repeat="safe")
    def same(value: Any = marker) -> bool:
        """Tell whether it is the same."""
        return value is marker

    assert call(same, context_of(tmp_path)).text == "true"


GOOGLE = """Count words.

    It is not fast.

    Args:
        path: Where they are,
            in the workspace.
        least (int): The shortest.

    Returns:
        path: no parameter.
    """
NUMPY = """Count words.

    Parameters
    ----------
    path : str
        Where they are,
        in the workspace.
    least : int, optional
        The shortest.

    Returns
    -------
    path
        No parameter.
    """
REST = """Count words.

    :param path: Where they are,
        in the workspace.
    :param int least: The shortest.
    :returns: path
    """


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, REST])
def test_a_docstring_describes_the_tool_and_its_parameters(docstring: str) -> None:
    def count(path: str, least: int = 1) -> int:
        return 0

    count.__doc__ = docstring
    own = tool(count)
    assert own.spec.description == "Count words."
    described = {name: each["description"] for name, each in schema(own)["properties"].items()}
    assert described == {"path": "Where they are, in the workspace.", "least": "The shortest."}


def test_a_field_s_own_description_comes_before_the_docstring_s() -> None:
    @tool
    def say(word: Annotated[str, Field(description="Mine.")]) -> str:
        """Say
        a word.

        Args:
            word: Not mine.
        """
        return word

    assert say.spec.description == "Say a word."
    assert schema(say)["properties"]["word"]["description"] == "Mine."


# --- what cannot be a tool --------------------------------------------------------------------


def bare(value):  # type: ignore[no-untyped-def]  # what is tested
    """Do it."""


def mute(value: int) -> None: ...


def many(*values: int) -> None:
    """Take many."""


def any_name(**values: int) -> None:
    """Take any."""


def unknown(value: NotThere) -> None:  # type: ignore[name-defined]  # noqa: F821 - what is tested
    """Take what is not known."""


def thread(value: threading.Thread) -> None:
    """Take a thread."""


def field(value: int = Field(3)) -> None:
    """Take a number."""


def steps() -> Any:
    """Yield."""
    yield 1


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        (bare, {}, "parameter value has no type"),
        (mute, {}, "it has no docstring"),
        (many, {}, "parameter *values: 'int' cannot be given by its name"),
        (any_name, {}, "parameter **values: 'int' cannot be given by its name"),
        (unknown, {}, "the type of parameter value is not known: name 'NotThere'"),
        (thread, {}, "parameter value has a type that no model can write: 'threading.Thread'"),
        (field, {}, "the default of value is a Field"),
        (steps, {}, "a tool cannot yield"),
        (steps, {"name": "a b"}, "a tool cannot yield"),
        (call, {"name": "a b"}, "parameter"),
    ],
)
def test_what_cannot_be_a_tool_is_told_with_file_line_and_function(
    function: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError) as raised:
        tool(**options)(function)
    code = function.__code__
    place = f"{code.co_filename}:{code.co_firstlineno}: {function.__qualname__}: "
    assert raised.value.what.startswith(f"{place}{said}")
    assert raised.value.next_step


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "a b"}, "cannot be named 'a b'"),
        ({"name": ""}, "cannot be named ''"),
        ({"repeat": "never"}, "repeat: write"),
        ({"priority": "urgent"}, "priority: write"),
        ({"category": "a b"}, "category: write"),
        ({"timeout_ms": 0}, "timeout_ms: write"),
        ({"cost": -1}, "cost: write"),
        ({"attempts": 0}, "attempts: write"),
        ({"attempts": 2}, "attempts: only a call that is safe or idempotent"),
        ({"cacheable": True}, "cacheable: a look-up changes nothing"),
        ({"cacheable": True, "repeat": "safe", "changes": True}, "cacheable: a look-up"),
        ({"sandbox": True, "stop": print}, "sandbox: a confined process has no start"),
    ],
)
def test_options_that_cannot_be_meant_are_told(options: dict[str, Any], said: str) -> None:
    def do() -> None:
        """Do it."""

    with pytest.raises(UsageError, match="do: ") as raised:
        tool(**options)(do)
    assert said in raised.value.what


# --- arguments --------------------------------------------------------------------------------


def test_arguments_reach_the_function_as_its_types(tmp_path: Path) -> None:
    @tool(repeat="safe")
    def types(
        point: Point, colour: Colour, path: Path, json: str, copy: int = 1, _more: float = 0
    ) -> list[str]:
        """Tell the types."""
        return [type(each).__name__ for each in (point, colour, json, copy, _more)] + [path.name]

    arguments = {"point": {"x": 1}, "colour": "red", "path": "a/b", "json": "{}", "_more": 2}
    found = call(types, context_of(tmp_path), **arguments)
    assert json.loads(found.text) == ["Point", "Colour", "str", "int", "float", "b"]


@tool(repeat="safe")
def tidy(number: int, word: str = "a", point: Point | None = None) -> str:
    """Tell what was given."""
    return f"{number} {word}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "number: is missing"),
        ("{", "invalid JSON"),
        ("[]", "input should be an object"),
        ("null", "input should be an object"),
        ('{"number": "1"}', "number: input should be a valid integer"),
        ('{"number": 1.5}', "number: input should be a valid integer"),
        ('{"number": true}', "number: input should be a valid integer"),
        ('{"number": 1, "word": null}', "word: input should be a valid string"),
        ('{"number": 1, "wrod": "b"}', "wrod: there is no such argument; there are: number, word"),
        ('{"number": 1, "point": {"y": 1}}', "point.x: is missing"),
        (f'{{"number": 1, "word": "{"x" * MAX_ARGUMENT_BYTES}"}}', "The arguments are larger than"),
        (f'{{"number": {"[" * 40}{"]" * 40}}}', f"nested over {MAX_ARGUMENT_DEPTH} deep"),
        ('{"number": 1, "word": "\ud800"}', "surrogates not allowed"),
    ],
)
def test_wrong_arguments_are_told_shortly_and_with_their_field(arguments: str, said: str) -> None:
    found = tidy.check(arguments)
    assert said in found
    assert len(found) < 300
    assert "http" not in found


def test_of_many_problems_the_first_few_are_told() -> None:
    found = tidy.check(json.dumps({f"n{number}": 1 for number in range(100)}))
    assert found.count("there is no such argument") + found.count("is missing") == 5
    assert found.endswith("and 96 more")


def test_what_would_fit_is_not_told_at_any_length() -> None:
    many = Enum("many", [f"member{number}" for number in range(10_000)])  # type: ignore[misc]  # made as it runs
    assert len(made(many).check('{"value": "x"}')) < 600


def test_a_validator_of_the_user_s_that_breaks_ends_no_run() -> None:
    def check(value: int) -> int:
        raise KeyError(value)

    from pydantic import AfterValidator

    found = made(Annotated[int, AfterValidator(check)]).check('{"value": 1}')
    assert found == "they cannot be checked: KeyError: 1"
