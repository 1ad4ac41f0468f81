"""Who allows a call that changes something: nobody in a pipe, the person at a terminal."""

from __future__ import annotations

import pytest

from tests.cli.parts import Place, Terminal, shell

QUESTION = "Allow it? "


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


def test_t_allows_every_later_call_of_the_tool_in_this_task(two: Place) -> None:
    answers(two, "t\n")
    assert written(two) == ["one", "two"]
    assert [event["always"] for event in two.events("ToolApproved")] == [True]


def test_a_stores_a_rule_that_holds_in_later_tasks_of_this_folder_until_it_is_revoked(
    place: Place,
) -> None:
    script = ({"calls": [shell("git log")]}, {"text": "done"})
    place.turns(*script)
    assert "allow run_shell: git log *" in answers(place, "a\n").replace("\r\n", "\n")
    place.run()
    assert place.events("ToolStarted")[0]["permit"] == "run_shell: git log *"
    (answer,) = place.cli("permissions", "list", "--json").json["answers"]
    assert answer["rule"] == "run_shell: git log *"
    assert "git log" in place.cli("permissions").out
    assert place.cli("permissions", "revoke", str(answer["id"])).code == 0
    place.run()
    assert statuses(place) == ["denied"]
    assert place.cli("permissions", "revoke", "99").code == 2


def test_a_deny_rule_holds_under_auto_and_is_kept_with_the_task(two: Place) -> None:
    assert two.run("x", "--approve", "auto", "--deny", "run_shell: echo one *").code == 0
    assert (written(two), statuses(two)) == (["two"], ["denied", "ok"])
    assert two.events("ToolEnded")[0]["permit"] == "run_shell: echo one *"
    assert two.events("TaskCreated")[0]["rules"][0]["effect"] == "deny"


def test_the_configurations_rules_hold_and_a_project_cannot_loosen_them(two: Place) -> None:
    two.user_file.write_text('[permissions]\ndeny = ["run_shell: echo one **"]\n')
    (two.work / ".agentctl.toml").write_text('[permissions]\nallow = ["run_shell"]\n')
    ran = two.run("x")
    assert "permissions: not used" in ran.err
    assert statuses(two) == ["denied", "denied"]
    two.cli("trust", ".")
    two.run("x")
    assert (written(two), statuses(two)) == (["two"], ["denied", "ok"])


def test_a_rule_that_is_none_is_told_with_what_to_write(two: Place) -> None:
    ran = two.run("x", "--allow", "run_shell:")
    assert ran.code == 2
    assert "has no pattern" in ran.err
    two.user_file.write_text('[permissions]\nforbid = ["run_shell"]\n')
    assert "permissions.forbid: there is no such list" in two.run("x").err


def test_return_alone_denies(two: Place) -> None:
    answers(two, "\n", "\n")
    assert written(two) == []


def test_an_answer_that_is_none_is_asked_again(two: Place) -> None:
    answers(two, "what?\n", "T\n")
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
