"""fork and run --continue: a task that knows what another one knew, and pays only its own."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.cli.parts import PATIENCE_S, Place, shell
from tests.cli.test_send import appears

RATES = {"input": 3, "output": 15}
TURNS = (
    {"text": "one", "calls": [shell("echo 1 >> log")]},
    {"text": "two", "calls": [{"name": "list_dir", "arguments": {}}]},
    {"text": "the answer"},
    {"text": "the second answer"},
    {"text": "the third answer"},
)


def done(place: Place, *turns: dict[str, Any]) -> str:
    """The id of a task of three steps that is done."""
    place.turns(*(turns or TURNS), rates=RATES)
    assert place.run("x", "--approve", "auto").code == 0
    found: str = place.last()["id"]
    return found


def total(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = place.cli("costs", "report", "--json").json["total"]
    return found


def kinds(place: Place, task: str) -> list[str]:
    return [line.split()[1] for line in place.cli("show", task, "--events").out.splitlines()]


def test_a_fork_begins_with_the_history_up_to_a_step_and_is_not_driven(place: Place) -> None:
    task = done(place)
    made = place.cli("fork", task, "--at", "1", "--json").json
    assert (made["parent"], made["at_step"]) == (task, 1)
    fork = made["task_id"]
    copied = kinds(place, fork)[:-1]
    assert copied == kinds(place, task)[: len(copied)]
    assert (copied[-1], kinds(place, fork)[-1]) == ("ToolEnded", "Forked")
    shown = place.cli("show", fork, "--json").json
    assert (shown["status"], shown["steps"], shown["cost_micros"]) == ("paused", 1, 0)
    assert (shown["origin"], shown["parent"]) == ("fork", task)
    assert f"fork of {task} at step 1" in place.cli("show", fork).out


def test_the_history_is_paid_once(place: Place) -> None:
    task = done(place)
    before = total(place)
    fork = place.cli("fork", task, "--at", "2").out.strip()
    assert total(place) == before
    assert place.cli("costs", "check").code == 0
    assert place.cli("resume", fork).code == 0
    own = place.cli("show", fork, "--json").json["cost_micros"]
    assert own > 0
    assert total(place)["cost_micros"] == before["cost_micros"] + own
    assert total(place)["calls"] == before["calls"] + 1
    checked = place.cli("costs", "check", "--json")
    assert (checked.code, checked.json["differences"]) == (0, [])


def test_a_rebuild_leaves_a_forks_books_as_they_are(place: Place) -> None:
    fork = place.cli("fork", done(place), "--at", "1").out.strip()
    place.cli("resume", fork)
    before = total(place)
    store = place.home / "agentctl.db"
    subprocess.run(["sqlite3", str(store), "SELECT 1"], check=False)
    assert place.cli("costs", "rebuild").code == 0
    assert total(place) == before


def test_effects_of_the_history_do_not_happen_again(place: Place) -> None:
    place.cli("fork", done(place), "--at", "1", "--run")
    assert (place.work / "log").read_text() == "1\n"


def test_at_0_is_the_goal_alone(place: Place) -> None:
    task = done(place)
    fork = place.cli("fork", task, "--at", "0").out.strip()
    assert place.cli("show", fork, "--json").json["steps"] == 0
    assert kinds(place, fork)[:2] == ["TaskCreated", "Forked"]


def test_the_model_is_told_that_files_are_as_they_are_now_if_they_have_changed(
    place: Place,
) -> None:
    task = done(place)
    place.cli("fork", task, "--at", "0")
    (said,) = place.events("UserSaid")
    assert said["by"] == "fork"
    assert "as they are now" in said["text"]
    place.cli("fork", task, "--at", "2")
    assert place.events("UserSaid") == []


def test_show_says_where_a_fork_begins_and_what_was_said(place: Place) -> None:
    task = done(place)
    place.cli("fork", task, "--goal", "now shorter", "--run")
    lines = [line.strip() for line in place.cli("show", "@last").out.splitlines()]
    begins = lines.index(f"fork of {task}: all up to here was paid there")
    assert lines[begins + 1] == "user  now shorter"
    assert lines[begins + 2].startswith("4  model")


def test_a_goal_is_said_after_the_history(place: Place) -> None:
    fork = place.cli("fork", done(place), "--goal", "now shorter", "--run")
    assert fork.out == "the second answer\n"
    assert place.events("UserSaid") == [{"text": "now shorter"}]
    assert place.last()["goal"] == "now shorter"


def test_the_end_of_a_task_cannot_be_gone_on_from_without_a_word(place: Place) -> None:
    task = done(place)
    made = place.cli("fork", task)
    assert (made.code, made.out) == (2, "")
    assert "--goal" in made.err
    assert "--at 2" in made.err


def test_a_step_that_there_is_not_is_refused(place: Place) -> None:
    made = place.cli("fork", done(place), "--at", "9")
    assert made.code == 2
    assert "it has 3" in made.err


def test_another_model_and_other_limits_are_the_forks_own(place: Place) -> None:
    task = done(place)
    words = ("--at", "1", "--provider", "offline", "--max-cost", "0.07", "--max-steps", "5")
    fork = place.cli("fork", task, *words).out.strip()
    shown = place.cli("show", fork, "--json").json
    assert (shown["provider"], shown["limit_micros"]) == ("offline", 70_000)
    assert place.cli("show", task, "--json").json["provider"] == "scripted"


def test_a_model_that_cannot_be_run_leaves_nothing(place: Place) -> None:
    task = done(place)
    made = place.cli("fork", task, "--at", "1", "--provider", "nobody")
    assert made.code == 2
    assert [row["id"] for row in place.cli("list", "--json").json] == [task]


def test_a_fork_of_a_fork_shares_both_histories(place: Place) -> None:
    first = place.cli("fork", done(place), "--goal", "next").out.strip()
    place.cli("resume", first)
    before = total(place)
    second = place.cli("fork", first, "--goal", "again").out.strip()
    assert total(place) == before
    assert place.cli("resume", second).out == "the third answer\n"
    assert place.cli("costs", "check").code == 0


# --- run --continue -----------------------------------------------------------------------------


def test_the_last_task_that_is_done_goes_on_as_a_fork_of_its_end(place: Place) -> None:
    task = done(place)
    ran = place.cli("run", "-c", "more")
    assert (ran.code, ran.out) == (0, "the second answer\n")
    last = place.last()
    assert (last["parent"], last["steps"], last["goal"]) == (task, 4, "more")
    again = place.cli("run", "--continue", "still more")
    assert again.out == "the third answer\n"
    assert place.last()["parent"] == last["id"]


def test_a_task_that_stands_still_is_told_and_goes_on_in_place(place: Place) -> None:
    place.turns({"fault": {"status": 401}})
    assert place.run("x").code == 1
    task = place.last()["id"]
    place.turns({"text": "at last"})
    ran = place.cli("run", "-c", "try again", "--max-cost", "0.07")
    assert (ran.code, ran.out) == (0, "at last\n")
    assert place.last()["id"] == task
    assert place.events("UserSaid") == [{"text": "try again"}]
    assert place.last()["limit_micros"] == 70_000


def test_a_cancelled_task_goes_on_as_a_fork(place: Place) -> None:
    place.turns({"fault": {"status": 401}})
    place.run("x")
    task = place.last()["id"]
    place.cli("cancel", task)
    place.turns({"text": "at last"})
    assert place.cli("run", "-c", "after all").out == "at last\n"
    assert place.last()["parent"] == task


def test_a_running_task_is_left_alone(place: Place) -> None:
    wait = shell("touch begun; while [ ! -e go ]; do sleep 0.01; done")
    place.turns({"calls": [wait]}, {"text": "done"})
    words = ("run", "x", "--script", str(place.script), "--approve", "auto")
    with subprocess.Popen(
        place.command(*words), cwd=place.work, env=place.env, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as running:  # fmt: skip
        appears(place.work / "begun")
        ran = place.cli("run", "-c", "more")
        assert ran.code == 7
        assert "agentctl send" in ran.err
        (place.work / "go").touch()
        running.wait(PATIENCE_S)
    assert place.events("UserSaid") == []


def test_a_folder_without_a_task_has_none_to_go_on_with(place: Place) -> None:
    done(place)
    other = place.work / "other"
    other.mkdir()
    ran = place.cli("run", "-c", "more", cwd=other)
    assert ran.code == 2
    assert "There is no task yet" in ran.err


@pytest.mark.parametrize(
    "words",
    [("--name", "x"), ("--tier", "x"), ("--reuse",), ("--agent", "x"), ("--schema", "x.json")],
)
def test_what_only_a_new_task_takes_is_refused(place: Place, words: tuple[str, ...]) -> None:
    done(place)
    ran = place.cli("run", "-c", "more", *words)
    assert ran.code == 2
    assert words[0] in ran.err
