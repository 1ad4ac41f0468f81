"""How the tools of a task did, counted from its log."""

from __future__ import annotations

import pytest

from agentctl.core import events as e
from agentctl.core.tool_metrics import ToolMetrics, metrics, percentile


def log(*ended: e.ToolEnded) -> list[e.Recorded]:
    return [e.Recorded(n, n, event) for n, event in enumerate(ended)]


def test_calls_failures_retries_times_and_sizes_are_counted_by_tool() -> None:
    found = metrics(log(
        e.ToolEnded("c1", "b", "four", "ok", 10),
        e.ToolEnded("c2", "b", "é", "error", 30, attempts=3),
        e.ToolEnded("c3", "a", "head…", "ok", 5, "ref", 90_000),
    ))  # fmt: skip
    assert found == [
        ToolMetrics("a", 1, 0, 0, 0, 0, 0, 5, 5, 5, 90_000, 7),
        ToolMetrics("b", 2, 0, 0, 1, 2, 0, 10, 30, 30, 6, 6),
    ]


def test_what_other_tools_made_counts_but_was_not_told_to_the_model() -> None:
    (found,) = metrics(log(
        e.ToolEnded("c1/1", "a", "inner", "ok", 10, parent="c1"),
        e.ToolEnded("c2", "a", "outer", "ok", 10),
    ))  # fmt: skip
    assert (found.calls, found.inner, found.output_bytes, found.told_bytes) == (2, 1, 10, 5)


@pytest.mark.parametrize("status", ["denied", "invalid", "unavailable"])
def test_a_call_that_never_ran_is_none(status: str) -> None:
    (found,) = metrics(log(e.ToolEnded("c1", "a", "no", status)))
    assert (found.calls, found.refused, found.errors, found.p50_ms) == (0, 1, 0, None)


@pytest.mark.parametrize("status", ["cut", "unknown", "skipped"])
def test_a_call_that_was_cut_says_nothing_of_times(status: str) -> None:
    (found,) = metrics(log(e.ToolEnded("c1", "a", "cut", status)))
    assert (found.calls, found.errors, found.p50_ms) == (1, 1, None)


def test_a_reused_result_has_the_size_of_what_it_stands_for() -> None:
    (found,) = metrics(log(e.ToolEnded("c1", "a", "same", reused="c0", spared_bytes=996)))
    assert (found.reused, found.output_bytes, found.told_bytes) == (1, 1_000, 4)


@pytest.mark.parametrize(
    ("count", "percent", "expected"),
    [
        (0, 50, None),
        (1, 99, 1),
        (2, 50, 1),
        (3, 50, 2),
        (100, 95, 95),
        (100, 99, 99),
        (101, 99, 100),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(
    count: int, percent: int, expected: int | None
) -> None:
    assert percentile(list(range(1, count + 1)), percent) == expected
