"""The program as its users start it, in a state home of its own, with pipes or a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
MAIN = "from agentctl.cli import main; main()"
PATIENCE_S = 30.0


class Ran(msgspec.Struct, frozen=True):
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Place:
    """A state home, a workspace and a script; nothing of the user's own is seen."""

    def __init__(self, tmp: Path) -> None:
        self.home, self.work = tmp / "home", tmp / "work"
        self.work.mkdir()
        self.script = tmp / "script.json"
        self.user_file = tmp / ".config" / "agentctl" / "config.toml"
        self.user_file.parent.mkdir(parents=True)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp),
            "AGENTCTL_HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm",
            "TZ": "UTC",
        }

    def turns(self, *turns: dict[str, Any], **more: Any) -> None:
        """What the scripted provider says."""
        self.script.write_text(json.dumps({"turns": turns, **more}), encoding="utf-8")

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-c", MAIN, *words]

    def cli(
        self, *words: str, stdin: bytes | None = None, cwd: Path | None = None, **env: str
    ) -> Ran:
        """Run a command with pipes; without `stdin` there is nothing to read."""
        source: dict[str, Any] = {"input": stdin} if stdin is not None else {}
        done = subprocess.run(
            self.command(*words), **(source or {"stdin": subprocess.DEVNULL}),
            capture_output=True, cwd=cwd or self.work, env={**self.env, **env},
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in err, err
        return Ran(done.returncode, out, err)

    def run(self, goal: str = "the goal", *words: str, **more: Any) -> Ran:
        """`run` with this place's script."""
        return self.cli("run", goal, "--script", str(self.script), *words, **more)

    def last(self) -> dict[str, Any]:
        shown = self.cli("show", "@last", "--json")
        assert shown.code == 0, shown.err
        found: dict[str, Any] = shown.json
        return found

    def events(self, kind: str, task: str = "@last") -> list[dict[str, Any]]:
        """The fields of the events of a kind."""
        shown = self.cli("show", task, "--events").out
        pattern = re.compile(rf"^ *\d+ {kind} (.*)$", re.MULTILINE)
        return [json.loads(found[1]) for found in pattern.finditer(shown)]


class Terminal:
    """A command on a terminal, all three streams."""

    def __init__(self, place: Place, *words: str, columns: int = 80, **env: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            place.command(*words), stdin=slave, stdout=slave, stderr=slave, cwd=place.work,
            env={**place.env, **env}, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.text = ""
        self._raw = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def expect(self, text: str, times: int = 1) -> None:
        """Read until the text was shown so often."""
        end = time.monotonic() + PATIENCE_S
        while self.text.count(text) < times:
            assert self._read(end), f"never shown: {text!r}\n{self.text}"

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> int:
        """Read what is left and return the exit code."""
        end = time.monotonic() + PATIENCE_S
        while self._read(end):
            continue
        return self.process.wait(PATIENCE_S)

    def _read(self, end: float) -> bool:
        """Whether more was said; a terminal whose processes are gone says EIO."""
        ready, _, _ = select.select([self.master], [], [], max(end - time.monotonic(), 0))
        try:
            data = os.read(self.master, 65_536) if ready else b""
        except OSError:
            data = b""
        self._raw += data
        self.text = self._raw.decode(errors="replace")
        return bool(data)


def shell(command: str) -> dict[str, Any]:
    """A call of run_shell, which needs approval."""
    return {"name": "run_shell", "arguments": {"command": command}}


def plain(text: str, place: Place) -> str:
    """The text with what differs from run to run replaced, and no blanks at line ends."""
    text = text.replace(str(place.work), "WORK").replace(str(place.home), "HOME")
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000", "MOMENT", text)
    text = re.sub(r"\d{4}-\d\d-\d\d", "2026-01-02", text)
    text = re.sub(r"^sandbox: .*$", "sandbox: AS-HERE", text, flags=re.MULTILINE)
    text = re.sub(r"\b(?=[a-z]*\d)[0-9a-hjkmnp-tv-z]{8}\b", "TASK-ID1", text)
    text = re.sub(r"\b\d+ ms\b|\b\d+\.\d s\b", "TIME", text)
    text = re.sub(r"(?<=   )[ \d]\ds(?=  )", " 0s", text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())
