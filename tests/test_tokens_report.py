"""How a task's tokens are shown, at any width, and the monitor's lines."""

import json
import random

import pytest

from agentctl.core.live import TextDelta
from agentctl.core.rows import TaskRow
from agentctl.core.tokens import CallTokens, NextRequest, TokenTally, Totals
from agentctl.core.values import Usage
from agentctl.listeners.tokens import TokenMonitor
from agentctl.reports.columns import cells_of
from agentctl.reports.tokens import PLAIN_SIGNS, SIGNS, TokenReport, _cells, as_json, text
from tests.core.parts import asked, created, recorded
from tests.core.test_tokens import answered, ended

ROW = TaskRow(
    "1abcdefg", "tidy", "the goal", "done", "/", "anthropic", "claude", 0, 0, 2, 50_000, 0, 1, 1,
    0, 0, 500_000, "default", 0,
)  # fmt: skip
CALLS = (
    CallTokens(1, "anthropic", "claude", Usage(2_110, 0, 2_100, 120), 6_470, "step", -1_050),
    CallTokens(
        2, "anthropic", "claude", Usage(17_500, 2_100, 15_300, 400, 90, reported=False), 41_670,
        "step", -3_870, -120, 31_200, 700,
    ),
)  # fmt: skip
TOTALS = Totals(
    2, 1, 0, 19_610, 2_100, 17_400, 520, 90, 48_140, 900, -4_920_000_000, -120, 31_200, 700
)
NEXT = NextRequest(1_812, 21, 6_100, 10_271, 17_900)
REPORT = TokenReport(ROW, CALLS, TOTALS, NEXT, 200_000)
SHOWN = """\
Task 1abcdefg tidy

Next request: ~18,204 of 200,000 tokens
█▓▒▒░░░░········································································
█ system and tools    1,812    0 %
▓ goal                   21    0 %
▒ history             6,100    3 %
░ tool output        10,271    5 %
· free              181,796   90 %
17,900 reported with the last answer, 304 estimated; the parts are estimated.

Call       In  Cached  Written  Out  Thought     Cost  Figures
────────────────────────────────────────────────────────────────
1       2,110       0    2,100  120        0  $0.0065  reported
2      17,500   2,100   15,300  400       90   ~$0.04  estimated

Total  19,610   2,100   17,400  520       90   ~$0.05
"""


def bar_of(shown):
    return next(line for line in shown.splitlines() if set(line) <= {*SIGNS, *PLAIN_SIGNS} and line)


def test_it_looks_like_this_at_80_columns():
    shown = text(REPORT, 80)
    assert shown.startswith(SHOWN)
    assert shown.splitlines()[-7:] == [
        "20,130 tokens in and out, 10 % of them from a cache",
        "caching cost $0.0049 more than it saved",
        "shortening requests cost about $0.0001 more than it saved",
        "large outputs cut: about 31,200 tokens not sent",
        "look-ups given again: about 700 tokens not sent",
        "~ 1 estimated: the provider reported no usage",
        "unsettled, at most $0.0009 more",
    ]


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
def test_no_line_is_wider_than_asked(width):
    for plain in (False, True):
        lines = text(REPORT, width, plain=plain).splitlines()
        assert max(map(cells_of, lines)) <= width
        assert cells_of(bar_of("\n".join(lines))) == width


def test_plain_is_ascii_with_signs_of_its_own():
    shown = text(REPORT, 80, plain=True)
    assert shown.isascii()
    assert "\\u" not in shown
    assert set(bar_of(shown)) == set("#=+-.")


def test_every_part_that_is_there_has_a_cell_and_the_cells_fill_the_width():
    rng = random.Random(3)
    for _ in range(500):
        parts = [rng.choice((0, 1, 5, 10**3, 10**6)) for _ in range(5)]
        cells = _cells(parts, rng.randint(12, 120))
        assert [cell > 0 for cell in cells] == [part > 0 for part in parts]


