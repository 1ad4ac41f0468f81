"""Cost reports: exact sums, nothing unknown shown as zero, nothing from data able to act."""

import json

import pytest
from msgspec.structs import replace

from agentctl.reports.cost_table import SHOWN_MOST, compact, short, shortened, text
from agentctl.reports.costs import (
    CostLine,
    CostReport,
    Share,
    as_json,
    by_cost,
    cost_text,
    share_text,
    total,
)
from agentctl.reports.text import usd, visible

DAYS = (
    CostLine("2026-10-30", 12, 0, 123_456, 100_000, 5_000, 4_321, 27_777, 420_000, 0, 0, 9_000),
    CostLine("2026-10-31", 3, 2, 23_456, 0, 0, 321, 23_777, 1_200, 1),
    CostLine("2026-11-01", 1, 1, 10, 0, 0, 1, 11),
    CostLine(
        "2026-11-02", 112, 0, 9_123_456, 8_100_000, 0, 443_210, 1_466_666, 12_345_678, 0, 43_000
    ),
)
HOUR = Share("this hour", 423_456, 10_000_000)
REPORT = CostReport("day", DAYS, total(DAYS), (HOUR,))

AT_80 = """\
Day         Calls   Input  Cached  Output          Cost  Note
────────────────────────────────────────────────────────────────────────────────
2026-10-30     12    123k    100k   4,321         $0.42                 ▎
2026-10-31      3  23,456       0     321  ~$0.0012 + ?  ? 2 unpriced   ▏
                                                         ~ 1 estimated
2026-11-01      1      10       0       1             ?  ? 1 unpriced
2026-11-02    112    9.1M    8.1M    443k        $12.35  ≤ $0.04 open   ████████

Total         128    9.3M    8.2M    448k   ~$12.77 + ?  ? 3 unpriced
                                                         ~ 1 estimated
                                                         ≤ $0.04 open

1,518,231 tokens processed, 9,718,231 with those from a cache
caching saved $0.0090
? 3 of 128 calls unpriced: not in the cost
~ 1 estimated: the provider reported no usage
unsettled, at most $0.04 more: calls without an answer
this hour $0.42 of $10.00 (4 %)"""

AT_40 = """\
Day                 Cost  Note
───────────────────────────────────────
2026-10-30         $0.42
2026-10-31  ~$0.0012 + ?  ? 2 unpriced
                          ~ 1 estimated
2026-11-01             ?  ? 1 unpriced
2026-11-02        $12.35  ≤ $0.04 open

Total        ~$12.77 + ?  ? 3 unpriced
                          ~ 1 estimated
                          ≤ $0.04 open
"""


def by(kind, *lines, **more):
    return CostReport(kind, lines, total(lines), **more)


def test_golden_at_80_columns():
    assert text(REPORT, 80) == AT_80


def test_golden_at_40_columns():
    assert text(REPORT, 40).startswith(AT_40)


def test_a_wide_terminal_has_every_column_with_whole_numbers_and_bars():
    head, _, first, *_, last = text(REPORT, 120).split("\n\n")[0].splitlines()
    assert " ".join(head.split()) == "Day Calls Input Cached Written Output Saved Cost Note"
    whole = "2026-10-30 12 123,456 100,000 5,000 4,321 $0.0090 $0.42 ▋"
    assert " ".join(first.split()) == whole
    assert last.endswith("█" * 20)


