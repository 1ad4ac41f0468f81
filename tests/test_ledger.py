"""The exported cost history: complete, atomic, private, and never in the way."""

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentctl.core.events import ModelAnswered, ModelFailed, PauseRequested, Recorded
from agentctl.core.live import TextDelta
from agentctl.core.rows import UsageRow
from agentctl.core.values import Message, Usage
from agentctl.errors import StoreError, StoreNewer
from agentctl.listeners.ledger import HOUR_MS, LOCK_NAME, Ledger, Totals, render
from agentctl.store.lockfile import free, look, take
from agentctl.store.locks import FileLocks
from tests.cli.parts import Place

TOP = Path(__file__).resolve().parent.parent
NOW = 1_793_534_400_000  # 2026-11-01T12:00:00Z


def row(number, **changes):
    fields = {
        "id": number,
        "task_id": "t1",
        "call": number,
        "at_ms": NOW - 1_000,
        "provider": "anthropic",
        "model": "claude-sonnet-5-5",
        "purpose": "step",
        "state": "settled",
        "input": 1200,
        "cache_read": 1000,
        "cache_write": 100,
        "output": 80,
        "reasoning": 0,
        "reserve_micros": 43_000,
        "cost_micros": 1_350,
        "prices": '{"cache_read":100000,"cache_write":2500000,"input":2000000,"output":10000000,'
        '"source":"genai-prices 0.2.3"}',
        "response_id": f"msg_{number:02}",
    }
    return UsageRow(**{**fields, **changes})


def whole_file():
    """What a run writes."""
    return render([row(1), row(2)], [(NOW, Totals(2, 0, 2_700, 0, 560, 2_560))], NOW)


class Rows:
    """Stands for the usage table, and notes how it was asked."""

    def __init__(self, rows=(), totals=()):
        self.rows, self.totals, self.asked = list(rows), list(totals), []

    def recent(self, min_records, since_ms):
        self.asked.append((min_records, since_ms))
        return self.rows

    def sums(self):
        return self.totals


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def ledger(path, rows=None):
    rows = rows or Rows([row(1)], [(NOW - HOUR_MS, Totals(1, 0, 1_350, 0, 280, 1_280))])
    return Ledger(path, rows.recent, rows.sums, lambda: NOW)


def answered(at_ms):
    answer = ModelAnswered(Message("assistant", "hi"), Usage(input=1), "end", 1)
    return Recorded(1, at_ms, answer)


def test_a_run_that_ends_leaves_a_file_that_only_its_owner_can_read(home):
    path = home / ".cost_history.json"
    before = os.umask(0)
    try:
        ledger(path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert list(home.iterdir()) == [path]


def test_the_file_holds_records_and_hours_and_days_in_utc(home):
    path = home / "costs.json"
    rows = Rows(
        [row(7, at_ms=NOW - 1)],
        [
            (NOW - 13 * HOUR_MS, Totals(1, 0, 10, 1, 5, 6)),
            (NOW - HOUR_MS, Totals(2, 1, 20, 2, 7, 8)),
            (NOW, Totals(1, 0, 5, 0, 1, 1)),
        ],
    )
    ledger(path, rows).close()
    written = json.loads(path.read_bytes())
    assert written["schema"] == 1
    assert written["generated_at"] == "2026-11-01T12:00:00.000Z"
    assert written["records"][0]["at"] == "2026-11-01T11:59:59.999Z"
    assert list(written["hours"]) == ["2026-10-31T23:00Z", "2026-11-01T11:00Z", "2026-11-01T12:00Z"]
    assert written["days"] == {
        "2026-10-31": {
            "calls": 1,
            "unpriced": 0,
            "cost_micros": 10,
            "open_micros": 1,
            "tokens_processed": 5,
            "tokens_total": 6,
        },
        "2026-11-01": {
            "calls": 3,
            "unpriced": 1,
            "cost_micros": 25,
            "open_micros": 2,
            "tokens_processed": 8,
            "tokens_total": 9,
        },
    }


def test_at_least_a_thousand_records_and_the_whole_last_hour_are_asked_for(home):
    rows = Rows([row(number) for number in range(1, 1_500)])
    ledger(home / "costs.json", rows).close()
    assert rows.asked == [(1_000, NOW - HOUR_MS)]
    assert len(json.loads((home / "costs.json").read_bytes())["records"]) == 1_499


def test_an_unpriced_call_is_null_and_not_zero(home):
    ledger(home / "costs.json", Rows([row(1, cost_micros=None)])).close()
    assert json.loads((home / "costs.json").read_bytes())["records"][0]["cost_micros"] is None


def test_it_is_written_at_most_every_30_seconds_and_when_the_run_ends(home):
    rows = Rows([row(1)])
    listener = ledger(home / "costs.json", rows)
    for second in range(65):
        listener.hear("t1", answered(NOW + second * 1_000))
    assert len(rows.asked) == 2
    listener.close()
    listener.close()
    assert len(rows.asked) == 3


def test_a_failed_call_counts_and_other_events_and_signals_do_not(home):
    rows = Rows([row(1)])
    listener = ledger(home / "costs.json", rows)
    listener.export()
    listener.hear("t1", Recorded(0, NOW, PauseRequested()))
    listener.hear("t1", Recorded(1, NOW + 99_000, PauseRequested()))
    listener.hear("t1", TextDelta("hello"))
    listener.close()
    assert len(rows.asked) == 1
    listener.hear("t1", Recorded(2, NOW + 99_000, ModelFailed("server", "", True)))
    assert len(rows.asked) == 2


def test_a_missing_file_is_rebuilt_even_when_nothing_was_asked(home):
    path = home / "costs.json"
    listener = ledger(path)
    listener.close()
    path.unlink()
    listener.close()
    assert path.exists()


@pytest.mark.parametrize(
    "damage",
    [
        b"{",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"schema":"1"}',
        b'{"schema":0}',
        b'{"schema":1}',
        b"[" * 9999,
    ],
)
def test_a_damaged_file_is_kept_aside_and_rebuilt(home, damage):
    home.mkdir()
    path = home / ".cost_history.json"
    path.write_bytes(damage)
    ledger(path).close()
    ledger(path).close()
    aside = home / ".cost_history.json.corrupt-20261101T120000Z"
    assert aside.read_bytes() == damage
    assert sorted(home.iterdir()) == sorted([path, aside])
    assert len(json.loads(path.read_bytes())["records"]) == 1


