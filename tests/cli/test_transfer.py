"""export and import: a task moves to another machine, and a file never decides anything there."""

from __future__ import annotations

import json
import re
import shutil
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.cli.parts import Place, shell

TURNS = (
    {"text": "one", "calls": [shell("echo 1 >> log; seq 9000")]},
    {"text": "two", "calls": [{"name": "list_dir"}]},
    {"text": "the answer"},
    {"text": "the second answer"},
)
CANARY = "canary-77aa1c4e9b02"


def exported(place: Place, *words: str) -> Path:
    """A file with a task that is done."""
    place.turns(*TURNS, rates={"input": 3, "output": 15})
    assert place.run("x", "--approve", "auto", *words).code == 0
    file = place.work / "task.jsonl"
    done = place.cli("export", "@last", "-o", str(file))
    assert (done.code, done.out) == (0, "")
    return file


@pytest.fixture
def there(tmp_path: Path) -> Place:
    """Another machine."""
    other = tmp_path / "there"
    other.mkdir()
    return Place(other)


def forged(file: Path, number: int, **fields: Any) -> Path:
    """The file with fields of one of its events changed."""
    lines = file.read_text().splitlines()
    line = json.loads(lines[number])
    line["event"] |= fields
    lines[number] = json.dumps(line)
    file.write_text("\n".join(lines) + "\n")
    return file


def test_a_file_has_the_same_bytes_each_time_and_on_stdout(place: Place) -> None:
    file = exported(place)
    assert place.cli("export", "@last").out == file.read_text()
    found = place.cli("export", "@last", "-o", str(file), "--json").json
    assert found["bytes"] == file.stat().st_size
    assert file.stat().st_mode & 0o077 == 0


def test_an_imported_task_is_shown_replayed_and_gone_on_with(place: Place, there: Place) -> None:
    file = exported(place)
    task = place.last()["id"]
    found = there.cli("import", str(file), "--json").json
    assert (found["task_id"], found["status"]) == (task, "done")
    events = [place.cli("show", task, "--events").out, there.cli("show", task, "--events").out]
    assert events[1].startswith(events[0])
    assert there.last()["answer"] == "the answer"
    assert there.cli("replay", task).code == 0
    shown = place.cli("show", task, "--events").out
    ref = shown.partition('"output_ref":"')[2][:16]
    assert there.cli("show", task, "--output", ref).out.endswith("9000\n")
    there.turns(*TURNS)
    on = there.cli("fork", task, "--goal", "on", "--script", str(there.script), "--run")
    assert on.out == "the second answer\n"
    assert there.cli("replay", "@last").code == 0


def test_what_was_paid_there_is_not_counted_here(place: Place, there: Place) -> None:
    there.cli("import", str(exported(place)))
    assert there.last()["cost_micros"] == 0
    assert there.cli("costs", "report", "--json").json["total"]["calls"] == 0
    assert there.cli("costs", "check").code == 0


def test_a_task_that_stood_still_is_resumed_here(place: Place, there: Place) -> None:
    place.turns(TURNS[0], {"fault": {"status": 401}})
    assert place.run("x", "--approve", "auto").code == 1
    file = place.work / "task.jsonl"
    place.cli("export", "@last", "-o", str(file))
    task = there.cli("import", str(file)).out.strip()
    assert there.last()["status"] == "failed"
    ran = there.cli("resume", task, "--provider", "offline")
    assert there.last()["cwd"] == str(there.work)
    assert "Traceback" not in ran.err


def test_the_same_file_twice_is_two_tasks(place: Place) -> None:
    file = exported(place)
    task = place.last()["id"]
    first = place.cli("import", str(file)).out.strip()
    second = place.cli("import", str(file)).out.strip()
    assert len({task, first, second}) == 3


def test_a_file_chooses_nothing(place: Place, there: Place) -> None:
    file = exported(place, "--allow", "run_shell", "--max-cost", "400", "--sandbox", "off")
    forged(
        file, 1, cwd="/etc", account="other", reuse=True, fallbacks=["openai/gpt-6.1-sol"],
        options={"openai:base_url": "https://evil.example", "tools": "/tmp/evil.py"},
        profile="p", agent="a",
    )  # fmt: skip
    ran = there.cli("import", str(file), "--json").json
    (event,) = there.events("Imported")
    made = event["created"]
    assert made["cwd"] == str(there.work)
    assert made["limits"].get("task_cost_micros", 500_000) == 500_000
    for name in ("options", "rules", "fallbacks", "reuse", "account", "profile", "agent"):
        assert name not in made
    assert made.get("approve", "ask") == "ask"
    assert made.get("sandbox", {}).get("mode", "auto") == "auto"
    assert len(ran["dropped"]) == 8
    assert "evil" not in there.cli("show", "@last").out


