"""Tools that choose: on a condition, instead of one that failed, for each item of a list."""

from __future__ import annotations

from typing import Any

import pytest

from agentctl.errors import ConfigError, ToolError
from agentctl.ports import ToolResult
from agentctl.tools.compose import (
    conditional,
    mapped,
    use,
    with_fallback,
)
from tests.tools.compose_parts import Bench, Fake, cut

FAILS = ToolError("no such file")


# --- conditional --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "value", "holds"),
    [
        ({"equals": ["{input.v}", 1]}, 1, True),
        ({"equals": ["{input.v}", 1]}, True, False),
        ({"equals": ["{input.v}", [1, "a"]]}, [1, "a"], True),
        ({"equals": ["{input.v}", None]}, None, True),
        ({"contains": ["{input.v}", "bc"]}, "abcd", True),
        ({"contains": ["{input.v}", "b"]}, ["abc"], False),
        ({"contains": ["{input.v}", "b"]}, ["a", "b"], True),
        ({"contains": ["{input.v}", "1"]}, 1, False),
        ({"matches": ["{input.v}", "*.md"]}, "a/b.md", True),
        ({"matches": ["{input.v}", "*.md"]}, "b.txt", False),
        ({"matches": ["{input.v}", "*.md"]}, 7, False),
        (lambda given, _results: given["v"] > 3, 4, True),
    ],
)
def test_a_test_decides_between_two_tools(when: Any, value: object, holds: bool) -> None:
    yes, no = Fake("yes"), Fake("no")
    flow = conditional(
        "flow", when=when, then=use(yes, {}), otherwise=use(no, {}), parameters={"v": {}}
    )
    bench = Bench(yes, no)
    assert bench.run(flow, v=value).ok
    assert bench.names == ["yes" if holds else "no"]


@pytest.mark.parametrize("good", [True, False])
def test_a_test_can_look_at_how_a_first_step_went(good: bool) -> None:
    check, mend = Fake("check", ToolResult("checked", ok=good)), Fake("mend", "mended")
    test = {"ok": "{steps.check}"}
    flow = conditional("flow", first=check, when=test, then=use("say", {}), otherwise=use(mend, {}))
    bench = Bench(check, mend, Fake("say", "fine"))
    assert bench.run(flow).text == ("fine" if good else "mended")


def test_without_another_branch_nothing_is_done_and_that_is_told() -> None:
    bench = Bench(Fake("a"))
    flow = conditional("flow", when=lambda given, results: False, then="a")
    assert bench.run(flow).text == "Nothing was done: the condition does not hold."
    assert bench.asked == []


def test_a_condition_that_breaks_is_told() -> None:
    flow = conditional("flow", when=lambda given, results: given["x"], then="a")
    with pytest.raises(ToolError, match="The condition of flow broke: KeyError: 'x'"):
        Bench().run(flow)


# --- with_fallback ------------------------------------------------------------------------------


def test_the_next_is_tried_only_when_the_one_before_failed() -> None:
    a, b, c = Fake("a", FAILS), Fake("b", "from b"), Fake("c")
    bench = Bench(a, b, c)
    assert bench.run(with_fallback("flow", a, b, c)).text == "from b"
    assert bench.names == ["a", "b"]


def test_when_all_fail_each_says_why() -> None:
    a, b = Fake("a", FAILS), Fake("b", ToolError("not here"))
    found = Bench(a, b).run(with_fallback("flow", a, b))
    assert found == ToolResult("[a] failed:\nno such file\n\n[b] failed:\nnot here", ok=False)


def test_an_unsafe_call_that_was_cut_is_not_followed_by_another() -> None:
    a, b = Fake("a", cut("a"), repeat="unsafe"), Fake("b", repeat="unsafe")
    bench = Bench(a, b)
    found = bench.run(with_fallback("flow", a, b))
    assert not found.ok
    assert found.text.startswith("Nobody knows what a did, so b was not tried after it.")
    assert bench.names == ["a"]
    assert bench.run(with_fallback("flow", a, b, even_if_unknown=True)).ok


@pytest.mark.parametrize(
    ("first", "second"), [("unsafe", "safe"), ("safe", "unsafe"), ("idempotent", "unsafe")]
)
def test_a_cut_call_is_followed_where_that_does_no_harm(first: Any, second: Any) -> None:
    a, b = Fake("a", cut("a"), repeat=first), Fake("b", repeat=second)
    assert Bench(a, b).run(with_fallback("flow", a, b)).ok


def test_an_unsafe_call_that_answered_no_is_followed() -> None:
    a, b = Fake("a", FAILS, repeat="unsafe"), Fake("b", repeat="unsafe")
    assert Bench(a, b).run(with_fallback("flow", a, b)).ok


def test_tools_that_are_not_known_count_as_unsafe() -> None:
    bench = Bench(Fake("a", cut("a")), Fake("b"))
    assert not bench.run(with_fallback("flow", "a", "b")).ok


# --- mapped -------------------------------------------------------------------------------------


def size(given: dict[str, Any]) -> str:
    if given["path"] == "bad":
        raise FAILS
    return str(len(given["path"]))


@pytest.mark.parametrize("at_once", [1, 3])
def test_results_come_in_order_and_a_failure_is_told_in_its_place(at_once: int) -> None:
    tool = Fake("size", size, parameters={"path": "string"})
    flow = mapped("sizes", tool, at_once=at_once)
    bench = Bench(tool)
    found = bench.run(flow, items=[{"path": "a"}, {"path": "bad"}, {"path": "abc"}])
    assert found.ok
    assert found.text == "[1 of 3]\n1\n\n[2 of 3] failed:\nno such file\n\n[3 of 3]\n3"


def test_stop_on_error_begins_no_other_item() -> None:
    tool = Fake("size", size)
    bench = Bench(tool)
    step = use(tool, {"path": "{item}", "n": "{index}"})
    parameters = {"items": "array"}
    flow = mapped("sizes", step, stop_on_error=True, parameters=parameters)
    found = bench.run(flow, items=["a", "bad", "c"])
    assert not found.ok
    assert found.text.endswith("no such file\nStopped: 1 of 3 were not begun.")
    assert [arguments["n"] for _, arguments in bench.asked] == [0, 1]


def test_it_fails_only_if_every_item_failed() -> None:
    tool = Fake("size", size)
    flow = mapped("sizes", use(tool, {"path": "{item}"}), parameters={"items": "array"})
    assert not Bench(tool).run(flow, items=["bad", "bad"]).ok
    assert Bench(tool).run(flow, items=[]).text == "Nothing was done: the list is empty."


def test_no_more_items_than_allowed_are_taken() -> None:
    tool = Fake("size", size)
    flow = mapped("sizes", use(tool, {"path": "{item}"}), parameters={"items": "array"})
    with pytest.raises(ToolError, match="The list has 101 items; at most 100 are taken"):
        Bench(tool).run(flow, items=["a"] * 101)
    with pytest.raises(ConfigError, match="at_most must be from 1 to 100"):
        mapped("sizes", "size", at_most=101)
