"""Arithmetic of limits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentctl.core.limits import ceil_div, level, uses
from agentctl.core.values import Limits
from tests.core.parts import answered, asked, state_of


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (0, "ok"),
        (799, "ok"),
        (800, "warning"),
        (949, "warning"),
        (950, "critical"),
        (1_000, "critical"),
        (1_001, "over"),
    ],
)
def test_levels_begin_at_80_and_95_percent_and_past_the_cap(used: int, expected: str) -> None:
    assert level(used, 1_000) == expected


def test_nothing_of_nothing_used_is_no_reason_to_warn() -> None:
    assert level(0, 0) == "ok"
    assert level(1, 0) == "over"


def test_small_caps_are_exact_without_fractions() -> None:
    assert [level(n, 3) for n in range(5)] == ["ok", "ok", "ok", "critical", "over"]


def test_only_limits_that_are_set_are_told() -> None:
    none = Limits(task_cost_micros=None, task_tokens=None, steps=None, wall_ms=None)
    assert list(uses(state_of(limits=none))) == []


def test_each_limit_is_told_with_its_use_and_unit() -> None:
    limits = Limits(task_cost_micros=10, task_tokens=20, steps=30, wall_ms=40)
    state = state_of(asked(), answered("hi"), limits=limits)
    assert list(uses(state)) == [
        ("task_cost_micros", 1_000, 10),
        ("task_tokens", 110, 20),
        ("steps", 1, 30),
        ("wall_ms", 2_000, 40),
    ]


@settings(deadline=None, database=None, derandomize=True)
@given(st.integers(0, 10**30), st.integers(1, 10**15))
def test_division_of_money_rounds_up_and_by_less_than_one(dividend: int, divisor: int) -> None:
    quotient = ceil_div(dividend, divisor)
    assert dividend <= quotient * divisor < dividend + divisor
