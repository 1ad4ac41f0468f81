"""What the offline planner makes of words: goals are read, sentences picked."""

from __future__ import annotations

import pytest

from agentctl.providers.offline_goals import parse
from agentctl.providers.offline_text import sentences, summary


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ("Please list all .py files.", ("list", ("*.py",), ".", "")),
        ("find files named test_*.py in tests", ("list", ("test_*.py",), "tests", "")),
        ("Find README.md", ("list", ("README.md",), ".", "")),
        ("Could you list files ending in .md?", ("list", ("*.md",), ".", "")),
        ("python and markdown files", None),
        ("list Python and Markdown files in src", ("list", ("*.py", "*.md"), "src", "")),
        ("Which yaml files are there in the folder ci", ("list", ("*.yaml", "*.yml"), "ci", "")),
        ("find the TODOs in “my notes”", ("search", (), "my notes", "")),
        ("Create a list of all TODOs and save it as todos.md", ("search", (), ".", "todos.md")),
        ("Write a summary of README.md to s.md", ("summarise", (), "README.md", "s.md")),
        ("search the notes folder for deadline", ("search", (), "notes", "")),
        ("find all python files containing 'import os' in src", ("search", ("*.py",), "src", "")),
        ("find TODOs in .", ("search", (), ".", "")),
        ("COUNT THE WORDS IN README.MD", ("words", (), "README.MD", "")),
        ("search for 'and write them to x.md'", ("search", (), ".", "")),
    ],
)
def test_goals_are_read(goal: str, expected: tuple[str, tuple[str, ...], str, str] | None) -> None:
    found = parse(goal)
    got = found and (found.kind, found.scope.globs, found.scope.place, found.output)
    assert got == expected


def test_long_and_repetitive_goals_are_read_to_an_end() -> None:
    for part in ("the ", "find all ", "in ", "'x' ", "TODO and ", "a.b", "list of ", "\ue000"):
        assert parse("find " + part * (590 // len(part))) is None
        assert parse(part * 100_000) is None


def test_sentences_leave_out_code_tables_headings_and_markup() -> None:
    text = (
        "---\ntitle: x\n---\n# Head\n\nA [link](u) and **bold** text\nover two lines. Next one!\n"
        "```\ncode. Code.\n```\n| a | b |\n\n- [ ] an item\n1. first\n> quoted text\n"
    )
    assert sentences(text) == [
        "A link and bold text over two lines.",
        "Next one!",
        "an item",
        "first quoted text",
    ]


def test_a_summary_keeps_the_order_of_the_text_and_prefers_frequent_words() -> None:
    text = (
        "Gulls cry loudly today. Boats carry people over water. "
        "Somebody dropped a spoon yesterday. Water carries boats and people."
    )
    assert summary(text, 2) == [
        "Boats carry people over water.",
        "Water carries boats and people.",
    ]


def test_a_summary_of_nothing_is_empty_and_long_sentences_are_cut() -> None:
    assert summary("", 3) == []
    (sentence,) = summary("word " * 200, 3)
    assert len(sentence) <= 300
    assert sentence.endswith("…")