@pytest.mark.parametrize(
    ("number", "fields"),
    [(3, {"call": "one"}), (4, {"message": {"role": "root"}}), (1, {"limits": {"steps": 1 << 70}})],
)
def test_a_bad_line_is_named_and_nothing_is_written(
    place: Place, there: Place, number: int, fields: dict[str, Any]
) -> None:
    file = forged(exported(place), number, **fields)
    ran = there.cli("import", str(file))
    assert ran.code == 2
    assert f"line {number + 1}" in ran.err
    assert there.cli("list", "--json").json == []


def test_a_task_of_the_future_is_refused(place: Place, there: Place) -> None:
    file = exported(place)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[-2]["at_ms"] = 1 << 50
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ran = there.cli("import", str(file))
    assert (ran.code, "future" in ran.err) == (2, True)


@pytest.mark.parametrize("name", ["missing.jsonl", "folder"])
def test_what_is_no_file_is_refused(place: Place, name: str) -> None:
    (place.work / "folder").mkdir()
    ran = place.cli("import", name)
    assert (ran.code, "cannot be read" in ran.err) == (2, True)


def test_no_secret_is_in_a_file(place: Place) -> None:
    """Also one that was no secret yet when the task ran."""
    place.turns({"text": "one", "calls": [shell(f"seq 9000; echo {CANARY}")]}, {"text": CANARY})
    place.run(f"use {CANARY}", "--approve", "auto")
    file = place.work / "task.jsonl"
    place.cli("export", "@last", "-o", str(file))
    assert CANARY in file.read_text()
    place.cli("export", "@last", "-o", str(file), SERVICE_TOKEN=CANARY)
    assert CANARY not in file.read_text()
    assert CANARY not in place.cli("export", "@last", SERVICE_TOKEN=CANARY).out
    shutil.rmtree(place.home)
    assert place.cli("import", str(file)).code == 0


def test_a_recording_is_a_script(place: Place, there: Place) -> None:
    file = exported(place)
    ran = there.cli("run", "again", "--script", str(file), "--approve", "auto")
    assert (ran.code, ran.out) == (0, "the answer\n")
    assert (there.work / "log").read_text() == "1\n"
    assert there.last()["cost_micros"] == 0
    bad = there.work / "bad.jsonl"
    bad.write_text(file.read_text().replace('"seq":3', '"seq":7'))
    ran = there.cli("run", "again", "--script", str(bad))
    assert (ran.code, "line 5" in ran.err) == (2, True)


def test_the_test_in_the_page_passes_with_a_recording(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.work / "notes.txt").write_text("x")
    exported(place)
    page = (Path(__file__).parents[2] / "docs" / "testing-tools.md").read_text(encoding="utf-8")
    *_, example = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(place.work)
    exec(compile(example, "testing-tools.md", "exec"), {})


def test_an_imported_task_is_sent_where_the_settings_here_say(place: Place) -> None:
    """Else its words, and the key of this machine, would go to the provider's usual server."""
    settings = 'attempts = 1\nprovider = "openai"\nbase_url = "http://127.0.0.1:{}/v1"\n'
    place.user_file.write_text(settings.format(9))
    key = {"OPENAI_API_KEY": "x"}
    assert place.cli("run", "hi", "--allow-unpriced", **key).code == 1
    place.cli("export", "@last", "-o", "task.jsonl")
    brought = place.cli("import", "task.jsonl")
    assert brought.code == 0, brought.err
    asked: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            """Nothing: a test has no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        place.user_file.write_text(settings.format(server.server_port))
        place.cli("resume", "@last", "--allow-unpriced", **key)
        server.shutdown()
    assert len(asked) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"carved_micros": -1_000_000},
        {"carved_tokens": -1},
        {"credits": -5},
    ],
)
def test_no_number_of_a_file_makes_a_use_less(place: Place, fields: dict[str, int]) -> None:
    file = exported(place)
    lines = file.read_text().splitlines()
    number = next(n for n, line in enumerate(lines) if '"ToolStarted"' in line)
    told = place.cli("import", str(forged(file, number, **fields)))
    assert (told.code, f"line {number + 1}: " in told.err) == (2, True)


def test_a_schema_that_is_none_is_not_imported(place: Place) -> None:
    told = place.cli("import", str(forged(exported(place), 1, schema="{bad")))
    assert (told.code, "its schema is not JSON" in told.err) == (2, True)
