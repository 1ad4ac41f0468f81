"""Finding, resuming, pausing and ending tasks from the command line."""

from __future__ import annotations

import pytest

from agentctl.core.events import TaskCreated
from agentctl.core.values import Limits
from agentctl.store.sqlite import SqliteStore
from tests.cli.parts import Place, shell

FAULT = {"fault": {"status": 401}}
DONE = {"text": "done"}


def stopped(place: Place, *words: str) -> str:
    """The id of a task that failed and can be resumed."""
    place.turns(FAULT, DONE)
    assert place.run("x", *words).code == 1
    found: str = place.last()["id"]
    return found


# --- names --------------------------------------------------------------------------------------


def test_a_task_goes_by_id_prefix_name_and_last(place: Place) -> None:
    task = stopped(place, "--name", "mend")
    for name in (task, task[:5], task[:1], "mend", "@last"):
        assert place.cli("show", name, "--json").json["id"] == task


def test_last_is_the_newest(place: Place) -> None:
    stopped(place)
    second = stopped(place)
    assert place.last()["id"] == second


def test_ids_sort_by_the_time_they_were_made(place: Place) -> None:
    ids = [stopped(place)[:6] for _ in range(2)]
    assert ids == sorted(ids)


def test_a_prefix_of_two_tasks_is_refused_and_both_are_named(place: Place) -> None:
    ids = {stopped(place), stopped(place)}
    ran = place.cli("show", next(iter(ids))[:1])
    assert ran.code == 2
    assert all(task in ran.err for task in ids)


def test_an_unknown_task_is_told(place: Place) -> None:
    assert "There is no task yet." in place.cli("show", "@last").err
    stopped(place)
    for command in ("show", "pause", "resume", "cancel"):
        ran = place.cli(command, "nothing")
        assert (ran.code, ran.out) == (2, "")
        assert "agentctl list" in ran.err


def test_the_list_shows_20_and_all_of_them_when_asked(place: Place) -> None:
    store = SqliteStore(place.home / "agentctl.db")
    for number in range(21):
        store.create(f"t{number:02}", TaskCreated("goal", "", "p", "m", "/", Limits()), 1)
    store.close()
    assert len(place.cli("list", "--json").json) == 20
    assert len(place.cli("list", "--json", "--all").json) == 21


# --- going on and ending ------------------------------------------------------------------------


def test_a_failed_run_says_what_was_kept_and_what_to_type(place: Place) -> None:
    place.turns(FAULT, DONE)
    ran = place.run()
    assert (ran.code, ran.out) == (1, "")
    assert "Everything up to here is on disk" in ran.err
    assert f"agentctl resume {place.last()['id']}" in ran.err


def test_resuming_does_not_repeat_completed_steps(place: Place) -> None:
    look, stop = {"calls": [shell("echo x >> log")]}, {"fault": {"status": 403}}
    place.turns(look, stop, DONE)
    assert place.run("x", "--approve", "auto").code == 1
    place.turns(look, DONE)
    resumed = place.cli("resume", "@last")
    assert (resumed.code, resumed.out) == (0, "done\n")
    assert (place.work / "log").read_text() == "x\n"


def test_pausing_and_cancelling_can_be_repeated(place: Place) -> None:
    task = stopped(place)
    for words in (("pause", task), ("pause", task), ("cancel", task), ("cancel", task)):
        assert place.cli(*words).code == 0, words
    assert place.last()["status"] == "cancelled"


@pytest.mark.parametrize("command", ["pause", "resume", "cancel"])
def test_a_task_that_is_done_cannot_be_stopped_or_resumed(place: Place, command: str) -> None:
    place.turns(DONE)
    place.run()
    ran = place.cli(command, "@last")
    assert ran.code == 6
    assert "agentctl show" in ran.err
    assert place.last()["status"] == "done"


def test_a_cancelled_task_cannot_be_resumed(place: Place) -> None:
    task = stopped(place)
    place.cli("cancel", task, "--reason", "not needed")
    assert place.cli("resume", task).code == 6
    assert place.events("CancelRequested") == [{"reason": "not needed"}]


def test_resume_wants_one_task_or_all(place: Place) -> None:
    assert place.cli("resume").code == 2
    assert place.cli("resume", "x", "--all").code == 2
    assert place.cli("resume", "--all").code == 0, "none is fine"


def test_resume_all_takes_up_what_is_paused_and_leaves_the_rest(place: Place) -> None:
    failed = stopped(place)
    place.turns({"fault": {"status": 429, "retry_after_ms": 600_000}}, DONE)
    assert place.run().code == 75
    assert "Waiting until" in place.cli("resume", "@last").err
    assert place.cli("resume", "--all").code == 0
    assert place.cli("show", failed, "--json").json["status"] == "failed"


def test_a_waiting_task_exits_75_and_says_until_when(place: Place) -> None:
    place.turns({"fault": {"status": 429, "retry_after_ms": 600_000}}, DONE)
    ran = place.run()
    assert (ran.code, ran.out) == (75, "")
    assert "Waiting until" in ran.err
    assert place.last()["wake_ms"] > 0


def test_a_refusal_is_no_success(place: Place) -> None:
    place.turns({"text": "I will not do that.", "stop": "refusal"})
    ran = place.run()
    assert (ran.code, ran.out) == (1, "")


def test_other_options_of_resume_change_what_their_names_say(place: Place) -> None:
    task = stopped(place)
    place.turns(DONE)
    ran = place.cli("resume", task, "--model", "other", "--approve", "never")
    assert ran.code == 0
    (resumed,) = place.events("Resumed")[1:]
    assert (resumed["model"], resumed["approve"]) == ("other", "never")


@pytest.mark.parametrize("words", ["run x --no-such-flag", "nonsense", "show", "costs", ""])
def test_a_command_line_that_makes_no_sense_is_a_usage_error(place: Place, words: str) -> None:
    ran = place.cli(*words.split())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Usage: agentctl")


def test_costs_by_something_unknown_is_refused_with_the_words_there_are(place: Place) -> None:
    ran = place.cli("costs", "report", "--by", "moon")
    assert ran.code == 2
    assert "day|week|month|hour|task" in ran.err
