"""The whole program: what a goal, a name, a model or a tool says is never more than text."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from tests.cli.parts import Place, Terminal
from tests.escape import table
from tests.escape.harmless import TEXTS

ODD = "\n".join([*table.SEQUENCES, *table.MARKUP, *table.SQL])


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run whose goal, name, model and tool say all that the table has."""
    place = Place(tmp_path_factory.mktemp("place"))
    (place.work / "odd.txt").write_text(ODD, newline="")
    calls = [{"name": "read_file", "arguments": {"path": "odd.txt"}}]
    place.turns({"text": ODD, "calls": calls}, {"text": ODD})
    done = place.run(ODD, "--name", "x'; DROP TABLE events; --")
    assert done.code == 0, done.err
    assert done.out == f"{ODD}\n"
    return place


def acts(text: str) -> set[str]:
    """What of the odd characters is there raw; colours and cursor are the program's own."""
    kinds = ("Cf", "Zl", "Zp")
    return {c for c in text if unicodedata.category(c) in kinds or "\x7f" <= c <= "\x9f"}


JSON = [
    ("show", "@last", "--json"),
    ("list", "--json"),
    ("costs", "report", "--by", "task", "--json"),
    ("show", "@last", "--duplicates", "--json"),
]


@pytest.mark.parametrize("words", JSON, ids=" ".join)
def test_json_on_a_terminal_is_json_and_harmless(ran: Place, words: tuple[str, ...]) -> None:
    with Terminal(ran, *words) as terminal:
        assert terminal.end() == 0
    text = terminal.text.replace("\r\n", "")
    assert acts(text) == set()
    assert "\x1b" not in text
    assert json.loads(text) is not None


@pytest.mark.parametrize(
    "words",
    [
        ("show", "@last"),
        ("list",),
        ("costs", "report", "--by", "task"),
        ("show", "@last", "--events"),
    ],
    ids=" ".join,
)
def test_reports_on_a_terminal_are_harmless(ran: Place, words: tuple[str, ...]) -> None:
    with Terminal(ran, *words) as terminal:
        assert terminal.end() == 0
    assert acts(terminal.text) == set()
    for sequence in ("\x1b]", "\x1bP", "\x1b_", "\x1b^", "\x1bX", "\x1bc", "\x07", "\x08"):
        assert sequence not in terminal.text, repr(sequence)


@pytest.mark.parametrize("text", table.MARKUP)
def test_markup_is_shown_as_it_is(ran: Place, text: str) -> None:
    assert text in ran.cli("show", "@last").out


@pytest.mark.parametrize("text", table.SQL)
def test_sql_names_no_task_and_changes_none(ran: Place, text: str) -> None:
    asked = ran.cli("show", text, "--json")
    assert asked.code != 0
    assert "task" in asked.err.lower()
    assert ran.last()["goal"] == ODD


def test_goal_answer_and_results_are_kept_as_they_were(ran: Place) -> None:
    assert ran.last()["goal"] == ODD
    (ended,) = ran.events("ToolEnded")
    assert ended["text"] == ODD


@pytest.mark.parametrize("text", table.LOWERING, ids=range(len(table.LOWERING)))
@pytest.mark.parametrize(
    "words", [("--approve", "never"), ("--approve", "auto", "--deny", "write_file")], ids=" ".join
)
def test_a_result_that_asks_for_leave_gets_none(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    place = Place(tmp_path)
    (place.work / "page.txt").write_text(text)
    place.turns(
        {"calls": [{"name": "read_file", "arguments": {"path": "page.txt"}}]},
        {"calls": [{"name": "write_file", "arguments": {"path": "evil", "text": text}}]},
        {"calls": [{"name": "write_file", "arguments": {"path": ".agentctl.toml", "text": text}}]},
        {"text": "done"},
    )
    place.run("x", *words)
    ends = place.events("ToolEnded")
    assert [end["status"] for end in ends if end["tool"] == "write_file"] == ["denied"] * 2
    assert [path.name for path in place.work.iterdir()] == ["page.txt"]


def test_the_users_own_settings_cannot_be_written_by_a_tool(tmp_path: Path) -> None:
    """With the home as workspace, and every call allowed."""
    place = Place(tmp_path)
    rule = '[permissions]\nallow = ["*"]\n'
    paths = [".config/agentctl/config.toml", "home/events.db", ".bashrc"]
    calls = [{"name": "write_file", "arguments": {"path": each, "text": rule}} for each in paths]
    place.turns({"calls": calls}, {"text": "done"})
    done = place.run("x", "--approve", "auto", cwd=tmp_path)
    assert done.code == 0, done.err
    ends = [end["text"] for end in place.events("ToolEnded")]
    assert ["belongs to agentctl" in end or "is protected" in end for end in ends] == [True] * 3
    assert not place.user_file.exists()
    assert not (tmp_path / ".bashrc").exists()


def test_harmless_texts_come_through_a_run_as_they_are(tmp_path: Path) -> None:
    """As goal, as what a model says, as arguments of a call, in the log and as JSON."""
    place = Place(tmp_path)
    texts = {name: text for name, text in TEXTS.items() if len(text) < 1_000}
    whole = "\n".join(texts.values())
    calls = [{"name": "write_file", "arguments": {"path": "out.txt", "text": whole}}]
    calls.append({"name": "read_file", "arguments": {"path": "out.txt"}})
    place.turns({"text": whole, "calls": calls[:1]}, {"calls": calls[1:]}, {"text": whole})
    done = place.run(whole, "--approve", "auto")
    assert done.code == 0, done.err
    assert done.out == f"{whole}\n"
    assert (place.work / "out.txt").read_bytes() == whole.encode()
    assert place.last()["goal"] == whole
    assert place.events("ToolEnded")[1]["text"] == whole
    lines = place.run(whole, "--approve", "auto", "--json").lines
    created = [each for each in lines if each.get("kind") == "TaskCreated"]
    assert created[0]["event"]["goal"] == whole


def test_the_setting_lets_http_get_reach_what_it_names(tmp_path: Path, server: Any) -> None:
    place = Place(tmp_path)
    server.pages["/"] = (200, {"Content-Type": "text/plain"}, b"here")
    calls = [{"name": "http_get", "arguments": {"url": f"{server.url}/"}}]
    place.turns({"calls": calls}, {"text": "done"})
    place.run("x", "--approve", "auto")
    (refused,) = place.events("ToolEnded")
    assert "The user can allow it in the setting http_allowed" in refused["text"]
    place.user_file.write_text(f'http_allowed = ["127.0.0.1:{server.port}"]\n')
    place.run("x", "--approve", "auto")
    (given,) = place.events("ToolEnded")
    assert "here" in given["text"].splitlines()


@pytest.mark.parametrize("host", ["http://127.0.0.1", "a b", "*", "127.0.0.1/8", "::1", "a:b"])
def test_the_setting_takes_hosts_and_ports_only(tmp_path: Path, host: str) -> None:
    place = Place(tmp_path)
    place.user_file.write_text(f'http_allowed = ["{host}"]\n')
    asked = place.cli("list")
    refused = place.run("x")
    assert (asked.code, refused.code != 0) == (0, True)
    assert "is neither a host nor host:port" in refused.err
