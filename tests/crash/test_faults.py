"""Every fault is told in a paragraph with its exit code and what to type next; nothing is lost.

Real processes meet real obstacles: files in the way, full disks, damaged files, closed ports.
"""

from __future__ import annotations

import json
import resource
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agentctl.core import events as e
from agentctl.core.state import fold
from tests.crash.helpers import (
    Place,
    Ran,
    check_books,
    check_paragraph,
    check_told,
    finish,
    of_kind,
    shell,
    small_life,
    turn,
)

READERS = (["list"], ["show", "@last"], ["costs", "report"], ["info"])
WRITERS = (["pause", "@last"], ["cancel", "@last"], ["resume", "@last"], ["resume", "--all"])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return small_life(tmp_path)


# --- the state home --------------------------------------------------------------------------


def bad_home(tmp: Path, how: str) -> Path:
    """A state home that cannot be one, also for root."""
    if how == "nowhere":
        return Path("/proc/agentctl")
    in_the_way = tmp / "file"
    in_the_way.touch()
    if how == "a file":
        return in_the_way
    if how == "below a file":
        return in_the_way / "home"
    home = tmp / "bad"
    home.mkdir()
    if how == "a folder as database":
        (home / "agentctl.db").mkdir()
    else:
        (home / "locks").touch()
    return home


@pytest.mark.parametrize("how", ["nowhere", "a file", "below a file", "a folder as database"])
@pytest.mark.parametrize("command", [["list"], ["costs", "report"], ["pause", "x"], ["run"]])
def test_a_state_home_that_cannot_be_used_is_told(
    place: Place, tmp_path: Path, how: str, command: list[str]
) -> None:
    home = bad_home(tmp_path, how)
    arguments = place.run_arguments if command == ["run"] else command
    ran = place.run(*arguments, env={"AGENTCTL_HOME": str(home)})
    check_paragraph(ran, 74, str(home.parent), "AGENTCTL_HOME", "agentctl list")


def test_locks_that_cannot_be_taken_are_told(place: Place, tmp_path: Path) -> None:
    home = bad_home(tmp_path, "a file as locks")
    ran = place.run(*place.run_arguments, env={"AGENTCTL_HOME": str(home)})
    check_told(ran, 74, str(home), "agentctl list")


def in_namespace(place: Place, script: str) -> Ran:
    """Run a shell script that may mount; `"$@"` is agentctl. Skips where that is not allowed."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    probe = subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(place.copies)],
        capture_output=True,
        timeout=30,
        check=False,
    )
    if probe.returncode != 0:
        pytest.skip("mounting is not allowed here")
    command = ["unshare", "-rm", "/bin/sh", "-c", script, "sh", *place.command()]
    return finish(
        subprocess.Popen(
            command,
            env=place.env,
            cwd=place.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )


@pytest.mark.parametrize("command", ["list", "pause @last", "resume @last", "costs report"])
def test_a_read_only_state_home_is_told(place: Place, command: str) -> None:
    check_told(place.run(*place.run_arguments, point="after ModelAsked 2"), -9)
    home = place.home
    script = (
        f'mount --bind "{home}" "{home}" && mount -o remount,bind,ro "{home}" && "$@" {command}'
    )
    check_told(in_namespace(place, script), 74, str(home), "AGENTCTL_HOME", "agentctl list")
    check_told(place.run("resume", "@last"), 0)


# --- full disks ------------------------------------------------------------------------------


@pytest.fixture
def chatty(place: Place) -> Place:
    """A life whose log soon needs more than a few hundred kilobytes."""
    for n in range(6):
        (place.work / f"big{n}").write_text(f"{n}" * 13_000, encoding="utf-8")
    steps = [
        turn(
            shell(f"echo m{n} >> marks"),
            {"name": "read_file", "arguments": {"path": f"big{n}"}},
            text=f"{n}" * 30_000,
        )
        for n in range(6)
    ]
    place.write_script(*steps, turn(text="end"))
    return place


def check_went_on(place: Place, before: list[e.Recorded]) -> None:
    """After the fault was mended the task came to its end; nothing was lost or done twice."""
    seen = place.snapshot()
    log = seen.logs[seen.tasks[0].id]
    assert log[: len(before)] == before
    assert fold(log).status == "done"
    marks = place.lines("marks")
    unknown = [end for end in of_kind(log, e.ToolEnded) if end.status == "unknown"]
    assert len(marks) == len(set(marks))
    assert len(marks) >= 6 - len(unknown) >= 5
    check_books(place, seen)


def few_bytes() -> None:
    """In the child: no file may grow beyond this."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (720_000, 720_000))


