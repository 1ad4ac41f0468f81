"""One driver per task, and a dead one blocks nobody."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentctl.errors import TaskBusy
from agentctl.store import lease
from agentctl.store.lease import Lease, owner
from agentctl.store.lockfile import Holder

HOLD = """
import sys
from pathlib import Path
from agentctl.store.lease import Lease
held = Lease(Path(sys.argv[1]), "t1")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that drives the task "t1"."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "locks"


def test_a_second_driver_is_refused_with_the_pid_of_the_first(folder: Path) -> None:
    with holder(folder) as first:
        with pytest.raises(TaskBusy, match=rf"process {first.pid}\b") as told:
            Lease(folder, "t1")
        assert told.value.exit_code == 7
        assert re.search(r"\(-c \S+, since 20\d\d-.* UTC\)", told.value.what)
        assert "agentctl pause t1" in told.value.next_step


def test_a_killed_driver_blocks_nobody(folder: Path) -> None:
    with holder(folder) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert owner(folder, "t1") == 0
        Lease(folder, "t1").release()


def test_the_owner_is_known_from_outside(folder: Path) -> None:
    assert owner(folder, "t1") == 0
    with holder(folder) as first:
        assert owner(folder, "t1") == first.pid
    assert owner(folder, "t1") == 0


def test_another_task_is_free(folder: Path) -> None:
    with holder(folder):
        Lease(folder, "t2").release()


def test_the_own_process_is_refused_too(folder: Path) -> None:
    held = Lease(folder, "t1")
    with pytest.raises(TaskBusy, match=str(os.getpid())):
        Lease(folder, "t1")
    held.release()


def test_a_released_task_can_be_taken_again(folder: Path) -> None:
    Lease(folder, "t1").release()
    Lease(folder, "t1").release()
    assert owner(folder, "t1") == 0


def test_a_lease_of_an_ended_task_leaves_no_file(folder: Path) -> None:
    Lease(folder, "t1").release(forget=True)
    assert list(folder.iterdir()) == []


def test_looking_does_not_create_or_hold_anything(folder: Path) -> None:
    assert owner(folder, "t1") == 0
    assert not folder.exists()
    held = Lease(folder, "t1")
    assert owner(folder, "t1") == owner(folder, "t1") == os.getpid()
    held.release()


def test_a_child_does_not_inherit_the_lease(folder: Path) -> None:
    """A tool's process that outlives its driver must not keep the task."""
    held = Lease(folder, "t1")
    command = [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        held.release()
        assert owner(folder, "t1") == 0
        child.communicate()


def test_the_lock_is_private(folder: Path) -> None:
    before = os.umask(0o022)
    try:
        held = Lease(folder, "t1")
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "t1.lock").stat().st_mode) == 0o600
    held.release()


def test_a_driver_that_has_not_signed_yet_is_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = iter([Holder(), Holder(), Holder(12)])
    naps: list[float] = []
    monkeypatch.setattr(lease, "look", lambda _path: next(seen))
    monkeypatch.setattr(lease.time, "sleep", naps.append)
    assert owner(folder, "t1") == 12
    assert len(naps) == 2


def test_a_lease_whose_file_cannot_be_removed_is_free_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    held = Lease(folder, "t1")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        with pytest.raises(PermissionError):
            held.release(forget=True)
    assert owner(folder, "t1") == 0
