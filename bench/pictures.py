"""The pictures of the documentation, taken from real runs of scripts: `python -m bench pictures`.

`run` and `costs report` are what a terminal of 100 columns shows (tmux is the terminal), `watch` is
what its screen shows. Only ids, times and durations differ from one time to the next.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TOP = Path(__file__).parents[1]
COLUMNS, PATIENCE_S = 100, 60.0
AGENTCTL = [sys.executable, "-c", "from agentctl.cli import main; main()"]
RATES = {"input": 3, "output": 15}
FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def _call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


READ = _call("read_file", path="notes/garden-club.md")
WRITE = _call(
    "write_file", path="open-points.md", text="- a written offer (Ines)\n- the wall (Tom)\n"
)
COUNT = _call("run_shell", command="wc -l *.md")
SEARCH = _call("search_text", pattern="http")
CHECKED = "for n in 1 2 3; do echo checked $n of 40; done"
CHECK = _call("run_shell", command=f"{CHECKED}; until [ -e stop ]; do sleep 0.1; done")
SCRIPTS: dict[str, list[dict[str, Any]]] = {
    "meeting": [
        {"text": "I read the notes of the meeting first.", "calls": [READ], "delay_ms": 300},
        {"text": "Two things are open. I write them down.", "calls": [WRITE], "delay_ms": 300},
        {"text": "Now I check what was written.", "calls": [COUNT]},
        {"text": "Two open points are in open-points.md: the offer and the wall."},
    ],
    "links": [
        {"text": "I collect the links of all notes.", "calls": [SEARCH]},
        {"text": "Now I check them, one after the other.", "calls": [WRITE, CHECK]},
        {"text": "Stopped."},
    ],
}  # fmt: skip


class Stage:
    """A state home and a workspace in which the pictures are taken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "garden-club"
        shutil.copytree(TOP / "examples" / "notes", self.work / "notes")
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "xterm-256color"}
        self.env |= {"AGENTCTL_HOME": str(folder / "home"), "PYTHONPATH": str(TOP)}
        self.env |= {"LC_ALL": "C.UTF-8", "COLORTERM": "truecolor"}
        for name, turns in SCRIPTS.items():
            script = {"rates": RATES, "turns": turns}
            (folder / f"{name}.json").write_text(json.dumps(script), encoding="utf-8")

    def run(self, goal: str, script: str, *more: str) -> list[str]:
        """The words of a run."""
        path = str(self.folder / f"{script}.json")
        return ["run", goal, "--script", path, "--approve", "auto", *more]

    def type(self, *words: str) -> str:
        """Type a command and return what it prints on stdout."""
        done = subprocess.run(
            [*AGENTCTL, *words], env=self.env, cwd=self.work, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        )  # fmt: skip
        return done.stdout.strip()

    def on_terminal(self, words: list[str], lines: int) -> str:
        """What a terminal shows, with its colours, when the command has ended."""
        tmux = ["tmux", "-L", f"pictures-{os.getpid()}", "-f", "/dev/null"]
        ended = self.folder / "ended"
        ended.unlink(missing_ok=True)
        program = self.folder / "program.sh"
        command = " ".join(f"'{word}'" for word in [*AGENTCTL, *words])
        program.write_text(f"{command}\ntouch '{ended}'\nsleep 60\n", encoding="utf-8")
        size = ["-x", str(COLUMNS), "-y", str(lines)]
        start = [*tmux, "new-session", "-d", *size, "-c", str(self.work), f"sh '{program}'"]
        subprocess.run(start, env=self.env, check=True)
        try:
            end = time.monotonic() + PATIENCE_S
            while not ended.exists():
                if time.monotonic() > end:
                    raise TimeoutError(command)
                time.sleep(0.05)
            shown = subprocess.run(
                [*tmux, "capture-pane", "-e", "-p"], check=True, capture_output=True, text=True
            ).stdout
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)
        return shown.rstrip().replace(str(self.work), "~/garden-club")


def picture(name: str, typed: str, shown: str) -> None:
    """Write a terminal's words as an SVG."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text("$ ", style="green").append(typed, style="bold white"))
    console.print(Text.from_ansi(shown))
    write(name, console.export_svg(title="agentctl"))


def write(name: str, svg: str) -> None:
    """Keep a picture; it loads no fonts from anywhere."""
    path = TOP / "docs" / "images" / f"{name}.svg"
    path.parent.mkdir(exist_ok=True)
    path.write_text(FONT.sub("", svg).rstrip() + "\n", encoding="utf-8")
    print(path)


async def watched(lines: int, keys: str, *words: str) -> str:
    """The screen of `watch` once these words stand there."""
    from agentctl.control import Desk
    from agentctl.tui.watch import Watch

    with Desk() as desk:
        app = Watch(desk)
        async with app.run_test(size=(COLUMNS, lines)) as pilot:
            await pilot.pause(0.5)
            await pilot.press(*keys.split())
            end = time.monotonic() + PATIENCE_S
            while True:
                svg = app.export_screenshot(title="agentctl watch")
                if all(word.replace(" ", "&#160;") in svg for word in words):
                    return svg
                if time.monotonic() > end:
                    raise TimeoutError(words)
                await pilot.pause(0.1)


def main(arguments: list[str]) -> int:
    """Take all pictures."""
    argparse.ArgumentParser(prog="python -m bench pictures").parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="agentctl-") as name:
        stage = Stage(Path(name))
        goal = "Find the open points of the last meeting and write them down"
        shown = stage.on_terminal(stage.run(goal, "meeting"), 24)
        picture("run", f'agentctl run "{goal}" --approve auto', shown)
        limited = str(TOP / "examples" / "scripted" / "limit.yaml")
        stage.type("run", "Read all notes", "--script", limited, "--max-cost", "0.05")
        shown = stage.on_terminal(["costs", "report", "--by", "task"], 30)
        picture("costs", "agentctl costs report --by task", shown)
        links = stage.run("Check every link in the notes", "links", "--name", "links", "--detach")
        task = stage.type(*links)
        os.environ["AGENTCTL_HOME"] = stage.env["AGENTCTL_HOME"]
        try:
            for name, lines, keys in (("watch", 12, ""), ("watch-task", 24, "enter")):
                svg = asyncio.run(watched(lines, keys, "checked 3 of 40"))
                write(name, svg.replace(str(stage.work), "~/garden-club"))
        finally:
            (stage.work / "stop").touch()
            stage.type("wait", task)
    return 0