def test_a_file_that_may_not_grow_stops_the_run_and_loses_nothing(chatty: Place) -> None:
    ran = chatty.run(*chatty.run_arguments, "--json", preexec_fn=few_bytes)
    before = chatty.snapshot()
    log = before.logs[before.tasks[0].id]
    check_told(ran, 74, str(chatty.home), "agentctl list")
    shown = [line for text in ran.out.splitlines() if "seq" in (line := json.loads(text))]
    assert max(line["seq"] for line in shown) < len(log)  # what was shown is on disk
    assert len(of_kind(log, e.ModelAnswered)) >= 2
    assert chatty.listed()[0]["status"] == "interrupted"
    check_told(chatty.run("resume", "@last"), 0)
    check_went_on(chatty, log)


def test_a_full_disk_stops_the_run_and_loses_nothing(chatty: Place) -> None:
    """On a file system of 700 kB, which is then made larger."""
    home, copy = chatty.home, chatty.work / "saved"
    home.mkdir(mode=0o700)
    run = " ".join(f"'{word}'" for word in chatty.run_arguments)
    script = f"""
        mount -t tmpfs -o size=700k,mode=0700 none "{home}" || exit 99
        "$@" {run}; echo "code $?"
        cp -r "{home}" "{copy}"
        "$@" list --json; echo "code $?"
        dd if=/dev/zero of="{home}/fill" bs=1k 2>/dev/null
        "$@" resume @last; echo "code $?"
        rm "{home}/fill"
        mount -o remount,size=20m "{home}"
        "$@" resume @last; echo "code $?"
        cp -r "{home}" "{home}-after"
    """
    ran = in_namespace(chatty, script)
    check_told(ran, 0, "cannot be used", "full", "agentctl list", "Done")
    assert [line for line in ran.out.splitlines() if line.startswith("code")] == [
        *("code 74", "code 0", "code 74", "code 0")
    ], ran
    home.rmdir()
    copy.rename(home)
    before = chatty.snapshot()
    shutil.rmtree(home)
    Path(f"{home}-after").rename(home)
    check_went_on(chatty, before.logs[before.tasks[0].id])


