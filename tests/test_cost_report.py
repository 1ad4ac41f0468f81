"""Cost reports: exact sums, nothing unknown shown as zero, nothing from data able to act."""

import io
import json
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from rich.console import Console

from agentctl.control import Desk
from agentctl.core import events as e
from agentctl.core.values import Limits, Message, Usage
from agentctl.cost_lines import cost_lines
from agentctl.reports.costs import (
    CostLine,
    Share,
    as_json,
    by_local_time,
    cost_text,
    report,
    share_text,
    total,
)
from agentctl.reports.text import usd, visible

DAYS = [
    CostLine("2026-10-30", 12, 0, 123_456, 100_000, 5_000, 4_321, 27_777, 420_000),
    CostLine("2026-10-31", 3, 2, 23_456, 0, 0, 321, 23_777, 1_200, 1),
    CostLine("2026-11-01", 1, 1, 10, 0, 0, 1, 11),
    CostLine(
        "2026-11-02", 112, 0, 9_123_456, 8_100_000, 0, 443_210, 1_466_666, 12_345_678, 0, 43_000
    ),
]
HOUR = Share("this hour", 423_456, 10_000_000)

AT_80 = """\
Day          Calls       Input    Output           Cost   Note
───────────────────────────────────────────────────────────────────────
2026-10-30      12     123,456     4,321          $0.42
2026-10-31       3      23,456       321   ~$0.0012 + ?   ? 2 unpriced
                                                          ~ 1 estimated
2026-11-01       1          10         1              ?   ? 1 unpriced
2026-11-02     112   9,123,456   443,210         $12.35   ≤ $0.04 open

Total          128   9,270,378   447,853    ~$12.77 + ?   ? 3 unpriced
                                                          ~ 1 estimated
                                                          ≤ $0.04 open

1,518,231 tokens processed, 9,718,231 with those from a cache
? 3 of 128 calls unpriced: not in the cost
~ 1 estimated: the provider reported no usage
unsettled, at most $0.04 more: calls without an answer
this hour $0.42 of $10.00 (4 %)
"""

AT_50 = """\
Day                  Cost   Note
─────────────────────────────────────────
2026-10-30          $0.42
2026-10-31   ~$0.0012 + ?   ? 2 unpriced
                            ~ 1 estimated
2026-11-01              ?   ? 1 unpriced
2026-11-02         $12.35   ≤ $0.04 open

Total         ~$12.77 + ?   ? 3 unpriced
                            ~ 1 estimated
                            ≤ $0.04 open

1,518,231 tokens processed, 9,718,231 with those
from a cache
? 3 of 128 calls unpriced: not in the cost
~ 1 estimated: the provider reported no usage
unsettled, at most $0.04 more: calls without an
answer
this hour $0.42 of $10.00 (4 %)
"""

PLAIN_AT_80 = """\
Model                         Calls     Input    Cached   Output    Cost
────────────────────────────────────────────────────────────────────────
anthropic/claude-sonnet-5-5      12   123,456   100,000    4,321   $0.42

Total                            12   123,456   100,000    4,321   $0.42

27,777 tokens processed, 127,777 with those from a cache
"""


def shown(renderable, width):
    out = io.StringIO()
    Console(file=out, width=width, no_color=True, highlight=False).print(renderable)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def test_golden_at_80_columns():
    assert shown(report(DAYS, "day", shares=[HOUR]), 80) == AT_80


def test_golden_at_50_columns():
    assert shown(report(DAYS, "day", shares=[HOUR]), 50) == AT_50


def test_golden_without_anything_to_remark():
    line = CostLine(
        "anthropic/claude-sonnet-5-5", 12, 0, 123_456, 100_000, 5_000, 4_321, 27_777, 420_000
    )
    assert shown(report([line], "model"), 80) == PLAIN_AT_80


@pytest.mark.parametrize("width", [20, 30, 40, 50, 76, 80, 96, 200])
def test_no_line_is_wider_than_the_terminal_and_no_cost_is_cut(width):
    text = shown(report(DAYS, "day", shares=[HOUR]), width)
    assert max(map(len, text.splitlines())) <= width
    if width >= 30:
        assert "$12.35" in text
        assert "~$12.77 + ?" in text


def test_nothing_to_report_is_said():
    assert shown(report([]), 80) == "No model call has been made yet.\n"


def test_unpriced_calls_are_never_a_confident_zero():
    for width in (80, 50, 30):
        text = shown(report([CostLine("2026-11-01", 3, 3)]), width)
        assert "$0.00" not in text
        assert "? 3 of 3 calls unpriced" in text


def test_a_free_local_call_is_zero():
    assert cost_text(CostLine("x", 3)) == "$0.00"


def test_a_call_without_an_answer_shows_its_upper_bound():
    assert cost_text(CostLine("x", 1, open_micros=43_000)) == "≤ $0.04"


