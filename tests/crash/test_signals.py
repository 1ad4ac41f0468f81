"""Stopping from outside: signals, `pause`, `cancel`, a reader and a terminal that go away."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentctl.core import events as e
from agentctl.core.state import fold
from tests.crash.helpers import (
    Log,
    Place,
    Ran,
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

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LONG_MS = 30_000
Process = subprocess.Popen[str]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def thinking(place: Place) -> Iterator[tuple[Place, Process]]:
    """A run whose second model call takes 30 s the first time; the first step is done."""
    place.write_script(turn(shell("echo one >> marks")), turn(text="end", delay_ms=LONG_MS))
    with running(place.start(*place.run_arguments, "--json")) as process:
        read_event(process, "ModelAsked", 2)
        yield place, process


@pytest.fixture
def working(place: Place) -> Iterator[tuple[Place, Process, str]]:
    """A run in the middle of a `sleep`, whose own argument is the third value."""
    seconds = f"30.{random.SystemRandom().randrange(10**9)}"
    place.write_script(turn(shell(f"echo one >> marks; sleep {seconds}")), turn(text="end"))
    with running(place.start(*place.run_arguments)) as process:
        eventually(lambda: processes_with(seconds), "the command runs")
        yield place, process, seconds


def the_log(place: Place) -> Log:
    """The log of the only task."""
    seen = place.snapshot()
    return seen.logs[seen.tasks[0].id]


def check_resumes(place: Place) -> Log:
    """It goes on to its end; the first step's effect is there once."""
    before = the_log(place)
    place.write_script(turn(shell("echo one >> marks")), turn(text="end"))
    check_told(place.run("resume", "@last"), 0)
    assert place.lines("marks") == ["one"]
    seen = place.snapshot()
    log = seen.logs[seen.tasks[0].id]
    assert log[: len(before)] == before
    check_books(place, seen)
    return log


def check_nothing_began(log: Log) -> None:
    """No model call and no tool was started once a stop had been asked for."""
    kinds = [type(record.event) for record in log]
    asked = next(n for n, k in enumerate(kinds) if k in (e.PauseRequested, e.CancelRequested))
    assert not {e.ModelAsked, e.ToolStarted} & set(kinds[asked:])


def check_stopped(place: Place, ran: Ran, number: signal.Signals) -> None:
    """The state is saved, the code says which signal, and the command to go on is printed."""
    log = the_log(place)
    assert fold(log).status == "paused"
    assert place.listed()[0]["status"] == "paused"
    check_told(ran, 128 + number)
    check_nothing_began(log)
    check_books(place, place.snapshot())


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_a_model_call_saves_and_leaves(
    thinking: tuple[Place, Process], number: signal.Signals
) -> None:
    place, process = thinking
    process.send_signal(number)
    ran = finish(process)
    check_stopped(place, ran, number)
    assert '"outcome":"paused"' in ran.out
    log = check_resumes(place)
    (failed,) = of_kind(log, e.ModelFailed)
    assert (failed.reason, bool(failed.charged_micros)) == ("interrupted", True)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_a_command_ends_it_saves_and_leaves(
    working: tuple[Place, Process, str], number: signal.Signals
) -> None:
    place, process, seconds = working
    process.send_signal(number)
    ran = finish(process)
    task = place.snapshot().tasks[0].id
    assert f"agentctl resume {task}" in ran.err
    check_stopped(place, ran, number)
    assert not processes_with(seconds)
    (ended,) = of_kind(check_resumes(place), e.ToolEnded)
    assert ended.status == "cut"


