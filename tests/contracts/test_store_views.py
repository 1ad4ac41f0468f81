"""The list and the ledger always agree with the log, and both stores with each other."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.recount import recount
from agentctl.core.rows import Gate, UsageRow
from agentctl.core.state import fold
from agentctl.core.values import Limits, Usage
from agentctl.store import queries
from agentctl.store.memory import MemoryStore
from agentctl.store.sqlite import SqliteStore
from tests.contracts.stores import hour
from tests.contracts.test_store import CREATED, NOW, answer, ask, fail, note


def life(seed: int, *stores: Any) -> None:
    """Append a random but possible history of two tasks to every store."""
    rng = random.Random(seed)
    calls: dict[str, str] = {"t1": "", "t2": ""}  # the purpose of the open call
    now = NOW
    for store in stores:
        for task in calls:
            store.create(task, CREATED, NOW)
    for _ in range(40):
        task, now = rng.choice(list(calls)), now + rng.choice((0, 900, 700_000))
        facts: list[e.Event] = []
        if calls[task]:
            usage = Usage(rng.randint(60, 99), rng.randint(0, 60), 0, 7, 3, rng.random() < 0.8)
            cost = rng.choice((None, 0, rng.randint(1, 900)))
            told = rng.choice(("", '{"in":1}', '{"in":2}'))
            own = calls[task] == "embedding"  # another model, with prices of its own
            named = {"prices": '{"in":9}' if own else told, "response_id": str(now)}
            facts = rng.choice(([answer(cost, usage=usage, **named)], [fail(cost, 9)], [fail(0)]))
        elif rng.random() < 0.5:
            limits = Limits(task_cost_micros=rng.choice((None, 5)))
            more = (e.Stopped("limit", "", wake_ms=now), e.Resumed(5, model="m2"), note())
            facts = [e.LimitChanged(limits), rng.choice(more)]
        asks = not calls[task] or rng.random() < 0.5
        purpose = rng.choice(("step", "step", "summary", "embedding"))
        asked = ask(rng.choice((None, 0, 1_000)), rng.randint(1, 99))
        intents = [replace(asked, purpose=purpose)] if asks else []
        results = [
            store.append(task, None, facts, now, intents=intents, gate=Gate(hour_cap_micros=4_000))
            for store in stores
        ]
        assert all(result == results[0] for result in results)
        calls[task] = purpose if intents and not results[0].refused else ""
        assert len({hour(store, now) for store in stores}) == 1


@pytest.mark.parametrize("seed", range(12))
def test_memory_and_sqlite_answer_every_append_alike(seed: int, tmp_path: Path) -> None:
    memory, sqlite = MemoryStore(), SqliteStore(tmp_path / "agentctl.db")
    try:
        life(seed, memory, sqlite)
        for task in ("t1", "t2"):
            assert memory.read(task) == sqlite.read(task)
    finally:
        sqlite.close()


def ledger_of(log: list[e.Recorded]) -> list[tuple[Any, ...]]:
    """The usage rows of a task as its log tells them."""
    rows: list[tuple[Any, ...]] = []
    prices = purpose = ""
    for record in log:
        match record.event:
            case e.ModelAsked() as asked:
                purpose = asked.purpose
                head = (asked.call, record.at_ms, asked.reserve_micros)
                rows.append((*head, "open", asked.reserve_micros, 0, 0, 0, "", ""))
            case e.ModelAnswered() as answered:
                usual, prices = prices, answered.prices or prices
                usage = answered.usage
                state = "settled" if usage.reported else "estimated"
                used = (usage.input, usage.cache_read, usage.output)
                told = (*used, prices, answered.response_id)
                rows[-1] = (*rows[-1][:3], state, answered.cost_micros, *told)
                prices = usual if purpose == "embedding" else prices
            case e.ModelFailed() as failed:
                may_be_billed = failed.charged_micros != 0 or failed.charged_tokens
                state = "unsettled" if may_be_billed else "free"
                rows[-1] = (*rows[-1][:3], state, failed.charged_micros, *rows[-1][5:])
            case _:
                pass
    return rows


def shown(row: UsageRow) -> tuple[Any, ...]:
    return (
        row.call, row.at_ms, row.reserve_micros, row.state, row.cost_micros, row.input,
        row.cache_read, row.output, row.prices, row.response_id,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_the_list_and_the_ledger_agree_with_the_log(seed: int, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "agentctl.db")
    try:
        life(seed, store)
        for row in queries.tasks(store.connection):
            log = store.read(row.id)
            state = fold(log)
            assert row.status == state.status
            assert (row.steps, row.cost_micros) == (state.steps, state.spent_micros)
            assert row.unpriced == state.unpriced
            assert row.tokens_processed == state.tokens_processed
            assert row.tokens_total == state.tokens_total
            assert row.limit_micros == state.limits.task_cost_micros
            assert (row.provider, row.model) == (state.provider, state.model)
            assert (row.name, row.goal, row.cwd) == ("", "goal", "/")
            calls = queries.calls(store.connection, store.number(row.id))
            assert list(map(shown, calls)) == ledger_of(log)
            counted = recount((record.at_ms, record.event) for record in log)
            assert (counted.steps, counted.cost_micros) == (row.steps, row.cost_micros)
            prices = {number: call.prices for number, call in counted.calls.items()}
            assert prices == {call.call: call.prices for call in calls}
    finally:
        store.close()


def test_a_long_goal_is_cut_in_the_list_and_whole_in_the_log(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "agentctl.db")
    try:
        store.create("t1", e.TaskCreated("x" * 5_000, "", "p", "m", "/", Limits()), NOW)
        (row,) = queries.tasks(store.connection)
        assert len(row.goal) == 200
        first = store.read("t1")[0].event
        assert isinstance(first, e.TaskCreated)
        assert len(first.goal) == 5_000
    finally:
        store.close()


def test_the_list_knows_what_a_task_comes_from(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "agentctl.db")
    try:
        born = e.TaskCreated(
            "goal", "", "p", "m", "/", Limits(), origin="batch", parent="b1", item=7
        )
        store.create("t1", born, NOW)
        (row,) = queries.tasks(store.connection)
        assert (row.origin, row.parent, row.item) == ("batch", "b1", 7)
    finally:
        store.close()
