"""The screen of all tasks: what it shows is what the store says, and its keys change the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentctl import detached
from agentctl.core import events as e
from agentctl.core.live import TextDelta, ToolOutput
from agentctl.tui.board import NEWEST, Board
from tests.cli.parts import Place, Terminal
from tests.crash.helpers import eventually
from tests.tui.parts import WRITE, House, Seen, look

HOSTILE = "[red]goal[/red] \x1b[31m\x1b]0;x\x07 \u202eright [@click=app.quit]x[/]"


def two_tasks(house: House) -> None:
    """One that is being driven, and a newer one that is done."""
    house.task("aaaa1111", "Prepare the meeting", name="garden")
    house.runs("aaaa1111")
    house.step("aaaa1111", "Writing it down.", WRITE)
    house.task("bbbb2222", "Count the lines")
    house.step("bbbb2222", "There are 42.")
    house.happens("bbbb2222", e.Finished("done", "There are 42."))


def test_tasks_that_run_stand_first_with_their_spend_and_last_line(house: House) -> None:
    two_tasks(house)
    house.says("aaaa1111", ToolOutput("c1", "checking 1\nchecking 2\n"))

    async def test(seen: Seen) -> None:
        await seen.shows("aaaa1111", "bbbb2222", "checking 2", "1 running", "There are 42.")
        text = seen.text()
        assert text.index("aaaa1111") < text.index("bbbb2222")
        assert "$0.0015 of $0.50" in text
        assert "garden: Prepare the meeting" in text
        house.says("aaaa1111", ToolOutput("c1", "checking 3\n"))
        await seen.shows("checking 3")

    look(house, test)


def test_a_task_that_is_opened_shows_steps_words_tokens_and_files(house: House) -> None:
    two_tasks(house)

    async def test(seen: Seen) -> None:
        await seen.shows("aaaa1111")
        await seen.press("enter")
        await seen.shows("Next request", "tool output", "1,200 in, 34 out", "none yet")
        house.happens("aaaa1111", e.ToolStarted("c1", "write_file", "idempotent"))
        house.happens("aaaa1111", e.ToolEnded("c1", "write_file", "written"))
        await seen.shows("open-points.md", "write_file")
        house.happens("aaaa1111", e.ModelAsked(2, "scripted", "s", 0, 10, 100))
        house.says("aaaa1111", TextDelta("This is being said"))
        await seen.shows("This is being said")
        await seen.press("escape")
        await seen.shows("bbbb2222")

    look(house, test)


def test_p_asks_for_a_pause(house: House) -> None:
    two_tasks(house)

    async def test(seen: Seen) -> None:
        await seen.shows("aaaa1111")
        await seen.press("p")
        await seen.shows("pauses before its next step")

    look(house, test)
    assert house.kinds("aaaa1111")[-1] == "PauseRequested"
    assert "PauseRequested" not in house.kinds("bbbb2222")


def test_c_cancels_after_a_yes_and_only_then(house: House) -> None:
    two_tasks(house)

    async def test(seen: Seen) -> None:
        await seen.shows("aaaa1111")
        for no in ("n", "escape", "enter"):
            await seen.press("c")
            await seen.shows("Cancel task aaaa1111 for good?")
            await seen.press(no)
            assert "CancelRequested" not in house.kinds("aaaa1111")
        await seen.press("c")
        await seen.shows("for good?")
        await seen.press("y")
        await seen.until(lambda: house.kinds("aaaa1111")[-1] == "CancelRequested")

    look(house, test)


def test_l_sets_a_limit_and_a_bad_one_is_told_and_changes_nothing(house: House) -> None:
    two_tasks(house)

    async def test(seen: Seen) -> None:
        await seen.shows("aaaa1111")
        await seen.press("l")
        await seen.shows("in dollars", "0.50")
        await seen.press(*"much", "enter")
        await seen.shows("much")
        assert "LimitChanged" not in house.kinds("aaaa1111")
        await seen.press("l")
        await seen.shows("in dollars")
        await seen.press(*["backspace"] * 4, *"2.5", "enter")
        await seen.shows("$0.50 → $2.50", "of $2.50")

    look(house, test)
    assert house.desk.find("aaaa1111").limit_micros == 2_500_000


def test_r_resumes_the_chosen_task(house: House) -> None:
    two_tasks(house)

    async def test(seen: Seen) -> None:
        await seen.shows("bbbb2222")
        await seen.press("down", "r")
        await seen.until(lambda: house.resumed == ["bbbb2222"])
        await seen.shows("runs in the background")

    look(house, test)


def test_what_is_refused_is_told(house: House) -> None:
    two_tasks(house)

    async def test(seen: Seen) -> None:
        await seen.shows("bbbb2222")
        await seen.press("down", "p")
        await seen.shows("has ended (done)")
        await seen.press("r")
        await seen.shows("no such luck")

    look(house, test, resume=lambda task_id: (6, f"{task_id}: no such luck"))


def test_the_filter_leaves_what_it_names(house: House) -> None:
    two_tasks(house)

    async def test(seen: Seen) -> None:
        await seen.shows("aaaa1111", "bbbb2222")
        await seen.press("slash", *"lines")
        await seen.until(lambda: "aaaa1111" not in seen.text())
        assert "bbbb2222" in seen.text()
        await seen.press("enter", "p")  # keys are keys again, and mean what is listed
        await seen.shows("has ended (done)")
        await seen.press("escape")
        await seen.shows("aaaa1111", "bbbb2222")

    look(house, test)


@pytest.mark.parametrize("size", [(80, 24), (50, 20), (120, 40)])
def test_hostile_words_are_shown_as_they_are_at_every_width(
    house: House, size: tuple[int, int]
) -> None:
    house.task("aaaa1111", HOSTILE, name="[b]n[/b]")
    house.runs("aaaa1111")
    house.step("aaaa1111", HOSTILE, WRITE)
    house.happens("aaaa1111", e.ToolStarted("c1", "write_file", "idempotent"))
    house.happens("aaaa1111", e.ToolEnded("c1", "write_file", HOSTILE, "error"))

    async def test(seen: Seen) -> None:
        await seen.shows("aaaa1111", "running", "[b]n[/b]")
        seen_texts = [seen.text()]
        await seen.press("enter")
        await seen.shows("[red]goal[/red] \\x1b[31m")
        seen_texts.append(seen.text())
        for text in seen_texts:
            assert not {"\x1b", "\x07", "\u202e"} & set(text)

    look(house, test, size=size)


def test_a_process_that_dies_leaves_its_task_interrupted(house: House) -> None:
    two_tasks(house)

    async def test(seen: Seen) -> None:
        await seen.shows("running")
        house.dies("aaaa1111")
        await seen.shows("interrupted", "0 running")

    look(house, test)


def test_of_many_tasks_the_newest_are_read_and_all_that_run(house: House) -> None:
    house.task("aaaa0000")
    house.runs("aaaa0000")
    for number in range(NEWEST + 50):
        house.task(f"b{number:07d}")
        house.happens(f"b{number:07d}", e.Finished("done", "x"))
    board = Board(house.desk)
    entries = board.look()
    assert len(entries) == NEWEST + 1
    assert entries[0].row.id == "aaaa0000"
    statements: list[str] = []
    house.desk.store.connection.set_trace_callback(statements.append)
    assert board.look() == entries
    assert not [text for text in statements if "FROM tasks" in text and "goal" in text]


def test_an_empty_home_is_no_fault(house: House) -> None:
    async def test(seen: Seen) -> None:
        await seen.shows("0 running")
        await seen.press("enter", "p", "r", "c", "l")

    look(house, test)
    assert house.resumed == []


# --- real processes ----------------------------------------------------------------------------


def test_resume_is_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path)
    place.turns({"fault": {"status": 401}}, {"text": "the end"})
    assert place.run().code == 1
    task = place.last()["id"]
    place.turns({"text": "the end"})
    for name, value in place.env.items():
        monkeypatch.setenv(name, value)
    assert detached.resume(task) == (0, "")
    eventually(lambda: place.last()["status"] == "done", "it is done")
    code, words = detached.resume(task)
    assert code == 6
    assert "has ended" in words


def test_it_opens_on_a_terminal_and_leaves_at_q(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.turns({"text": "the end"})
    place.run()
    with Terminal(place, "watch") as terminal:
        terminal.expect(place.last()["id"])
        terminal.type("q")
        assert terminal.end() == 0


def test_without_a_terminal_it_says_what_to_type(tmp_path: Path) -> None:
    done = Place(tmp_path).cli("watch")
    assert done.code == 2
    assert "agentctl list" in done.err


def test_without_textual_it_says_what_to_install(tmp_path: Path) -> None:
    class Without(Place):
        def command(self, *words: str) -> list[str]:
            program, option, code, *rest = super().command(*words)
            return [program, option, f"import sys; sys.modules['textual'] = None; {code}", *rest]

    with Terminal(Without(tmp_path), "watch") as terminal:
        assert terminal.end() == 2
    assert "pip install 'agentctl[tui]'" in terminal.text
