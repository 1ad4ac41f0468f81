"""Arithmetic of what is to come: exact, and checked by hand."""

import pytest

from agentctl.forecast import DAY_MS, limit_reached, month_end, percentile

DOLLAR = 1_000_000


def test_days_that_are_all_alike_leave_no_spread():
    end = month_end(5 * DOLLAR, [DOLLAR] * 7, 10 * DAY_MS)
    assert (end.low_micros, end.expected_micros, end.high_micros) == (15 * DOLLAR,) * 3


def test_a_part_of_a_day_counts_as_a_part():
    assert month_end(0, [DOLLAR, DOLLAR], DAY_MS // 4).expected_micros == DOLLAR // 4


def test_the_range_is_that_of_the_formula():
    """Days of 1, 2, 3 dollars: mean 2, variance 1; r = 9: 1.28 · √(9 + 81/3) = 7.68."""
    end = month_end(0, [DOLLAR, 2 * DOLLAR, 3 * DOLLAR], 9 * DAY_MS)
    assert end.expected_micros == 18 * DOLLAR
    assert end.high_micros == pytest.approx(25_680_000, abs=2)
    assert end.low_micros == pytest.approx(10_320_000, abs=2)


def test_the_range_never_goes_below_what_is_spent():
    assert month_end(7 * DOLLAR, [0, 0, 9 * DOLLAR], DAY_MS).low_micros == 7 * DOLLAR


def test_at_the_end_of_the_month_the_spent_is_the_end():
    end = month_end(7, [1, 50, 3], 0)
    assert (end.low_micros, end.expected_micros, end.high_micros) == (7, 7, 7)


def test_one_day_has_no_spread():
    with pytest.raises(ValueError, match="two days"):
        month_end(0, [1], DAY_MS)


def test_a_steady_rate_reaches_what_is_left_of_the_limit():
    """$6 are left at $12 an hour: half an hour."""
    assert limit_reached([(1_000, 4 * DOLLAR)], 1_000, 60, 12 * DOLLAR, 10 * DOLLAR) == 1_030


def test_spend_that_leaves_the_window_makes_room():
    """$9 leave after a minute; then $6 an hour never fill $10."""
    assert limit_reached([(940, 9 * DOLLAR)], 1_000, 60, 6 * DOLLAR, 10 * DOLLAR) is None


def test_a_rate_at_the_limit_reaches_it_when_the_window_is_full_of_it():
    assert limit_reached([], 1_000, 60, 10 * DOLLAR, 10 * DOLLAR) == 1_060


def test_a_limit_that_is_used_up_is_reached_now():
    assert limit_reached([(999, 10 * DOLLAR)], 1_000, 60, 0, 10 * DOLLAR) == 1_000
    assert limit_reached([], 1_000, 60, 0, 0) == 1_000


def test_without_spending_no_limit_is_reached():
    assert limit_reached([(990, DOLLAR)], 1_000, 1_440, 0, 10 * DOLLAR) is None


def test_spend_dated_in_the_future_counts_as_the_store_counts_it():
    assert limit_reached([(5_000, 10 * DOLLAR)], 1_000, 60, 0, 10 * DOLLAR) == 1_000


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7], 50, 7),
        ([3, 1, 2], 50, 2),
        ([4, 3, 2, 1], 50, 2),
        (list(range(1, 11)), 90, 9),
        (list(range(1, 11)), 100, 10),
        (list(range(1, 11)), 0, 1),
    ],
)
def test_a_percentile_is_the_nearest_rank(values, percent, expected):
    assert percentile(values, percent) == expected


def test_no_values_have_no_percentile():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)
