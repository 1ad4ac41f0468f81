"""Results that may be given again: found by what was asked, in memory and in SQLite alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentctl.core import events as e
from agentctl.core.lookups import Lookup
from agentctl.core.rows import StoredOutput
from agentctl.core.values import Limits
from agentctl.store import lookups
from agentctl.store.memory import MemoryStore
from agentctl.store.sqlite import SqliteStore

NOW = 1_800_000_000_000
CREATED = e.TaskCreated("goal", "", "sim", "sim-1", "/", Limits())


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A store with the tasks "t1" and "t2"."""
    made: Any = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "a.db")
    for task in ("t1", "t2"):
        assert made.create(task, CREATED, NOW)
    yield made
    if request.param == "sqlite":
        made.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "a.db")
    assert made.create("t1", CREATED, NOW)
    yield made
    made.close()


def looked(call_id: str = "c1", key: str = "k", **changes: Any) -> e.ToolEnded:
    return e.ToolEnded(call_id, "read_file", "text", lookup=key, proof="p", **changes)


def test_a_result_is_found_under_its_hash(store: Any) -> None:
    store.append("t1", None, [looked()], NOW + 5)
    assert store.looked_up("k") == Lookup("t1", "c1", NOW + 5, "text", "text", "p")
    assert store.looked_up("other") is None


def test_what_has_no_hash_is_not_kept(store: Any) -> None:
    store.append("t1", None, [e.ToolEnded("c1", "read_file", "text")], NOW)
    assert store.looked_up("") is None


def test_the_newest_result_takes_the_place_of_an_older_one(store: Any) -> None:
    store.append("t2", None, [looked("old")], NOW)
    store.append("t1", None, [looked("new")], NOW + 1)
    assert store.looked_up("k").call_id == "new"
    store.append("t2", None, [looked("newest")], NOW + 2)
    assert (store.looked_up("k").task_id, store.looked_up("k").call_id) == ("t2", "newest")


def test_a_large_result_is_found_whole(store: Any) -> None:
    event = looked(output_ref="ref", output_bytes=9)
    store.append("t1", None, [event], NOW, outputs=[StoredOutput("ref", "all of it")])
    found = store.looked_up("k")
    assert (found.shown, found.text) == ("text", "all of it")


def test_it_is_kept_in_the_transaction_of_its_event(sqlite: SqliteStore) -> None:
    with pytest.raises(UnicodeEncodeError):
        sqlite.append("t1", None, [looked(), e.ToolEnded("c2", "x", "not text: \ud800")], NOW)
    assert sqlite.looked_up("k") is None


def test_the_oldest_results_are_forgotten_first(sqlite: SqliteStore) -> None:
    for n in range(5):
        sqlite.append("t1", None, [looked(f"c{n}", f"k{n}", output_bytes=10)], NOW + n)
    sqlite.append("t1", None, [looked("again", "k0", output_bytes=10)], NOW + 9)
    lookups.trim(sqlite.connection.cursor(), 30)
    kept = [n for n in range(5) if sqlite.looked_up(f"k{n}") is not None]
    assert kept == [0, 3, 4]


def test_the_table_trims_itself(sqlite: SqliteStore) -> None:
    kept = lookups.Lookups(sqlite.connection.cursor(), most_bytes=1_000)
    for n in range(300):
        kept.ended(looked(f"c{n}", f"k{n}", output_bytes=10), NOW, n)
    (total,) = sqlite.connection.execute("SELECT sum(bytes) FROM lookups").fetchone()
    assert 950 <= total <= 1_060


def test_a_result_whose_whole_is_gone_is_not_given(store: Any) -> None:
    store.append("t1", None, [looked(output_ref="gone", output_bytes=9)], NOW)
    assert store.looked_up("k") is None
