"""What is understood without Typer is what Typer would have understood."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from agentctl.cli import quick
from agentctl.cli.commands import build
from tests.cli.parts import Place


def command() -> Any:
    return typer.main.get_command(build(["pause"])).commands["pause"]  # type: ignore[attr-defined] # a group


def test_it_knows_every_parameter_of_pause() -> None:
    known = {**quick.SWITCHES, **quick.TEXTS}
    options = {
        word: param.name for param in command().params for word in param.opts if word[0] == "-"
    }
    assert known == {word: name for word, name in options.items() if name != "help"}
    assert [param.name for param in command().params if param.opts == ["task"]] == ["task"]


@pytest.mark.parametrize(
    "line",
    [
        "pause @last",
        "pause 1sa7wr --now",
        "pause --now --json 1sa7wr",
        "pause mend --reason lunch --dry-run",
        "pause --reason=lunch mend",
        "pause",
        "pause a b",
        "pause a --reason",
        "pause a --reason --now",
        "pause a --fast",
        "pause -- a",
        "pause --help",
    ],
)
def test_it_reads_a_line_as_typer_does_or_leaves_it_to_typer(line: str) -> None:
    found = quick.read(line.split())
    if found is None:
        return
    context = command().make_context("pause", line.split()[1:])
    assert {name: value for name, value in context.params.items() if value} == found


@pytest.mark.parametrize("line", ["pause @last --now --reason x", "pause mend --json"])
def test_plain_lines_are_read(line: str) -> None:
    assert quick.read(line.split()) is not None


def test_a_mistake_is_told_in_the_words_of_all_commands(place: Place) -> None:
    told = place.cli("pause", "--fast", "x")
    assert (told.code, "Usage: agentctl pause" in told.err) == (2, True)
    told = place.cli("pause", "nothing")
    assert told.code == 2
    assert "There is no task 'nothing'." in told.err
