"""Named locks: held by one at a time, never for ever, and never in a deadlock."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from agentctl.errors import LockBusy, StoreError
from agentctl.ports import Locks
from agentctl.store.lockfile import free, look, take
from agentctl.store.locks import FileLocks

HOLD = """
import sys
from pathlib import Path
from agentctl.store.locks import FileLocks
with FileLocks(Path(sys.argv[1])).held(*sys.argv[2:], timeout_ms=0):
    print("held", flush=True)
    sys.stdin.read()
"""
CROSS = """
import sys
from pathlib import Path
from agentctl.store.locks import FileLocks
folder, *names = sys.argv[1:]
locks, count = FileLocks(Path(folder)), Path(folder).parent / "count"
print("ready", flush=True)
sys.stdin.readline()
for _ in range(400):
    with locks.held(*names, timeout_ms=30_000):
        count.write_text(str(int(count.read_text()) + 1))
"""


@contextmanager
def holder(folder: Path, *names: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds these locks."""
    command = [sys.executable, "-c", HOLD, str(folder), *names]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.communicate()


class Time:
    """Goes on only while somebody sleeps; runs `then` at the sleep with that number."""

    def __init__(self, **then: Any) -> None:
        self.ms, self.sleeps = 0, 0
        self.then = then

    def ticks_ms(self) -> int:
        return self.ms

    def sleep(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)
        self.sleeps += 1
        self.then.get(f"at_{self.sleeps}", int)()

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)


def locks_in(folder: Path, time: Time) -> FileLocks:
    return FileLocks(folder, ticks_ms=time.ticks_ms, sleep=time.sleep, async_sleep=time.async_sleep)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "locks"


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def locks(folder: Path, time: Time) -> Locks:
    return locks_in(folder, time)


def taken(locks: Locks, *names: str, timeout_ms: int = 0) -> bool:
    """Whether the locks could be had, in a thread of its own."""
    found = []

    def take() -> None:
        try:
            with locks.held(*names, timeout_ms=timeout_ms):
                found.append(True)
        except LockBusy:
            found.append(False)

    thread = Thread(target=take)
    thread.start()
    thread.join()
    return found[0]


def refusal(kind: type[Exception], locks: Locks, *names: str, timeout_ms: int = 0) -> str:
    """What is told when the locks are not to be had."""
    with pytest.raises(kind) as told, locks.held(*names, timeout_ms=timeout_ms):
        pytest.fail("they were to be had")
    return str(told.value)


# --- one at a time ------------------------------------------------------------------------------


def test_a_lock_is_held_within_its_block_and_free_after_it(locks: Locks) -> None:
    async def main() -> None:
        async with locks.lock("a", timeout_ms=0):
            assert not taken(locks, "a")

    asyncio.run(main())
    with locks.held("a", timeout_ms=0):
        assert not taken(locks, "a")
        assert taken(locks, "b")
    assert taken(locks, "a")


def test_an_error_in_the_block_frees_it_and_passes_through(locks: Locks) -> None:
    async def fail() -> None:
        async with locks.lock("a", "b", timeout_ms=0):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(fail())
    assert taken(locks, "a", "b")
    with pytest.raises(ZeroDivisionError), locks.held("a", "b", timeout_ms=0):
        raise ZeroDivisionError
    assert taken(locks, "a", "b")


def test_a_task_that_is_cancelled_while_it_waits_frees_what_it_had(locks: Locks) -> None:
    async def work(reached: asyncio.Event) -> None:
        async with locks.lock("a", timeout_ms=0):
            reached.set()
            async with locks.lock("b", timeout_ms=10**9):
                pytest.fail("it is taken")

    async def main() -> None:
        reached = asyncio.Event()
        task = asyncio.create_task(work(reached))
        await reached.wait()
        assert not taken(locks, "a")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert taken(locks, "a")

    with locks.held("b", timeout_ms=0):
        asyncio.run(main())