def test_a_second_damaged_file_does_not_overwrite_the_first_one_kept(home):
    home.mkdir()
    path = home / "costs.json"
    for damage in (b"one", b"two", b"one"):
        path.write_bytes(damage)
        ledger(path).export()
    kept = {file.name: file.read_bytes() for file in home.glob("*.corrupt-*")}
    assert kept == {
        "costs.json.corrupt-20261101T120000Z": b"one",
        "costs.json.corrupt-20261101T120000Z-2": b"two",
    }


def test_a_file_of_a_newer_schema_is_not_touched(home):
    home.mkdir()
    path = home / "costs.json"
    path.write_bytes(b'{"schema": 2, "rows": []}')
    with pytest.raises(StoreNewer, match="newer agentctl"):
        ledger(path).export()
    assert path.read_bytes() == b'{"schema": 2, "rows": []}'
    assert list(home.iterdir()) == [path]


def test_a_link_to_a_cost_history_is_followed_and_stays_a_link(home):
    home.mkdir()
    target = home / "elsewhere.json"
    link = home / "costs.json"
    link.symlink_to(target)
    ledger(link).export()  # the target does not exist yet
    target.write_bytes(whole_file())
    ledger(link).export()
    assert link.is_symlink()
    assert len(json.loads(target.read_bytes())["records"]) == 1


def test_a_link_to_any_other_file_is_refused_and_the_file_unharmed(home):
    home.mkdir()
    target = home / "precious"
    target.write_text("precious")
    (home / "costs.json").symlink_to(target)
    with pytest.raises(StoreError, match="not a cost history"):
        ledger(home / "costs.json").export()
    assert target.read_text() == "precious"
    assert len(list(home.iterdir())) == 2


def test_a_folder_in_its_place_is_told_as_an_error(home):
    (home / "costs.json").mkdir(parents=True)
    with pytest.raises(StoreError, match="Cannot write the cost history"):
        ledger(home / "costs.json").export()


def test_a_full_disk_leaves_the_old_file_and_no_litter(home, monkeypatch):
    path = home / "costs.json"
    ledger(path).export()
    before = path.read_bytes()

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        ledger(path, Rows([row(1), row(2)])).export()
    assert path.read_bytes() == before
    assert list(home.iterdir()) == [path]