def test_a_second_ctrl_c_leaves_at_once(working: tuple[Place, Process, str]) -> None:
    """The first one still gives what runs a moment to end by itself."""
    place, process, seconds = working
    process.send_signal(signal.SIGINT)
    eventually(lambda: of_kind(the_log(place), e.PauseRequested), "the first one was heard")
    process.send_signal(signal.SIGINT)
    check_told(finish(process), 130, f"agentctl resume {place.snapshot().tasks[0].id}")
    assert not of_kind(the_log(place), e.ToolEnded)
    eventually(lambda: not processes_with(seconds), "the command is gone", within_s=5)
    assert place.listed()[0]["status"] == "paused"
    (ended,) = of_kind(check_resumes(place), e.ToolEnded)
    assert ended.status == "unknown"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_the_task_runs_leaves_it_resumable(
    place: Place, number: signal.Signals
) -> None:
    place.write_script(turn(shell("echo one >> marks")), turn(text="end"))
    ran = place.run(*place.run_arguments, point=f"signal {number} before Resumed 1")
    check_told(ran, 128 + number, f"agentctl resume {place.snapshot().tasks[0].id}")
    check_resumes(place)


def test_pause_from_another_process_lets_the_command_end_and_starts_nothing_more(
    place: Place,
) -> None:
    (place.work / "hold").touch()
    wait = "echo one >> marks; while [ -e hold ]; do sleep 0.02; done"
    place.write_script(turn(shell(wait)), turn(text="end"))
    with running(place.start(*place.run_arguments)) as process:
        eventually(lambda: place.lines("marks"), "the command runs")
        check_told(place.run("pause", "@last", "--reason", "lunch"), 0, str(process.pid))
        (place.work / "hold").unlink()
        check_told(finish(process), 4, "lunch", "agentctl resume")
    log = the_log(place)
    check_nothing_began(log)
    (ended,) = of_kind(log, e.ToolEnded)
    assert ended.status == "ok"
    check_resumes(place)


def test_pause_from_another_process_waits_for_the_answer_that_is_being_paid_for(
    place: Place,
) -> None:
    place.write_script(turn(shell("echo one >> marks")), turn(text="end"))
    script = place.script.read_text()
    place.write_script(turn(shell("echo one >> marks"), delay_ms=700), turn(text="end"))
    with running(place.start(*place.run_arguments, "--json")) as process:
        read_event(process, "ModelAsked")
        check_told(place.run("pause", "@last"), 0)
        check_told(finish(process), 4)
    log = the_log(place)
    check_nothing_began(log)
    assert len(of_kind(log, e.ModelAnswered)) == 1
    place.script.write_text(script)
    check_resumes(place)


def test_pause_now_cuts_a_running_command(working: tuple[Place, Process, str]) -> None:
    place, process, seconds = working
    check_told(place.run("pause", "@last", "--now"), 0)
    check_told(finish(process), 4, "agentctl resume")
    assert not processes_with(seconds)
    check_nothing_began(the_log(place))
    check_resumes(place)


def test_cancel_ends_a_running_task_for_good(working: tuple[Place, Process, str]) -> None:
    place, process, seconds = working
    check_told(place.run("cancel", "@last"), 0)
    check_told(finish(process), 5, "agentctl show")
    assert not processes_with(seconds)
    check_nothing_began(the_log(place))
    assert place.listed()[0]["status"] == "cancelled"
    check_told(place.run("resume", "@last"), 6)
    check_books(place, place.snapshot())


def test_cancel_during_a_model_call_ends_the_task(thinking: tuple[Place, Process]) -> None:
    place, process = thinking
    check_told(place.run("cancel", "@last"), 0)
    check_told(finish(process), 5)
    check_nothing_began(the_log(place))
    check_books(place, place.snapshot())


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_a_reader_that_goes_away_stops_nothing(place: Place, how: tuple[str, ...]) -> None:
    """The run works on without listeners; the answer is kept in the log."""
    place.write_script(turn(shell("echo one >> marks"), delay_ms=200), turn(text="end"))
    with running(place.start(*place.run_arguments, *how)) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        code = process.wait()
    check_told(Ran(code, "", err), 141)
    seen = place.snapshot()
    state = fold(seen.logs[seen.tasks[0].id])
    assert (state.status, state.answer) == ("done", "end")
    assert place.lines("marks") == ["one"]
    check_books(place, seen)


