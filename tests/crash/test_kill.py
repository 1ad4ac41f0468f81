"""A real process, a real database, SIGKILL at chosen and at random moments, then `resume`."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from agentctl.core import events as e
from agentctl.core.decide import UNKNOWN
from agentctl.core.state import fold
from tests.crash.helpers import (
    Log,
    Place,
    Snapshot,
    check_books,
    check_told,
    eventually,
    finish,
    of_kind,
    processes_with,
    read_event,
    running,
    shell,
    turn,
)

MARKERS = ("m1", "m2", "m3", "m4", "m5", "m6")
POINTS = (
    *("TaskCreated 1", "Resumed 1", "ModelAsked 1"),
    *("ToolStarted 1", "ModelAsked 2"),
    *("ToolStarted 2", "ToolEnded 1", "ModelAsked 3"),
    *("ToolStarted 3", "ToolEnded 2", "ModelAsked 4"),
    *("ToolStarted 4", "ModelAsked 5"),
    *("ToolStarted 5", "ModelAsked 6"),
    *("ToolStarted 6", "ToolEnded 3", "ModelAsked 7"),
    *("ToolStarted 7", "ModelAsked 8"),
    "Finished 1",
)
"""Every commit of the life below, by its last event."""
LAST_EVENT = 36
"""The number of the last event before the answer of step 8 is awaited."""


def mark(marker: str) -> dict[str, Any]:
    """An unsafe effect outside, with a moment before and after it."""
    return shell(f"sleep 0.01; echo {marker} >> marks; sleep 0.01")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A life of eight steps: unsafe commands, safe looks, a file written, some side by side."""
    made = Place(tmp_path)
    (made.work / "notes.md").write_text("TODO: live on\n", encoding="utf-8")
    look = {"name": "read_file", "arguments": {"path": "notes.md"}}
    write = {"name": "write_file", "arguments": {"path": "result.md", "text": "kept\n"}}
    made.write_script(
        turn(mark("m1"), text="first", delay_ms=10),
        turn(look, {"name": "list_dir", "arguments": {}}),
        turn(mark("m2"), mark("m3"), delay_ms=10),
        turn(write),
        turn(mark("m4"), delay_ms=10),
        turn(look, mark("m5")),
        turn(mark("m6"), delay_ms=10),
        turn(text="all done", delay_ms=10),
    )
    return made


def in_doubt(log: Log) -> set[str]:
    """Unsafe calls that may have happened: begun, and without an end."""
    ended = {event.call_id for event in of_kind(log, e.ToolEnded)}
    started = of_kind(log, e.ToolStarted)
    return {s.call_id for s in started if s.repeat == "unsafe" and s.call_id not in ended}


def check_life(place: Place, before: Log, seen: Snapshot) -> None:
    """The task is done; nothing written was lost, no effect came twice, the books balance."""
    log = seen.logs[seen.tasks[-1].id]
    assert log[: len(before)] == before
    state = fold(log)
    assert (state.status, state.answer) == ("done", "all done")
    arguments = {call.id: call.arguments for m in state.messages for call in m.calls}
    marks = place.lines("marks")
    for ended in of_kind(log, e.ToolEnded):
        assert ended.status in ("ok", "unknown")
        for marker in MARKERS:
            if f"echo {marker} " in arguments[ended.call_id]:
                most = marks.count(marker)
                assert most == 1 if ended.status == "ok" else most <= 1
    assert sorted(marks) == sorted(set(marks))
    unknown = {ended.call_id for ended in of_kind(log, e.ToolEnded) if ended.status == "unknown"}
    assert in_doubt(before) <= unknown
    told = {m.call_id for m in state.messages if m.role == "tool" and m.text == UNKNOWN}
    assert told == unknown
    assert (place.work / "result.md").read_text(encoding="utf-8") == "kept\n"
    check_books(place, seen)


def test_the_points_below_are_all_commits_of_the_life(place: Place) -> None:
    ran = place.run(*place.run_arguments)
    check_told(ran, 0)
    assert tuple(place.points.read_text().splitlines()) == POINTS
    seen = place.snapshot()
    check_life(place, [], seen)
    kinds = [type(record.event) for record in seen.logs[seen.tasks[0].id]]
    assert kinds[LAST_EVENT] is e.ModelAsked
    assert len(kinds) == LAST_EVENT + 3


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", POINTS[1:-1])
def test_killed_at_a_commit_it_goes_on(place: Place, moment: str, name: str) -> None:
    ran = place.run(*place.run_arguments, point=f"{moment} {name}")
    assert ran.code == -signal.SIGKILL, ran.err
    before = place.snapshot()
    task = before.tasks[0].id
    assert [row["status"] for row in place.listed()] == ["interrupted"]
    check_told(place.run("resume", task, "--approve", "auto"), 0, "Done")
    check_life(place, before.logs[task], place.snapshot())