@pytest.mark.parametrize("width", [20, 24, 30, 40, 50, 76, 80, 96, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_no_cost_is_cut(width):
    made = text(REPORT, width)
    assert max(map(len, made.splitlines())) <= width
    assert "$12.35" in made
    assert "~$12.77 + ?" in made


def test_a_stream_of_ascii_gets_ascii_laid_out_as_well():
    lines = text(REPORT, 80, plain=True).splitlines()
    assert "\n".join(lines).isascii()
    assert "<= $0.04 open" in lines[6]
    assert lines[6].endswith("########")
    assert len({line.index("$0") for line in lines[2:4] if "$0.42" in line}) == 1
    wide = by("project", CostLine("/päth", 1, cost_micros=1), CostLine("/b", 1, cost_micros=2))
    assert "/p\\xe4th" in text(wide, 80, plain=True)


def test_nothing_to_report_is_said():
    assert text(by("day"), 80) == "No model call has been made yet."
    said = text(by("day", period="since 2026-11-01", zone="Europe/Berlin"), 80)
    assert said == "No model call was made in this period: since 2026-11-01, Europe/Berlin."


def test_unpriced_calls_are_never_a_confident_zero():
    for width in (80, 50, 30):
        for made in (text, compact):
            shown = made(by("day", CostLine("2026-11-01", 3, 3)), width)
            assert "$0.00" not in shown
            assert "? 3" in shown
            assert "unpriced" in shown


def test_a_compact_report_has_the_cost_alone_and_the_unpriced_beside_it():
    *_, sums, unpriced, still_open = compact(REPORT, 80).splitlines()
    assert sums == "Total        ~$12.77 + ?"
    assert unpriced == "? 3 of 128 calls unpriced: not in the cost"
    assert still_open.startswith("unsettled, at most $0.04 more")


def test_a_free_local_call_is_zero():
    assert cost_text(CostLine("x", 3)) == "$0.00"


def test_a_call_without_an_answer_shows_its_upper_bound():
    assert cost_text(CostLine("x", 1, open_micros=43_000)) == "≤ $0.04"


def test_a_cache_that_cost_more_than_it_saved_is_said_so():
    line = CostLine("a", 1, 0, 10, 0, 10, 1, 11, 500, saved_micros=-20_000)
    made = text(by("model", line), 100)
    assert "-$0.02" in made
    assert "caching cost $0.02 more than it saved" in made


def test_text_from_data_cannot_act_on_the_terminal_or_as_markup():
    nasty = "[red]x[/red]\x1b[2J\x9b1m\u202eevil\u2066\r\n\x07[/nothing]"
    line = CostLine(nasty, 1, label=nasty, parts=(CostLine(nasty, 1),))
    report = by("task", line, shares=(Share(nasty, 1, 2),), period=nasty, zone=nasty)
    made = text(report, 400)
    assert "[red]x[/red]\\x1b[2J\\x9b1m\\u202eevil\\u2066\\x0d\\x0a\\x07[/nothing]" in made
    assert not set(made) & set("\x1b\x9b\u202e\u2066\r\x07")
    assert not set(compact(report, 400)) & set("\x1b\x9b\u202e\u2066\r\x07")


def test_a_long_key_is_broken_and_loses_nothing():
    key = "/home/日本語のフォルダ/" + "x" * 90
    lines = text(by("project", CostLine(key, 1, cost_micros=10_000)), 60).splitlines()
    assert "".join(line.split("  ")[0].strip() for line in lines[2:]).startswith(key)
    assert "$0.01" in lines[2]


def test_of_many_tasks_the_most_expensive_are_shown_and_the_others_in_one_line():
    tasks = by_cost(CostLine(f"t{n:04d}", 1, cost_micros=n * 10_000) for n in range(1, 201))
    report = CostReport("task", tasks, total(tasks))
    lines = text(report, 80).splitlines()
    assert lines[2].startswith("t0200")
    assert sum(line.startswith("t0") for line in lines) == SHOWN_MOST
    assert any(line.startswith("150 others") and "$113.25" in line for line in lines)
    assert "… and 150 more tasks: --all" in lines
    assert sum(line.startswith("t0") for line in text(report, 80, every=True).splitlines()) == 200
    lines = compact(report, 80).splitlines()
    assert sum(line.startswith("t0") for line in lines) == SHOWN_MOST
    assert lines[-1] == "… and 150 more tasks: --all"


def test_of_many_hours_the_newest_are_shown():
    hours = tuple(CostLine(f"h{n:04d}", 1, cost_micros=1) for n in range(60))
    lines, hidden = shortened(CostReport("hour", hours, total(hours)), every=False)
    assert (lines[0].key, lines[0].calls, hidden) == ("10 earlier", 10, 10)
    assert [line.key for line in lines[1:]] == [line.key for line in hours[10:]]


def test_days_are_all_shown():
    days = tuple(CostLine(f"d{n:04d}", 1) for n in range(400))
    assert shortened(CostReport("day", days, total(days)), every=False) == (days, 0)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0"), (99_999, "99,999"), (100_000, "100k"), (998_999, "999k"), (999_999, "1.0M"),
        (12_345_678, "12.3M"), (123_456_789, "123M"), (4_300_000_000, "4.3G"), (10**13, "10.0T"),
    ],
)  # fmt: skip
def test_long_counts_are_shortened_where_room_is_short(number, expected):
    assert short(number) == expected


def test_json_has_every_line_the_total_and_the_limits():
    part = CostLine("p/m", 12)
    data = json.loads(
        json.dumps(as_json(replace(REPORT, lines=(replace(DAYS[0], parts=(part,)),))))
    )
    assert (data["schema"], data["by"]) == (1, "day")
    assert data["lines"][0]["parts"][0]["key"] == "p/m"
    assert data["total"]["cost_micros"] == sum(line.cost_micros for line in DAYS)
    assert data["total"]["unpriced"] == 3
    assert data["limits"] == [
        {"name": "this hour", "spent_micros": 423_456, "cap_micros": 10_000_000}
    ]


# --- amounts and words -------------------------------------------------------------------------


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
