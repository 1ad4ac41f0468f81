"""The clock is set while a run goes on, by seconds or years, forward or back: nothing minds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentctl.core import events as e
from agentctl.core.state import fold
from tests.crash.helpers import (
    Place,
    check_books,
    check_told,
    eventually,
    finish,
    of_kind,
    running,
    shell,
    turn,
)

HOUR_S = 3_600
YEAR_S = 365 * 24 * HOUR_S
STEPS = pytest.mark.parametrize(
    "step_s", [30, -30, HOUR_S, -HOUR_S, 10 * YEAR_S, -10 * YEAR_S, -60 * YEAR_S]
)
LONG_MS = 600_000
"""No part of these lives takes so long, and every step of the clock but the smallest is longer."""


class Clocked(Place):
    """A place whose processes all read a clock that can be set."""

    def __init__(self, tmp: Path) -> None:
        super().__init__(tmp)
        self.clock = tmp / "clock"
        self.env["TEST_CLOCK"] = str(self.clock)
        self.set(0)

    def set(self, ahead_s: int) -> None:
        self.clock.write_text(str(ahead_s), encoding="utf-8")


@pytest.fixture
def place(tmp_path: Path) -> Clocked:
    made = Clocked(tmp_path)
    (made.work / "hold").touch()
    wait = "echo one >> marks; while [ -e hold ]; do sleep 0.02; done"
    made.write_script(turn(shell(wait)), turn(shell("echo two >> marks")), turn(text="end"))
    return made


def check_life(place: Clocked, *, active: bool = True) -> None:
    """It is done, nothing was done twice, its time never goes back, no step is running time.

    With `active` False the last is not looked at.
    """
    seen = place.snapshot()
    (task,) = seen.tasks
    log = seen.logs[task.id]
    state = fold(log)
    assert state.status == "done"
    assert place.lines("marks") == ["one", "two"]
    # A request by a clock that is ahead may stand between what the run wrote before it heard it.
    moments = [r.at_ms for r in log if not isinstance(r.event, e.PauseRequested)]
    assert moments == sorted(moments)
    if active:
        assert 0 <= state.active_ms < LONG_MS
        assert 0 <= task.active_ms < LONG_MS
    assert all(0 <= end.duration_ms < LONG_MS for end in of_kind(log, e.ToolEnded))
    assert all(0 <= answer.duration_ms < LONG_MS for answer in of_kind(log, e.ModelAnswered))
    check_books(place, seen)


@STEPS
def test_a_clock_that_is_set_in_the_middle_of_a_run_changes_nothing(
    place: Clocked, step_s: int
) -> None:
    """A limit of the running time would end it if the step counted."""
    limits = ("--timeout", "10m", "--max-cost-hour", "1.00")
    with running(place.start(*place.run_arguments, *limits)) as process:
        eventually(lambda: place.lines("marks"), "the command runs")
        place.set(step_s)
        (place.work / "hold").unlink()
        check_told(finish(process), 0)
    check_life(place)
    check_told(place.run("costs", "check"), 0)


@STEPS
def test_a_pause_and_a_resume_by_another_clock_are_heard(place: Clocked, step_s: int) -> None:
    with running(place.start(*place.run_arguments)) as process:
        eventually(lambda: place.lines("marks"), "the command runs")
        place.set(step_s)
        check_told(place.run("pause", "@last"), 0, "pauses")
        (place.work / "hold").unlink()
        check_told(finish(process), 4)
    assert place.listed()[0]["status"] == "paused"
    place.set(-step_s)
    check_told(place.run("resume", "@last"), 0)
    # What another process wrote by a clock that is ahead is taken for true: see docs/promises.md.
    check_life(place, active=step_s < 0)
    for command in (["list"], ["show", "@last"], ["costs", "report"], ["limits"], ["gc"]):
        check_told(place.run(*command), 0)


@STEPS
def test_a_task_that_was_killed_goes_on_by_another_clock(place: Clocked, step_s: int) -> None:
    with running(place.start(*place.run_arguments, point="before ToolStarted 2")) as process:
        eventually(lambda: place.lines("marks"), "the command runs")
        (place.work / "hold").unlink()
        check_told(finish(process), -9)
    place.set(step_s)
    check_told(place.run("resume", "@last"), 0)
    seen = place.snapshot()
    assert fold(seen.logs[seen.tasks[0].id]).status == "done"
    assert 0 <= seen.tasks[0].active_ms < LONG_MS
    check_books(place, seen)


@pytest.mark.parametrize("step_s", [-10 * YEAR_S, -60 * YEAR_S, 20 * YEAR_S])
def test_a_task_can_be_begun_by_any_clock(place: Clocked, step_s: int) -> None:
    (place.work / "hold").unlink()
    place.set(step_s)
    check_told(place.run(*place.run_arguments), 0)
    check_life(place)
