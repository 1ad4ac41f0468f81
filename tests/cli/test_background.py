"""Runs in the background, and what other processes see of them."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from agentctl import detached
from agentctl.core import events as e
from tests.cli.parts import PATIENCE_S, Place, Terminal, shell
from tests.crash.helpers import eventually
from tests.escape.test_keys import BY_FORM, BY_VALUE

APPROVED = ("--approve", "auto")


def until_file(name: str) -> dict[str, Any]:
    """A command that says "begun" and goes on until a file of the workspace is there."""
    return shell(f"echo begun; until [ -e {name} ]; do sleep 0.02; done; echo over")


def held(place: Place, *words: str) -> str:
    """A run in the background that stands in its first tool call until `go` is there."""
    place.turns({"text": "first words", "calls": [until_file("go")]}, {"text": "the end"})
    done = place.run("the goal", "--detach", *APPROVED, *words)
    assert done.code == 0, done.err
    task = done.out.strip()
    eventually(lambda: place.events("ToolStarted", task), "the tool runs")
    return task


def go(place: Place) -> None:
    (place.work / "go").touch()


def pid_of(place: Place, task: str) -> int:
    found: int = place.cli("show", task, "--json").json["pid"]
    return found


def test_it_prints_the_id_alone_and_goes_on_without_its_parent(place: Place) -> None:
    task = held(place)
    row = place.last()
    assert (row["id"], row["status"]) == (task, "running")
    assert os.getsid(row["pid"]) == row["pid"]
    go(place)
    assert place.cli("wait", task).code == 0
    assert place.last()["answer"] == "the end"


def test_it_outlives_the_terminal_that_it_was_started_from(place: Place) -> None:
    place.turns({"calls": [until_file("go")]}, {"text": "the end"})
    words = ("run", "x", "--script", str(place.script), "--detach", *APPROVED)
    with Terminal(place, *words) as terminal:
        assert terminal.end() == 0
    assert place.last()["status"] == "running"
    go(place)
    assert place.cli("wait", "@last").code == 0


def test_a_reader_of_another_stream_of_the_shell_is_not_kept_waiting(place: Place) -> None:
    place.turns({"calls": [until_file("go")]}, {"text": "the end"})
    reading, writing = os.pipe()
    words = ("run", "x", "--script", str(place.script), "--detach", *APPROVED)
    subprocess.run(
        place.command(*words), env=place.env, cwd=place.work, pass_fds=[writing], timeout=30,
        stdin=subprocess.DEVNULL, capture_output=True, check=True,
    )  # fmt: skip
    os.close(writing)
    assert os.read(reading, 1) == b""  # the run is there, and this is its end
    os.close(reading)
    assert place.last()["status"] == "running"
    go(place)
    assert place.cli("wait", "@last").code == 0


def test_json_gives_the_process_and_its_log(place: Place) -> None:
    place.turns({"text": "the end"})
    told = place.run("x", "--detach", "--json").json
    assert place.cli("wait", told["task_id"]).code == 0
    assert set(told) == {"task_id", "pid", "log"}
    assert "the end" in Path(told["log"]).read_text()


def test_its_log_and_mirror_can_be_read_by_their_owner_only(place: Place) -> None:
    held(place)
    for folder in ("logs", "live"):
        path = eventually(lambda name=folder: list((place.home / name).glob("*")), folder)[0]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    go(place)
    assert place.cli("wait", "@last").code == 0
    assert list((place.home / "live").iterdir()) == []  # it goes with the run


def test_every_option_holds_there(place: Place) -> None:
    place.turns({"calls": [shell("echo x > made")]}, {"text": "the end"})
    done = place.run("x", "--detach", "-q", "-o", "answer", "--deny", "run_shell", "--name", "n")
    assert done.code == 0
    assert place.cli("wait", "n").code == 0
    assert not (place.work / "made").exists()
    assert (place.work / "answer").read_text() == "the end\n"


def test_the_last_task_of_a_folder_is_told_something_there(place: Place) -> None:
    place.turns({"text": "one"}, {"text": "two"})
    assert place.run("x").code == 0
    done = place.cli("run", "-c", "and now?", "--detach")
    assert done.code == 0, done.err
    assert place.cli("wait", done.out.strip()).code == 0
    assert place.last()["answer"] == "two"


def test_a_parent_that_has_gone_is_no_fault_of_the_child() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ready = detached.Ready(writing)
    for _ in range(2):
        ready.hear("t", e.Recorded(0, 0, e.Resumed(1)))
    ready.close()


def test_who_is_not_asked_is_told_so(place: Place) -> None:
    place.turns({"calls": [shell("echo x > made")]}, {"text": "the end"})
    assert "nobody can be asked" in place.run("x", "--detach").err
    assert place.cli("wait", "@last").code == 0
    assert not (place.work / "made").exists()
    assert "nobody" not in place.run("x", "--detach", *APPROVED).err
    assert place.cli("wait", "@last").code == 0


def test_a_mistake_is_told_before_there_is_a_task(place: Place) -> None:
    done = place.run("x", "--detach", "--max-cost", "much")
    assert (done.code, done.out) == (2, "")
    assert place.cli("list", "--json").json == []


def test_what_ends_before_it_begins_is_told_with_its_code(place: Place) -> None:
    place.turns({"text": "the end"})
    assert place.run("x").code == 0
    again = place.cli("resume", "@last", "--detach")
    assert (again.code, again.out) == (6, "")
    assert "has ended" in again.err


def test_a_task_that_runs_already_is_refused(place: Place) -> None:
    task = held(place)
    refused = place.cli("resume", task, "--detach")
    assert (refused.code, refused.out) == (7, "")
    go(place)
    assert place.cli("wait", task).code == 0


def test_several_cannot_be_resumed_there_at_once(place: Place) -> None:
    assert place.cli("resume", "--all", "--detach").code == 2


@pytest.mark.parametrize(("command", "code"), [("pause", 4), ("cancel", 5)])
def test_it_is_stopped_from_outside_and_wait_says_how(
    place: Place, command: str, code: int
) -> None:
    task = held(place)
    words = ("pause", task, "--now") if command == "pause" else ("cancel", task)
    assert place.cli(*words).code == 0
    waited = place.cli("wait", task)
    assert (waited.code, waited.out) == (code, "")
    assert task in waited.err


def test_after_kill_9_it_is_interrupted_and_resumes_in_the_background(place: Place) -> None:
    task = held(place)
    pid = pid_of(place, task)
    os.kill(pid, signal.SIGKILL)
    assert place.cli("wait", task).code == 8
    attached = place.cli("attach", task)
    assert attached.code == 8
    assert "Interrupted" in attached.err
    assert f"agentctl resume {task}" in attached.err
    assert place.cli("attach", task, "--json").lines[-1]["outcome"] == "interrupted"
    go(place)
    resumed = place.cli("resume", task, "--detach", "--on-unknown", "rerun")
    assert (resumed.code, resumed.out.strip()) == (0, task)
    assert place.cli("wait", task).code == 0


def test_no_secret_is_in_its_log_nor_in_what_others_see_live(place: Place) -> None:
    place.env["OPENAI_API_KEY"] = BY_VALUE
    (place.work / "secrets").write_text(f"{BY_VALUE}\n{BY_FORM}\n")
    command = "cat secrets; echo begun; until [ -e go ]; do sleep 0.02; done"
    place.turns({"text": f"I see {BY_VALUE}", "calls": [shell(command)]}, {"text": BY_FORM})
    done = place.run(f"use {BY_FORM}", "--detach", "-v", *APPROVED)
    assert done.code == 0
    mirror = place.home / "live" / f"{done.out.strip()}.jsonl"
    live = eventually(
        lambda: mirror.exists() and b"begun" in (x := mirror.read_bytes()) and x, "it"
    )
    go(place)
    assert place.cli("wait", "@last").code == 0
    log = (place.home / "logs" / f"{done.out.strip()}.log").read_bytes()
    attached = place.cli("attach", "@last", "-v")
    shown = place.cli("logs", "@last").out + attached.err + attached.out
    for text in (live, log, shown.encode()):
        assert b"[secret" in text
        assert BY_VALUE.encode() not in text
        assert BY_FORM.encode() not in text


# --- wait --------------------------------------------------------------------------------------


def test_wait_gives_the_first_code_that_is_not_0_and_tells_of_each(place: Place) -> None:
    place.turns({"text": "the end"})
    place.run("x", "--name", "good")
    place.turns({"fault": {"status": 401}})
    place.run("x", "--name", "bad")
    assert place.cli("wait", "good").code == 0
    both = place.cli("wait", "good", "bad", "--json")
    assert both.code == 1
    assert [(row["status"], row["exit_code"]) for row in both.json["tasks"]] == [
        ("done", 0), ("failed", 1),
    ]  # fmt: skip
    assert both.json["timed_out"] is False


def test_wait_for_any_does_not_wait_for_the_others(place: Place) -> None:
    place.turns({"text": "the end"})
    place.run("x", "--name", "ready")
    task = held(place)
    assert place.cli("wait", task, "ready", "--any").code == 0
    late = place.cli("wait", task, "ready", "--timeout", "50ms", "--json")
    assert late.code == 75
    assert late.json["timed_out"] is True
    go(place)
    assert place.cli("wait", task, "ready").code == 0


def test_wait_for_nobody_is_a_mistake(place: Place) -> None:
    assert place.cli("wait", "nobody").code == 2


# --- logs --------------------------------------------------------------------------------------


def test_logs_prints_a_line_for_each_event_and_follows_to_the_end(place: Place) -> None:
    task = held(place)
    follower = subprocess.Popen(
        place.command("logs", task, "-f"), env=place.env, cwd=place.work, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert follower.stdout is not None
    first = follower.stdout.readline()
    assert "TaskCreated" in first
    go(place)
    rest = follower.stdout.read()
    follower.stdout.close()
    assert follower.wait(PATIENCE_S) == 0
    kinds = [line.split()[2] for line in (first + rest).splitlines()]
    told = [record["kind"] for record in place.cli("logs", task, "--json").lines]
    assert kinds == told
    assert kinds[-1] == "Finished"


def test_logs_can_be_cut_to_the_last_and_to_a_time(place: Place) -> None:
    place.turns({"text": "the end"})
    place.run()
    every = place.cli("logs", "@last").out.splitlines()
    assert place.cli("logs", "@last", "-n", "2").out.splitlines() == every[-2:]
    assert place.cli("logs", "@last", "--since", "1h").out.splitlines() == every
    assert place.cli("logs", "@last", "--since", "0s").out == ""
    assert place.cli("logs", "@last", "--since", "whenever").code == 2


def test_hostile_words_are_one_harmless_line(place: Place) -> None:
    place.turns({"text": "a\x1b[2Jb\nc\u202ed"})
    place.run("goal\x1b]0;x\x07\nmore")
    shown = place.cli("logs", "@last").out
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert len(shown.splitlines()) == len(place.cli("logs", "@last", "--json").lines)


# --- attach ------------------------------------------------------------------------------------


def test_attach_shows_what_is_said_before_it_is_recorded(place: Place) -> None:
    task = held(place)
    with Terminal(place, "attach", task, "-v") as terminal:
        terminal.expect("first words")
        terminal.expect("begun")  # of a call that has not ended
        assert place.events("ToolEnded", task) == []
        go(place)
        assert terminal.end() == 0
    assert "the end" in terminal.text
    assert "Done:" in terminal.text


def test_ctrl_c_leaves_the_task_running_and_says_so(place: Place) -> None:
    task = held(place)
    with Terminal(place, "attach", task) as terminal:
        terminal.expect("first words")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
    assert f"agentctl attach {task}" in terminal.text
    assert f"agentctl pause {task}" in terminal.text
    assert psutil.pid_exists(pid_of(place, task))
    go(place)
    assert place.cli("wait", task).code == 0


def test_attach_json_gives_the_lines_of_the_run(place: Place) -> None:
    place.turns({"text": "one", "calls": [shell("echo hello")]}, {"text": "the end"})
    ran = place.run("x", "--json", *APPROVED)
    attached = place.cli("attach", "@last", "--json")
    assert (attached.code, attached.lines) == (ran.code, ran.lines)


def test_attach_after_the_end_shows_what_run_showed(place: Place) -> None:
    place.turns({"text": "one", "calls": [shell("echo hello")]}, {"text": "the end"})
    ran = place.run("x", *APPROVED)
    attached = place.cli("attach", "@last")
    assert attached.out == ran.out == "the end\n"

    def without_time(text: str) -> list[str]:
        return [line.rpartition(" · ")[0] or line for line in text.splitlines()]

    assert without_time(attached.err) == without_time(ran.err)


def test_a_long_history_is_told_from_its_last_part(place: Place) -> None:
    place.turns(*({"text": f"w{n}", "calls": [shell("true")]} for n in range(60)), {"text": "end"})
    place.run("x", *APPROVED)
    shown = place.cli("attach", "@last").err
    assert "step 61 " in shown
    assert "step 2 " not in shown
    assert shown.startswith(f"Task {place.last()['id']} ")


@pytest.mark.parametrize("words", ["logs @last", "logs @last --json", "attach @last --json"])
def test_output_that_cannot_be_written_is_told(place: Place, words: str) -> None:
    place.turns({"text": "the end"})
    place.run()
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            place.command(*words.split()), env=place.env, cwd=place.work, stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "The output could not be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_listener_cannot_write_hurts_nobody(place: Place) -> None:
    place.home.mkdir(mode=0o700)
    (place.home / "live").write_text("a file where the folder should be")
    place.turns({"text": "one", "calls": [shell("echo hello")]}, {"text": "the end"})
    ran = place.run("x", *APPROVED)
    assert (ran.code, ran.out) == (0, "the end\n")
    assert ran.err.count("Mirror failed") == 1


def test_info_names_the_folders(place: Place) -> None:
    paths = json.loads(place.cli("info", "--json").out)["paths"]
    assert (paths["live"], paths["logs"]) == (str(place.home / "live"), str(place.home / "logs"))


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_the_library_of_a_provider_is_loaded_there_and_not_in_between(
    place: Place, provider: str
) -> None:
    """A thread that imports while the process is doubled would leave its locks held for ever."""
    keys = {"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "x"}
    keys |= {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    place.user_file.write_text("attempts = 1\n")
    begun = place.cli("run", "hi", "--detach", "--provider", provider, "--allow-unpriced", **keys)
    assert begun.code == 0, begun.err
    waited = place.cli("wait", begun.out.strip(), "--timeout", "20s")
    assert waited.code == 1, waited.err  # nobody listens there
