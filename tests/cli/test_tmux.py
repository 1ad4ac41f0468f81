"""Two panes of a real terminal: one runs a task, the other one pauses it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cli.parts import MAIN, Place

PATIENCE_S = 25.0
PROMPT = r"[#$]"


def until(holds: Callable[[], bool], told: Callable[[], str] = str) -> None:
    """Wait for what other programs do; fail with what is told."""
    last_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < last_s, told()
        time.sleep(0.05)


class Panes:
    """A tmux server of its own with two panes, one above the other, each of 80 columns."""

    def __init__(self, place: Place) -> None:
        self.socket = str(place.home.parent / "tmux")
        program = place.home.parent / "bin" / "agentctl"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{MAIN}" "$@"\n')
        program.chmod(0o755)
        self._env = {**place.env, "PATH": f"{program.parent}:{place.env['PATH']}"}
        self._env["TERM"] = "xterm-256color"
        shell = "sh -i"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "60",
                  "-c", str(place.work), shell)  # fmt: skip
        self.tmux("split-window", "-v", "-c", str(place.work), shell)

    def tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self.socket, *words], env=self._env, capture_output=True, text=True,
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def type(self, pane: int, line: str) -> None:
        self.tmux("send-keys", "-t", f":.{pane}", "-l", line)
        self.tmux("send-keys", "-t", f":.{pane}", "Enter")

    def screen(self, pane: int) -> str:
        return self.tmux("capture-pane", "-p", "-t", f":.{pane}")

    def wait(self, pane: int, pattern: str) -> str:
        """The pane's screen, once it shows this."""
        until(lambda: re.search(pattern, self.screen(pane)) is not None, lambda: self.screen(pane))
        return self.screen(pane)

    def close(self) -> None:
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def panes(place: Place) -> Iterator[Panes]:
    if shutil.which("tmux") is None:
        pytest.skip("there is no tmux (apt-get install tmux)")
    opened = Panes(place)
    yield opened
    opened.close()


def test_a_run_is_paused_from_a_second_pane_and_resumed(place: Place, panes: Panes) -> None:
    """The first pane shows each stage in words, and nothing is wider than the terminal."""
    begun, go = place.work / "begun", place.work / "go"
    command = "touch begun; until [ -e go ]; do sleep 0.05; done"
    waits = {"name": "run_shell", "arguments": {"command": command}}
    place.turns({"text": "I wait.", "calls": [waits]}, {"text": "All is well."})
    panes.wait(0, PROMPT)
    panes.wait(1, PROMPT)
    panes.type(0, f"agentctl run Wait --script {shlex.quote(str(place.script))} --approve auto")
    panes.wait(0, "I wait")
    until(begun.exists)

    panes.type(1, "agentctl pause @last --reason lunch")
    assert "pauses before its next step" in panes.wait(1, r"Go on with: agentctl resume")
    go.touch()
    paused = panes.wait(0, r"Paused \(lunch\)")
    assert "agentctl resume" in paused

    panes.type(1, "agentctl list")
    panes.wait(1, r"paused\b.*Wait")
    panes.type(0, "agentctl resume @last")
    done = panes.wait(0, r"Done: 2 steps")
    assert "All is well." in done
    assert max(len(line) for line in panes.screen(0).splitlines()) <= 80
    assert _status(place) == "done"


def _status(place: Place) -> str:
    return str(place.last()["status"])