def test_killed_before_the_first_commit_there_is_no_task(place: Place) -> None:
    ran = place.run(*place.run_arguments, point="before TaskCreated 1")
    assert ran.code == -signal.SIGKILL
    assert place.listed() == []
    check_told(place.run(*place.run_arguments), 0)
    check_life(place, [], place.snapshot())


def test_killed_after_the_first_commit_the_task_goes_on(place: Place) -> None:
    place.run(*place.run_arguments, point="after TaskCreated 1")
    before = place.snapshot()
    assert [row["status"] for row in place.listed()] == ["interrupted"]
    check_told(place.run("resume", "@last"), 0)
    check_life(place, before.logs[before.tasks[0].id], place.snapshot())


def test_killed_before_the_last_commit_the_last_answer_is_asked_for_again(place: Place) -> None:
    """Its first call was billed and its answer lost: it costs its reserve, and is shown so."""
    place.run(*place.run_arguments, point="before Finished 1")
    before = place.snapshot()
    check_told(place.run("resume", "@last"), 0)
    seen = place.snapshot()
    check_life(place, before.logs[before.tasks[0].id], seen)
    assert [row.state for row in seen.usage] == ["settled"] * 7 + ["unsettled", "settled"]


def test_killed_after_the_last_commit_it_is_done(place: Place) -> None:
    """The ledger's file, not written any more, is brought up to date by the next run."""
    place.run(*place.run_arguments, point="after Finished 1")
    assert [row["status"] for row in place.listed()] == ["done"]
    check_told(place.run("resume", "@last"), 6, "agentctl show")
    place.write_script(turn(text="hello"))
    check_told(place.run(*place.run_arguments), 0)
    check_life(place, [], place.snapshot())


@pytest.mark.parametrize("seed", range(25))
def test_killed_at_a_random_moment_it_goes_on(place: Place, seed: int) -> None:
    """Also twice; and each line that the dead process showed is in the log."""
    rng = random.Random(seed)
    command = [*place.run_arguments, "--json"]
    log: Log = []
    for _ in range(rng.choice((1, 1, 2))):
        with running(place.start(*command)) as process:
            assert process.stdout is not None
            count = rng.randint(1, max(LAST_EVENT - len(log) - 2, 1))
            shown = [process.stdout.readline() for _ in range(count)]
            time.sleep(rng.uniform(0, 0.025))
            process.kill()
            shown += process.stdout.readlines()
        seen = place.snapshot()
        task = seen.tasks[0].id
        assert seen.logs[task][: len(log)] == log
        log = seen.logs[task]
        for text in shown:
            with contextlib.suppress(json.JSONDecodeError):  # the last one may be half a line
                line = json.loads(text)
                if "seq" in line:
                    assert type(log[line["seq"]].event).__name__ == line["kind"]
        command = ["resume", task, "--json"]
        if seen.tasks[0].status == "done":  # it was faster than we
            return
    assert [row["status"] for row in place.listed()] == ["interrupted"]
    check_told(place.run("resume", task, "--approve", "auto"), 0)
    check_life(place, log, place.snapshot())


@pytest.mark.parametrize(
    ("policy", "status", "times"),
    [("tell", "unknown", 1), ("skip", "skipped", 1), ("rerun", "ok", 2), ("ask", "unknown", 1)],
)
def test_a_call_in_doubt_is_treated_as_the_user_says(
    tmp_path: Path, policy: str, status: str, times: int
) -> None:
    """Where nobody can be asked, `ask` tells the model."""
    place = Place(tmp_path)
    place.write_script(turn(mark("m1")), turn(text="end"))
    place.run(*place.run_arguments, point="before ModelAsked 2")
    assert place.lines("marks") == ["m1"]
    check_told(place.run("resume", "@last", "--on-unknown", policy), 0)
    assert place.lines("marks") == ["m1"] * times
    seen = place.snapshot()
    (ended,) = of_kind(seen.logs[seen.tasks[0].id], e.ToolEnded)
    assert ended.status == status
    check_books(place, seen)


