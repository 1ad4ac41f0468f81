"""show --output, as it is typed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.parts import Place, Terminal, shell

NUMBERS = "".join(f"{n}\n" for n in range(1, 9001))


@pytest.fixture
def full(place: Place) -> Place:
    """A task with a large output, a small hostile one and a look-up made twice."""
    for number in range(60):
        (place.work / f"a-file-with-a-name-{number:03}").touch()
    look = {"name": "list_dir", "arguments": {}}
    place.turns(
        {"calls": [{**shell("seq 1 9000"), "id": "large"}]},
        {"calls": [{**shell("printf '\\033[31mred'"), "id": "red"}]},
        {"calls": [{**look, "id": "look"}]},
        {"calls": [{**look, "id": "again"}]},
        {"text": "done"},
    )
    assert place.run("the goal", "--approve", "auto").code == 0
    return place


def output(place: Place, ref: str, *words: str) -> Any:
    return place.cli("show", "@last", "--output", ref, *words)


def test_a_large_output_is_printed_whole_by_its_calls_id_and_by_its_hash(full: Place) -> None:
    (end, *_) = full.events("ToolEnded")
    assert "left out" in end["text"]
    by_id, by_hash = output(full, "large"), output(full, end["output_ref"])
    assert (by_id.code, by_id.err) == (0, "")
    assert NUMBERS in by_id.out
    assert by_hash.out == by_id.out
    found = output(full, "large", "--json").json
    assert found["text"] + "\n" * (found["text"][-1] != "\n") == by_id.out
    assert found["bytes"] == end["output_bytes"]


def test_in_a_pipe_it_is_raw_and_on_a_terminal_harmless(full: Place) -> None:
    assert "\x1b[31mred" in output(full, "red").out
    with Terminal(full, "show", "@last", "--output", "red") as terminal:
        assert terminal.end() == 0
    assert "\x1b" not in terminal.text
    assert r"\x1b[31mred" in terminal.text


def test_a_look_up_that_was_given_again_is_the_one_it_refers_to(full: Place) -> None:
    assert full.events("ToolEnded")[3]["reused"] == "look"
    assert output(full, "again").out == output(full, "look").out
    assert "a-file-with-a-name-059" in output(full, "again").out


def test_the_arguments_of_a_call_can_be_printed_too(full: Place) -> None:
    assert output(full, "args:large").out == '{"command":"seq 1 9000"}\n'


def test_an_unknown_one_is_an_error_that_lists_those_there_are(full: Place) -> None:
    ran = output(full, "nothing\x1b[2J")
    assert (ran.code, ran.out) == (2, "")
    assert "\x1b" not in ran.err
    lines = [line.split() for line in ran.err.splitlines()]
    assert [line[0] for line in lines if line and line[0] in ("large", "red", "look", "again")] == [
        "large", "red", "look", "again",
    ]  # fmt: skip
    large = full.events("ToolEnded")[0]
    row = ["large", "run_shell", f"{large['output_bytes']:,}", large["output_ref"]]
    assert row in lines


def test_an_output_of_another_task_is_unknown_here(full: Place) -> None:
    ref = full.events("ToolEnded")[0]["output_ref"]
    full.turns({"text": "done"})
    full.run()
    ran = output(full, ref)
    assert ran.code == 2
    assert "No call of a tool has ended in it yet." in ran.err


def test_of_many_the_first_twenty_are_listed(place: Place) -> None:
    calls = [{"name": "list_dir", "arguments": {"path": f"p{n}"}, "id": f"c{n}"} for n in range(23)]
    place.turns({"calls": calls}, {"text": "done"})
    place.run()
    err = output(place, "x").err
    assert err.count("list_dir") == 20
    assert "and 3 more" in err
