"""What another process sees of a run: the log and the mirror of what is said live, in order."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentctl.control import Desk
from agentctl.core import events as e
from agentctl.core.live import Signal, TextDelta, ToolOutput, Waiting
from agentctl.core.values import Limits, Message, Usage
from agentctl.following import Follower, follow, wait_for
from agentctl.listeners.mirror import BYTES_MAX, Mirror
from agentctl.store.lease import Lease
from tests.cli.parts import Place, Terminal

TASK = "1rs7n7dd"
ASKED = e.ModelAsked(1, "scripted", "s", 0, 10, 100)
START = e.ToolStarted("c1", "run_shell", "unsafe")
END = e.ToolEnded("c1", "run_shell", "out")


def answered(text: str) -> e.ModelAnswered:
    return e.ModelAnswered(Message("assistant", text), Usage(input=1, output=1), "end", 0)


class Run:
    """A task that is driven here: what a driver does for others to see, done by hand."""

    def __init__(self, home: Path) -> None:
        self.desk = Desk()
        self.mirror = Mirror(home / "live")
        self.file = home / "live" / f"{TASK}.jsonl"
        created = e.TaskCreated("goal", "", "scripted", "s", str(home), Limits())
        assert self.desk.store.create(TASK, created, 1)
        self.lease = Lease(self.desk.locks, TASK)
        self.happens(e.Resumed(os.getpid()))

    def recorded(self, *events: e.Event) -> tuple[e.Recorded, ...]:
        """They are on disk, and no listener has heard of them yet."""
        return self.desk.store.append(TASK, None, events, 2).recorded

    def happens(self, *events: e.Event) -> None:
        for record in self.recorded(*events):
            self.mirror.hear(TASK, record)

    def says(self, signal: Signal) -> None:
        self.mirror.hear(TASK, signal)

    def end(self) -> None:
        self.mirror.close()
        self.lease.release()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("AGENTCTL_HOME", str(tmp_path))
    made = Run(tmp_path)
    yield made
    made.desk.close()


def seen(follower: Follower) -> list[object]:
    """Kinds of events, and signals as they are."""
    news = follower.news()
    return [type(item.event).__name__ if isinstance(item, e.Recorded) else item for item in news]


def test_text_is_seen_before_its_answer_is_recorded(run: Run) -> None:
    follower = Follower(run.desk, TASK)
    run.happens(ASKED)
    run.says(TextDelta("hel"))
    assert seen(follower) == ["TaskCreated", "Resumed", "ModelAsked", TextDelta("hel")]
    run.says(TextDelta("lo"))
    assert seen(follower) == [TextDelta("lo")]
    run.happens(answered("hello"))
    assert seen(follower) == ["ModelAnswered"]
    assert seen(follower) == []


def test_who_comes_late_sees_all_that_was_said_of_the_open_answer(run: Run) -> None:
    run.happens(ASKED, answered("first"), ASKED)
    run.says(TextDelta("se"))
    run.says(TextDelta("cond"))
    found = seen(Follower(run.desk, TASK, after=3))
    assert found == [TextDelta("first"), "ModelAnswered", "ModelAsked", TextDelta("se"),
                     TextDelta("cond")]  # fmt: skip


def test_words_that_were_missed_are_told_before_their_answer(run: Run) -> None:
    follower = Follower(run.desk, TASK, after=2)
    run.happens(ASKED)
    run.says(TextDelta("hel"))
    seen(follower)
    run.says(TextDelta("lo"))
    run.happens(answered("hello, you"))
    assert seen(follower) == [TextDelta("lo, you"), "ModelAnswered"]


def test_what_is_recorded_but_still_in_the_mirror_is_not_told_twice(run: Run) -> None:
    follower = Follower(run.desk, TASK, after=2)
    run.happens(ASKED)
    run.recorded(answered("hello"))
    assert seen(follower)[-1] == "ModelAnswered"
    run.says(TextDelta("hello"))  # it came before: the listener has not heard of the answer
    assert seen(follower) == []


def test_a_summary_is_no_part_of_what_is_said(run: Run) -> None:
    follower = Follower(run.desk, TASK, after=2)
    run.happens(e.ModelAsked(1, "scripted", "s", 0, 10, 100, "summary"), answered("summary"))
    assert seen(follower) == ["ModelAsked", "ModelAnswered"]


def test_a_tools_output_comes_between_its_events(run: Run) -> None:
    follower = Follower(run.desk, TASK, after=2)
    run.happens(START)
    run.says(ToolOutput("c1", "line\n"))
    run.recorded(END)
    assert seen(follower) == ["ToolStarted", ToolOutput("c1", "line\n"), "ToolEnded"]


def test_the_mirror_is_empty_once_what_it_holds_is_recorded_and_gone_at_the_end(run: Run) -> None:
    run.happens(ASKED)
    assert not run.file.exists()  # nothing was said
    run.says(TextDelta("hello"))
    assert run.file.stat().st_size > 0
    run.happens(answered("hello"))
    assert run.file.stat().st_size == 0
    run.end()
    assert not run.file.exists()


def test_a_wait_is_told_although_nothing_else_is_new(run: Run) -> None:
    follower = Follower(run.desk, TASK, after=2)
    run.happens(ASKED, e.ModelFailed("rate", "slow down", True))
    run.says(Waiting(99, "slow down"))
    assert seen(follower)[-1] == Waiting(99, "slow down")


def test_the_mirror_stays_small_however_much_is_said(run: Run) -> None:
    run.happens(START)
    for number in range(200):
        run.says(ToolOutput("c1", f"{number} " + "x" * 50_000))
        assert run.file.stat().st_size <= BYTES_MAX
    found = seen(Follower(run.desk, TASK, after=3))
    assert found  # the newest is there
    assert all(isinstance(item, ToolOutput) for item in found)


def test_what_a_dead_process_left_is_not_live(run: Run) -> None:
    run.happens(ASKED)
    run.says(TextDelta("old"))
    left = run.file.read_bytes().replace(str(os.getpid()).encode(), b"1")
    run.file.write_bytes(left)
    assert seen(Follower(run.desk, TASK, after=3)) == []
    run.lease.release()
    run.file.write_bytes(left.replace(b"[1,", b"[%d," % os.getpid()))
    assert seen(Follower(run.desk, TASK, after=3)) == []


def test_a_line_that_is_not_whole_is_left_for_later(run: Run) -> None:
    follower = Follower(run.desk, TASK, after=3)
    run.happens(ASKED)
    run.says(TextDelta("hello"))
    whole = run.file.read_bytes()
    run.file.write_bytes(b"\xff{\n" + whole[:-4])
    assert seen(follower) == []
    run.file.write_bytes(whole)
    assert seen(follower) == [TextDelta("hello")]


def test_following_ends_when_the_task_stands_still_with_all_that_was_written(run: Run) -> None:
    def stop(_: float) -> None:
        run.happens(ASKED, answered("bye"), e.Finished("done", "bye"))
        run.end()

    kinds = [
        type(item.event).__name__
        for item in follow(run.desk, TASK, after=2, sleep=stop)
        if isinstance(item, e.Recorded)
    ]
    assert kinds == ["ModelAsked", "ModelAnswered", "Finished"]


def test_waiting_ends_when_the_time_is_up(run: Run) -> None:
    ticks = iter(range(0, 1000, 40))
    slept: list[float] = []
    stopped = wait_for(
        run.desk, [TASK], lambda row: None, within_ms=100, sleep=slept.append,
        ticks_ms=lambda: next(ticks),
    )  # fmt: skip
    assert stopped == {}
    assert len(slept) == 2


def test_waiting_tells_of_a_task_as_it_stops(run: Run) -> None:
    def stop(_: float) -> None:
        run.happens(e.Finished("done", "bye"))
        run.end()

    told: list[str] = []
    wait_for(run.desk, [TASK], lambda row: told.append(row.status), sleep=stop)
    assert told == ["done"]


def test_attach_in_another_process_shows_text_that_is_not_recorded(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "place").mkdir()
    place = Place(tmp_path / "place")
    place.env["AGENTCTL_HOME"] = str(tmp_path)
    run.happens(ASKED)
    with Terminal(place, "attach", TASK) as terminal:
        terminal.expect(f"Task {TASK}")
        run.says(TextDelta("a whole line\nand half of"))
        terminal.expect("a whole line")
        assert not [r for r in run.desk.store.read(TASK) if isinstance(r.event, e.ModelAnswered)]
        run.happens(answered("a whole line\nand half of one"), e.Finished("done", "x"))
        run.end()
        assert terminal.end() == 0
    assert terminal.text.count("a whole line") == 1
    assert "and half of one" in terminal.text


def test_the_mirror_needs_no_event_loop() -> None:
    code = "import sys, agentctl.listeners.mirror as m; assert 'asyncio' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