def test_without_anybody_who_reads_the_work_is_done_all_the_same(place: Place) -> None:
    """Both pipes have lost their reader before the first word."""
    place.write_script(turn(shell("echo one >> marks")), turn(text="end"))
    reader, writer = os.pipe()
    os.close(reader)
    with running(place.start(*place.run_arguments, stdout=writer, stderr=writer)) as process:
        os.close(writer)
        assert process.wait(30) == 141
    seen = place.snapshot()
    assert fold(seen.logs[seen.tasks[0].id]).status == "done"
    check_books(place, seen)


def test_closed_streams_are_no_reason_to_fail(place: Place) -> None:
    """As in `agentctl run … >&- 2>&- <&-`."""
    place.write_script(turn(shell("echo one >> marks")), turn(text="end"))
    arguments = place.command(*place.run_arguments)
    code = subprocess.call(
        ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *arguments],
        env=place.env,
        cwd=place.work,
        timeout=30,
    )
    assert code == 0
    assert fold(the_log(place)).answer == "end"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_heard_while_nobody_reads_a_full_pipe(
    place: Place, number: signal.Signals
) -> None:
    big = turn(shell("echo one >> marks"), text="x" * 200_000)
    place.write_script(big, turn(text="end"))
    with running(place.start(*place.run_arguments, "--json")) as process:
        eventually(lambda: of_kind(logged(place), e.ToolStarted), "the answer is written")
        process.send_signal(number)
        assert process.wait(30) == 128 + number
    assert place.listed()[0]["status"] == "interrupted"  # nothing could be written any more
    check_told(place.run("resume", "@last"), 0)
    check_books(place, place.snapshot())


def test_under_nohup_a_closed_terminal_does_not_stop_a_run(place: Place) -> None:
    (place.work / "hold").touch()
    wait = "echo one >> marks; while [ -e hold ]; do sleep 0.02; done"
    place.write_script(turn(shell(wait)), turn(text="end"))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a child inherits what is ignored
    try:
        process = place.start(*place.run_arguments)
    finally:
        signal.signal(signal.SIGHUP, before)
    with running(process):
        eventually(lambda: place.lines("marks"), "the command runs")
        process.send_signal(signal.SIGHUP)
        (place.work / "hold").unlink()
        check_told(finish(process), 0)


@pytest.mark.parametrize("when", ["thinking", "working"])
def test_a_terminal_that_goes_away_loses_nothing(place: Place, when: str) -> None:
    """The kernel sends SIGHUP and every write to the terminal fails."""
    seconds = f"30.{random.SystemRandom().randrange(10**9)}"
    if when == "thinking":
        place.write_script(turn(shell("echo one >> marks")), turn(text="end", delay_ms=LONG_MS))
    else:
        place.write_script(turn(shell(f"echo one >> marks; sleep {seconds}")), turn(text="end"))
    master, slave = pty.openpty()
    with running(on_terminal(place, slave)) as process:
        os.close(slave)
        begun = 2 if when == "thinking" else 1
        kind = e.ModelAsked if when == "thinking" else e.ToolStarted
        eventually(lambda: len(of_kind(logged(place), kind)) == begun, "it is under way")
        drain(master)
        os.close(master)
        assert process.wait(30) == 128 + signal.SIGHUP
    assert not processes_with(seconds)
    assert place.listed()[0]["status"] == "paused"
    check_resumes(place)


def on_terminal(place: Place, slave: int) -> Process:
    """A run whose controlling terminal is this one, on all three streams."""
    return place.start(
        *place.run_arguments,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={"TERM": "xterm", "TEST_TERMINAL": "1"},
    )


def logged(place: Place) -> Log:
    """The log of the only task, or nothing as long as there is none."""
    if not (place.home / "agentctl.db").exists():
        return []
    seen = place.snapshot()
    return seen.logs[seen.tasks[0].id] if seen.tasks else []


def drain(master: int) -> None:
    """Read what the terminal shows so far."""
    os.set_blocking(master, False)
    with contextlib.suppress(BlockingIOError):
        while os.read(master, 65_536):
            pass