def test_without_a_window_there_is_no_free_part():
    shown = text(TokenReport(ROW, CALLS, TOTALS, NEXT, None), 80)
    assert "free" not in shown
    assert "window is not known" in shown
    assert "Next request: ~18,204 tokens" in shown


def test_a_request_beyond_the_window_leaves_nothing_free():
    shown = text(TokenReport(ROW, CALLS, TOTALS, NEXT, 10_000), 80)
    assert "· free                   0" in shown
    assert as_json(TokenReport(ROW, CALLS, TOTALS, NEXT, 10_000))["next_request"]["free"] == 0


def test_before_the_first_answer_it_says_so():
    shown = text(TokenReport(ROW, (), Totals(), NextRequest(200, 5, 0, 0, 0), 1_000), 80)
    assert "No model call has been answered yet." in shown
    assert "All estimated" in shown
    assert "Call " not in shown


def test_a_price_that_is_unknown_is_shown_as_such():
    calls = (CallTokens(1, "p", "m", Usage(5), None), CallTokens(2, "p", "m", Usage(5), 10))
    shown = text(TokenReport(ROW, calls, Totals(2, unpriced=1, cost_micros=10), NEXT, None), 80)
    assert "<$0.0001 + ?" in shown
    assert "? 1 of 2 calls unpriced" in shown


def test_hostile_text_in_a_goal_is_made_visible():
    row = TaskRow(
        **{name: getattr(ROW, name) for name in ROW.__struct_fields__} | {"name": "\x1b[2J"}
    )
    assert "\x1b" not in text(TokenReport(row, CALLS, TOTALS, NEXT, None), 80)


def test_json_has_the_same_and_can_be_written():
    found = json.loads(json.dumps(as_json(REPORT)))
    ahead = found["next_request"]
    assert ahead["tokens"] == ahead["reported"] + ahead["estimated"] == sum(ahead["parts"].values())
    assert ahead["free"] == 200_000 - 18_204
    assert [call["figures"] for call in found["calls"]] == ["reported", "estimated"]
    assert found["total"]["savings"] == {
        "cache_micros": -4_920, "pruned_micros": -120, "cut_tokens": 31_200, "reused_tokens": 700,
    }  # fmt: skip


# --- the monitor ---------------------------------------------------------------------------------

STEPS = (
    asked(), answered(Usage(500, 100), "a"), ended("a", output_ref="r", output_bytes=2_100),
    asked(2), answered(Usage(900, 400)),
)  # fmt: skip
LOG = recorded(created(), *STEPS)


def never(_task, _after):
    raise AssertionError("nothing is missing")


def test_each_answer_has_a_line_with_the_sums_so_far():
    lines = []
    monitor = TokenMonitor(lines.append, never, 2_000)
    for record in LOG:
        monitor.hear("t", record)
    monitor.close()
    assert [(line["task_id"], line["kind"], line["call"]) for line in lines] == [
        ("t", "Tokens", 1), ("t", "Tokens", 2),
    ]  # fmt: skip
    assert [line["total"]["input"] for line in lines] == [500, 1_400]
    assert [line["savings"]["cut_tokens"] for line in lines] == [0, 1_000]


def test_after_a_resume_what_is_not_told_again_is_read():
    lines = []
    monitor = TokenMonitor(lines.append, lambda _task, after: LOG[after:], 2_000)
    for record in LOG[4:]:
        monitor.hear("t", record)
    (line,) = lines
    assert (line["call"], line["total"]["calls"], line["total"]["input"]) == (2, 2, 1_400)
    assert line["savings"]["cut_tokens"] == 1_000


def test_signals_are_not_counted():
    TokenMonitor([].append, never, 2_000).hear("t", TextDelta("x"))


def test_a_log_that_does_not_begin_with_its_creation_is_refused():
    with pytest.raises(ValueError, match="begins with TaskCreated"):
        TokenTally(2_000).add(LOG[1])
