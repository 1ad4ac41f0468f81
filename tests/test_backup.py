"""`db backup`: a copy that is whole, private and made in one step, also while others write."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentctl.control import Desk
from agentctl.core.state import fold
from agentctl.errors import StoreCorrupt, StoreError, UsageError
from agentctl.store.backup import backup
from agentctl.store.sqlite import SqliteStore
from tests.book_parts import lived, opened

WRITER = """
import sys
from pathlib import Path
from agentctl.core import events as e
from agentctl.core.values import Limits
from agentctl.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
store.create("writer", e.TaskCreated("goal", "", "sim", "m", "/", Limits()), 1)
print("ready", flush=True)
for number in range(2, 10**9):
    store.append("writer", None, [e.ToolNote("a", "x" * 5000)], number)
    if number % 50 == 0:
        print(number, flush=True)
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with opened(tmp_path, monkeypatch) as found:
        lived(found)
        yield found


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_copy_has_every_task_and_is_private(desk: Desk, tmp_path: Path) -> None:
    target = tmp_path / "copies" / "one.db"
    target.parent.mkdir()
    made = backup(desk.store.path, target, force=False)
    assert (made.tasks, made.bytes) == (2, target.stat().st_size)
    assert target.stat().st_mode & 0o777 == 0o600
    assert left_in(target.parent) == ["one.db"]
    copy = SqliteStore(target)
    assert copy.read("task-a") == desk.store.read("task-a")
    copy.close()


def test_copies_made_while_another_process_writes_are_whole(desk: Desk, tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(desk.store.path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    try:
        lengths = []
        for number in range(5):
            writer.stdout.readline()  # it has written more since the last one
            target = tmp_path / f"{number}.db"
            backup(desk.store.path, target, force=False)
            copy = SqliteStore(target)
            log = copy.read("writer")
            assert fold(log).seq == len(log)
            lengths.append(len(log))
            copy.close()
        assert writer.poll() is None
        assert lengths == sorted(lengths)
        assert lengths[-1] > lengths[0]
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()


def test_what_a_dead_process_left_in_the_wal_is_in_the_copy(desk: Desk, tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(desk.store.path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    written = int(writer.stdout.readline())
    writer.kill()
    writer.wait()
    writer.stdout.close()
    backup(desk.store.path, tmp_path / "one.db", force=False)
    copy = SqliteStore(tmp_path / "one.db")
    assert len(copy.read("writer")) >= written
    copy.close()


def test_a_file_that_is_there_is_replaced_only_where_that_was_said(
    desk: Desk, tmp_path: Path
) -> None:
    target = tmp_path / "one.db"
    target.write_text("mine")
    with pytest.raises(UsageError, match="already"):
        backup(desk.store.path, target, force=False)
    assert target.read_text() == "mine"
    assert backup(desk.store.path, target, force=True).tasks == 2


def test_where_no_copy_can_be_written_that_is_told_and_nothing_left(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for target in (tmp_path / "file" / "one.db", tmp_path / "no" / "one.db", Path("/proc/one.db")):
        with pytest.raises(UsageError, match="cannot be written"):
            backup(desk.store.path, target, force=False)
    assert left_in(tmp_path) == ["file", "home"]


def test_without_a_database_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no database"):
        backup(tmp_path / "agentctl.db", tmp_path / "one.db", force=False)
    assert left_in(tmp_path) == []


def test_a_damaged_database_gives_no_copy(desk: Desk, tmp_path: Path) -> None:
    desk.close()
    path = desk.store.path
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xa5" * (len(data) - 8192)
    path.write_bytes(data)
    (tmp_path / "copies").mkdir()
    with pytest.raises(StoreCorrupt):
        backup(path, tmp_path / "copies" / "one.db", force=False)
    assert left_in(tmp_path / "copies") == []
