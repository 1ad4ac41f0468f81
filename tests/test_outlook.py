"""Status, forecast, estimate and prices: what is told of now and of what is to come."""

from datetime import UTC, datetime

import pytest

from agentctl.books.estimate import estimate
from agentctl.books.prices import price_lines
from agentctl.books.status import month, status
from agentctl.core import events as e
from agentctl.core.values import Limits, Rates
from agentctl.reports.outlook import forecast_text, prices_text, status_line
from agentctl.settings import Settings
from tests.book_parts import MODEL, NOW, answer, ask, begin, lived, opened


@pytest.fixture
def desk(tmp_path, monkeypatch):
    with opened(tmp_path, monkeypatch) as desk:
        yield desk


# --- looking ahead -------------------------------------------------------------------------------


def test_the_status_tells_today_the_windows_the_rate_and_when_a_limit_is_reached(desk):
    begin(desk, "task-a")
    ask(desk, "task-a", 1, NOW - 600_000)
    answer(desk, "task-a", NOW - 599_000, 500_000)
    ask(desk, "task-a", 2, NOW)
    found = status(desk, Limits(hour_cost_micros=2_000_000, day_cost_micros=None), NOW)
    assert (found.today_micros, found.today_open_micros) == (500_000, 50_000)
    assert found.rate_micros_per_hour == 2_000_000
    hour, day = found.windows
    assert (hour.spent_micros, hour.reached_ms) == (550_000, NOW + 44 * 60_000)
    assert (day.cap_micros, day.reached_ms) == (None, None)
    assert status_line(found, ["12:44", ""]) == (
        "today $0.50 + up to $0.05 | hour $0.55 of $2.00 (27 %) | $2.00/h | "
        "hour limit reached at 12:44 at this rate"
    )


def test_what_is_only_reserved_is_no_rate_up_to_the_last_second(desk):
    begin(desk, "task-a")
    ask(desk, "task-a", 1, NOW - 900_000 + 10_000)
    assert status(desk, Limits(), NOW + 30_000).rate_micros_per_hour == 0


def test_a_status_without_any_call_is_a_line_too(desk):
    assert status_line(status(desk, Limits(), NOW), ["", ""]) == (
        "today $0.00 | hour $0.00 of $10.00 (0 %) | $0.00/h"
    )


def at(day, hour=12):
    return int(datetime(2026, 11, day, hour, tzinfo=UTC).timestamp() * 1000)


def spend_on(desk, days):
    begin(desk, "task-a", at(1))
    for call, day in enumerate(days, 1):
        ask(desk, "task-a", call, at(day))
        answer(desk, "task-a", at(day) + 1, 1_000_000)


def test_the_forecast_carries_the_rate_of_full_days_to_the_end_of_the_month(desk):
    spend_on(desk, [1, 2, 3, 4, 5, 5])
    found = month(desk, at(5))
    assert (found.month, found.ends, found.spent_micros) == ("2026-11", "2026-11-30", 6_000_000)
    week, thirty = found.outlooks
    assert (week.full_days, week.days_with_calls, week.expected_micros) == (4, 4, 31_500_000)
    assert thirty.expected_micros == week.expected_micros
    assert "$31.50 by 2026-11-30 (80 %: $31.50 to $31.50; of 4 days" in forecast_text(found)


def test_days_without_calls_lower_the_rate(desk):
    spend_on(desk, [10, 12, 14])
    week = month(desk, at(15)).outlooks[0]
    assert (week.full_days, week.days_with_calls) == (5, 3)
    assert week.expected_micros == 3_000_000 + 3_000_000 * 31 // 10
    assert week.low_micros < week.expected_micros < week.high_micros


def test_fewer_than_three_days_with_calls_are_not_enough(desk):
    spend_on(desk, [10, 11, 12])
    found = month(desk, at(12, 20))
    assert [each.expected_micros for each in found.outlooks] == [None, None]
    assert "not enough data (calls on 2 days before today" in forecast_text(found)


def done(desk, name, active_ms, cost=1_000, model=MODEL):
    begin(desk, name, NOW, model=model)
    ask(desk, name, 1, model=model)
    answer(desk, name, NOW + 1, cost)
    desk.store.append(name, None, [e.Finished("done")], NOW + active_ms)


def test_an_estimate_tells_what_half_and_nine_tenths_of_the_tasks_took(desk):
    for number in range(1, 11):
        done(desk, f"task-{number}", number * 1_000, number * 10_000)
    found = estimate(desk, Settings(provider="anthropic", model=MODEL), {})
    assert (found.tasks, found.steps.p90) == (10, 1)
    assert (found.cost_micros.p50, found.cost_micros.p90) == (50_000, 90_000)
    assert (found.active_ms.p50, found.active_ms.p90) == (5_000, 9_000)


def test_an_estimate_leaves_unpriced_tasks_out_of_the_cost(desk):
    for number in range(6):
        done(desk, f"task-{number}", 1_000, None if number else 5)
    found = estimate(desk, Settings(provider="anthropic", model=MODEL), {})
    assert (found.cost_micros, found.unpriced, found.steps.tasks) == (None, 5, 6)


def test_an_estimate_takes_the_provider_of_the_key_and_asks_nobody(desk):
    found = estimate(desk, Settings(), {"OPENAI_API_KEY": "k"})
    assert (found.provider, found.tasks, found.steps) == ("openai", 0, None)
    assert estimate(desk, Settings(), {}).provider == "offline"


# --- prices --------------------------------------------------------------------------------------


def test_prices_come_from_the_configuration_before_the_table(desk):
    chosen = Settings(
        prices={"openai/own-model": Rates(1_250_000, 1_000, 2, 10_000_000, "configuration")},
        origins={"prices.openai/own-model": "/home/u/config.toml"},
    )
    (line,) = price_lines(desk, chosen, {}, "own-model")
    assert (line.provider, line.source, line.where) == (
        "openai", "configuration", "/home/u/config.toml",
    )  # fmt: skip
    text = prices_text([line], 80)
    assert "$1.25  $0.001  $0.000002  $10.00" in text


def test_prices_without_a_name_are_those_of_all_models_used_here(desk):
    lived(desk)
    lines = price_lines(desk, Settings(), {})
    assert [(line.provider, line.model) for line in lines] == [
        ("anthropic", MODEL), ("openai", "own-model"),
    ]  # fmt: skip
    assert lines[0].source.startswith("genai-prices ")
    assert (lines[1].source, lines[1].steps) == ("unpriced", ())
    assert "openai/own-model" in prices_text(lines, 80)


def test_prices_that_step_up_with_the_size_of_a_request_have_a_line_for_each(desk):
    (line,) = price_lines(desk, Settings(), {}, "openai/gpt-6.1-terra")
    assert line.steps[0].above == 0
    assert len(line.steps) == 2
    assert "input above 272,000" in prices_text([line], 80)


def test_a_local_models_price_is_said_to_be_local(desk):
    (line,) = price_lines(desk, Settings(), {}, "ollama/qwen3:8b")
    assert (line.source, line.steps[0].rates.input) == ("local", 0)
