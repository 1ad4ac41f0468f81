"""A workspace with every way out of it, beside a folder with a secret."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from agentctl.core.values import Sandbox
from tests.tools.conftest import engine, home, ws
from tests.tools.test_http import get, server

__all__ = ["engine", "get", "ground", "home", "server", "ws"]


class Ground:
    """The workspace, what lies outside, and what is not to be touched inside."""

    def __init__(self, tmp: Path) -> None:
        self.work, self.out, self.home = tmp / "work", tmp / "out", tmp / "home"
        self.state = self.work / "state"
        for folder in (self.work, self.out, self.home, self.state, self.work / ".git" / "hooks"):
            folder.mkdir(parents=True)
        (self.out / "secret.txt").write_text("canary")
        (self.state / "log.db").write_text("canary")
        (self.work / ".git" / "config").write_text("canary")
        (self.work / ".git" / "hooks" / "pre-commit").write_text("canary")
        self.links()
        self.oddities()
        self.policy = Sandbox(hidden=(str(self.state), str(tmp / "settings")))
        self.before = self.seen()

    def links(self) -> None:
        for name, target in {
            "to-out": "../out",
            "to-out-absolute": self.out,
            "to-file": self.out / "secret.txt",
            "to-nothing": self.out / "not-yet",
            "to-root": "/",
            "chain": "to-out",
            "loop": "loop",
            "to-hooks": ".git/hooks",
            "to-config": ".git/config",
            "to-state": "state",
        }.items():
            (self.work / name).symlink_to(target)
        os.link(self.work / ".git" / "config", self.work / "hard-to-config")
        os.link(self.state / "log.db", self.work / "hard-to-state")

    def oddities(self) -> None:
        (self.work / "a.txt").write_text("text")
        (self.work / "binary").write_bytes(b"\x7fELF\0\0")
        os.mkfifo(self.work / "fifo")
        with (self.work / "huge").open("wb") as file:
            file.truncate(1 << 40)  # a terabyte that takes no room
        with socket.socket(socket.AF_UNIX) as bound:
            there = Path.cwd()
            os.chdir(self.work)  # the path of a socket is short
            try:
                bound.bind("socket")
            finally:
                os.chdir(there)

    def seen(self) -> dict[str, bytes]:
        """All that no attempt may change."""
        kept = [self.out, self.state, self.work / ".git"]
        files = [path for folder in kept for path in folder.rglob("*") if path.is_file()]
        names = {str(path): b"" for path in self.work.iterdir()}
        return names | {str(path): path.read_bytes() for path in files}


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)
