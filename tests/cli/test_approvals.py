"""Who allows a call that changes something: nobody in a pipe, the person at a terminal."""

from __future__ import annotations

import pytest

from tests.cli.parts import Place, Terminal, shell

QUESTION = "[a]lways in this task: "


@pytest.fixture
def two(place: Place) -> Place:
    """Two turns that each write a line, then an answer."""
    place.turns(
        {"calls": [shell("echo one >> log")]},
        {"calls": [shell("echo two >> log")]},
        {"text": "done"},
    )
    return place


def written(place: Place) -> list[str]:
    log = place.work / "log"
    return log.read_text().split() if log.exists() else []


def statuses(place: Place) -> list[str]:
    return [event.get("status", "ok") for event in place.events("ToolEnded")]


def test_in_a_pipe_calls_are_denied_and_the_model_is_told_why(two: Place) -> None:
    ran = two.run()
    assert ran.code == 0, "the model may find another way"
    assert written(two) == []
    assert statuses(two) == ["denied", "denied"]
    assert "--approve auto" in two.events("ToolEnded")[0]["text"]
    assert two.events("ToolStarted") == []


def test_with_json_nobody_is_asked_even_at_a_terminal(two: Place) -> None:
    with Terminal(two, "run", "x", "--script", str(two.script), "--json") as terminal:
        assert terminal.end() == 0
    assert statuses(two) == ["denied", "denied"]


@pytest.mark.parametrize(("approve", "lines"), [("auto", ["one", "two"]), ("never", [])])
def test_auto_runs_everything_and_never_nothing(two: Place, approve: str, lines: list[str]) -> None:
    assert two.run("x", "--approve", approve).code == 0
    assert written(two) == lines


def test_a_read_only_run_does_not_know_of_tools_that_change_something(two: Place) -> None:
    assert two.run("x", "--approve", "read-only").code == 0
    assert written(two) == []
    assert "There is no tool named 'run_shell'" in two.events("ToolEnded")[0]["text"]


def test_reading_needs_no_approval(place: Place) -> None:
    place.turns({"calls": [{"name": "list_dir", "arguments": {"path": "."}}]}, {"text": "done"})
    assert place.run().code == 0
    assert statuses(place) == ["ok"]


def answers(place: Place, *typed: str) -> str:
    """Run at a terminal and type these answers, one for each question."""
    with Terminal(place, "run", "x", "--script", str(place.script)) as terminal:
        for number, text in enumerate(typed, start=1):
            terminal.expect(QUESTION, number)
            terminal.type(text)
        assert terminal.end() == 0
    assert terminal.text.count(QUESTION) == len(typed)
    return terminal.text


def test_y_allows_one_call_and_the_next_is_asked(two: Place) -> None:
    answers(two, "y\n", "n\n")
    assert written(two) == ["one"]
    assert statuses(two) == ["ok", "denied"]


def test_n_denies_and_tells_the_model(two: Place) -> None:
    answers(two, "n\n", "yes\n")
    assert written(two) == ["two"]
    assert two.events("ToolEnded")[0]["text"].startswith("Denied by the user")


def test_a_allows_every_later_call_of_the_tool(two: Place) -> None:
    answers(two, "a\n")
    assert written(two) == ["one", "two"]
    assert [event["always"] for event in two.events("ToolApproved")] == [True]


def test_return_alone_denies(two: Place) -> None:
    answers(two, "\n", "\n")
    assert written(two) == []


def test_an_answer_that_is_none_is_asked_again(two: Place) -> None:
    answers(two, "what?\n", "A\n")
    assert written(two) == ["one", "two"]


def test_the_question_names_the_call(two: Place) -> None:
    shown = answers(two, "n\n", "n\n").replace("\r\n", "\n")
    assert 'The agent wants to call run_shell {"command":"echo one >> log"}' in shown


def test_the_end_of_the_terminals_input_denies(two: Place) -> None:
    answers(two, "\x04", "\x04")
    assert written(two) == []


def test_on_a_terminal_the_answer_stands_there_once(place: Place) -> None:
    place.turns({"text": "the one and only answer"})
    with Terminal(place, "run", "x", "--script", str(place.script)) as terminal:
        assert terminal.end() == 0
    assert terminal.text.count("the one and only answer") == 1


def test_no_color_is_obeyed_on_a_terminal(place: Place) -> None:
    place.turns({"text": "done"})
    with Terminal(place, "run", "x", "--script", str(place.script), NO_COLOR="1") as terminal:
        assert terminal.end() == 0
    assert "\x1b[3" not in terminal.text, "no colour codes; the cursor may move"