def test_many_writers_at_once_leave_one_whole_file(home):
    path = home / "costs.json"
    home.mkdir()
    path.write_bytes(b"damaged")

    def write(size):
        ledger(path, Rows([row(number) for number in range(size)])).export()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(1, 40)))
    assert 1 <= len(json.loads(path.read_bytes())["records"]) < 40
    # Several may have found the damage at once and kept it; what counts is that one did.
    others = [file for file in home.iterdir() if file != path]
    assert others
    for other in others:
        assert other.name.startswith("costs.json.corrupt-20261101T120000Z")
        assert other.read_bytes() == b"damaged"


def test_a_reader_never_sees_a_part_while_another_process_writes(home):
    path = home / "costs.json"
    ledger(path).export()
    code = (
        "import sys; from pathlib import Path; from tests.test_ledger import *\n"
        "rows = Rows([row(n) for n in range(300)])\n"
        "for _ in range(30): ledger(Path(sys.argv[1]), rows).export()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=TOP) as writer:
        while writer.poll() is None:
            assert len(json.loads(path.read_bytes())["records"]) in (1, 300)
    assert writer.returncode == 0
    assert list(home.iterdir()) == [path]


# --- one writer at a time -----------------------------------------------------------------------


def locked(folder, timeout_ms=0):
    """The lock under which the file is written, as a run is given it."""
    return lambda: FileLocks(folder).held(LOCK_NAME, timeout_ms=timeout_ms)


def test_rows_are_read_and_the_file_is_written_under_the_lock(home):
    """Else a slow writer would put what it read earlier over what was read later."""
    path = home / "costs.json"
    seen = []

    class Watched(Rows):
        def recent(self, min_records, since_ms):
            seen.append((look(home / "locks" / "ledger.lock") is not None, path.exists()))
            return super().recent(min_records, since_ms)

    rows = Watched([row(1)])
    Ledger(path, rows.recent, rows.sums, lambda: NOW, locked(home / "locks")).close()
    assert seen == [(True, False)]
    assert path.exists()
    assert look(home / "locks" / "ledger.lock") is None


def test_a_lock_that_is_not_free_in_time_leaves_the_file_and_is_told_with_its_holder(home):
    path = home / "costs.json"
    rows = Rows([row(1)])
    listener = Ledger(path, rows.recent, rows.sums, lambda: NOW, locked(home / "locks"))
    handle = take(home / "locks" / "ledger.lock")
    with pytest.raises(StoreError, match=rf"costs.json: .*held by process {os.getpid()}\b") as told:
        listener.close()
    assert told.value.next_step == "agentctl costs report"
    assert not path.exists()
    free(handle)
    listener.close()
    assert path.exists()


def test_an_error_while_writing_frees_the_lock(home):
    (home / "costs.json").mkdir(parents=True)
    rows = Rows([row(1)])
    listener = Ledger(home / "costs.json", rows.recent, rows.sums, lambda: NOW, locked(home))
    for _ in range(2):
        with pytest.raises(StoreError, match="Is a directory"):
            listener.close()


def test_four_processes_at_once_leave_one_whole_file_and_one_copy_of_the_damaged_one(home):
    path = home / "costs.json"
    home.mkdir()
    path.write_bytes(b"damaged")
    code = (
        "import sys; from pathlib import Path; from tests.test_ledger import *\n"
        "path, size = Path(sys.argv[1]), int(sys.argv[2])\n"
        "rows = Rows([row(n) for n in range(size)])\n"
        "lock = locked(path.parent / 'locks', 30_000)\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for _ in range(15): Ledger(path, rows.recent, rows.sums, lambda: NOW, lock).export()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": TOP}
    sizes = (10, 20, 30, 40)
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), str(size)], **pipes)
        for size in sizes
    ]
    assert [writer.stdout.readline() for writer in writers] == [b"ready\n"] * 4
    for writer in writers:
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
    assert [writer.returncode for writer in writers] == [0] * 4
    assert len(json.loads(path.read_bytes())["records"]) in sizes
    aside = home / "costs.json.corrupt-20261101T120000Z"
    assert aside.read_bytes() == b"damaged"
    assert sorted(home.iterdir()) == sorted([path, aside, home / "locks"])


def test_a_run_whose_ledger_is_held_by_another_says_so_once_and_goes_on(tmp_path):
    place = Place(tmp_path)
    place.turns({"text": "done"})
    handle = take(place.home / "locks" / "ledger.lock")
    ran = place.run()
    free(handle)
    assert (ran.code, ran.out) == (0, "done\n")
    assert ran.err.count("Cannot write the cost history") == 1
    assert f"held by process {os.getpid()}" in " ".join(ran.err.split())
