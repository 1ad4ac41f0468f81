"""A batch whose process is killed, again and again: no goal is lost, none is done twice."""

from __future__ import annotations

import json
import random
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from agentctl.core import events as e
from agentctl.core.state import fold
from tests.crash.helpers import (
    Place,
    Snapshot,
    check_books,
    check_told,
    of_kind,
    running,
    shell,
    turn,
)

GOALS = 8
CAP_MICROS = 20_000


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Eight goals, each with an effect outside in a folder of its own."""
    made = Place(tmp_path)
    made.write_script(
        turn(shell("sleep 0.01; echo one >> marks; sleep 0.01"), text="first", delay_ms=10),
        turn(text="end", delay_ms=10),
        max_output=100,
    )
    lines = []
    for number in range(1, GOALS + 1):
        (made.work / f"g{number}").mkdir()
        lines.append(json.dumps({"goal": f"goal {number}", "cwd": f"g{number}"}))
    (made.work / "goals.jsonl").write_text("\n".join(lines))
    return made


def batch(place: Place, *words: str) -> list[str]:
    script = ["--script", str(place.script), "--approve", "auto", "-w", "3"]
    return ["batch", "goals.jsonl", *script, *words]


def check(place: Place, out: str) -> None:
    """Every goal is done, by one task of its own; what is outside was done once."""
    results = [json.loads(line) for line in out.splitlines()]
    assert [(line["item"], line["outcome"]) for line in results] == [
        (number, "done") for number in range(1, GOALS + 1)
    ]
    seen = place.snapshot()
    assert sorted(task.item for task in seen.tasks) == list(range(1, GOALS + 1))
    for task in seen.tasks:
        marks = place.lines(f"g{task.item}/marks")
        ends = of_kind(seen.logs[task.id], e.ToolEnded)
        in_doubt = any(event.status != "ok" for event in ends)
        assert len(marks) == 1 or (in_doubt and not marks)  # it was killed before its effect
    check_books(place, seen)


POINTS = (
    *("before TaskCreated 1", "after TaskCreated 1", "before ModelAsked 1", "after ToolStarted 5"),
    *("before TaskCreated 4", "after TaskCreated 5", "after ModelAsked 4", "after ToolStarted 2"),
    *("before Finished 1", "after Finished 1", "after Finished 4", "after TaskCreated 8"),
    *("before Finished 8", "after Finished 8"),
)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_commit_it_goes_on_with_what_is_left(place: Place, point: str) -> None:
    ran = place.run(*batch(place), point=point)
    assert ran.code == -signal.SIGKILL, ran.err
    done = {task.id for task in place.snapshot().tasks if task.status == "done"}
    logs = place.snapshot().logs
    again = place.run("batch", "goals.jsonl", "--resume")
    check_told(again, 0)
    check(place, again.out)
    after = place.snapshot().logs
    assert [after[task_id] == logs[task_id] for task_id in done] == [True] * len(done)


@pytest.mark.parametrize("seed", range(10))
def test_killed_at_random_moments_it_goes_on_with_what_is_left(place: Place, seed: int) -> None:
    rng = random.Random(seed)
    words = batch(place, "--json")
    for _ in range(3):
        with running(place.start(*words)) as process:
            assert process.stdout is not None
            for _ in range(rng.randint(2, 12)):
                process.stdout.readline()
            time.sleep(rng.uniform(0, 0.03))
            process.kill()
        words = ["batch", "goals.jsonl", "--resume", "--json", "-w", "3"]
    again = place.run("batch", "goals.jsonl", "--resume", "-w", "2")
    check_told(again, 0)
    check(place, again.out)


def test_a_disk_that_takes_no_more_is_told_and_all_goes_on_later(place: Place) -> None:
    """The command that is named goes on; typing the same again would begin anew."""

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    ran = place.run(*batch(place), preexec_fn=little_room)
    assert ran.code == 74, ran.err
    assert "go on with: agentctl batch goals.jsonl --resume" in " ".join(ran.err.split())
    again = place.run("batch", "goals.jsonl", "--resume")
    check_told(again, 0)
    check(place, again.out)


def spent(place: Place) -> int:
    """What the provider would bill."""
    return sum(map(int, place.bill.read_text().split()))


def at_every_moment(seen: Snapshot) -> int:
    """The most that was ever spent and reserved, from the logs in the order of their commits."""
    moments: list[tuple[int, int]] = []
    for log in seen.logs.values():
        reserve = 0
        for record in log:
            if isinstance(record.event, e.ModelAsked):
                reserve = record.event.reserve_micros or 0
                moments.append((record.at_ms, reserve))
            elif isinstance(record.event, e.ModelAnswered):
                moments.append((record.at_ms, (record.event.cost_micros or 0) - reserve))
    total = most = 0
    for _, change in sorted(moments):  # what frees something comes first within a millisecond
        total += change
        most = max(most, total)
    return most


def paid(place: Place, **more: Any) -> None:
    """Goals of one answer, which costs 3,750 micro-dollars."""
    place.write_script(turn(text="end", delay_ms=30), max_output=100, **more)


def test_all_workers_together_stay_within_the_limit_and_a_resume_raises_it(place: Place) -> None:
    paid(place)
    words = ["--max-cost", "0.02", "-w", "8"]
    ran = place.run(*batch(place)[:-2], *words)
    assert ran.code == 3, ran.err
    assert "agentctl batch goals.jsonl --resume --max-cost 0.04" in ran.err
    assert 0 < spent(place) <= CAP_MICROS
    seen = place.snapshot()
    assert at_every_moment(seen) <= CAP_MICROS
    check_books(place, seen)
    stopped = [state.stopped for log in seen.logs.values() if (state := fold(log)).stopped]
    assert {stop.limit for stop in stopped if stop} == {"batch_cost_micros"}
    done = [task.id for task in seen.tasks if task.status == "done"]

    same = place.run("batch", "goals.jsonl", "--resume", "-w", "4")
    assert same.code == 3
    assert spent(place) <= CAP_MICROS

    more = place.run("batch", "goals.jsonl", "--resume", "--max-cost", "0.04", "-w", "4")
    check_told(more, 0)
    after = place.snapshot()
    assert [len(of_kind(after.logs[task_id], e.ModelAnswered)) for task_id in done] == [1] * len(
        done
    )
    assert len(after.tasks) == GOALS
    assert spent(place) == GOALS * 3_750
    check_books(place, after)


def test_the_limit_holds_for_one_task_that_is_resumed_by_itself(place: Place) -> None:
    paid(place)
    ran = place.run(*batch(place)[:-2], "--max-cost", "0.02", "-w", "8")
    assert ran.code == 3
    stopped = next(task.id for task in place.snapshot().tasks if task.status == "limit")
    alone = place.run("resume", stopped, "--max-cost", "5")
    assert alone.code == 3
    assert "the cost limit of its batch" in alone.err
    assert spent(place) <= CAP_MICROS


def test_the_limit_holds_over_kills(place: Place) -> None:
    """A call in doubt is charged at its reserve, so that what may have been billed fits in too."""
    paid(place)
    first = [*batch(place)[:-2], "--max-cost", "0.02", "-w", "4"]
    assert place.run(*first, point="after ModelAsked 3").code == -signal.SIGKILL
    ran = place.run("batch", "goals.jsonl", "--resume", "-w", "4")
    assert ran.code == 3, ran.err
    seen = place.snapshot()
    assert spent(place) <= sum(task.cost_micros for task in seen.tasks) <= CAP_MICROS
    check_books(place, seen)
