"""context, as it is typed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.cli.parts import ROOT, Place, Terminal, shell
from tests.cli.test_startup import imported

PRICES = {"input": 2, "output": 10, "cache_read": 0.1, "cache_write": 2.5}


def turn(number: int) -> dict[str, Any]:
    base = 1_000 + number * 900
    usage = {"input": base, "cache_read": base - 900, "cache_write": 900, "output": 60}
    call = {**shell(f"seq {number * 100} {number * 100 + 600}"), "id": f"c{number}"}
    return {"text": f"Step {number}", "calls": [call], "usage": usage}


@pytest.fixture
def full(place: Place) -> Place:
    """A task whose requests were shortened by the policy "window"."""
    place.turns(
        *(turn(number) for number in range(1, 13)),
        {"text": "Done \x1b[31mred", "usage": {"input": 12_700, "output": 20}},
        rates=PRICES,
    )
    words = ("--approve", "auto", "--context", "window")
    assert place.run("Look at \x1b[2J the numbers", *words).code == 0
    return place


def test_each_message_is_shown_with_its_tokens_its_fate_and_why(full: Place) -> None:
    shown = full.cli("context", "@last")
    assert (shown.code, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1] == "Next request: 12,720 tokens"
    said = " ".join(shown.out.split())
    assert "Policy window: at 159 % of 8,000 tokens" in said
    times = len(full.events("ContextPruned"))
    assert times > 1
    assert f"Shortened: {times} times; the last time because about" in said
    assert re.search(r"^system +\d+ +kept +always +prompt and rules$", shown.out, re.MULTILINE)
    assert re.search(r"^tools +\d+ +kept +always +9 descriptions$", shown.out, re.MULTILINE)
    assert re.search(r"^1 +user +\d+ +kept +the goal +Look at ", shown.out, re.MULTILINE)
    gone = r"^2-\d+ +0 +[\d,]+ +dropped +old turn +\d+ messages$"
    assert re.search(gone, shown.out, re.MULTILINE)
    assert re.search(r"^26 +assistant +\d+ +kept +last 3 turns +Done", shown.out, re.MULTILINE)
    assert "12,720 tokens of the whole were reported" in said
    assert "estimated, at 3.40 bytes a token" in said


def test_hostile_text_is_shown_harmless(full: Place) -> None:
    for words in ((), ("--policy", "all")):
        assert "\x1b" not in full.cli("context", "@last", *words).out
        with Terminal(full, "context", "@last", *words) as terminal:
            assert terminal.end() == 0
        assert "\x1b" not in terminal.text


def test_a_stream_that_knows_only_ascii_gets_only_ascii(full: Place) -> None:
    for words in ((), ("--policy", "all")):
        shown = full.cli("context", "@last", *words, PYTHONIOENCODING="ascii", LC_ALL="C")
        assert shown.out.isascii()
        assert "\\u" not in shown.out
        assert "-----" in shown.out


def test_as_json_every_message_is_there_and_every_field_is_described(full: Place) -> None:
    found = full.cli("context", "@last", "--json").json
    numbers = [message["number"] for message in found["messages"]]
    assert numbers == [1, 0, *range(2, 27)]
    assert found["tokens"] == found["reported"] == 12_720
    assert found["prunes"] == len(full.events("ContextPruned"))
    assert found["why"] == full.events("ContextPruned")[-1]["why"]
    assert (found["most_tokens"], found["window_tokens"]) == (8_000, None)
    compared = full.cli("context", "@last", "--policy", "all", "--json").json
    page = (ROOT / "docs" / "events.md").read_text()
    told = set(re.findall(r"`([a-z_]+)`", page.partition("- `context --json`")[2]))
    fields = {*found, *found["messages"][0], *compared, *compared["was"], *compared["estimated"][0]}
    assert fields <= told


def test_a_task_that_was_never_asked_is_shown_too(place: Place) -> None:
    place.turns({"fault": {"status": 401}})
    place.run()
    shown = place.cli("context", "@last")
    assert shown.code == 0
    assert "Shortened: never yet" in shown.out
    assert "All tokens are estimated" in shown.out
    compared = place.cli("context", "@last", "--policy", "all")
    assert compared.code == 0
    assert "there is nothing to compare" in compared.out


def test_policies_are_compared_with_what_really_happened(full: Place) -> None:
    shown = full.cli("context", "@last", "--policy", "all")
    assert (shown.code, shown.err) == (0, "")
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "~ is an estimate" in shown.out
    rows = re.findall(r"^(as it was|auto|window|none)\b", shown.out, re.MULTILINE)
    assert rows == ["as it was", "auto", "window", "none"]
    found = full.cli("context", "@last", "--policy", "all", "--json").json
    was, (auto, window, none) = found["was"], found["estimated"]
    assert was["cost_micros"] == full.last()["cost_micros"]
    assert {name: window[name] for name in was} == was
    assert auto["prunes"] == none["prunes"] == 0
    assert none["input"] > was["input"]
    assert none["largest"] > was["largest"]


def test_one_policy_can_be_asked_for_and_others_are_not_known(full: Place) -> None:
    found = full.cli("context", "@last", "--policy", "none", "--json").json
    assert [each["policy"] for each in found["estimated"]] == ["none"]
    ran = full.cli("context", "@last", "--policy", "best")
    assert (ran.code, ran.out) == (2, "")
    assert "write --policy with one of: auto, window," in ran.err


def test_nothing_is_written_and_no_provider_is_loaded(full: Place) -> None:
    events = full.last()["events"]
    loaded = imported(full, "context", "@last", "--policy", "all")
    assert not loaded & {"openai", "anthropic", "httpx2"}
    assert full.last()["events"] == events