@pytest.mark.parametrize("stream", ["stdout", "result"])
def test_a_result_that_cannot_be_written_is_told_and_kept(place: Place, stream: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    if stream == "stdout":
        with Path("/dev/full").open("w") as full:
            ran = place.run(*place.run_arguments, stdout=full)
    else:
        ran = place.run(*place.run_arguments, "-o", "/dev/full")
    check_told(ran, 1, "No space left", "kept", "agentctl show")
    shown = place.run("show", "@last", "--json")
    assert json.loads(shown.out)["answer"] == "end"


@pytest.mark.parametrize("command", [["list"], ["list", "--json"], ["costs", "report"], ["info"]])
def test_a_full_disk_under_stdout_is_told(place: Place, command: list[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with Path("/dev/full").open("w") as full:
        check_told(place.run(*command, stdout=full), 1, "No space left")


# --- damaged files ---------------------------------------------------------------------------


def garbage(path: Path) -> None:
    path.write_bytes(b"this was a database once. " * 4000)


def damage_pages(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xa5" * (len(data) - 8192)
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:10_000])


@pytest.mark.parametrize("damage", [garbage, damage_pages, truncate])
@pytest.mark.parametrize("command", [*READERS[:3], *WRITERS, ["run"]])
def test_a_damaged_database_is_told_and_left_alone(
    place: Place, damage: Any, command: list[str]
) -> None:
    check_told(place.run(*place.run_arguments), 0)
    path = place.home / "agentctl.db"
    damage(path)
    data = path.read_bytes()
    arguments = place.run_arguments if command == ["run"] else command
    check_paragraph(place.run(*arguments), 74, str(path), "damaged", "recover")
    assert path.read_bytes() == data


def test_a_database_damaged_in_a_crash_is_found_at_the_next_start(place: Place) -> None:
    """Also when the damaged page is not one that the command reads."""
    check_told(place.run(*place.run_arguments), 0)
    check_told(place.run(*place.run_arguments, point="after ModelAsked 2"), -9)
    path = place.home / "agentctl.db"
    data = bytearray(path.read_bytes())
    assert len(data) >= 3 * 8192
    data[-8192:] = b"\xa5" * 8192
    path.write_bytes(data)
    wal = Path(f"{path}-wal")
    wal.write_bytes(b"\xa5" * 32)  # it died with a log that is of no use
    check_paragraph(place.run("list"), 74, str(path), "integrity check", "recover")


@pytest.mark.parametrize("command", [*READERS[:3], *WRITERS, ["run"]])
def test_a_newer_database_is_refused_and_left_alone(place: Place, command: list[str]) -> None:
    check_told(place.run(*place.run_arguments), 0)
    path = place.home / "agentctl.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    data = path.read_bytes()
    arguments = place.run_arguments if command == ["run"] else command
    check_paragraph(place.run(*arguments), 74, "newer agentctl", "99", "Update agentctl")
    assert path.read_bytes() == data


@pytest.mark.parametrize("text", [b"", b"{", b"garbage", b'{"schema": "x"}', b"\xff\xfe\0"])
def test_a_damaged_ledger_is_kept_aside_and_written_anew(place: Place, text: bytes) -> None:
    check_told(place.run(*place.run_arguments), 0)
    path = place.home / ".cost_history.json"
    path.write_bytes(text)
    check_told(place.run(*place.run_arguments), 0)
    check_books(place, place.snapshot())
    aside = [file.read_bytes() for file in place.home.glob(".cost_history.json.corrupt-*")]
    assert aside == ([text] if text else [])


def test_a_missing_ledger_is_written_anew(place: Place) -> None:
    check_told(place.run(*place.run_arguments), 0)
    (place.home / ".cost_history.json").unlink()
    check_told(place.run(*place.run_arguments), 0)
    check_books(place, place.snapshot())


@pytest.mark.parametrize("how", ["newer", "a folder", "in no folder"])
def test_a_ledger_that_cannot_be_written_is_told_and_stops_nothing(place: Place, how: str) -> None:
    place.home.mkdir(mode=0o700)
    path = place.home / ".cost_history.json"
    env = {}
    if how == "newer":
        path.write_text('{"schema": 99}', encoding="utf-8")
    elif how == "a folder":
        path.mkdir()
    else:
        config = place.work / "mine.toml"
        config.write_text('ledger = "/proc/none/ledger.json"\n', encoding="utf-8")
        env = {"AGENTCTL_CONFIG": str(config)}
    ran = place.run(*place.run_arguments, env=env)
    check_told(ran, 0, "Ledger" if how != "newer" else "newer agentctl")
    if how == "newer":
        assert path.read_text(encoding="utf-8") == '{"schema": 99}'
    assert place.listed()[0]["status"] == "done"


@pytest.mark.parametrize("first", [4, 5, 6])
def test_a_disk_that_does_not_keep_what_it_took_is_told(place: Place, first: int) -> None:
    """From the n-th on, every fsync fails."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")
    inject = f"inject=fsync,fdatasync:error=EIO:when={first}+"
    log = place.copies / "trace"
    place.run("list")  # it makes the database, with a commit for each version of its schema
    strace = ["strace", "-f", "-q", "-e", "trace=fsync,fdatasync", "-e", inject, "-o", str(log)]
    process = subprocess.Popen(
        [*strace, *place.command(*place.run_arguments)],
        env=place.env,
        cwd=place.work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ran = finish(process)
    if not log.exists() or "PTRACE" in ran.err:
        pytest.skip("tracing is not allowed here")
    assert "INJECTED" in log.read_text(encoding="utf-8")
    check_told(ran, 74, "I/O error", "agentctl list")
    assert [row["status"] for row in place.listed()] == ["interrupted"]
    check_told(place.run("resume", "@last"), 0)
    assert len(place.lines("marks")) <= 1
    check_books(place, place.snapshot())
