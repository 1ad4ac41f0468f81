"""The recipes can be used as they stand: their commands exist and their files are well formed."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.parts import MAIN, Place
from tests.cli.test_tmux import until
from tests.test_docs import problem, typed

RECIPES = Path(__file__).parents[1] / "examples" / "recipes"
PAGE = RECIPES.parents[1] / "docs" / "recipes.md"


def text(name: str) -> str:
    return (RECIPES / name).read_text(encoding="utf-8")


def workflow() -> Any:
    return yaml.safe_load(text("github-actions.yml"))


def unit(name: str) -> configparser.ConfigParser:
    read = configparser.ConfigParser(interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign] # the documented way to keep case
    read.read_string(text(name))
    return read


def jobs() -> list[str]:
    """The commands of the crontab, without their times."""
    lines = [line for line in text("crontab").splitlines() if line and line[0] not in "#PM"]
    return [re.sub(r"^(@\w+|(\S+\s+){4}\S+)\s+", "", line) for line in lines]


def commands() -> list[tuple[str, str]]:
    steps = [step["run"] for step in workflow()["jobs"]["review"]["steps"] if "run" in step]
    script = [line for step in steps for line in step.splitlines()]
    started = [unit("agentctl-resume.service")["Service"]["ExecStart"]]
    found = {"crontab": jobs(), "github-actions.yml": script, "agentctl-resume.service": started}
    found["tmux.sh"] = re.findall(r"agentctl (?:attach|logs -f) \$id", text("tmux.sh"))
    return [(name, line) for name, lines in found.items() for line in lines if "agentctl " in line]


@pytest.mark.parametrize(("name", "line"), commands())
def test_a_command_of_a_recipe_can_be_typed(name: str, line: str) -> None:
    found = [words for words in typed(line) if words[:1] != ["@"]]  # pip's "agentctl @ git+…"
    assert [problem(words, whole=True) for words in found] == [""] * len(found)


def test_every_recipe_is_on_the_page() -> None:
    named = set(re.findall(r"examples/recipes/([\w.-]+)\)", PAGE.read_text(encoding="utf-8")))
    assert named == {path.name for path in RECIPES.iterdir()}


def test_exit_codes_of_the_unit_are_those_of_ends_that_can_be_resumed() -> None:
    from agentctl.errors import EXIT_CODES

    codes = unit("agentctl-resume.service")["Service"]["SuccessExitStatus"].split()
    assert [int(code) for code in codes] == [
        EXIT_CODES[name] for name in ("limit", "paused", "waiting")
    ]


def test_systemd_finds_no_fault_with_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze (apt-get install systemd)")
    service = text("agentctl-resume.service")
    shown = service.replace("%h/.local/bin/agentctl", sys.executable)  # it must be there
    (tmp_path / "agentctl-resume.service").write_text(shown, encoding="utf-8")
    (tmp_path / "agentctl-resume.timer").write_text(text("agentctl-resume.timer"), encoding="utf-8")
    units = [str(path) for path in sorted(tmp_path.glob("agentctl-resume.*"))]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", *units],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "agentctl-resume" not in done.stderr


def test_the_agent_of_the_workflow_may_only_look() -> None:
    steps = workflow()["jobs"]["review"]["steps"]
    (run,) = [step["run"] for step in steps if "agentctl run" in step.get("run", "")]
    assert "--approve read-only" in run
    assert workflow()["permissions"] == {"contents": "read"}


def test_the_tmux_script_shows_a_run_and_its_log(place: Place) -> None:
    if shutil.which("tmux") is None:
        pytest.skip("there is no tmux (apt-get install tmux)")
    place.turns({"text": "All is well."})
    program = place.home.parent / "bin" / "agentctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{MAIN}" "$@"\n')
    program.chmod(0o755)
    env = {**place.env, "PATH": f"{program.parent}:{place.env['PATH']}"}
    env["TMUX_TMPDIR"] = str(place.home.parent)

    def tmux(*words: str) -> str:
        return subprocess.run(
            ["tmux", *words], env=env, capture_output=True, text=True, check=False
        ).stdout

    try:
        script = ["sh", str(RECIPES / "tmux.sh"), "Say hello", "--script", str(place.script)]
        begun = subprocess.run(
            script, env=env, cwd=place.work, capture_output=True, text=True, check=True,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        session = begun.stdout.split()[-1]

        def panes() -> str:
            return "".join(tmux("capture-pane", "-p", "-t", f"{session}:.{n}") for n in (0, 1))

        until(lambda: "Done: 1 step" in panes() and "Finished" in panes(), panes)
        assert "All is well." in panes()
    finally:
        tmux("kill-server")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