ESCAPES = {
    "plain": "sleep {0}",
    "background": "sleep {0} & wait",
    "daemon": "(setsid sh -c 'trap \"\" TERM HUP INT; sleep {0}; :' >/dev/null 2>&1 &) ; sleep 60",
}


@pytest.mark.parametrize("how", ESCAPES)
def test_nothing_that_a_tool_started_survives_a_kill(tmp_path: Path, how: str) -> None:
    place = Place(tmp_path)
    seconds = f"60.{random.SystemRandom().randrange(10**9)}"
    place.write_script(turn(shell(ESCAPES[how].format(seconds))), turn(text="end"))
    with running(place.start(*place.run_arguments)) as process:
        eventually(lambda: processes_with(seconds), "the command runs")
        process.kill()
        process.wait()
        eventually(lambda: not processes_with(seconds), "the command is gone", within_s=5)
    check_told(place.run("resume", "@last"), 0)


@pytest.fixture
def sleeper(tmp_path: Path) -> Place:
    """A task whose first step lasts as long as the file `hold` is there."""
    place = Place(tmp_path)
    (place.work / "hold").touch()
    wait = "echo began >> marks; while [ -e hold ]; do sleep 0.02; done"
    place.write_script(turn(shell(wait)), turn(text="end"))
    return place


def test_a_second_driver_is_refused_with_the_pid_of_the_first(sleeper: Place) -> None:
    with running(sleeper.start(*sleeper.run_arguments)) as process:
        eventually(lambda: sleeper.lines("marks"), "the command runs")
        (row,) = sleeper.listed()
        assert (row["status"], row["pid"]) == ("running", process.pid)
        refused = sleeper.run("resume", row["id"])
        check_told(refused, 7, str(process.pid), f"agentctl show {row['id']}")
        (sleeper.work / "hold").unlink()
        check_told(finish(process), 0)
    seen = sleeper.snapshot()
    assert len(of_kind(seen.logs[row["id"]], e.Resumed)) == 1


def test_a_dead_driver_blocks_nobody(sleeper: Place) -> None:
    with running(sleeper.start(*sleeper.run_arguments)) as process:
        eventually(lambda: sleeper.lines("marks"), "the command runs")
        process.kill()  # its end is not waited for
        check_told(sleeper.run("resume", "@last"), 0)
    assert sleeper.lines("marks") == ["began"]


def test_a_pause_outlives_the_process_that_should_have_heard_it(sleeper: Place) -> None:
    with running(sleeper.start(*sleeper.run_arguments)) as process:
        eventually(lambda: sleeper.lines("marks"), "the command runs")
        check_told(sleeper.run("pause", "@last"), 0, "agentctl resume")
        process.kill()
        process.wait()
    (row,) = sleeper.listed()
    assert row["status"] == "paused"
    check_told(sleeper.run("pause", "@last"), 0, "paused")
    assert sleeper.listed()[0]["status"] == "paused"
    check_told(sleeper.run("resume", "@last"), 0)
    check_books(sleeper, sleeper.snapshot())


def test_a_cancel_outlives_the_process_that_should_have_heard_it(sleeper: Place) -> None:
    with running(sleeper.start(*sleeper.run_arguments)) as process:
        read = eventually(lambda: sleeper.lines("marks"), "the command runs")
        process.send_signal(signal.SIGSTOP)  # it hears nothing
        check_told(sleeper.run("cancel", "@last"), 0)
        process.kill()
        process.wait()
    check_told(sleeper.run("resume", "@last"), 5, "Cancelled")
    assert sleeper.listed()[0]["status"] == "cancelled"
    assert sleeper.lines("marks") == read


def test_resume_all_goes_on_with_what_was_interrupted_or_paused(place: Place) -> None:
    for point in ("after ToolStarted 3", "before ModelAsked 1"):
        place.run(*place.run_arguments, point=point)
    with running(place.start(*place.run_arguments, "--json")) as process:
        read_event(process, "ToolStarted")
        check_told(place.run("pause", "@last"), 0)
        check_told(finish(process), 4)
    assert [row["status"] for row in place.listed()] == ["paused", "interrupted", "interrupted"]
    check_told(place.run("resume", "--all"), 0)
    assert {row["status"] for row in place.listed()} == {"done"}
    check_books(place, place.snapshot())
