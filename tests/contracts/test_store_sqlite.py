"""SQLite in particular: many processes, private files, durable commits, damaged files."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agentctl.core import events as e
from agentctl.core.rows import Gate
from agentctl.errors import StoreCorrupt, StoreError, StoreNewer
from agentctl.store import opening, queries
from agentctl.store.sqlite import SqliteStore
from tests.contracts.stores import hour
from tests.contracts.test_store import CREATED, MINUTE_MS, NOW, answer, ask, note

PROCESSES, APPENDS, CAP_MICROS = 4, 50, 10_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "agentctl.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(path)
    made.create("t1", CREATED, NOW)
    yield made
    made.close()


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own; it may die as it likes."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


# --- many processes at once ---------------------------------------------------------------------

_barrier: Any = None


def _meet(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def at_once(job: Callable[[Path, int], Any], path: Path) -> list[Any]:
    """Run a job in several real processes that begin together."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, context, _meet, (barrier,)) as pool:
        return list(pool.map(job, [path] * PROCESSES, range(PROCESSES), timeout=60))


def _append_many(path: Path, number: int) -> None:
    store = SqliteStore(path)
    _barrier.wait(60)
    seen = 1
    for turn in range(APPENDS):
        event = e.PauseRequested(by=f"p{number}", reason=str(turn))
        seen += len(store.append("t1", seen, [event], NOW).recorded)
    assert store.read("t1", seen) is not None
    store.close()


def test_processes_that_append_at_once_lose_nothing(store: SqliteStore, path: Path) -> None:
    at_once(_append_many, path)
    log = store.read("t1")
    assert [record.seq for record in log] == list(range(PROCESSES * APPENDS + 1))
    for number in range(PROCESSES):
        told = [r.event.reason for r in log[1:] if r.event.by == f"p{number}"]  # type: ignore[attr-defined]  # all are PauseRequested
        assert told == [str(turn) for turn in range(APPENDS)]


def _spend_all(path: Path, number: int) -> int:
    store = SqliteStore(path)
    task, most = f"s{number}", 0
    store.create(task, CREATED, NOW)
    _barrier.wait(60)
    for turn in range(40):
        at_ms = NOW + turn * 100
        intent = ask(700 + turn * 10, turn + 1)
        result = store.append(
            task, None, [], at_ms, intents=[intent], gate=Gate(hour_cap_micros=CAP_MICROS)
        )
        most = max(most, hour(store, at_ms)[0])
        if not result.refused:
            store.append(task, None, [answer(150)], at_ms)
    store.close()
    return most


def test_processes_that_spend_at_once_never_pass_the_hours_cap(
    store: SqliteStore, path: Path
) -> None:
    most = max(at_once(_spend_all, path))
    spent = hour(store, NOW)[0]
    assert spent <= most <= CAP_MICROS
    assert spent > CAP_MICROS - 1_100, "what fits is allowed"
    rows = queries.tasks(store.connection)
    assert sum(row.cost_micros for row in rows) == spent


def _create_same(path: Path, number: int) -> bool:
    store = SqliteStore(path.parent / f"{path.name}-new")
    _barrier.wait(60)
    made = store.create("same", CREATED, NOW)
    store.close()
    return made


def test_an_id_is_given_to_one_process_and_a_new_database_is_made_once(path: Path) -> None:
    assert sorted(at_once(_create_same, path)) == [False, False, False, True]


def test_a_writer_in_the_middle_of_its_transaction_is_waited_for(
    store: SqliteStore, path: Path
) -> None:
    """A reader is not held up at all: that is what the WAL is for."""
    other = SqliteStore(path)
    other.connection.execute("BEGIN IMMEDIATE")
    assert len(store.read("t1")) == 1
    other.connection.execute("ROLLBACK")
    other.close()
    assert store.append("t1", 1, [note()], NOW).recorded


# --- files --------------------------------------------------------------------------------------

_OPEN_AND_WATCH = """
import os, sys
from pathlib import Path
changed = []
sys.addaudithook(lambda name, _: changed.append(name) if name == "os.chmod" else None)
os.umask(int(sys.argv[2]))
from agentctl.core.events import TaskCreated
from agentctl.core.values import Limits
from agentctl.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
store.create("t1", TaskCreated("g", "", "p", "m", "/", Limits()), 1)
for entry in (Path(sys.argv[1]).parent, *sorted(Path(sys.argv[1]).parent.iterdir())):
    print(entry.name, oct(entry.stat().st_mode & 0o777))
print("chmods", len(changed))
"""


