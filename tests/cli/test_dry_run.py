"""--dry-run changes nothing, and --reason is kept."""

from __future__ import annotations

import pytest

from tests.cli.parts import Place

FAULT, DONE = {"fault": {"status": 401}}, {"text": "done"}


def stopped(place: Place) -> None:
    place.turns(FAULT, DONE)
    assert place.run("x").code == 1


@pytest.mark.parametrize(
    "words",
    [
        "pause @last",
        "cancel @last",
        "resume @last",
        "resume --all",
        "limits set @last --max-cost 3",
        "credits add 5",
        "credits set 7",
        "costs rebuild",
        "permissions revoke --all",
    ],
)
def test_a_dry_run_writes_nothing_and_says_that_it_is_one(place: Place, words: str) -> None:
    stopped(place)
    before = [place.cli(*each.split()).out for each in ("show @last --events", "credits --json")]
    ran = place.cli(*words.split(), "--dry-run", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["dry_run"] is True
    assert place.cli(*words.split(), "--dry-run").code == 0
    after = [place.cli(*each.split()).out for each in ("show @last --events", "credits --json")]
    assert before == after


def test_what_a_resume_would_change_is_told(place: Place) -> None:
    stopped(place)
    ran = place.cli("resume", "@last", "--dry-run", "--max-cost", "2", "--model", "other")
    assert (ran.code, ran.out) == (0, "")
    assert "would go on with step 1, asking scripted/script" in ran.err
    assert "$0.50 -> $2.00" in ran.err
    assert "model: script -> other" in ran.err


def test_a_dry_run_of_what_cannot_be_is_refused_as_the_deed_would_be(place: Place) -> None:
    place.turns(DONE)
    place.run("x")
    for words in ("pause @last", "cancel @last", "resume @last", "limits set @last --max-cost 3"):
        assert place.cli(*words.split(), "--dry-run").code == 6, words


def test_the_reason_of_a_resume_is_kept_in_the_log(place: Place) -> None:
    stopped(place)
    place.turns(DONE)
    assert place.cli("resume", "@last", "--reason", "the key is right now").code == 0
    assert place.events("Resumed")[-1]["reason"] == "the key is right now"
