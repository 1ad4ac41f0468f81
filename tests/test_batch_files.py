"""A file of goals: what is read from it, and what is said of one that is wrong."""

from __future__ import annotations

import pytest

from agentctl.batch_files import SETTINGS, Goal, format_of, read
from agentctl.errors import UsageError
from agentctl.settings_keys import KEYS


def goals(text: str, form: str = "jsonl") -> list[Goal]:
    return read("goals", text.encode(), form)


def told(text: str, form: str = "jsonl") -> str:
    with pytest.raises(UsageError) as error:
        goals(text, form)
    assert error.value.exit_code == 2
    return error.value.what


@pytest.mark.parametrize(
    ("name", "data", "form"),
    [
        ("goals.jsonl", b"x", "jsonl"),
        ("goals.NDJSON", b"x", "jsonl"),
        ("goals.csv", b"{", "csv"),
        ("goals.txt", b"{", "lines"),
        ("a.b/goals", b'\n {"goal": "x"}', "jsonl"),
        ("-", b"do it", "lines"),
    ],
)
def test_the_format_follows_from_the_name_and_else_from_how_it_begins(
    name: str, data: bytes, form: str
) -> None:
    assert format_of(name, data) == form
    assert format_of(name, data, "csv") == "csv"


def test_a_format_that_there_is_not_is_told() -> None:
    with pytest.raises(UsageError, match="--format"):
        format_of("-", b"", "xml")


def test_lines_are_goals_but_for_blank_ones_and_comments() -> None:
    found = goals("# mine\n\n  one \r\ntwo\n\t\nthree", "lines")
    assert [(g.number, g.line, g.text) for g in found] == [
        (1, 3, "one"), (2, 4, "two"), (3, 6, "three"),
    ]  # fmt: skip


def test_json_lines_are_objects_or_texts_and_keep_their_own_options() -> None:
    found = goals(
        '{"goal": "a", "name": "n", "priority": "high", "max_cost": 0.5, "tools": ["x.py"]}\n\n'
        '"b"\n{"goal": "c", "id": 7, "priority": "low", "model": null, "allow": "read_file: *"}'
    )
    assert [(g.number, g.line, g.text, g.name, g.priority) for g in found] == [
        (1, 1, "a", "n", 10), (2, 3, "b", "", 0), (3, 4, "c", "7", -10),
    ]  # fmt: skip
    assert found[0].options == {"max_cost": 0.5, "tools": ("x.py",)}
    assert found[2].options == {"allow": ("read_file: *",)}


def test_csv_has_a_header_and_may_have_cells_of_several_lines() -> None:
    found = goals('Goal,max-cost,name\n"two\nlines",0.10,\n\nplain,,n\nshort\n', "csv")
    assert [(g.line, g.text, g.name) for g in found] == [
        (2, "two\nlines", ""), (5, "plain", "n"), (6, "short", ""),
    ]  # fmt: skip
    assert [g.options for g in found] == [{"max_cost": "0.10"}, {}, {}]


def test_all_that_is_wrong_is_told_with_its_line() -> None:
    what = told(
        '{"goal": "fine"}\n{"goal": ""}\nnot json\n{"goal": "x", "max_cost": "-1"}\n'
        '{"goal": "x", "modle": "m"}\n[1]\n{"goal": 7}\n{"goal": "x", "priority": "urgent"}\n'
        '{"goal": "x", "tools": [1]}\n{"goal": "x", "cwd": 3}'
    )
    lines = what.splitlines()[1:]
    assert [line.split(":")[0] for line in lines] == [f"line {n}" for n in range(2, 11)]
    expected = (
        "empty", "not JSON", "max-cost", "modle", "object", "goal: 7", "priority", "tools", "cwd",
    )  # fmt: skip
    assert all(word in line for word, line in zip(expected, lines, strict=True)), what


def test_not_more_than_ten_lines_are_told() -> None:
    lines = told("x\n" * 25).splitlines()
    assert len(lines) == 12
    assert lines[-1] == "… and 15 more"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("task\nx\n", "'task' is no column"),
        ("name\nx\n", "no column is named goal"),
        ("goal,goal\nx,y\n", "two columns"),
        ("goal\nx,y\n", "line 2: it has 2 cells"),
        ('goal\n"x\n', "line 2: this is not CSV"),
    ],
)
def test_csv_that_cannot_be_read_is_told(text: str, word: str) -> None:
    assert word in told(text, "csv")


@pytest.mark.parametrize("form", ["jsonl", "csv", "lines"])
def test_a_file_without_a_goal_is_told(form: str) -> None:
    assert "no goal" in told("\n\n", form)


def test_what_is_not_text_is_told_with_its_line() -> None:
    with pytest.raises(UsageError, match="goals, line 2"):
        read("goals", b"one\n\xff\n", "lines")


def test_a_byte_order_mark_is_no_part_of_the_first_goal() -> None:
    assert [g.text for g in read("goals", "\ufeffone".encode(), "lines")] == ["one"]


def test_a_goal_is_known_again_by_its_text_alone() -> None:
    first, again, other = goals('{"goal": "a", "model": "m"}\n"a"\n"b"')
    assert first.digest == again.digest != other.digest


def test_every_setting_of_a_line_is_one() -> None:
    assert set(SETTINGS) <= set(KEYS)