@pytest.mark.parametrize("umask", [0o022, 0o000, 0o077])
def test_folder_and_files_are_private_from_their_creation(path: Path, umask: int) -> None:
    """Made private, not changed afterwards: there is no moment in which others can read."""
    result = run_python(_OPEN_AND_WATCH, path, umask)
    assert result.stderr == ""
    told = dict(line.split() for line in result.stdout.splitlines())
    assert told.pop("chmods") == "0"
    assert told.pop("home") == "0o700"
    assert {"agentctl.db", "agentctl.db-wal"} <= set(told)
    assert set(told.values()) == {"0o600"}


def test_commits_are_durable(store: SqliteStore) -> None:
    full = 2
    assert store.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store.connection.execute("PRAGMA synchronous").fetchone() == (full,)


def test_the_library_has_the_fix_for_the_wal_reset_bug() -> None:
    assert opening.sqlite_module().sqlite_version_info >= (3, 51, 3)


def test_a_closed_database_is_one_file_without_a_wal(path: Path) -> None:
    made = SqliteStore(path)
    made.create("t1", CREATED, NOW)
    made.close()
    assert not Path(f"{path}-wal").exists()


# --- after a crash ------------------------------------------------------------------------------

_DIE = """
import os, signal, sys
from pathlib import Path
from agentctl.core.events import PauseRequested, TaskCreated
from agentctl.core.values import Limits
from agentctl.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
store.create("t1", TaskCreated("g" * 90_000, "", "p", "m", "/", Limits()), 1)
for n in range(300):
    store.append("t1", n + 1, [PauseRequested(reason="x" * 500)], 1)
store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
store.append("t1", 301, [PauseRequested(reason="the last")], 1)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def crashed(path: Path) -> Path:
    result = run_python(_DIE, path)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert Path(f"{path}-wal").stat().st_size > 0
    return path


def damage(path: Path) -> None:
    """Overwrite the middle of the file, as a bad disk does."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(os.urandom(8192))


def test_what_a_killed_process_committed_is_there(crashed: Path) -> None:
    store = SqliteStore(crashed)
    last = store.read("t1", 301)[0].event
    store.close()
    assert last == e.PauseRequested(reason="the last")


def test_leftovers_of_a_dead_process_ask_for_a_check(crashed: Path) -> None:
    assert opening._alone_with_leftovers(crashed) is True


def test_leftovers_of_a_process_that_lives_do_not(crashed: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from agentctl.store import opening\n"
        "opening._alone_with_leftovers(Path(sys.argv[1])); print('ready', flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(crashed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as living:
        assert living.stdout is not None
        assert living.stdout.readline() == b"ready\n"
        assert opening._alone_with_leftovers(crashed) is False
        living.communicate()


def test_damage_is_found_when_opening_after_a_crash(crashed: Path) -> None:
    damage(crashed)
    before = crashed.read_bytes()
    with pytest.raises(StoreCorrupt, match="damaged") as told:
        SqliteStore(crashed)
    assert told.value.exit_code == 74
    assert "recover" in told.value.next_step
    assert crashed.read_bytes() == before, "it is left as it is"


def test_a_closed_database_needs_no_check(path: Path) -> None:
    SqliteStore(path).close()
    assert opening._alone_with_leftovers(path) is False


# --- files that cannot be used ------------------------------------------------------------------


def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    SqliteStore(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {opening.SCHEMA_VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreNewer, match="written by a newer agentctl"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_another_file_in_its_place_is_told_and_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database at all, but somebody's letter\n" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match="not a database"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_file_in_place_of_the_home_is_told(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(StoreError, match="cannot be used") as told:
        SqliteStore(tmp_path / "home" / "agentctl.db")
    assert "AGENTCTL_HOME" in told.value.next_step


def test_an_event_of_an_unknown_kind_is_told_as_a_newer_ones(store: SqliteStore) -> None:
    store.append("t1", 1, [note()], NOW)
    store.connection.execute("UPDATE events SET kind = 'Teleported' WHERE kind = 'PauseRequested'")
    with pytest.raises(StoreError, match="Teleported"):
        store.read("t1")


def test_a_failed_append_leaves_no_half(store: SqliteStore) -> None:
    with pytest.raises(ValueError, match="without an open call"):
        store.append("t1", 1, [note(), answer()], NOW)
    assert len(store.read("t1")) == 1
    assert store.append("t1", 1, [note()], NOW).recorded[0].seq == 1


def test_a_full_disk_is_told_and_loses_nothing(store: SqliteStore) -> None:
    """A cap on the pages of the database stands for the disk: SQLite says the same of both."""
    pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
    store.connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="full") as told:
        store.append("t1", 1, [e.PauseRequested(reason="x" * 300_000)], NOW)
    assert told.value.exit_code == 74
    store.connection.execute("PRAGMA max_page_count = 1000000")
    assert store.append("t1", 1, [note()], NOW + MINUTE_MS).recorded[0].seq == 1


def test_a_folder_that_was_there_is_used_as_it_is(path: Path) -> None:
    path.parent.mkdir(mode=0o750)
    SqliteStore(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
