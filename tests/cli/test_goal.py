"""Where a goal comes from."""

from __future__ import annotations

import pytest

from tests.cli.parts import Place, Ran


@pytest.fixture(autouse=True)
def _script(place: Place) -> None:
    place.turns({"text": "done"})


def goal_of(place: Place, *words: str, stdin: bytes | None = None) -> str:
    ran = place.cli("run", *words, "--script", str(place.script), stdin=stdin)
    assert ran.code == 0, ran.err
    (event,) = place.events("TaskCreated")
    found: str = event["goal"]
    return found


def refused(place: Place, *words: str, stdin: bytes | None = None) -> Ran:
    """A usage error after which there is no task."""
    ran = place.cli("run", *words, "--script", str(place.script), stdin=stdin)
    assert (ran.code, ran.out) == (2, "")
    assert place.cli("list", "--json").json == []
    return ran


def test_a_goal_on_the_command_line(place: Place) -> None:
    assert goal_of(place, "the goal") == "the goal"


def test_a_goal_from_a_file(place: Place) -> None:
    (place.work / "goal.md").write_text("\ufeffline one\nżółć\n", encoding="utf-8")
    assert goal_of(place, "-f", "goal.md") == "line one\nżółć\n"


def test_a_goal_from_stdin(place: Place) -> None:
    assert goal_of(place, "-", stdin="from stdin ✓".encode()) == "from stdin ✓"
    assert goal_of(place, stdin=b"alone") == "alone"


def test_what_is_piped_in_is_added_to_a_goal(place: Place) -> None:
    assert goal_of(place, "Review", stdin=b"diff\n") == "Review\n\nInput:\ndiff\n"
    (place.work / "goal.md").write_text("Review this")
    assert goal_of(place, "-f", "goal.md", stdin=b"diff") == "Review this\n\nInput:\ndiff"


def test_an_empty_pipe_adds_nothing(place: Place) -> None:
    assert goal_of(place, "Review", stdin=b" \n") == "Review"


def test_a_goal_and_a_file_with_one_are_too_many(place: Place) -> None:
    assert "not both" in refused(place, "goal", "-f", "x").err


@pytest.mark.parametrize("stdin", [None, b"", b" \n"])
def test_without_a_goal_the_question_is_what_it_is(place: Place, stdin: bytes | None) -> None:
    assert "What is the goal?" in refused(place, stdin=stdin).err


def test_an_empty_goal_is_refused(place: Place) -> None:
    assert "empty" in refused(place, "  ").err
    assert "empty" in refused(place, "-", stdin=b"").err


def test_a_file_that_cannot_be_read_is_named(place: Place) -> None:
    assert "no-such.md" in refused(place, "-f", "no-such.md").err


def test_bytes_that_are_no_text_are_refused(place: Place) -> None:
    assert "not UTF-8" in refused(place, "-", stdin=b"\xff\xfe\x00binary").err
    assert "NUL" in refused(place, "-", stdin=b"a\0b").err


def test_ten_megabytes_are_refused_with_what_to_do_instead(place: Place) -> None:
    ran = refused(place, "-", stdin=b"x" * 10_000_000)
    assert "1,000,000" in ran.err
    assert "file" in ran.err
    (place.work / "big.md").write_text("é" * 600_000, encoding="utf-8")
    assert "1,000,000" in refused(place, "-f", "big.md").err


def test_a_folder_that_is_not_there_is_no_workspace(place: Place) -> None:
    assert "--cwd" in refused(place, "x", "--cwd", "nowhere").err


def test_an_output_file_that_cannot_be_written_is_found_before_money_is_spent(
    place: Place,
) -> None:
    assert "-o" in refused(place, "x", "-o", "no/such/folder/out.md").err
