"""What composed tools say of themselves, what they take, and what is refused when they are made."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from agentctl.errors import ConfigError, ToolError
from agentctl.ports import ToolContext
from agentctl.tools.compose import (
    conditional,
    mapped,
    parallel,
    sequential,
    settled,
    use,
    with_fallback,
)
from tests.tools.compose_parts import Fake


def schema(tool: Any) -> dict[str, Any]:
    return json.loads(tool.spec.parameters)


# --- the spec -----------------------------------------------------------------------------------


def test_a_composed_tool_is_as_dangerous_as_its_worst_part() -> None:
    look = Fake("look", repeat="safe")
    put = Fake("put", repeat="idempotent", changes=True, timeout_ms=5_000)
    post = Fake("post", repeat="unsafe", changes=True)
    both = sequential("both", look, use(put, {}))
    spec = both.spec
    assert (spec.repeat, spec.changes, spec.timeout_ms) == ("idempotent", True, 11_000)
    assert (spec.origin, spec.parts, spec.lookup, spec.category, spec.credits) == (
        "composed", ("look", "put"), False, "default", 0,
    )  # fmt: skip
    assert parallel("p", look, put, post).spec.repeat == "unsafe"
    assert parallel("p", look, put, post).spec.timeout_ms == 10_000
    assert not parallel("p", look).spec.changes
    assert mapped("m", put, at_most=10, at_once=5).spec.timeout_ms == 15_000
    nested = sequential("nested", both)
    assert nested.spec.parts == ("both", "look", "put")
    assert (nested.spec.repeat, nested.spec.timeout_ms) == ("idempotent", 16_000)


def test_the_parameters_are_those_of_the_part_that_is_given_the_whole_input() -> None:
    read = Fake("read", parameters={"path": "string"})
    assert schema(with_fallback("f", read, "other"))["properties"] == {"path": {"type": "string"}}
    items = schema(mapped("m", read))["properties"]["items"]
    assert (items["type"], items["items"]["required"], items["maxItems"]) == (
        "array",
        ["path"],
        100,
    )
    assert schema(sequential("s", use(read, {"path": "fixed"})))["properties"] == {}


def test_parameters_can_be_written_short() -> None:
    tool = sequential(
        "s",
        use("a", {}),
        parameters={"path": "string: the file", "deep?": bool, "n": {"enum": [1]}},
    )
    assert schema(tool) == {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "the file"},
            "deep": {"type": "boolean"},
            "n": {"enum": [1]},
        },
        "required": ["path", "n"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("[]", "they must be a JSON object"),
        ("{}", "`path` is missing"),
        ('{"path": 1}', "`path` must be of type string"),
        ('{"path": "a", "deep": 1}', "`deep` must be of type boolean"),
        ('{"path": "a", "more": 1}', "there is no parameter 'more'; there are: path, deep"),
        ("{", "Input data was truncated"),
        ('{"path": "' + "[" * 40 + '"}', ""),
        ('{"path": ' + "[" * 40, "The arguments are nested over 32 deep."),
        ('{"path": "\udcff"}', "'utf-8' codec can't encode character '\\udcff'"),
        (" ", "`path` is missing"),
        ('{"path": "a"}', ""),
    ],
)
def test_arguments_are_checked(arguments: str, why: str) -> None:
    tool = sequential("s", use("a", {}), parameters={"path": "string", "deep?": "boolean"})
    found = tool.check(arguments)
    assert found.startswith(why)
    assert bool(found) == bool(why)


def test_where_nothing_makes_others_act_it_says_so() -> None:
    context = ToolContext("/", "c1", lambda _: None, lambda _: None)
    with pytest.raises(ToolError, match="s cannot work here"):
        asyncio.run(sequential("s", "a").run("{}", context))


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: sequential("s"), "s is made of no tool"),
        (lambda: sequential("a b", "x"), "cannot be named 'a b'"),
        (lambda: sequential("s", "x", "y"), "not said what y is given"),
        (lambda: sequential("s", object()), "is neither a tool nor the name of one"),
        (lambda: sequential("s", use("x", {"a": "{result}"})), "{result} is not known there"),
        (lambda: sequential("s", use("x", {"a": "{inptu.a}"})), "{inptu.a} refers to nothing"),
        (lambda: sequential("s", use("x", {"a": "{input.a}"})), "what these inputs are: a"),
        (lambda: sequential("s", "x", use("y", {"a": "{steps.z}"})), "no earlier step has that"),
        (lambda: parallel("p", use("x", {"a": "{steps.x}"})), "{steps.x} is not known there"),
        (lambda: parallel("p", use("x", label="l"), use("y", label="l")), "two steps are named"),
        (lambda: conditional("c", when={"is": 1}, then="x"), "exactly one of: equals"),
        (lambda: conditional("c", when={"ok": "{input.a}"}, then="x"), "ok needs a step"),
        (lambda: conditional("c", when={"equals": ["a"]}, then="x"), "a list of two"),
        (lambda: mapped("m", "x", over="{input.a} b"), "over must be one reference"),
        (lambda: sequential("s", "x", parameters={"a": "text"}), "'a' has no known type"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_made(build: Any, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        build()
    assert told in str(error.value)


# --- the tools of a run -------------------------------------------------------------------------


def test_tools_by_name_are_known_once_the_run_has_them() -> None:
    inner = sequential("inner", "read")
    outer = with_fallback("outer", "inner", "read")
    assert (outer.spec.repeat, outer.spec.changes) == ("unsafe", True)
    read = Fake("read", parameters={"path": "string"})
    assert settled([outer, inner, read]) == [outer, inner, read]
    assert (outer.spec.repeat, outer.spec.changes) == ("safe", False)
    assert outer.spec.parts == ("inner", "read")
    assert schema(outer)["required"] == ["path"]


def test_tools_that_it_brings_become_tools_of_the_run() -> None:
    read = Fake("read")
    inner = sequential("inner", read)
    outer = sequential("outer", inner)
    assert settled([outer]) == [outer, inner, read]
    assert settled([read, outer]) == [read, outer, inner]


def test_parts_that_are_missing_or_of_one_name_or_call_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"s is made of 'lost', which is no tool\. There are: s"):
        settled([sequential("s", "lost")])
    with pytest.raises(ConfigError, match="There are two tools named 'read'"):
        settled([Fake("read"), sequential("s", Fake("read"))])
    with pytest.raises(ConfigError, match="These tools call each other for ever: a, b"):
        settled([sequential("a", "b"), sequential("b", "a")])


def test_a_part_that_comes_later_counts_as_unsafe() -> None:
    tool = sequential("s", "mcp_tool")
    assert settled([tool], more_later=True) == [tool]
    assert (tool.spec.repeat, tool.spec.changes) == ("unsafe", True)


def test_a_reference_that_does_not_fit_is_found_once_the_part_is_known() -> None:
    late = with_fallback("f", "read", use("other", {"path": "{input.wrong}"}))
    with pytest.raises(
        ConfigError, match=r"f: other: \{input\.wrong\}: there is no such parameter"
    ):
        settled([late, Fake("read", parameters={"path": "string"}), Fake("other")])
