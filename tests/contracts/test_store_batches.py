"""What the tasks of a batch may spend together, by the reference in memory and SQLite alike."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agentctl.core import events as e
from agentctl.store import batches
from agentctl.store.memory import MemoryStore
from agentctl.store.sqlite import SqliteStore
from tests.contracts.test_store import CREATED, NOW, Pair, answer, pair

__all__ = ["pair"]


def batch(name: str = "b1", cap: int | None = 1_000, source: str = "/goals") -> batches.Batch:
    return batches.Batch(name, NOW, source, "/", ("a", "b"), {"model": "m"}, cap)


def cap(store: Any, cap_micros: int | None, name: str = "b1") -> None:
    if not isinstance(store, MemoryStore):
        batches.insert(store.connection, batch(name, cap_micros))
    elif cap_micros is not None:
        store.batch_caps[name] = cap_micros


def begin(store: Any, task_id: str, origin: str, parent: str, item: int = 0) -> None:
    event = msgspec.structs.replace(CREATED, origin=origin, parent=parent, item=item)
    assert store.create(task_id, event, NOW)


def ask(store: Any, task_id: str, micros: int, call: int = 1) -> str:
    intent = e.ModelAsked(call, "sim", "sim-1", micros, 9, 9)
    refused: str = store.append(
        task_id, len(store.read(task_id)), [], NOW, intents=[intent]
    ).refused
    return refused


@pytest.fixture
def store(pair: Pair) -> Any:
    for number in (1, 2):
        begin(pair.mine, f"t{number}", "batch", "b1", number)
    begin(pair.mine, "other", "batch", "b2", 1)
    begin(pair.mine, "alone", "", "")
    return pair.mine


def test_what_is_spent_and_reserved_by_all_tasks_of_a_batch_stays_below_its_limit(
    store: Any, pair: Pair
) -> None:
    cap(store, 1_000)
    assert ask(store, "t1", 600) == ""
    assert ask(pair.theirs, "t2", 401) == "cost"
    store.append("t1", None, [answer(500)], NOW)
    assert ask(pair.theirs, "t2", 500) == ""
    assert ask(store, "t1", 1, 2) == "cost"


def test_tasks_of_no_batch_and_of_another_do_not_count(store: Any) -> None:
    cap(store, 1_000)
    assert ask(store, "other", 5_000) == ""
    assert ask(store, "alone", 5_000) == ""
    assert ask(store, "t1", 1_000) == ""


def test_a_batch_without_a_limit_refuses_nothing(store: Any) -> None:
    cap(store, None)
    assert ask(store, "t1", 10**9) == ""
    assert store.shared("default", (), NOW, None, "t1").batch_cap_micros is None


def test_what_a_child_spends_is_spent_for_its_parents_batch(store: Any) -> None:
    begin(store, "child", "child", "t1")
    begin(store, "grandchild", "child", "child")
    begin(store, "fork", "fork", "t1")
    cap(store, 1_000)
    assert ask(store, "fork", 900) == ""  # whoever forks a task goes on by himself
    assert ask(store, "grandchild", 900) == ""
    assert ask(store, "child", 101) == "cost"
    assert ask(store, "t2", 101) == "cost"
    assert ask(store, "t2", 100) == ""


def test_the_view_tells_what_is_spent_and_what_of_it_is_under_way(store: Any) -> None:
    cap(store, 1_000)
    ask(store, "t1", 600)
    store.append("t1", None, [answer(250)], NOW)
    ask(store, "t2", 300)
    shared = store.shared("default", (), NOW + 1, None, "t2")
    found = shared.batch_spent_micros, shared.batch_under_way_micros, shared.batch_cap_micros
    assert found == (550, 300, 1_000)
    shared = store.shared("default", (), NOW + 1, None, "alone")
    assert (shared.batch_spent_micros, shared.batch_cap_micros) == (0, None)


def test_the_newest_batch_of_a_file_is_found_as_it_was_changed_last(tmp_path: Any) -> None:
    store = SqliteStore(tmp_path / "agentctl.db")
    for name, source in (("b1", "/goals"), ("b2", "/goals"), ("b3", "/others")):
        batches.insert(store.connection, batch(name, source=source))
    changed = msgspec.structs.replace(batch("b2"), goals=("a", "b", "c"), cap_micros=None)
    batches.update(store.connection, changed)
    assert batches.newest(store.connection, "/goals") == changed
    assert batches.newest(store.connection, "/none") is None
    store.close()


def test_the_tasks_of_a_batch_are_told_in_the_order_of_its_goals(tmp_path: Any) -> None:
    store = SqliteStore(tmp_path / "agentctl.db")
    batches.insert(store.connection, batch())
    for task_id, item in (("x", 2), ("y", 1)):
        begin(store, task_id, "batch", "b1", item)
    begin(store, "z", "child", "x")
    rows = batches.items(store.connection, "b1")
    assert [(row.id, row.item) for row in rows] == [("y", 1), ("x", 2)]
    store.append("z", 1, [], NOW, intents=[e.ModelAsked(1, "sim", "sim-1", 9, 9, 9)])
    store.append("z", None, [answer(7)], NOW)
    assert batches.spent(store.connection, "b1") == 7
    store.close()
