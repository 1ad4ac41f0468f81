"""One task: in short, by steps and as a document."""

from __future__ import annotations

import html.parser
from typing import Any

import pytest

from tests.cli.parts import Place, shell

HOSTILE = "<script>alert(1)</script> \x1b[2J\u202e & `x` ```` | [a](javascript:b)"
RATES = {"rates": {"input": 3, "output": 15}}


def two_steps(place: Place, *, said: str = "I look.", **more: Any) -> None:
    place.turns({"text": said, "calls": [shell("echo found")]}, {"text": "the answer"}, **more)
    assert place.run("the goal", "--approve", "auto", "--name", "mend").code == 0


def test_a_step_has_what_was_said_called_and_given(place: Place) -> None:
    two_steps(place, **RATES)
    shown = place.cli("show", "@last", "--step", "1").out
    for part in (
        "Step 1 of 2",
        "I look.",
        "run_shell",
        "command: echo found",
        "found",
        "up to here",
    ):
        assert part in shown
    assert "the answer" not in shown
    assert "the answer" in place.cli("show", "@last", "--step", "last").out


def test_a_step_as_json_has_its_calls_and_tools(place: Place) -> None:
    two_steps(place, **RATES)
    step = place.cli("show", "@last", "--step", "1", "--json").json
    (call,), (tool,) = step["calls"], step["tools"]
    assert (step["step"], step["of"], step["text"]) == (1, 2, "I look.")
    assert (call["state"], call["purpose"], call["cost_micros"]) == (
        "answered",
        "step",
        step["cost_micros"],
    )
    assert (tool["tool"], tool["status"], tool["arguments"]) == (
        "run_shell",
        "ok",
        '{"command":"echo found"}',
    )
    assert "found" in tool["text"]


def test_the_steps_of_a_task_add_up_to_its_cost(place: Place) -> None:
    place.turns({"fault": "overloaded"}, {"calls": [shell("true")]}, {"text": "done"}, **RATES)
    place.run("x", "--approve", "auto")
    shown = place.last()
    assert shown["cost_micros"] == sum(step["cost_micros"] for step in shown["history"]) > 0
    assert [step["calls"] for step in shown["history"]] == [2, 1]


@pytest.mark.parametrize("number", ["0", "3", "-1", "two", "1.0", "٢"])
def test_a_step_that_there_is_not_is_told_with_those_that_there_are(
    place: Place, number: str
) -> None:
    two_steps(place)
    ran = place.cli("show", "@last", f"--step={number}")
    assert (ran.code, ran.out) == (2, "")
    assert "from 1 to 2, or last" in ran.err


def test_a_long_task_shows_its_last_lines_and_how_to_see_all(place: Place) -> None:
    place.turns(*[{"calls": [shell(f"true {n}")]} for n in range(20)], {"text": "done"})
    place.run("x", "--approve", "auto")
    assert "earlier lines: add --all" in place.cli("show", "@last").out
    whole = place.cli("show", "@last", "--all").out
    assert whole.count("run_shell") == 20
    assert "earlier lines" not in whole


class Reader(html.parser.HTMLParser):
    """The tags of a page, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.outside: list[str] = []
        self.depth = 0
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.outside += [f"{tag} {n}" for n, _ in attrs if n in ("src", "href") or n[:2] == "on"]

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def test_the_page_runs_nothing_and_loads_nothing_whatever_was_said(place: Place) -> None:
    place.turns(
        {"text": HOSTILE, "calls": [{"name": HOSTILE, "arguments": HOSTILE}, shell("true")]},
        {"text": HOSTILE},
    )
    place.run(HOSTILE.replace("\x1b", ""), "--approve", "auto", "--name", "a<b>")
    ran = place.cli("show", "@last", "--html")
    page = Reader()
    page.feed(ran.out)
    assert not page.tags & {"script", "link", "img", "iframe", "a", "object", "base", "form"}
    assert page.outside == []
    assert "://" not in ran.out
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out
    assert "".join(page.said).count("<script>alert(1)</script>") >= 3


def test_the_page_has_a_bar_for_each_step_and_the_cost_in_words(place: Place) -> None:
    two_steps(place, **RATES)
    out = place.cli("show", "@last", "--html").out
    assert out.count("<g><title>step ") == 4, "two steps in two charts"
    assert "Cost of each step" in out


def test_markdown_keeps_what_was_said_from_becoming_markdown(place: Place) -> None:
    two_steps(place, said=HOSTILE)
    out = place.cli("show", "@last", "--markdown").out
    lines = out.splitlines()
    place_ = next(n for n, line in enumerate(lines) if "<script>" in line)
    assert lines[place_ - 1] == "`````text", "longer than any within"
    assert lines[place_ + 1] == "`````"
    assert "\x1b" not in out


def test_a_document_goes_to_the_file_that_is_named(place: Place) -> None:
    two_steps(place)
    ran = place.cli("show", "@last", "--markdown", "-o", "x.md")
    assert (ran.code, ran.out) == (0, "")
    assert (place.work / "x.md").read_text() == place.cli(
        "show", "@last", "--markdown", "-o", "-"
    ).out
    refused = place.cli("show", "@last", "--html", "-o", "no/x.html")
    assert refused.code == 2
    assert "-o: no/x.html cannot be written" in refused.err


def test_a_secret_of_this_environment_is_in_no_document(place: Place) -> None:
    secret = "hunter2-and-a-few-more-characters"
    two_steps(place, said=f"the word is {secret}")
    for kind in ("--markdown", "--html"):
        assert secret not in place.cli("show", "@last", kind, MY_API_KEY=secret).out


@pytest.mark.parametrize("form", ["--markdown", "--html"])
def test_a_document_has_what_the_user_said_meanwhile(place: Place, form: str) -> None:
    place.turns({"text": "Done."}, {"text": "Done again."})
    place.run("Look around")
    place.cli("run", "-c", "Only the <tests>")
    shown = place.cli("show", "@last", form).out
    assert ("Only the <tests>" if form == "--markdown" else "Only the &lt;tests&gt;") in shown


def test_a_file_is_for_documents_only(place: Place) -> None:
    two_steps(place)
    told = place.cli("show", "@last", "--json", "-o", "x.json")
    assert (told.code, told.out) == (2, "")
    assert "agentctl show @last > x.json" in told.err
