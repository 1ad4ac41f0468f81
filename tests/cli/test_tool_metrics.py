"""show --tools, as it is typed."""

from __future__ import annotations

from tests.cli.parts import Place


def test_how_the_tools_of_a_task_did_is_shown(place: Place) -> None:
    look = {"name": "list_dir", "arguments": {}}
    miss = {"name": "read_file", "arguments": {"path": "gone.txt"}}
    place.turns({"calls": [look, miss, {"name": "nope", "arguments": {}}]}, {"text": "done"})
    place.run()
    shown = place.cli("show", "@last", "--tools")
    assert shown.code == 0, shown.err
    head, *rows = shown.out.splitlines()
    assert head.split()[:3] == ["Tool", "Calls", "Errors"]
    assert {row.split()[0] for row in rows if row} >= {"list_dir", "nope", "read_file", "Total"}
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "1 never begun" in shown.out
    found = place.cli("show", "@last", "--tools", "--json").json
    lines = {line["tool"]: line for line in found["lines"]}
    assert lines["list_dir"]["calls"] == 1
    assert lines["list_dir"]["p50_ms"] == lines["list_dir"]["p99_ms"] >= 0
    assert (lines["read_file"]["errors"], lines["nope"]["refused"]) == (1, 1)
    assert (found["total"]["calls"], found["total"]["errors"]) == (2, 1)


def test_a_task_without_calls_says_so(place: Place) -> None:
    place.turns({"text": "done"})
    place.run()
    shown = place.cli("show", "@last", "--tools")
    assert shown.out == "No call of a tool has ended in it yet.\n"
