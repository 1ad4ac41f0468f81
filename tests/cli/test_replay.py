"""replay: a task is lived again from its log, and nothing is paid or changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.cli.parts import Place, shell

TURNS = (
    {"text": "one", "calls": [shell("echo 1 >> log; seq 9000"), {"name": "nope"}]},
    {"text": "two", "calls": [{"name": "read_file", "arguments": {"path": "log"}}]},
    {"text": "the answer"},
    {"text": "the second answer"},
)


def done(place: Place) -> str:
    place.turns(*TURNS, rates={"input": 3, "output": 15})
    assert place.run("x", "--approve", "auto").code == 0
    found: str = place.last()["id"]
    return found


def stored(place: Place) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(place.home / "agentctl.db")) as db:
        return [*db.execute("SELECT * FROM events"), *db.execute("SELECT * FROM usage")]


def test_a_task_comes_out_byte_identical_at_no_cost_and_nothing_is_touched(place: Place) -> None:
    task = done(place)
    before = stored(place)
    place.script.unlink()
    ran = place.cli("replay", task)
    assert ran.code == 0
    assert "byte-identical, $0.00" in ran.out
    assert stored(place) == before
    assert (place.work / "log").read_text() == "1\n"


def test_json_says_the_same(place: Place) -> None:
    task = done(place)
    found = place.cli("replay", task, "--json").json
    assert found["identical"] is True
    assert found["events"] == place.cli("show", task, "--json").json["events"]
    assert (found["cost_micros"], found["divergence"], found["tools"]) == (0, None, None)


def test_a_task_with_a_pause_a_message_a_fork_and_other_limits_comes_out_identical(
    place: Place,
) -> None:
    place.turns(*TURNS[:1], {"fault": {"status": 401}})
    assert place.run("x", "--approve", "auto").code == 1
    place.cli("send", "@last", "be quick")
    place.turns(*TURNS)
    assert place.cli("resume", "@last", "--max-cost", "0.30", "--max-steps", "9").code == 0
    place.cli("fork", "@last", "--at", "2", "--goal", "then", "--run")
    for row in place.cli("list", "--json").json:
        ran = place.cli("replay", row["id"])
        assert (ran.code, "byte-identical" in ran.out) == (0, True), ran.out


def test_a_run_of_the_offline_planner_comes_out_identical(place: Place) -> None:
    (place.work / "a.py").write_text("# TODO: this\n")
    goal = "Find all TODOs and write them to todos.md"
    place.cli("run", goal, "--provider", "offline", "--allow", "write_file: *.md")
    assert place.events("ToolStarted")
    assert place.cli("replay", "@last").code == 0
    place.cli("run", goal, "--provider", "offline", "--deny", "write_file")
    assert place.cli("replay", "@last").code == 0
    place.cli("run", goal, "--provider", "offline", "--max-steps", "1")
    assert place.cli("replay", "@last").code == 0


def test_a_changed_log_is_found_at_its_event(place: Place) -> None:
    task = done(place)
    with closing(sqlite3.connect(place.home / "agentctl.db")) as db:
        db.execute("UPDATE events SET body = replace(body, 'the answer', 'another answer')"
                   " WHERE kind = 'Finished'")  # fmt: skip
        db.commit()
    ran = place.cli("replay", task)
    last = place.cli("show", task, "--json").json["events"] - 1
    assert ran.code == 1
    assert f"Event {last}, Finished, came out otherwise." in ran.out
    assert "recorded: another answer" in ran.out
    assert "now:      the answer" in ran.out
    found = place.cli("replay", task, "--json").json
    assert (found["identical"], found["divergence"]["seq"]) == (False, last)


def test_live_tools_run_again_up_to_the_first_other_result(place: Place, tmp_path: Path) -> None:
    task = done(place)
    other = tmp_path / "copy"
    other.mkdir()
    same = place.cli("replay", task, "--live-tools", "--cwd", str(other))
    assert same.code == 0
    assert "2 calls of tools made again: the same results" in same.out
    assert (other / "log").read_text() == "1\n"
    changed = place.cli("replay", task, "--live-tools", "--cwd", str(other))
    assert changed.code == 1
    assert "read_file" in changed.out


def test_live_tools_need_approval_as_ever(place: Place) -> None:
    task = done(place)
    ran = place.cli("replay", task, "--live-tools", "--approve", "ask")
    assert ran.code == 1
    assert "denied" in ran.out
    assert (place.work / "log").read_text() == "1\n"
