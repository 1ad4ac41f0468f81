"""A limit stops a run with code 3, says what to type, and that goes on to the end."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.cli.parts import EXAMPLES, Place, Ran

LIMIT = EXAMPLES / "scripted" / "limit.yaml"
PATIENCE_ROUNDS = 6


def run(place: Place, *words: str) -> Ran:
    return place.cli("run", "go", "--script", str(LIMIT), "--cwd", str(EXAMPLES), *words)


def typed(place: Place, ran: Ran) -> Ran:
    """Type the command that the message names."""
    found = re.search(r"agentctl (resume .*?)(\s\s|$)", ran.err, re.MULTILINE)
    assert found, ran.err
    return place.cli(*shlex.split(found[1]))


def test_a_cost_limit_stops_and_a_higher_one_goes_on(place: Place) -> None:
    ran = run(place, "--max-cost", "0.05")
    assert (ran.code, ran.out) == (3, "")
    assert place.last()["status"] == "limit"
    done = place.cli("resume", "@last", "--max-cost", "1.00")
    assert done.code == 0
    assert done.out.startswith("The hedge is planted")
    assert place.last()["steps"] == 4


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--max-cost", "0.03"),
        ("--max-tokens", "1800"),
        ("--max-steps", "1"),
        ("--max-cost-hour", "0.03"),
    ],
)
def test_the_command_that_is_told_goes_on_until_the_task_is_done(
    place: Place, flag: str, value: str
) -> None:
    ran = run(place, flag, value)
    assert ran.code == 3
    assert flag in ran.err
    for _ in range(PATIENCE_ROUNDS):
        ran = typed(place, ran)
        if ran.code == 0:
            break
        assert ran.code == 3
    assert ran.out.startswith("The hedge is planted")


def test_what_was_spent_still_counts_after_resuming(place: Place) -> None:
    run(place, "--max-cost", "0.05")
    before = place.last()["cost_micros"]
    assert 0 < before <= 50_000
    again = place.cli("resume", "@last", "--max-cost", "0.05")
    assert again.code == 3
    assert place.last()["cost_micros"] <= 50_000


def priced(place: Place) -> None:
    """Five turns at made-up prices: about 20 to 30 cents each."""
    look = {"text": "looking", "calls": [{"name": "list_dir", "arguments": {"path": "."}}]}
    place.turns(look, look, look, look, {"text": "done"}, rates={"input": 300, "output": 900})


def test_no_cost_passes_its_limit(place: Place) -> None:
    priced(place)
    spent = []
    for dollars in ("0.10", "0.60", "0.85", "1.20", "3.00"):
        ran = place.run("x", "--max-cost", dollars)
        spent.append(place.last()["cost_micros"])
        assert spent[-1] <= float(dollars) * 1_000_000
        assert ran.code == (0 if dollars == "3.00" else 3)
    assert spent[0] == 0
    assert spent == sorted(spent)


def test_a_limit_of_zero_allows_what_is_free(place: Place) -> None:
    place.turns({"text": "done"})
    assert place.run("x", "--max-cost", "0", "--max-cost-hour", "0").code == 0


def test_warnings_come_before_the_limit(place: Place) -> None:
    assert "critical: steps 3 of 3" in run(place, "--max-steps", "3").err


def test_the_hour_is_shared_by_all_tasks(place: Place) -> None:
    priced(place)
    hour = ("--max-cost", "none", "--max-cost-hour", "2.00")
    assert place.run("x", *hour).code == 0
    second = place.run("x", *hour)
    assert second.code == 3
    assert "which all tasks share" in " ".join(second.err.split())
    rows = place.cli("list", "--json").json
    assert sum(row["cost_micros"] for row in rows) <= 2_000_000
