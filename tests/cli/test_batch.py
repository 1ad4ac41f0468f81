"""`batch`: many goals, their results in order, and going on with what is left."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.parts import PATIENCE_S, Place

DONE = {"turns": [{"text": "end"}]}
SLOW = {"turns": [{"text": "end", "delay_ms": 60_000}]}
BROKEN = {"turns": [{"fault": "auth"}]}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    for name, script in (("done", DONE), ("slow", SLOW), ("broken", BROKEN)):
        (made.work / f"{name}.json").write_text(json.dumps(script))
    return made


def write(place: Place, *goals: dict[str, Any] | str, name: str = "goals.jsonl") -> None:
    """A file of goals; a text is a goal that is reached at once."""
    lines = [g if isinstance(g, dict) else {"goal": g, "script": "done.json"} for g in goals]
    (place.work / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def goal(text: str, script: str, **more: Any) -> dict[str, Any]:
    return {"goal": text, "script": f"{script}.json", **more}


def tasks(place: Place) -> list[dict[str, Any]]:
    """All tasks, the oldest first."""
    rows: list[dict[str, Any]] = place.cli("list", "--all", "--json").json
    return rows[::-1]


def outcomes(lines: list[Any]) -> list[tuple[int, str]]:
    return [(line["item"], line["outcome"]) for line in lines if line["kind"] == "Result"]


def kinds(lines: list[Any], kind: str) -> list[int]:
    return [line["item"] for line in lines if line["kind"] == kind]


def test_each_goal_is_a_task_of_the_batch_and_has_a_line_of_result(place: Place) -> None:
    write(place, {"goal": "one", "id": "first", "script": "done.json"}, "two")
    ran = place.cli("batch", "goals.jsonl")
    assert (ran.code, outcomes(ran.lines)) == (0, [(1, "done"), (2, "done")])
    first = ran.lines[0]
    assert (first["goal"], first["name"], first["answer"], first["exit_code"]) == (
        "one", "first", "end", 0,
    )  # fmt: skip
    rows = tasks(place)
    assert [(row["origin"], row["item"], row["name"]) for row in rows] == [
        ("batch", 1, "first"), ("batch", 2, ""),
    ]  # fmt: skip
    assert len({row["parent"] for row in rows}) == 1
    assert [line["task_id"] for line in ran.lines] == [row["id"] for row in rows]


def test_piped_progress_is_one_plain_line_for_each_goal_and_quiet_has_none(place: Place) -> None:
    write(place, "one", goal("two\nlines" + 20 * " and more", "broken"))
    ran = place.cli("batch", "goals.jsonl", "-w", "1")
    first, second, *last = ran.err.splitlines()
    assert first.startswith("✓ 1/2")
    assert first.endswith("done · one")
    assert second.startswith("✗ 2/2")
    assert second.endswith(" · two lines" + 20 * " and more")
    assert last[-1] == "Go on with: agentctl batch goals.jsonl --resume"
    assert "\x1b" not in ran.err
    write(place, "one", name="others.jsonl")
    assert place.cli("batch", "others.jsonl", "-q").err == ""


def test_results_come_in_the_order_of_the_goals_whatever_ends_first(place: Place) -> None:
    (place.work / "later.json").write_text('{"turns": [{"text": "end", "delay_ms": 300}]}')
    write(place, goal("late", "later"), "soon")
    lines = place.cli("batch", "goals.jsonl", "--json").lines
    assert kinds(lines, "GoalEnded") == [2, 1]
    assert kinds(lines, "Result") == [1, 2]
    assert (lines[0]["kind"], lines[0]["goals"]) == ("BatchBegun", 2)
    assert (lines[-1]["kind"], lines[-1]["outcomes"]) == ("BatchEnded", {"done": 2})


def test_priorities_decide_what_begins_first(place: Place) -> None:
    write(
        place,
        goal("a", "done", priority="low"),
        goal("b", "done"),
        goal("c", "done", priority="high"),
        goal("d", "done"),
    )
    lines = place.cli("batch", "goals.jsonl", "-w", "1", "--json").lines
    assert kinds(lines, "GoalBegun") == [3, 2, 4, 1]


def test_one_goal_that_fails_does_not_stop_the_others(place: Place) -> None:
    write(place, "one", goal("two", "broken"), "three")
    ran = place.cli("batch", "goals.jsonl", "-w", "1")
    assert (ran.code, outcomes(ran.lines)) == (1, [(1, "done"), (2, "failed"), (3, "done")])
    assert ran.lines[1]["reason"]
    (place.work / "broken.json").write_text(json.dumps(DONE))
    again = place.cli("batch", "goals.jsonl", "--resume")
    assert (again.code, [line["outcome"] for line in again.lines]) == (0, ["done"] * 3)
    assert len(tasks(place)) == 3  # it was retried in place


def test_fail_fast_pauses_the_others_and_begins_no_more(place: Place) -> None:
    write(place, goal("one", "slow"), goal("two", "broken"), "three", "four")
    ran = place.cli("batch", "goals.jsonl", "-w", "2", "--fail-fast")
    assert ran.code == 1
    assert outcomes(ran.lines) == [(1, "paused"), (2, "failed"), (3, "undone"), (4, "undone")]
    assert ran.lines[2]["task_id"] == ""
    assert ran.lines[2]["exit_code"] is None
    for name in ("slow", "broken"):
        (place.work / f"{name}.json").write_text(json.dumps(DONE))
    assert place.cli("batch", "goals.jsonl", "--resume").code == 0
    assert len(tasks(place)) == 4


def test_what_is_wrong_in_the_file_is_told_before_anything_is_started(place: Place) -> None:
    write(place, "fine", {"goal": "x", "max_steps": "many"}, goal("y", "missing"))
    ran = place.cli("batch", "goals.jsonl")
    assert (ran.code, ran.out) == (2, "")
    assert "line 2: max-steps" in ran.err
    write(place, "fine", goal("y", "missing"), {"goal": "z", "cwd": "nowhere"})
    ran = place.cli("batch", "goals.jsonl")
    assert ran.code == 2
    assert "line 2: " in ran.err
    assert "line 3: --cwd" in ran.err
    assert tasks(place) == []


def test_goals_of_stdin_and_options_for_all(place: Place) -> None:
    words = ("batch", "-", "--script", "done.json", "--max-cost-each", "0.07")
    ran = place.cli(*words, stdin=b"one\n# no goal\ntwo\n")
    assert (ran.code, outcomes(ran.lines)) == (0, [(1, "done"), (2, "done")])
    assert {row["limit_micros"] for row in tasks(place)} == {70_000}
    again = place.cli("batch", "-", "--resume", stdin=b"one\ntwo\nthree\n")
    assert outcomes(again.lines) == [(1, "done"), (2, "done"), (3, "done")]
    assert "1 goals were added" in again.err
    assert {row["limit_micros"] for row in tasks(place)} == {70_000}


def test_a_resume_refuses_goals_that_are_others_and_files_without_a_batch(place: Place) -> None:
    write(place, "one", "two")
    assert place.cli("batch", "goals.jsonl", "--resume").code == 2
    place.cli("batch", "goals.jsonl")
    write(place, "one", "another")
    changed = place.cli("batch", "goals.jsonl", "--resume")
    assert changed.code == 2
    assert "line 2" in changed.err
    write(place, "one")
    fewer = place.cli("batch", "goals.jsonl", "--resume")
    assert fewer.code == 2
    assert "has 1 goals, and the batch had 2" in fewer.err
    assert len(tasks(place)) == 2


def test_a_resume_raises_the_limit_of_goals_that_stopped_at_theirs(place: Place) -> None:
    turn = {"text": "end", "usage": {"input": 1000, "output": 50}}
    paid = {"rates": {"input": 3, "output": 15}, "max_output": 300, "turns": [turn]}
    (place.work / "paid.json").write_text(json.dumps(paid))
    write(place, goal("one", "paid", max_cost=0.001), goal("two", "paid"))
    ran = place.cli("batch", "goals.jsonl")
    assert (ran.code, outcomes(ran.lines)) == (3, [(1, "limit"), (2, "done")])
    write(place, goal("one", "paid"), goal("two", "paid"))
    again = place.cli("batch", "goals.jsonl", "--resume", "--max-cost-each", "0.05")
    assert (again.code, outcomes(again.lines)) == (0, [(1, "done"), (2, "done")])


def test_results_in_a_file_are_whole_and_complete_anew_after_a_resume(place: Place) -> None:
    write(place, "one", goal("two", "broken"))
    place.cli("batch", "goals.jsonl", "-o", "out.jsonl")
    path = place.work / "out.jsonl"
    first = [json.loads(line)["outcome"] for line in path.read_text().splitlines()]
    (place.work / "broken.json").write_text(json.dumps(DONE))
    ran = place.cli("batch", "goals.jsonl", "--resume", "-o", "out.jsonl")
    again = [json.loads(line)["outcome"] for line in path.read_text().splitlines()]
    assert (first, again, ran.out) == (["done", "failed"], ["done", "done"], "")
    assert not path.with_name("out.jsonl.part").exists()
    assert place.cli("batch", "goals.jsonl", "-o", "missing/out").code == 2


def test_results_go_where_a_link_points_and_straight_into_a_device(place: Place) -> None:
    write(place, "one")
    (place.work / "link").symlink_to("target")
    assert place.cli("batch", "goals.jsonl", "-o", "link").code == 0
    assert json.loads((place.work / "target").read_text())["outcome"] == "done"
    ran = place.cli("batch", "goals.jsonl", "-o", "/dev/stderr", "-q")
    assert json.loads(ran.err)["outcome"] == "done"
    write(place, goal("one", "missing"))
    assert place.cli("batch", "goals.jsonl", "-o", "none").code == 2
    assert sorted(path.name for path in place.work.glob("none*")) == []


def started(place: Place, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        place.command("batch", *words), cwd=place.work, env=place.env, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_pauses_all_and_a_resume_goes_on(place: Place, number: signal.Signals) -> None:
    write(place, goal("one", "slow"), goal("two", "slow"), "three")
    process = started(place, "goals.jsonl", "-w", "2", "--json")
    assert process.stdout is not None
    seen = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert kinds(seen, "GoalBegun") == [1, 2]
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)
    lines = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 128 + number, err
    assert outcomes(lines) == [(1, "paused"), (2, "paused"), (3, "undone")]
    (place.work / "slow.json").write_text(json.dumps(DONE))
    again = place.cli("batch", "goals.jsonl", "--resume")
    assert (again.code, len(tasks(place))) == (0, 3)


def test_a_reader_that_goes_away_pauses_all_and_loses_nothing(place: Place) -> None:
    write(place, "one", "two", goal("three", "slow"))
    process = started(place, "goals.jsonl", "-w", "1")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.wait(timeout=PATIENCE_S)
    assert process.returncode == 141
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert not [row for row in tasks(place) if row["status"] in ("running", "interrupted")]
    (place.work / "slow.json").write_text(json.dumps(DONE))
    again = place.cli("batch", "goals.jsonl", "--resume")
    assert outcomes(again.lines) == [(1, "done"), (2, "done"), (3, "done")]


def test_a_second_process_is_refused_while_the_first_runs_the_batch(place: Place) -> None:
    write(place, goal("one", "slow"))
    process = started(place, "goals.jsonl", "--json")
    assert process.stdout is not None
    while json.loads(process.stdout.readline())["kind"] != "GoalBegun":
        pass
    second = place.cli("batch", "goals.jsonl", "--resume")
    assert second.code == 7
    assert "already being run" in second.err
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)


def test_pausing_one_goal_leaves_the_others(place: Place) -> None:
    write(place, goal("one", "slow"), goal("two", "slow"))
    process = started(place, "goals.jsonl", "--json")
    assert process.stdout is not None
    begun = [json.loads(process.stdout.readline()) for _ in range(3)]
    place.cli("pause", begun[1]["task_id"], "--now")
    ended = json.loads(process.stdout.readline())
    assert (ended["kind"], ended["item"], ended["outcome"]) == ("GoalEnded", 1, "paused")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130


def test_an_unfinished_batch_of_the_file_is_told_when_another_begins(place: Place) -> None:
    write(place, goal("one", "broken"))
    place.cli("batch", "goals.jsonl")
    again = place.cli("batch", "goals.jsonl")
    assert "1 of 1 goals of the batch of" in again.err
    assert len(tasks(place)) == 2


def test_secrets_in_options_and_goals_are_not_kept(place: Place) -> None:
    secret = "hunter2-long-secret-value"
    write(place, goal(f"use {secret}", "done"))
    ran = place.cli("batch", "goals.jsonl", "--system", secret, MY_API_KEY=secret)
    assert ran.code == 0
    found = [p for p in place.home.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]
    assert found == []
    assert secret not in ran.out
