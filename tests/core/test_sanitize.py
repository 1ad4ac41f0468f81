"""Text from outside, made storable or refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentctl.core.sanitize import GOAL_BYTES_MAX, goal_problem, storable


@settings(deadline=None, database=None, derandomize=True)
@given(st.text(st.characters(exclude_categories=[])))
def test_every_text_becomes_storable(text: str) -> None:
    storable(text).encode()


@settings(deadline=None, database=None, derandomize=True)
@given(st.text())
def test_proper_text_is_left_alone(text: str) -> None:
    assert storable(text) is text


def test_a_lone_surrogate_is_replaced_and_the_rest_stays() -> None:
    shown = storable("a\ud800b")
    assert shown.startswith("a\ufffd")
    assert shown.endswith("b")


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_an_empty_goal_is_refused(text: str) -> None:
    assert goal_problem(text) == "The goal is empty."


def test_a_goal_may_have_exactly_the_most_bytes() -> None:
    assert goal_problem("x" * GOAL_BYTES_MAX) == ""
    assert "1,000,001 bytes" in goal_problem("x" * (GOAL_BYTES_MAX + 1))


def test_bytes_are_counted_and_not_characters() -> None:
    assert "1,000,002 bytes" in goal_problem("é" * (GOAL_BYTES_MAX // 2 + 1))


def test_a_goal_with_nul_bytes_is_refused() -> None:
    assert "NUL" in goal_problem("a\0b")


def test_a_goal_with_a_lone_surrogate_is_measured_and_not_a_crash() -> None:
    assert goal_problem("\udcff") == ""
