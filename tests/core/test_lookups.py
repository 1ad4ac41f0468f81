"""When an earlier result stands for a new one: the same call, for how long, what is told."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from agentctl.core import lookups
from agentctl.core.context import MASK_ABOVE_BYTES
from agentctl.core.lookups import Lookup
from agentctl.core.values import Message, ToolCall

FOUND = Lookup("t1", "c1", 1_000_000, "the text", "the text", "proof")


# --- the same call ------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ['{"b":2,"a":"x"}', ' {"a": "x",\n "b": 2}'])
def test_order_and_blanks_of_arguments_make_no_difference(arguments: str) -> None:
    assert lookups.canonical(arguments) == '{"a":"x","b":2}'


def test_no_arguments_are_an_empty_object() -> None:
    assert lookups.canonical("") == lookups.canonical(" {} ") == "{}"


def test_what_is_no_json_is_compared_as_it_is() -> None:
    assert lookups.canonical('{"a') == '{"a'


def test_blanks_within_a_value_count() -> None:
    assert lookups.canonical('{"a":"x y"}') != lookups.canonical('{"a":"xy"}')


@pytest.mark.parametrize(
    "other",
    [
        ("list", '{"path":"a"}', "/w", "me"),
        ("read", '{"path":"b"}', "/w", "me"),
        ("read", '{"path":"a"}', "/v", "me"),
        ("read", '{"path":"a"}', "/w", "you"),
    ],
    ids=["tool", "arguments", "workspace", "account"],
)
def test_another_key_for_another(other: tuple[str, str, str, str]) -> None:
    assert lookups.key("read", '{"path":"a"}', "/w", "me") != lookups.key(*other)


def test_the_same_key_for_the_same() -> None:
    one = lookups.key("read", '{"path":"a","lines":3}', "/w", "me")
    assert one == lookups.key("read", '{"lines":3, "path":"a"}', "/w", "me")


# --- how long -----------------------------------------------------------------------------------


def test_a_task_may_always_be_given_its_own() -> None:
    assert lookups.usable(FOUND, "t1", FOUND.at_ms + 10**9, 0)


@pytest.mark.parametrize(("age_ms", "usable"), [(0, True), (899, True), (900, False)])
def test_another_task_only_for_a_while(age_ms: int, usable: bool) -> None:
    assert lookups.usable(FOUND, "t2", FOUND.at_ms + age_ms, 900) is usable


def test_what_comes_from_the_future_is_not_given() -> None:
    assert not lookups.usable(FOUND, "t2", FOUND.at_ms - 1, 900)


# --- what is told -------------------------------------------------------------------------------


def test_where_it_comes_from_names_the_other_task() -> None:
    assert lookups.reference(FOUND, "t1") == "c1"
    assert lookups.reference(FOUND, "t2") == "t1:c1"


@pytest.mark.parametrize(("age_ms", "age"), [(59_999, "59 s"), (60_000, "1 min"), (-5, "0 s")])
def test_the_note_says_how_old_it_is(age_ms: int, age: str) -> None:
    assert lookups.note(age_ms) == f"\n[cached: the same as {age} ago]"


ASKED = ToolCall("now", "look", '{"a": 1}')


def said(*texts: str) -> list[Message]:
    """A conversation in which the same was looked up as c1, c2…, with these results."""
    sent = [Message("user", "goal")]
    for number, text in enumerate(texts, 1):
        calls = (ToolCall(f"c{number}", "look", '{"a":1}'),)
        sent += [Message("assistant", "", calls), Message("tool", text, call_id=f"c{number}")]
    return sent


NOTED = FOUND.shown + lookups.note(5)
POINTED = lookups.pointer("look", "c1")


@pytest.mark.parametrize(
    ("texts", "standing"),
    [
        (["the text"], "c1"),
        ([NOTED], "c1"),
        (["older text", "the text"], "c2"),
        (["the text", "[left out]"], ""),
        (["the text", "newer text"], ""),
        (["the text and more"], ""),
        (["the text", POINTED], ""),
        (["the text", POINTED, NOTED], "c3"),
        ([], ""),
    ],
    ids=["whole", "given again", "changed", "left out", "newer", "longer", "told", "again", "new"],
)
def test_what_the_model_has_before_it_is_found(texts: list[str], standing: str) -> None:
    assert lookups.standing(FOUND, ASKED, said(*texts)) == standing


def test_the_same_text_of_another_call_is_not_it() -> None:
    calls = (ToolCall("c1", "look", '{"a":2}'), ToolCall("c2", "list", '{"a":1}'))
    results = [Message("tool", "the text", call_id=f"c{n}") for n in (1, 2)]
    assert lookups.standing(FOUND, ASKED, [Message("assistant", "", calls), *results]) == ""


def test_an_empty_result_is_found_too() -> None:
    empty = replace(FOUND, shown="")
    assert lookups.standing(empty, ASKED, said("")) == "c1"
    assert lookups.standing(empty, ASKED, said("text")) == ""


def test_a_reference_survives_a_prune_and_says_how_to_read_what_did_not() -> None:
    told = lookups.pointer("search_text", f"call_{'0' * 32}")
    assert "read_output" in told
    assert len(told) <= MASK_ABOVE_BYTES
