"""What shells offer: asked as they ask, and by real shells on a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agentctl.cli.commands import COMMANDS
from tests.cli.parts import MAIN, PATIENCE_S, Place, shell

HOSTILE = "$(touch pwned) `touch pwned`; touch pwned \x1b[2J\u202e %F{red} it's\n\tx"


def offers(place: Place, *words: str, shell_: str = "zsh") -> dict[str, str]:
    ran = place.cli("__complete", shell_, *words)
    assert (ran.code, ran.err) == (0, "")
    _, *lines = ran.out.splitlines()
    return {line.partition("\t")[0]: line.partition("\t")[2] for line in lines}


def kind(place: Place, *words: str) -> str:
    return place.cli("__complete", "zsh", *words).out.splitlines()[0]


@pytest.fixture
def used(place: Place) -> Place:
    place.turns({"text": "done"})
    assert place.run("count the files", "--name", "mend").code == 0
    return place


def test_every_command_can_be_reached(place: Place) -> None:
    first = offers(place, "")
    assert set(first) == {name.split()[0] for name in COMMANDS}
    for name in COMMANDS:
        group, _, last = name.rpartition(" ")
        if group:
            assert last in offers(place, group, "")


def test_ids_and_names_are_offered_with_what_the_tasks_are_for(used: Place) -> None:
    task = used.last()["id"]
    for words in (("show",), ("limits", "set"), ("limits",), ("costs", "show"), ("resume",)):
        assert offers(used, *words, "")[task] == "done: mend"
    assert offers(used, "show", "me") == {"mend": "done: count the files"}
    assert "@last" in offers(used, "pause", "@")
    assert task not in offers(used, "permissions", "revoke", "")


def test_options_and_their_words_are_offered(used: Place) -> None:
    assert set(offers(used, "show", "@last", "--st")) == {"--step"}
    assert {"offline", "openai"} <= set(offers(used, "run", "--provider", ""))
    assert set(offers(used, "resume", "@last", "--on-unknown", "r")) == {"rerun"}
    assert set(offers(used, "run", "x", "--approve=n")) == {"--approve=never"}
    assert set(offers(used, "run", "x", "--approve", "=", "n", shell_="bash")) == {"never"}
    assert "script" in offers(used, "run", "--provider", "scripted", "--model", "")
    assert "read_file" in offers(used, "tools", "show", "")
    assert {"paused"} == set(offers(used, "list", "--state", "pa"))


def test_files_and_folders_are_left_to_the_shell(place: Place) -> None:
    assert kind(place, "run", "-f", "") == "files"
    assert kind(place, "list", "--dir", "") == "dirs"
    assert kind(place, "show", "") == "none"


def test_asking_makes_no_state_home_and_a_broken_one_offers_nothing(place: Place) -> None:
    assert set(offers(place, "show", "")) == {"@last"}
    assert not place.home.exists()
    place.home.mkdir()
    (place.home / "agentctl.db").write_bytes(b"no database")
    assert offers(place, "show", "") == {}


def test_what_a_goal_says_is_neither_run_nor_shown_raw(place: Place) -> None:
    place.turns({"text": "done"})
    place.run(HOSTILE, "--name", "$(touch pwned)")
    found = offers(place, "show", "")
    assert len(found) == 2, "the newest and its id; the name is not fit for a shell"
    assert all(text.isprintable() for text in found.values())


# --- real shells --------------------------------------------------------------------------------


def command(place: Place, tmp_path: Path) -> dict[str, str]:
    """An environment in which `agentctl` is on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "agentctl"
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{MAIN}' \"$@\"\n")
    program.chmod(0o755)
    for name in ("bash", "zsh", "fish"):
        (tmp_path / f"c.{name}").write_text(place.cli("completion", name).out)
    return {**place.env, "PATH": f"{folder}:{os.environ['PATH']}", "PS1": "$ "}


class Shell:
    """An interactive shell on a terminal."""

    def __init__(self, place: Place, env: dict[str, str], *words: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, cwd=place.work, env=env,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.text = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def expect(self, pattern: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.text):
            ready, _, _ = select.select([self.master], [], [], max(end - time.monotonic(), 0))
            assert ready, f"never shown: {pattern}\n{self.text!r}"
            self.text += os.read(self.master, 65_536).decode(errors="replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


STARTS = {
    "bash": (("bash", "--norc", "--noprofile", "-i"), ". {script}; echo rea''dy\n"),
    "zsh": (
        ("zsh", "-f", "-i"),
        "autoload -U compinit; compinit -u -D; . {script}; echo rea''dy\n",
    ),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_shell_completes_and_runs_nothing_of_what_it_shows(
    place: Place, tmp_path: Path, name: str
) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    place.turns({"text": "done"})
    place.run(HOSTILE, "--name", "mend")
    task = place.last()["id"]
    env = command(place, tmp_path)
    words, start = STARTS[name]
    found = Shell(place, env, *words)
    try:
        found.type(start.format(script=tmp_path / f"c.{name}"))
        found.expect("ready")
        found.text = ""
        found.type("agentctl pau\t")
        found.expect(r"pause")
        found.type(f"{task[:3]}\t")
        found.expect(task)
        found.type("\x15agentctl show \t\t")
        found.expect(rf"@last[\s\S]*{task}")
        found.type("\x15agentctl run x --approve=nev\t")
        found.expect("never")
    finally:
        found.close()
    assert not (place.work / "pwned").exists()


def test_fish_completes_and_runs_nothing_of_what_it_shows(place: Place, tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    place.turns({"text": "done", "calls": []}, {"calls": [shell("true")]})
    place.run(HOSTILE, "--name", "mend")
    task = place.last()["id"]
    env = command(place, tmp_path)

    def ask(line: str) -> list[str]:
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"source {tmp_path}/c.fish; complete -C '{line}'"],
            capture_output=True, text=True, cwd=place.work, env=env, timeout=60, check=True,
        )  # fmt: skip
        return done.stdout.splitlines()

    assert ask("agentctl pau") == ["pause"]
    assert [line.partition("\t")[0] for line in ask("agentctl show ")] == ["@last", task]
    assert ask("agentctl run --approve nev") == ["never"]
    assert "\x1b" not in "".join(ask("agentctl show "))
    assert not (place.work / "pwned").exists()


def test_a_script_for_another_shell_is_refused(place: Place) -> None:
    ran = place.cli("completion", "csh")
    assert (ran.code, ran.out) == (2, "")
    assert "bash, zsh, fish" in ran.err
