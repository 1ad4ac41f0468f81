"""What is printed, word for word, at 80 columns without colour, and the fields of every --json."""

from __future__ import annotations

from typing import Any

import pytest

from agentctl.core.events import KINDS, from_json
from agentctl.core.rows import TaskRow
from agentctl.reports.costs import CostLine, Share
from agentctl.settings_keys import KEYS
from tests.cli.parts import Place, plain, shell

PRICES = {"input": 3, "output": 15, "cache_read": 0.3}
LOOK = {
    "text": "I look first.",
    "calls": [shell("echo three files; echo two folders")],
    "usage": {"input": 1000, "cache_read": 200, "output": 50},
}
ANSWER = {"text": "There are [3] files.", "usage": {"input": 1200, "output": 20}}
RUN_ERR = """\
Task TASK-ID1 · scripted/script · /
sandbox: AS-HERE
I look first.
step 1 · 1,050 tokens (19 % cached) · $0.0032 of $0.50 · TIME
✓ run_shell {"command":"echo three files; echo two folders"} TIME
step 2 · 2,270 tokens (8 % cached) · $0.0071 of $0.50 · TIME
Done: 2 steps, 2,070 tokens processed of 2,270 sent and received, $0.0071.
"""
LIST = """\
Task      Status  Age  Steps     Cost  Goal
─────────────────────────────────────────────────────────────
TASK-ID1  done     0s      2  $0.0071  count: count the files
"""
SHOW = """\
Task       TASK-ID1 count
Goal       count the files
Status     done
Model      scripted/script
Workspace  /
Created    MOMENT
Steps      2 of 100
Tokens     2,070 processed, 2,270 in all
Cost       $0.0071 of $0.50
Took       TIME

   1  model  1,000 in (200 cached), 50 out, $0.0032
      run_shell  ok, TIME, 24 characters
   2  model  1,200 in, 20 out, $0.0039

There are [3] files.
"""
COSTS_BY_DAY = """\
Day         Calls  Input  Cached  Written  Output    Saved     Cost
───────────────────────────────────────────────────────────────────
2026-01-02      2  2,200     200        0      70  $0.0005  $0.0071

Total           2  2,200     200        0      70  $0.0005  $0.0071

2,070 tokens processed, 2,270 with those from a cache
caching saved $0.0005
this hour $0.0071 of $10.00 (0 %)
"""
COSTS_BY_MODEL = """\
Model            Calls  Input  Cached  Written  Output    Saved     Cost
────────────────────────────────────────────────────────────────────────
scripted/script      2  2,200     200        0      70  $0.0005  $0.0071

Total                2  2,200     200        0      70  $0.0005  $0.0071

2,070 tokens processed, 2,270 with those from a cache
caching saved $0.0005
this hour $0.0071 of $10.00 (0 %)
"""
MORE = ("stopped", "limits", "children", "forks", "history", "children_cost_micros")
RESULT = {
    "task_id": str, "kind": str, "outcome": str, "exit_code": int, "answer": str, "steps": int,
    "cost_micros": int, "unpriced_calls": int, "tokens_processed": int, "tokens_total": int,
    "account": str, "switched": list, "data": type(None),
    "children_cost_micros": int,
}  # fmt: skip


def run(place: Place, *words: str) -> Any:
    place.turns(LOOK, ANSWER, rates=PRICES)
    return place.run(
        "count the files", "--approve", "auto", "--cwd", "/", "--name", "count", *words
    )


def test_run_prints_the_result_alone_on_stdout_and_the_rest_on_stderr(place: Place) -> None:
    ran = run(place)
    assert (ran.code, ran.out) == (0, "There are [3] files.\n")
    assert plain(ran.err, place) == RUN_ERR


def test_quiet_prints_the_result_only(place: Place) -> None:
    ran = run(place, "-q")
    assert (ran.code, ran.out, ran.err) == (0, "There are [3] files.\n", "")


def test_verbose_prints_what_tools_say(place: Place) -> None:
    assert "    three files\n    two folders\n" in run(place, "-v").err


def test_a_result_can_go_to_a_file_instead_of_stdout(place: Place) -> None:
    ran = run(place, "-o", "answer.txt")
    assert ran.out == ""
    assert (place.work / "answer.txt").read_text() == "There are [3] files.\n"


def test_list_show_and_costs_as_they_look_at_80_columns(place: Place) -> None:
    run(place)
    for words, expected in (
        (("list",), LIST),
        (("show", "@last"), SHOW),
        (("costs", "report"), COSTS_BY_DAY),
        (("costs", "report", "--by", "model"), COSTS_BY_MODEL),
    ):
        shown = place.cli(*words)
        assert (shown.code, shown.err) == (0, ""), words
        assert plain(shown.out, place) == expected, words
        assert max(map(len, shown.out.splitlines())) <= 80


def test_nothing_is_coloured_where_there_is_no_terminal(place: Place) -> None:
    ran = run(place)
    shown = [place.cli(*words) for words in (("list",), ("show", "@last"), ("costs", "report"))]
    assert not [one for one in (ran, *shown) if "\x1b" in one.out + one.err]


