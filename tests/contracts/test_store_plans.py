"""Looking up a few tasks among many reads only those: an index is used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentctl.store import batches, gate, queries
from agentctl.store.sqlite import SqliteStore
from tests.contracts.test_store_batches import batch


@pytest.mark.parametrize(
    "look",
    [
        lambda db: gate.batch_money(db, "b1", 0),
        lambda db: batches.spent(db, "b1"),
        lambda db: queries.of_batch(db, "b1"),
        lambda db: queries.children(db, "t1"),
    ],
    ids=["batch money", "batch spent", "batch tasks", "children"],
)
def test_no_look_reads_every_task(look: Callable[[Any], object], tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "agentctl.db")
    try:
        batches.insert(store.connection, batch())
        told: list[str] = []
        store.connection.set_trace_callback(told.append)
        look(store.connection)
        store.connection.set_trace_callback(None)
        plans = [
            row[3]
            for statement in told
            for row in store.connection.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
        assert plans
        assert [plan for plan in plans if plan.startswith("SCAN tasks")] == []
    finally:
        store.close()
