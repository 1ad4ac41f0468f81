"""A process that is killed while it makes a fork leaves all of it or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.helpers import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A task that is done."""
    made = Place(tmp_path)
    made.write_script({"text": "first"}, {"text": "second"})
    assert made.run(*made.run_arguments).code == 0
    return made


@pytest.mark.parametrize(("moment", "there"), [("before", 1), ("within", 1), ("after", 2)])
def test_a_fork_is_there_whole_or_not_at_all(place: Place, moment: str, there: int) -> None:
    (task,) = place.listed()
    words = ("fork", task["id"], "--goal", "then")
    assert place.run(*words, point=f"{moment} Forked 1").code == -9
    found = place.listed()
    assert len(found) == there
    assert place.run("costs", "check").code == 0
    if there == 2:
        ran = place.run("resume", found[0]["id"])
        assert (ran.code, ran.out) == (0, "second\n")
    else:
        assert place.run(*words, "--run").out == "second\n"


def test_a_fork_that_is_killed_while_it_runs_goes_on_and_its_books_agree(place: Place) -> None:
    assert place.run("run", "-c", "then", point="after ModelAsked 1").code == -9
    fork = place.listed()[0]
    assert fork["status"] == "interrupted"
    assert place.run("resume", fork["id"]).out == "second\n"
    assert place.run("costs", "check").code == 0