def test_a_home_without_tasks_says_what_to_do(place: Place) -> None:
    assert "agentctl run" in place.cli("list").out
    assert "No model call has been made yet." in place.cli("costs", "report").out
    assert place.cli("list", "--json").json == []


def test_help_works_for_every_command(place: Place) -> None:
    commands = ("run", "list", "show", "pause", "resume", "cancel", "costs", "info", "trust")
    told = place.cli("--help").out
    assert all(name in told for name in commands)
    for words in (("run",), ("costs", "report"), ("resume",)):
        helped = place.cli(*words, "--help")
        assert (helped.code, helped.err) == (0, "")
        assert "agentctl" in helped.out


# --- --json -------------------------------------------------------------------------------------


def check(value: dict[str, Any], fields: dict[str, type]) -> None:
    assert {name: type(value.get(name)) for name in fields} == fields
    assert set(value) == set(fields)


def test_run_as_json_is_a_line_per_event_and_a_result(place: Place) -> None:
    ran = run(place, "--json")
    *lines, result = [line for line in ran.lines if line["kind"] != "Tokens"]
    check(result, RESULT)
    assert (result["kind"], result["outcome"], result["exit_code"]) == ("Result", "done", 0)
    assert (result["answer"], result["cost_micros"]) == ("There are [3] files.", 7_110)
    first = lines[0]["seq"]
    assert [line["seq"] for line in lines] == list(range(first, first + len(lines)))
    for line in lines:
        assert set(line) == {"task_id", "seq", "at_ms", "kind", "event"}
        assert line["task_id"] == result["task_id"]
        assert line["kind"] in KINDS
    assert ran.err == ""


def test_the_events_of_the_json_lines_are_those_of_the_log(place: Place) -> None:
    *lines, _ = run(place, "--json").lines
    for kind in ("ModelAnswered", "ToolStarted", "ToolEnded", "Finished"):
        told = [line["event"] for line in lines if line["kind"] == kind]
        assert told == place.events(kind) != []


def test_the_event_log_can_be_read_back(place: Place) -> None:
    run(place)
    for line in place.cli("show", "@last", "--events").out.splitlines():
        _, kind, body = line.split(maxsplit=2)
        from_json(kind, body)


def test_list_and_show_as_json(place: Place) -> None:
    run(place)
    (row,) = place.cli("list", "--json").json
    assert set(row) == set(TaskRow.__struct_fields__)
    assert (row["name"], row["status"], row["cost_micros"]) == ("count", "done", 7_110)
    shown = place.last()
    assert set(shown) == {*row, "answer", "events", *MORE}
    assert {name: shown[name] for name in row} == row
    assert shown["answer"] == "There are [3] files."
    assert shown["events"] == len(place.cli("show", "@last", "--events").out.splitlines())


@pytest.mark.parametrize("by", ["day", "hour", "task", "model"])
def test_costs_as_json(place: Place, by: str) -> None:
    run(place)
    report = place.cli("costs", "report", "--json", "--by", by).json
    period = {"since_ms", "until_ms", "timezone"}
    assert set(report) == {"schema", "by", "lines", "total", "limits", *period}
    assert (report["schema"], report["by"]) == (1, by)
    (line,) = report["lines"]
    assert set(line) == set(report["total"]) == set(CostLine.__struct_fields__)
    assert line["cost_micros"] == report["total"]["cost_micros"] == 7_110
    (share,) = report["limits"]
    assert set(share) == set(Share.__struct_fields__)
    assert share == {"name": "this hour", "spent_micros": 7_110, "cap_micros": 10_000_000}


def test_info_as_json(place: Place) -> None:
    info = place.cli("info", "--json").json
    assert set(info) == {"version", "sqlite", "settings", "tables", "paths"}
    assert info["settings"]["context"]["value"] == "auto"
    assert set(info["settings"]) == set(KEYS)
    assert all(set(entry) == {"value", "from"} for entry in info["settings"].values())
    assert info["paths"]["state home"] == str(place.home)
    assert info["paths"]["database"] == str(place.home / "agentctl.db")


def test_pause_cancel_and_resume_as_json(place: Place) -> None:
    place.turns({"fault": {"status": 401}}, ANSWER)
    assert place.run().code == 1
    task = place.last()["id"]
    paused, cancelled = place.cli("pause", task, "--json"), place.cli("cancel", task, "--json")
    for answer in (paused, cancelled):
        assert answer.code == 0
        check(answer.json, {"task_id": str, "message": str, "dry_run": bool})
        assert answer.json["task_id"] == task


def test_resume_as_json_ends_with_a_result(place: Place) -> None:
    place.turns(LOOK, ANSWER, rates=PRICES)
    assert place.run("x", "--approve", "auto", "--max-steps", "1", "--json").lines[-1]["steps"] == 1
    resumed = place.cli("resume", "@last", "--max-steps", "5", "--json")
    assert resumed.code == 0
    check(resumed.lines[-1], RESULT)
    assert resumed.lines[-1]["steps"] == 2
