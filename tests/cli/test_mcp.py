"""MCP servers of a run: where they may be named, and that nothing of them outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.parts import PATIENCE_S, Place

pytest.importorskip("mcp", reason="needs the SDK: pip install 'agentctl[mcp]'")

FRIENDLY = Path(__file__).parents[1] / "tools" / "mcp_friendly.py"
HOSTILE = Path(__file__).parents[1] / "tools" / "mcp_hostile.py"
CALL = {"calls": [{"name": "it_good", "arguments": {}}]}
DONE = {"text": "finished"}


def server(how: str, *more: str) -> dict[str, object]:
    return {"command": sys.executable, "args": [str(HOSTILE), how, *more]}


def written(path: Path, **servers: object) -> Path:
    path.write_text(json.dumps({"mcpServers": servers}))
    return path


def soon(happened: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def alive(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def run(place: Place, *words: str) -> list[str]:
    return ["run", "x", "--script", str(place.script), "--approve", "auto", *words]


def test_a_run_uses_the_tools_of_a_file_and_a_server_that_fails_is_told_and_left_out(
    place: Place,
) -> None:
    place.turns(CALL, DONE)
    file = written(place.work / "m.json", it=server("fine"), bad=server("gone"))
    ran = place.cli(*run(place, "--mcp", str(file)))
    assert (ran.code, ran.out) == (0, "finished\n")
    assert "it_good" in ran.err
    assert "The tools of bad are left out: " in ran.err and "exit code 3" in ran.err
    assert "\x1b" not in ran.err


def test_progress_of_a_call_is_in_the_log(place: Place) -> None:
    place.turns({"calls": [{"name": "it_slow", "arguments": {"steps": 3}}]}, DONE)
    friendly = {"command": sys.executable, "args": ["-W", "ignore", str(FRIENDLY)]}
    file = written(place.work / "m.json", it=friendly)
    assert place.cli(*run(place, "--mcp", str(file))).code == 0
    (started,) = place.events("ToolStarted")
    told = [note for note in place.events("ToolNote") if note.get("call_id")]
    assert told[0] == {"source": "it_slow", "text": "0/3 step 0", "call_id": started["call_id"]}
    assert told[-1]["text"] == "2/3 step 2"
    shown = place.cli(*run(place, "--mcp", str(file), "-v"))
    assert "2/3 step 2" in shown.err


def test_a_file_that_is_wrong_stops_before_a_task_is_made(place: Place) -> None:
    place.turns(DONE)
    file = written(place.work / "m.json", it={"command": "x", "url": "http://y"})
    ran = place.cli(*run(place, "--mcp", str(file)))
    assert ran.code == 2 and "mcpServers.it: it needs either a command or an url" in ran.err
    assert place.cli("list", "--json").json == []


def test_a_read_only_run_is_not_told_of_tools_that_may_change_something(place: Place) -> None:
    place.turns(CALL, DONE)
    file = written(place.work / "m.json", it=server("fine"))
    ran = place.cli(*run(place, "--mcp", str(file), "--approve", "read-only"))
    assert "There is no tool named 'it_good'" in ran.err + place.cli("show", "@last").out


def test_settings_name_files_and_servers(place: Place) -> None:
    place.turns(CALL, DONE)
    written(place.user_file.parent / "m.json", it=server("fine"))
    args = json.dumps(["-c", "import sys; sys.exit(3)"])
    place.user_file.write_text(
        '[mcp]\nfiles = ["m.json"]\n[mcp.servers.two]\n'
        f"command = {json.dumps(sys.executable)}\nargs = {args}\n"
    )
    ran = place.cli(*run(place))
    assert "it_good" in ran.err and "The tools of two are left out" in ran.err


def test_a_projects_servers_count_only_as_they_were_when_it_was_trusted(place: Place) -> None:
    place.turns(CALL, DONE)
    file = written(place.work / ".mcp.json", it=server("fine"))
    (place.work / ".agentctl.toml").write_text('[mcp]\nfiles = [".mcp.json"]\n')
    ran = place.cli(*run(place))
    assert "mcp: not used, because the folder is not trusted" in " ".join(ran.err.split())
    assert "no tool named" in place.cli("show", "@last").out + ran.err
    place.cli("trust", str(place.work))
    assert "✓ it_good" in place.cli(*run(place)).err
    written(file, it=server("fine"), other=server("fine"))
    ran = place.cli(*run(place))
    assert "it is not as it was when its folder was trusted" in " ".join(ran.err.split())
    assert "✓ it_good" not in ran.err
    place.cli("trust", str(place.work))
    place.cli("untrust", str(place.work))
    assert "not trusted" in place.cli(*run(place)).err


def test_after_kill_9_no_process_of_a_server_is_left_and_resume_reads_its_file_anew(
    place: Place, tmp_path: Path
) -> None:
    place.turns(CALL, DONE)
    note = tmp_path / "pids"
    file = written(place.work / "m.json", it=server("family", str(note)))
    running = subprocess.Popen(
        place.command(*run(place, "--mcp", "m.json")),
        cwd=place.work, env=place.env, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with running:
        assert running.stderr is not None
        assert soon(lambda: "it_good" in place.cli("show", "@last").out)
        pids = list(map(int, note.read_text().split()))
        assert len(pids) == 2 and all(map(alive, pids))
        os.kill(running.pid, signal.SIGKILL)
    assert soon(lambda: not any(map(alive, pids)), 2)
    written(file, it=server("fine"))
    place.turns(CALL, CALL, DONE)
    ran = place.cli("resume", "@last", cwd=tmp_path)
    assert ran.code == 0 and "finished" in ran.out
    shown = place.cli("show", "@last").out
    assert "unknown" in shown and shown.count("it_good") == 2


def test_a_secret_of_the_file_is_taken_out_of_what_the_server_says(place: Place) -> None:
    friendly = HOSTILE.with_name("mcp_friendly.py")
    code = (
        f"import os, runpy; m = runpy.run_path({str(friendly)!r}); "
        "m['server'].add_tool(lambda: os.environ['OWN_TOKEN'], name='leak'); m['server'].run()"
    )
    entry = {"command": sys.executable, "args": ["-W", "ignore", "-c", code]}
    entry["env"] = {"OWN_TOKEN": "${CANARY:-canary-91736455}"}
    file = written(place.work / "m.json", it=entry)
    words = ("it_leak", "--mcp", str(file), "--approve", "auto")
    called = place.cli("tools", "call", *words)
    assert called.code == 0 and "canary" not in called.out


def test_tools_list_show_and_call_know_the_tools_of_servers(place: Place) -> None:
    file = written(place.work / "m.json", it={**server("fine"), "colour": "red"})
    listed = place.cli("tools", "list", "--json", "--mcp", "m.json")
    (found,) = [each for each in listed.json["tools"] if each["name"] == "it_good"]
    assert found["origin"] == "mcp:it"
    assert "mcpServers.it.colour is not known here" in " ".join(listed.err.split())
    assert "mcp:it" in place.cli("tools", "show", "it_good", "--mcp", str(file)).out
    called = place.cli("tools", "call", "it_good", "--mcp", str(file), "--approve", "auto")
    assert (called.code, called.out) == (0, "call 1\n")
    denied = place.cli("tools", "call", "it_good", "--mcp", str(file))
    assert denied.code == 1 and "call 1" not in denied.out
    unknown = place.cli("tools", "call", "it_bad", "--mcp", str(file))
    assert unknown.code == 2 and "There is no tool 'it_bad'" in unknown.err


def test_a_composed_tool_may_be_made_of_a_servers_tools(place: Place) -> None:
    place.turns({"calls": [{"name": "twice", "arguments": {}}]}, DONE)
    file = written(place.work / "m.json", it=server("fine"))
    flow = place.work / "flow.toml"
    flow.write_text(
        '[flow.twice]\nsequential = ["it_good", { tool = "it_good", arguments = {} }]\n'
    )
    ran = place.cli(*run(place, "--mcp", str(file), "--tools", str(flow)))
    assert ran.code == 0 and "✓ twice" in ran.err
    words = ("twice", "--mcp", str(file), "--tools", str(flow), "--approve", "auto")
    assert place.cli("tools", "call", *words).out == "call 2\n"
    before = place.cli("list", "--json").out
    assert place.cli(*run(place, "--tools", str(flow))).code == 2
    assert place.cli("list", "--json").out == before, "no task is made that could not run"
