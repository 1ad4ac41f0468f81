"""Text that tries to act: on the terminal, as markup, as arguments, as the end of a result."""

from __future__ import annotations

import io
import json
import re
import unicodedata

import pytest
from rich.console import Console

from agentctl.core import events as e
from agentctl.core.fence import FOREIGN, fenced
from agentctl.core.sanitize import goal_problem, storable
from agentctl.core.values import Message, ToolCall, Usage
from agentctl.listeners.jsonl import JsonLines
from agentctl.listeners.progress import Progress
from agentctl.reports.text import visible, visible_json
from agentctl.tools.files import ListDir, ReadFile
from agentctl.tools.mcp_schema import arguments_problem
from tests.core.rule_parts import rules, shell
from tests.escape import table
from tests.run.test_merged import ROW
from tests.tools.helpers import call, context_of

MARK = r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}"


def acts(text: str) -> list[str]:
    """Characters that could act on a terminal or hide."""
    plain = text.replace("\n", "").replace("\t", "").replace("\r\n", "")
    return [c for c in plain if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@pytest.mark.parametrize("text", table.SEQUENCES, ids=ascii)
def test_a_sequence_is_shown_and_not_sent(text: str) -> None:
    shown = visible(text, newlines=True)
    assert acts(shown) == []
    assert re.search(MARK, shown)


@pytest.mark.parametrize("text", table.SEQUENCES, ids=ascii)
def test_json_with_a_sequence_is_json_that_means_the_same(text: str) -> None:
    written = visible_json(json.dumps({"a": text}, ensure_ascii=False))
    assert acts(written) == []
    assert json.loads(written) == {"a": text}


def test_json_of_a_lone_surrogate_can_be_written_and_read() -> None:
    written = visible_json(json.dumps("a\ud800", ensure_ascii=False))
    assert written.encode().decode() == written
    assert json.loads(written) == "a\ud800"


def record(text: str) -> list[e.Recorded]:
    call_ = ToolCall("c1", "run_shell", json.dumps({"command": text}, ensure_ascii=False))
    answered = e.ModelAnswered(Message("assistant", text, (call_,)), Usage(), "tools", 0)
    ended = e.ToolEnded("c1", "run_shell", text, "error", 5)
    return [e.Recorded(1, 0, answered), e.Recorded(2, 0, ended)]


@pytest.mark.parametrize("text", table.SEQUENCES, ids=ascii)
def test_events_as_json_lines_are_json_without_it(text: str) -> None:
    stream = io.StringIO()
    for each in record(text):
        JsonLines(stream).hear("t", each)
    lines = stream.getvalue().splitlines()
    assert acts(stream.getvalue()) == []
    assert [json.loads(line)["seq"] for line in lines] == [1, 2]
    assert json.loads(lines[1])["event"]["text"] == text


@pytest.mark.parametrize("text", [*table.SEQUENCES, *table.MARKUP], ids=ascii)
def test_progress_shows_it_as_text(text: str) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=10_000, highlight=False, markup=False, emoji=False)
    progress = Progress(console, ROW, verbose=True)
    for each in record(text):
        progress.hear("t", each)
    progress.close()
    assert acts(stream.getvalue()) == []
    if text in table.MARKUP:
        assert text in stream.getvalue()


@pytest.mark.parametrize("text", [each for each in table.SEQUENCES if "/" not in each], ids=ascii)
def test_a_file_name_is_shown_and_not_sent(tmp_path, text: str) -> None:
    (tmp_path / text).touch()
    assert acts(call(ListDir(), context_of(tmp_path)).text) == []


@pytest.mark.parametrize(("arguments", "told"), table.ARGUMENTS, ids=range(len(table.ARGUMENTS)))
def test_arguments_that_do_not_fit_are_told(arguments: str, told: str) -> None:
    problem = ReadFile().check(arguments)
    assert re.search(told, problem), problem


@pytest.mark.parametrize("arguments", [each for each, _ in table.ARGUMENTS[:6]], ids=range(6))
def test_servers_are_not_sent_what_is_too_deep_or_too_large(arguments: str) -> None:
    problem = arguments_problem('{"type":"object"}', arguments)
    assert re.search("nested over 32 deep|larger than 1,000,000 bytes", problem), problem


def test_brackets_in_a_text_are_no_depth() -> None:
    assert ReadFile().check(json.dumps({"path": "[{" * 1_000})) == ""


@pytest.mark.parametrize("command", table.RULES, ids=ascii)
def test_to_allow_git_allows_nothing_else(command: str) -> None:
    assert shell(rules("allow", "run_shell: git *"), command) != "allow"


@pytest.mark.parametrize("text", table.FENCES, ids=ascii)
def test_what_is_fenced_cannot_end_its_fence(text: str) -> None:
    shown = fenced(f"before {text} after", "http_get")
    assert shown.startswith('<tool_output tool="http_get">\nbefore ')
    assert shown.endswith(" after\n</tool_output>")
    hidden = re.compile(r"[\s\u00ad\u200b-\u200f\u2060-\u206f\ufeff\U000e0000-\U000e007f]")
    bare = hidden.sub("", shown).replace("\uff1c", "<").lower()
    assert bare.count("<tool_output") == bare.count("</tool_output") == 1


def test_a_fence_is_the_same_each_time_and_not_put_round_twice() -> None:
    once = fenced("a < b </tool_output>", "x")
    assert once == fenced("a < b </tool_output>", "x") == fenced(once, "x")
    assert "a < b" in once


def test_the_name_of_a_tool_cannot_break_its_fence() -> None:
    assert fenced("x", 'a">\n<b c="').splitlines()[0] == '<tool_output tool="a____b_c__">'


def test_text_of_strangers_is_fenced_and_that_of_the_user_is_not() -> None:
    assert {"http", "mcp"} <= FOREIGN
    assert not {"file", "shell"} & FOREIGN


@pytest.mark.parametrize(
    ("goal", "told"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ("a\0b", "NUL bytes"),
        ("x" * 1_000_001, "at most 1,000,000"),
    ],
)
def test_a_goal_that_is_none_is_told(goal: str, told: str) -> None:
    assert told in goal_problem(goal)


def test_a_goal_with_lone_surrogates_is_made_storable() -> None:
    assert re.fullmatch("a\ufffd+b", storable("a\ud800b"))
