"""A power cut: what no fsync had confirmed is gone, and nothing that was shown goes with it.

Every write and fsync of a real run is recorded by strace. From the record the disk is rebuilt as a
power cut would leave it at any moment: each file as it was at its last fsync.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentctl.core import events as e
from agentctl.core.state import fold
from tests.crash.helpers import Log, Place, Ran, finish, shell, turn

CALL = re.compile(
    r"(\w+)\((\d+)<([^>]*)>(?:, \"([^\"]*)\"(\.\.\.)?)?(?:, (\d+))?(?:, (\d+))?\) += "
)
TRACED = "trace=pwrite64,write,ftruncate,fsync,fdatasync"


class Disk:
    """Files as programs see them, and as the disk holds them."""

    def __init__(self) -> None:
        self.seen: dict[str, bytearray] = {}
        self.durable: dict[str, bytes] = {}

    def write(self, name: str, data: bytes, offset: int) -> None:
        content = self.seen.setdefault(name, bytearray())
        content.extend(bytes(max(offset + len(data) - len(content), 0)))
        content[offset : offset + len(data)] = data

    def sync(self, name: str) -> None:
        self.durable[name] = bytes(self.seen.get(name, b""))


def _traced(place: Place) -> tuple[Ran, Path]:
    log = place.copies / "trace"
    strace = ["strace", "-q", "-y", "-xx", "-s", "1000000", "-e", TRACED, "-o", str(log)]
    process = subprocess.Popen(
        [*strace, *place.command(*place.run_arguments, "--json")],
        env=place.env, cwd=place.work, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    return finish(process), log


def _moments(trace: Path, disk: Disk) -> Iterator[int]:
    """Replay the record; yield after each event that was shown, with its number."""
    for line in trace.read_text(encoding="utf-8").splitlines():
        found = CALL.match(line)
        if found is None:
            continue
        call, handle, path, text, cut, third, fourth = found.groups()
        assert not cut, "the record lacks a part of a write"
        name = Path(_bytes(path).decode()).name
        if call == "write" and handle == "1":
            for shown in _bytes(text).decode().splitlines():
                if "seq" in (said := json.loads(shown)):
                    yield said["seq"]
        elif name.startswith("agentctl.db"):
            if call == "pwrite64":
                disk.write(name, _bytes(text), int(fourth))
            elif call == "ftruncate":
                del disk.seen.setdefault(name, bytearray())[int(third or 0) :]
            elif call != "write":
                disk.sync(name)


def _bytes(escaped: str | None) -> bytes:
    return bytes.fromhex((escaped or "").replace("\\x", ""))


def _log_after(place: Place, disk: Disk) -> Log:
    """What a start after the power cut reads."""
    shutil.rmtree(place.home)
    place.home.mkdir(mode=0o700)
    for name in ("agentctl.db", "agentctl.db-wal"):
        (place.home / name).write_bytes(disk.durable.get(name, b""))
    (log,) = place.snapshot().logs.values()
    return log


@pytest.fixture
def traced(tmp_path: Path) -> tuple[Place, Path]:
    if shutil.which("strace") is None:
        pytest.skip("there is no strace (apt-get install strace)")
    place = Place(tmp_path)
    steps = [turn(shell(f"echo m{n} >> marks"), text=f"step {n} " * 300) for n in range(4)]
    place.write_script(*steps, turn(text="end"))
    ran, trace = _traced(place)
    if not trace.exists() or "PTRACE" in ran.err:
        pytest.skip("tracing is not allowed here")
    assert ran.code == 0, ran.err
    return place, trace


def test_a_power_cut_takes_nothing_that_was_shown(traced: tuple[Place, Path]) -> None:
    place, trace = traced
    disk = Disk()
    moments = 0
    for shown in _moments(trace, disk):
        moments += 1
        log = _log_after(place, disk)
        assert len(log) > shown, f"event {shown} was shown and is gone"
    assert moments == len(log)


def test_a_task_goes_on_after_a_power_cut(traced: tuple[Place, Path]) -> None:
    place, trace = traced
    disk = Disk()
    for shown in _moments(trace, disk):
        if shown == 9:
            break
    _log_after(place, disk)
    ran = place.run("resume", "@last", "--approve", "auto")
    assert ran.code == 0, ran.err
    (log,) = place.snapshot().logs.values()
    assert fold(log).status == "done"
    assert sum(isinstance(record.event, e.Resumed) for record in log) == 2
