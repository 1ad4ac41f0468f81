"""How far a batch is, in words."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from agentctl.reports.batch import Standing, figures, goal_line, last_words, left_words, status


def standing(**changes: Any) -> Standing:
    usual: dict[str, Any] = {
        "goals": 40, "outcomes": {"done": 10, "failed": 2}, "running": 4,
        "spent_micros": 410_000, "cap_micros": 2_000_000, "ended_now": 6, "elapsed_ms": 30_000,
    }  # fmt: skip
    return Standing(**{**usual, **changes})


def test_the_figures_tell_done_running_failed_spend_time_left_and_rate() -> None:
    assert figures(standing()) == [
        "12/40", "4 running", "2 not done", "$0.41 of $2.00", "3 min left", "12/min",
    ]  # fmt: skip
    assert figures(standing(outcomes={}, cap_micros=None, ended_now=0)) == [
        "0/40", "4 running", "$0.41",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [50, 80])
def test_the_status_fits_on_one_line_of_the_terminal(width: int) -> None:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(status(standing(), width))
    (line,) = capture.get().splitlines()
    assert len(line.rstrip()) <= width
    assert "12/40" in line


def test_a_goal_is_one_line_whatever_its_text_holds() -> None:
    line = goal_line(standing(), "failed", "1abc", "two\nlines \x1b[2J [bold]", "no key.").plain
    assert line == "✗ 12/40 1abc failed: no key · two lines \\x1b[2J [bold]"


@pytest.mark.parametrize(
    ("ms", "words"), [(0, "0 s"), (89_000, "89 s"), (90_000, "2 min"), (5_400_000, "2 h")]
)
def test_time_left_is_rough(ms: int, words: str) -> None:
    assert left_words(ms) == words


def test_the_last_words_name_the_command_that_goes_on() -> None:
    text = last_words(standing(), "agentctl batch g --resume", over_cap=False)
    assert text == (
        "10 of 40 goals are done, 2 failed, 28 not begun; $0.41 of $2.00.\n"
        "Go on with: agentctl batch g --resume"
    )
    over = last_words(standing(), "agentctl batch g --resume", over_cap=True)
    assert over.endswith("Go on with: agentctl batch g --resume --max-cost 4.00")
    all_done = standing(goals=10, outcomes={"done": 10}, cap_micros=None)
    assert last_words(all_done, "", over_cap=False) == "Done: all 10 goals, $0.41."
