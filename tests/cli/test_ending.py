"""The last words of a run: what they tell one to type can be typed."""

from agentctl.cli.ending import ending
from agentctl.core import events as e
from tests.core.parts import state_of


def last_lines(stopped: e.Stopped) -> list[str]:
    return ending("1abcdefg", state_of(stopped)).splitlines()


def test_what_to_do_before_a_resume_stands_on_a_line_of_its_own() -> None:
    lines = last_lines(e.Stopped("limit", "it costs 5 credits", "account_credits", 0, 2, 5))
    assert lines[1].rstrip() == "Go on with: agentctl resume 1abcdefg"
    assert lines[2].endswith("agentctl credits add 5 --account default")


def test_a_stop_for_want_of_a_price_says_so_and_names_the_flag_that_helps() -> None:
    lines = last_lines(e.Stopped("limit", "no price is known", "task_cost_micros", 0, 10_000))
    assert lines[0].startswith("Stopped: no price is known.")
    assert lines[1] == "Go on with: agentctl resume 1abcdefg --allow-unpriced"