def test_text_from_data_cannot_act_on_the_terminal_or_as_markup():
    nasty = "[red]x[/red]\x1b[2J\x9b1m\u202eevil\u2066\r\n\x07[/nothing]"
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=True, no_color=True)
    console.print(report([CostLine(nasty, 1)], "task", shares=[Share(nasty, 1, 2)], note=nasty))
    text = out.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "[red]x[/red]\\x1b[2J\\x9b1m\\u202eevil\\u2066\\x0d\\x0a\\x07[/nothing]" in text
    assert not set(text) & set("\x1b\x9b\u202e\u2066\r\x07")


def test_json_has_every_line_the_total_and_the_limits():
    data = json.loads(json.dumps(as_json(DAYS, "day", shares=[HOUR])))
    assert data["schema"] == 1
    assert data["by"] == "day"
    assert [line["key"] for line in data["lines"]] == [line.key for line in DAYS]
    assert data["total"]["cost_micros"] == sum(line.cost_micros for line in DAYS)
    assert data["total"]["unpriced"] == 3
    assert data["limits"] == [
        {"name": "this hour", "spent_micros": 423_456, "cap_micros": 10_000_000}
    ]


def test_calls_are_summed_as_settled_estimated_open_or_unpriced(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTCTL_HOME", str(tmp_path))
    said = e.ModelAnswered(Message("assistant", "x"), Usage(100, 60, 10, 5), "end", 70)
    estimated = replace(said, usage=replace(said.usage, reported=False))
    with Desk() as desk:
        desk.store.create("t", e.TaskCreated("goal", "", "p", "m", "/", Limits()), 0)
        for number, answer in enumerate((said, estimated, replace(said, cost_micros=None)), 1):
            desk.store.append("t", None, [e.ModelAsked(number, "p", "m", 900, 100, 50), answer], 0)
        desk.store.append("t", None, [e.ModelAsked(4, "p", "m", 900, 100, 50)], 0)
        (line,) = cost_lines(desk, "task")
    assert line == CostLine("t", 4, 1, 300, 180, 30, 15, 135, 140, 1, 900)


def moment(*parts, tz=UTC):
    return int(datetime(*parts, tzinfo=tz).timestamp() * 1000)


def test_days_begin_at_local_midnight_also_in_zones_off_by_half_an_hour():
    slots = [
        (moment(2026, 10, 31, 18, 15), CostLine("", 1, cost_micros=1)),
        (moment(2026, 10, 31, 18, 30), CostLine("", 1, cost_micros=2)),
    ]
    kolkata = timezone(timedelta(hours=5, minutes=30))
    days = by_local_time(reversed(slots), "day", kolkata)
    assert [(line.key, line.cost_micros) for line in days] == [("2026-10-31", 1), ("2026-11-01", 2)]
    assert len(by_local_time(slots, "day", UTC)) == 1


def test_the_hour_that_happens_twice_in_autumn_is_shown_twice():
    slots = [
        (moment(2026, 10, 25, 0, 30), CostLine("", 1)),
        (moment(2026, 10, 25, 1, 30), CostLine("", 2)),
        (moment(2026, 10, 25, 2, 30), CostLine("", 3)),
    ]
    hours = by_local_time(slots, "hour", ZoneInfo("Europe/Berlin"))
    assert [(line.key, line.calls) for line in hours] == [
        ("2026-10-25 02:00 +0200", 1),
        ("2026-10-25 02:00 +0100", 2),
        ("2026-10-25 03:00", 3),
    ]


def test_the_share_is_rounded_down_so_that_100_means_used_up():
    assert share_text(Share("task", 499_999, 500_000)) == "task $0.50 of $0.50 (99 %)"
    assert share_text(Share("task", 500_000, 500_000)) == "task $0.50 of $0.50 (100 %)"
    assert share_text(Share("task", 0, 0)) == "task $0.00 of $0.00"


def test_the_total_of_nothing_is_nothing():
    assert total([]) == CostLine("Total")


@pytest.mark.parametrize(
    ("micros", "expected"),
    [
        (0, "$0.00"),
        (1, "<$0.0001"),
        (49, "<$0.0001"),
        (50, "$0.0001"),
        (1_234, "$0.0012"),
        (9_999, "$0.0100"),
        (10_000, "$0.01"),
        (420_000, "$0.42"),
        (424_999, "$0.42"),
        (425_000, "$0.43"),
        (999_999, "$1.00"),
        (1_234_567_890_000, "$1,234,567.89"),
        (-420_000, "-$0.42"),
    ],
)
def test_dollars(micros, expected):
    assert usd(micros) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("Grüße 日本 👩\u200d💻", "Grüße 日本 👩\u200d💻"),
        ("\x1b[31m\x7f\x9b", "\\x1b[31m\\x7f\\x9b"),
        ("a\nb\tc", "a\\x0ab\\x09c"),
        ("\u202e\u2066\u200e\u061c", "\\u202e\\u2066\\u200e\\u061c"),
        ("\u2028\ufeff\u200b", "\\u2028\\ufeff\\u200b"),
        ("\U000e0041", "\\U000e0041"),
        ("\udc80", "\\udc80"),
    ],
)
def test_invisible_characters_are_made_visible(text, expected):
    assert visible(text) == expected


def test_line_ends_and_tabs_can_be_kept():
    assert visible("a\n\tb\r", newlines=True) == "a\n\tb\\x0d"