def test_two_tasks_wait_for_each_other_and_the_loop_goes_on(locks: Locks) -> None:
    """The second one waits while the first one, which holds the lock, still gets its turns."""
    told = []

    async def work(name: str) -> None:
        async with locks.lock("a", timeout_ms=10**9):
            told.append(f"{name} in")
            for _ in range(5):
                await asyncio.sleep(0)
            told.append(f"{name} out")

    async def main() -> None:
        await asyncio.gather(work("1"), work("2"))

    asyncio.run(main())
    assert told == ["1 in", "1 out", "2 in", "2 out"]


def test_a_child_process_does_not_inherit_it(locks: Locks) -> None:
    command = [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with locks.held("a", timeout_ms=0):
        child = subprocess.Popen(command, close_fds=False, **pipes)
        assert child.stdout is not None
        child.stdout.readline()
    with child:
        assert taken(locks, "a")
        child.communicate()


def test_a_removed_file_is_no_way_to_a_second_holder(folder: Path) -> None:
    """A waiter that had opened the old file looks for the new one."""
    path = folder / "a.lock"
    with FileLocks(folder).held("a", timeout_ms=0), path.open("rb") as old:
        path.unlink()
        handle = take(path)
        assert handle is not None
        with pytest.MonkeyPatch.context() as patched:
            # The moment between opening and locking: what was opened is the file of before.
            patched.setattr(os, "open", lambda *_: os.dup(old.fileno()))
            assert take(path) is None
        assert not taken(FileLocks(folder), "a")
        free(handle)


# --- waiting ------------------------------------------------------------------------------------


def test_a_time_out_names_the_lock_its_holder_its_command_and_since_when(
    folder: Path, locks: Locks, time: Time
) -> None:
    with holder(folder, "ledger") as other:
        told = refusal(LockBusy, locks, "ledger", timeout_ms=200)
    pattern = rf"'ledger' is held by process {other.pid} \(-c \S+, since 20\d\d-.* UTC\)"
    assert re.search(pattern, told)
    assert (time.ms, LockBusy.exit_code) == (200, 7)


def test_an_async_time_out_is_the_same(folder: Path, locks: Locks, time: Time) -> None:
    async def main() -> None:
        with pytest.raises(LockBusy, match=rf"process {other.pid}\b"):
            async with locks.lock("ledger", timeout_ms=205):
                pytest.fail("it is taken")

    with holder(folder, "ledger") as other:
        asyncio.run(main())
    assert time.ms == 205


def test_without_a_time_out_it_looks_once(folder: Path, locks: Locks, time: Time) -> None:
    with holder(folder, "a"):
        refusal(LockBusy, locks, "a")
    assert time.sleeps == 0


def test_a_time_out_frees_the_locks_it_had_already(folder: Path, locks: Locks) -> None:
    with holder(folder, "b"):
        assert "'b'" in refusal(LockBusy, locks, "a", "b", timeout_ms=20)
        assert taken(locks, "a")


@pytest.mark.parametrize(
    ("text", "who"),
    [
        (b"", "another process,"),
        (b"x\n9\n", "another process,"),
        (b"\xff\n\xff\n", "another process,"),
        (b"12", "process 12,"),
        (b"7\nnow", "process 7 (since now),"),
        (b"7\n\nagentctl run\n", "process 7 (agentctl run),"),
    ],
)
def test_what_a_holder_has_not_signed_properly_is_left_out(
    folder: Path, locks: Locks, text: bytes, who: str
) -> None:
    with holder(folder, "a"):
        (folder / "a.lock").write_bytes(text)
        assert f"is held by {who}" in refusal(LockBusy, locks, "a")


def test_a_killed_holder_blocks_nobody(folder: Path, locks: Locks) -> None:
    with holder(folder, "a", "b") as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        with locks.held("a", "b", timeout_ms=0):
            assert look(folder / "a.lock").pid == os.getpid()  # type: ignore[union-attr]  # held


def test_a_waiter_gets_the_lock_when_its_holder_is_killed(folder: Path) -> None:
    with holder(folder, "a") as other:
        time = Time(at_3=lambda: (other.kill(), other.wait()))
        assert taken(locks_in(folder, time), "a", timeout_ms=1_000)
    assert time.sleeps == 3


# --- no deadlock --------------------------------------------------------------------------------


def test_two_processes_that_name_two_locks_in_opposite_orders_never_deadlock(folder: Path) -> None:
    """Nor does one of 800 additions of theirs get lost."""
    folder.mkdir()
    count = folder.parent / "count"
    count.write_text("0")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    both = [
        subprocess.Popen([sys.executable, "-c", CROSS, str(folder), *names], **pipes)
        for names in (("a", "b"), ("b", "a"))
    ]
    assert [process.stdout.readline() for process in both] == [b"ready\n"] * 2
    for process in both:
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in both:
        process.communicate(timeout=60)
    assert [process.returncode for process in both] == [0, 0]
    assert count.read_text() == "800"


def test_a_lock_that_sorts_before_one_that_is_held_is_refused(locks: Locks) -> None:
    with locks.held("b", timeout_ms=0):
        assert "'a' sorts before 'b'" in refusal(ValueError, locks, "a")
        with locks.held("c", timeout_ms=0):
            assert "'bb' sorts before 'c'" in refusal(ValueError, locks, "bb", "d")
    with locks.held("a", timeout_ms=0), locks.held("b", timeout_ms=0):
        assert not taken(locks, "b")


def test_a_lock_is_not_taken_twice(folder: Path, locks: Locks) -> None:
    async def main() -> None:
        async with locks.lock("a", timeout_ms=0):
            assert "not twice" in refusal(ValueError, locks, "a")

    asyncio.run(main())
    with locks.held("a", "b", timeout_ms=0):
        assert "not twice" in refusal(ValueError, FileLocks(folder), "b")
    assert "not twice" in refusal(ValueError, locks, "a", "a")


def test_another_task_or_thread_may_take_what_sorts_before(locks: Locks) -> None:
    async def other() -> None:
        async with locks.lock("a", timeout_ms=0):
            return

    async def main() -> None:
        async with locks.lock("b", timeout_ms=0):
            await asyncio.create_task(other())
            assert taken(locks, "a")

    asyncio.run(main())


def test_after_its_block_a_lock_counts_no_more(locks: Locks) -> None:
    for names in (("b",), ("a",), ("a", "b"), ("b", "a")):
        with locks.held(*names, timeout_ms=0):
            refusal(ValueError, locks, names[0])


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "a/b", "/etc/x", "A", "a b", "a\n", "ä", "-a", "a" * 101, "a\0"]
)
def test_a_name_that_is_no_safe_file_name_is_refused(folder: Path, locks: Locks, name: str) -> None:
    assert "not the name" in refusal(ValueError, locks, "b", name)
    assert "no lock is named" in refusal(ValueError, locks)
    assert not folder.exists()


def test_folder_and_file_are_private(folder: Path, locks: Locks) -> None:
    before = os.umask(0)
    try:
        with locks.held("a", timeout_ms=0):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "a.lock").stat().st_mode) == 0o600


def test_a_disk_that_takes_no_signature_leaves_the_lock_free(
    locks: Locks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        assert "No space left" in refusal(StoreError, locks, "a")
    assert taken(locks, "a")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", full)
        assert "cannot be used" in refusal(StoreError, locks, "a")


def test_nothing_stays_open(locks: Locks) -> None:
    def opened() -> int:
        return len(os.listdir("/dev/fd"))  # noqa: PTH208  # a Path would open one more

    before = opened()
    for _ in range(3):
        with locks.held("a", "b", timeout_ms=0):
            assert not taken(locks, "b", timeout_ms=20)
    assert opened() == before


def test_without_async_no_event_loop_is_loaded(folder: Path) -> None:
    code = "import sys; print('asyncio' in sys.modules, flush=True)"
    command = [sys.executable, "-c", f"{HOLD}{code}", str(folder), "a"]
    done = subprocess.run(command, input=b"", capture_output=True, check=True)
    assert done.stdout == b"held\nFalse\n"
