"""What only looks odd passes untouched; and how many rows the tables have."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agentctl.core.events import Recorded, ToolEnded, from_json, to_json
from agentctl.core.fence import fenced
from agentctl.core.permissions import judge
from agentctl.core.sanitize import goal_problem, storable
from agentctl.reports.text import visible, visible_json
from agentctl.tools.files import EditFile, ListDir, ReadFile, WriteFile
from agentctl.tools.search import FindFiles, SearchText
from agentctl.tools.textfile import SNIFF_BYTES
from tests.core.rule_parts import WRITE
from tests.core.rule_parts import call as call_of
from tests.escape.harmless import ENDS, NAMES, TEXTS
from tests.escape.table import ATTEMPTS
from tests.tools.helpers import call, context_of


def test_the_tables_are_as_long_as_they_should_be() -> None:
    for rows in ATTEMPTS.values():
        assert len({repr(row) for row in rows}) == len(rows), "a row is there twice"
    assert sum(map(len, ATTEMPTS.values())) >= 80
    harmless = [*TEXTS.values(), *ENDS.values(), *NAMES]
    assert len(harmless) == len(set(harmless)) >= 60


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_written_and_read_as_it_is(tmp_path: Path, name: str) -> None:
    context, text = context_of(tmp_path), TEXTS[name]
    call(WriteFile(), context, path="f", text=text)
    assert (tmp_path / "f").read_bytes() == text.encode()
    assert call(ReadFile(), context, path="f").text == text


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_a_goal_an_event_and_json_as_it_is(name: str) -> None:
    text = TEXTS[name]
    assert storable(text) == text
    assert goal_problem(text) == ("" if text.strip() else "The goal is empty.")
    ended = ToolEnded("c1", "read_file", text)
    kind, body = to_json(ended)
    assert from_json(kind, body) == ended
    assert Recorded(1, 0, ended).event == ended
    assert json.loads(visible_json(json.dumps({"a": text}, ensure_ascii=False))) == {"a": text}


SHOWN_OTHERWISE = {
    "bidi mark",
    "soft hyphen",
    "byte order mark inside",
    "private use",
    "unassigned",
}


@pytest.mark.parametrize("name", [each for each in TEXTS if each not in SHOWN_OTHERWISE])
def test_a_text_is_shown_as_it_is(name: str) -> None:
    assert visible(TEXTS[name], newlines=True) == TEXTS[name]


@pytest.mark.parametrize("name", [each for each in TEXTS if each != "fence like"])
def test_a_text_in_a_fence_is_as_it_was(name: str) -> None:
    assert fenced(TEXTS[name], "x") == f'<tool_output tool="x">\n{TEXTS[name]}\n</tool_output>'


@pytest.mark.parametrize("name", [each for each in TEXTS if each != "many line ends"])
def test_an_edit_puts_a_text_in_as_it_is(tmp_path: Path, name: str) -> None:
    context = context_of(tmp_path)
    (tmp_path / "f").write_text("before HERE after")
    call(EditFile(), context, path="f", old="HERE", new=TEXTS[name])
    assert (tmp_path / "f").read_bytes() == f"before {TEXTS[name]} after".encode()


@pytest.mark.parametrize("name", ENDS)
def test_line_ends_and_marks_of_a_file_stay(tmp_path: Path, name: str) -> None:
    context, text = context_of(tmp_path), ENDS[name]
    call(WriteFile(), context, path="f", text=text)
    assert (tmp_path / "f").read_bytes() == text.encode()
    letter = next(char for char in text if char.isalpha())
    call(EditFile(), context, path="f", old=letter, new="Z", all=True)
    assert (tmp_path / "f").read_bytes() == text.replace(letter, "Z").encode()


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_an_odd_file_name_is_a_file_name(tmp_path: Path, name: str) -> None:
    context = context_of(tmp_path)
    call(WriteFile(), context, path=name, text="one needle\n")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert call(ReadFile(), context, path=name).text == "one needle\n"
    call(EditFile(), context, path=f"./{name}", old="one", new="two")
    assert (tmp_path / name).read_text() == "two needle\n"
    for listed in (call(ListDir(), context), call(FindFiles(), context, pattern="*")):
        assert len(listed.text.splitlines()) == 1
    hit = call(SearchText(), context, pattern="needle", path=name).text
    assert hit.endswith(":1: two needle")
    assert judge([], call_of(WRITE, path=name, text=""), WRITE, str(tmp_path)).effect == "ask"


@pytest.mark.parametrize("raw", [b"\xff", b"caf\xe9", b"\xf0\x9f", b"a\x80b"], ids=ascii)
def test_a_name_that_is_no_text_is_shown_and_does_no_harm(tmp_path: Path, raw: bytes) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + raw))
    path.write_text("needle")
    context = context_of(tmp_path)
    assert "\\udc" in call(ListDir(), context).text
    assert "\\udc" in call(FindFiles(), context, pattern="*").text
    assert call(SearchText(), context, pattern="needle").text.endswith(":1: needle")


def test_a_nul_byte_beyond_what_is_looked_at_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a" * SNIFF_BYTES + b"\0b")
    assert call(ReadFile(), context_of(tmp_path), path="f").text == "a" * SNIFF_BYTES + "\0b"
