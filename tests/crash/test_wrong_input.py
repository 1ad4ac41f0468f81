"""Wrong command lines, goals and settings are told, in words, with what to type instead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.helpers import (
    Place,
    check_books,
    check_paragraph,
    check_told,
    finish,
    running,
    small_life,
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return small_life(tmp_path)


# --- the command line ------------------------------------------------------------------------

SCRIPT_RUN = ["run", "g", "--provider", "scripted", "--script"]
WRONG: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "unknown command": (["rnu"], ("rnu",)),
    "unknown option": (["run", "g", "--max-dollars", "1"], ("--max-dollars",)),
    "unknown task": (["show", "zzzz"], ("zzzz", "agentctl list")),
    "no task yet": (["resume", "@last"], ("no task yet", "agentctl list")),
    "no task named": (["resume"], ("agentctl resume",)),
    "unknown provider": (["run", "g", "--provider", "clippy"], ("clippy", "offline")),
    "no script": (["run", "g", "--provider", "scripted"], ("--script FILE",)),
    "script missing": ([*SCRIPT_RUN, "none.yaml"], ("none.yaml", "docs/providers.md")),
    "negative cost": (["run", "g", "--max-cost", "-1"], ("--max-cost", "0.50")),
    "cost is no number": (["run", "g", "--max-cost", "nan"], ("--max-cost", "0.50")),
    "negative steps": (["run", "g", "--max-steps", "-3"], ("--max-steps", "e.g. 100")),
    "negative tokens": (["run", "g", "--max-tokens", "-3"], ("--max-tokens", "100000")),
    "no such time": (["run", "g", "--timeout", "soon"], ("--timeout", "90s")),
    "no such approval": (["run", "g", "--approve", "yes"], ("--approve", "read-only")),
    "no such policy": (["resume", "x", "--on-unknown", "hope"], ("--on-unknown", "tell")),
    "goal file missing": (["run", "-f", "none.md"], ("none.md", "agentctl run")),
    "goal file is a folder": (["run", "-f", "."], ("agentctl run",)),
    "goal and file": (["run", "g", "-f", "none.md"], ("not both", "agentctl run")),
    "no goal": (["run"], ("goal", "agentctl run")),
    "empty goal": (["run", " "], ("empty", "agentctl run")),
    "folder missing": (["run", "g", "--cwd", "none"], ("--cwd", "existing folder")),
    "result in no folder": (["run", "g", "-o", "none/result"], ("-o", "none/result")),
    "result is a folder": (["run", "g", "-o", "."], ("-o", "a file")),
    "no such report": (["costs", "report", "--by", "moon"], ("--by", "model")),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_command_line_is_told_and_starts_nothing(place: Place, what: str) -> None:
    arguments, words = WRONG[what]
    check_told(place.run(*arguments), 2, *words)
    assert place.listed() == []


@pytest.mark.parametrize(
    ("variable", "value"), [("MAX_COST_PER_TASK", "-1"), ("MAX_TOKENS_PER_TASK", "many")]
)
def test_a_wrong_variable_is_named(place: Place, variable: str, value: str) -> None:
    check_paragraph(place.run("run", "g", env={variable: value}), 2, variable, "e.g.")


def test_an_ambiguous_prefix_names_the_tasks_it_could_be(place: Place) -> None:
    for _ in range(2):
        check_told(place.run(*place.run_arguments), 0)
    ids = [row["id"] for row in place.listed()]
    check_paragraph(place.run("show", ids[0][0]), 2, *ids, "more of the id")


GOALS: dict[str, tuple[bytes, str]] = {
    "ten megabytes": (b"work " * 2_000_000, "name the file in the goal"),
    "binary": (bytes(range(256)) * 10, "Save it as UTF-8"),
    "NUL": (b"do \0 it", "agentctl run"),
    "nothing": (b"", "agentctl run"),
}


@pytest.mark.parametrize("source", ["stdin", "file"])
@pytest.mark.parametrize("what", GOALS)
def test_a_goal_that_is_none_is_refused(place: Place, what: str, source: str) -> None:
    data, word = GOALS[what]
    path = place.work / "goal"
    path.write_bytes(data)
    if source == "file":
        check_paragraph(place.run("run", "-f", "goal"), 2, word)
    else:
        with path.open("rb") as file:
            check_paragraph(place.run("run", "-", stdin=file), 2, word)
    assert place.listed() == []


# --- settings files --------------------------------------------------------------------------

BAD_TOML = {
    "not TOML": ("max_cost = 1\nmax_steps = = 3\n", 2),
    "no such setting": ("# mine\n\nmax_cots = 1\n", 3),
    "bad value": ("max_steps = 10\nmax_cost = -1\n", 2),
}


@pytest.mark.parametrize("what", BAD_TOML)
@pytest.mark.parametrize("whose", ["user", "project"])
def test_a_bad_settings_file_is_told_with_path_and_line(
    place: Place, what: str, whose: str
) -> None:
    text, line = BAD_TOML[what]
    path = place.work / (".agentctl.toml" if whose == "project" else "mine.toml")
    path.write_text(text, encoding="utf-8")
    env = {} if whose == "project" else {"AGENTCTL_CONFIG": str(path)}
    ran = place.run(*place.run_arguments, env=env)
    check_paragraph(ran, 2, f"{path}:{line}")
    assert place.listed() == []


# --- things that are gone when a task is resumed ---------------------------------------------


@pytest.mark.parametrize("what", ["the folder", "the script"])
def test_what_is_gone_at_resume_is_told_and_the_task_kept(place: Place, what: str) -> None:
    check_told(place.run(*place.run_arguments, point="after ModelAsked 2"), -9)
    gone = place.work if what == "the folder" else place.script
    aside = gone.with_name("aside")
    gone.rename(aside)
    elsewhere = {"cwd": place.copies} if what == "the folder" else {}
    check_paragraph(place.run("resume", "@last", **elsewhere), 2, str(gone))
    aside.rename(gone)
    assert place.listed()[0]["status"] == "interrupted"
    check_told(place.run("resume", "@last"), 0)
    check_books(place, place.snapshot())


# --- starting --------------------------------------------------------------------------------

INTERRUPTED_IMPORT = """
import os, signal, sys
from agentctl.cli import main

wanted = sys.argv.pop(1)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
main()
"""


@pytest.mark.parametrize(
    "module", ["typer", "agentctl.cli.session", "agentctl.control", "msgspec", "rich.text"]
)
def test_ctrl_c_while_modules_are_imported_leaves_without_a_traceback(
    place: Place, module: str
) -> None:
    command = [sys.executable, "-c", INTERRUPTED_IMPORT, module, *place.run_arguments]
    process = subprocess.Popen(
        command,
        env=place.env,
        cwd=place.work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with running(process):
        check_told(finish(process), 130)
