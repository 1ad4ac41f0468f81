"""show --duplicates and --no-cache, as they are typed."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.cli.parts import Place

LISTS = {"calls": [{"name": "list_dir", "arguments": {}}]}
USED = {"input": 10_000, "output": 100}


@pytest.fixture
def full(place: Place) -> Place:
    """A workspace whose listing is long, and turns that ask for it twice."""
    for number in range(60):
        (place.work / f"a-file-with-a-name-{number:03}").touch()
    turns: list[dict[str, Any]] = [{**LISTS, "usage": USED}, {**LISTS, "usage": USED}]
    place.turns(*turns, {"text": "done", "usage": USED}, rates={"input": 2, "output": 10})
    return place


def ends(place: Place) -> list[dict[str, Any]]:
    return place.events("ToolEnded")


def test_the_second_look_is_referred_to_the_first(full: Place) -> None:
    assert full.run().code == 0
    first, second = ends(full)
    assert second["reused"] == first["call_id"]
    assert second["text"].startswith("[cached: ")
    assert second["spared_bytes"] == len(first["text"]) - len(second["text"])


def test_another_task_is_given_what_this_one_saw(full: Place) -> None:
    full.run()
    task = full.last()["id"]
    full.run()
    first, second = ends(full)
    assert first["reused"].startswith(f"{task}:")
    assert first["text"].endswith(" ago]")
    assert second["reused"] == first["call_id"]


def test_no_cache_looks_again_every_time(full: Place) -> None:
    full.run()
    full.run("the goal", "--no-cache")
    assert not any("reused" in end or "lookup" in end for end in ends(full))


def test_the_settings_switch_it_off_too(full: Place) -> None:
    full.user_file.write_text("no_cache = true\n", encoding="utf-8")
    full.run()
    assert not any("reused" in end or "lookup" in end for end in ends(full))
    full.user_file.write_text("lookup_ttl = 0\n", encoding="utf-8")
    full.run()
    full.run()
    first, second = ends(full)
    assert "reused" not in first
    assert second["reused"] == first["call_id"]


def test_a_resume_takes_no_cache_as_well(full: Place) -> None:
    assert full.run("the goal", "--max-steps", "1").code != 0
    done = full.cli("resume", "@last", "--max-steps", "9", "--no-cache")
    assert done.code == 0, done.err
    first, second = ends(full)
    assert ("lookup" in first, "reused" in second) == (True, False)


def test_what_was_looked_up_again_is_shown_with_what_it_cost(full: Place) -> None:
    full.run("the goal", "--no-cache")
    shown = full.cli("show", "@last", "--duplicates")
    assert shown.code == 0, shown.err
    assert "list_dir {}" in shown.out
    assert "1 of 2 look-ups had been made before." in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "reuse kept" not in shown.out
    found = full.cli("show", "@last", "--duplicates", "--json").json
    (line,) = found["lines"]
    assert (line["tool"], line["arguments"], line["calls"]) == ("list_dir", "{}", 2)
    assert (line["repeats"], line["reused"], line["spared_bytes"]) == (1, 0, 0)
    assert line["repeat_micros"] > 5_000
    assert found["total"]["repeat_micros"] == line["repeat_micros"]


def test_what_reuse_saved_is_shown(full: Place) -> None:
    full.run()
    shown = full.cli("show", "@last", "--duplicates").out
    assert "reuse kept about" in shown
    (line,) = full.cli("show", "@last", "--duplicates", "--json").json["lines"]
    assert line["reused"] == 1
    assert line["spared_micros"] > line["repeat_micros"]


def test_a_task_without_repeats_says_so(place: Place) -> None:
    place.turns(LISTS, {"text": "done"})
    place.run()
    shown = place.cli("show", "@last", "--duplicates")
    assert shown.out == "Nothing was looked up twice (look-ups in all: 1).\n"
    found = place.cli("show", "@last", "--duplicates", "--json").json
    assert (found["lookups"], found["lines"], found["total"]) == (1, [], {})


def test_a_file_is_not_read_twice_and_a_change_of_it_is_seen(place: Place) -> None:
    file = place.work / "a.txt"
    file.write_text("old text\n" * 90, encoding="utf-8")
    reads = {"calls": [{"name": "read_file", "arguments": {"path": "a.txt"}}]}
    writes = {"name": "write_file", "arguments": {"path": "a.txt", "text": "new\n"}}
    place.turns(reads, {"calls": [writes]}, reads, {"text": "done"})
    assert place.run("the goal", "--approve", "auto").code == 0
    assert [end["text"] for end in ends(place)][2] == "new\n"
    assert "reused" not in ends(place)[2]


def test_hostile_names_are_shown_harmless(place: Place) -> None:
    name = "\x1b[31mred"
    (place.work / name).mkdir()
    look = {"calls": [{"name": "list_dir", "arguments": {"path": name}}]}
    place.turns(look, look, {"text": "done"})
    place.run()
    shown = place.cli("show", "@last", "--duplicates")
    assert "\x1b" not in shown.out
    assert os.fsencode(name) not in shown.out.encode()
