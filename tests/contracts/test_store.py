"""The store's contract, kept by the reference in memory and by SQLite alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from agentctl.core import events as e
from agentctl.core.rows import Gate, StoredOutput
from agentctl.core.values import Limits, Message, Usage
from agentctl.store.memory import MemoryStore
from agentctl.store.sqlite import SqliteStore
from tests.contracts.stores import hour

NOW = 1_800_000_000_000 // 60_000 * 60_000
"""A moment at the begin of a minute: the hour is counted in whole minutes."""
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
CREATED = e.TaskCreated("goal", "", "sim", "sim-1", "/", Limits())


class Pair(NamedTuple):
    """A store, and the same one as another process sees it."""

    mine: Any
    theirs: Any


@pytest.fixture(params=["memory", "sqlite"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    if request.param == "memory":
        memory = MemoryStore()
        yield Pair(memory, memory)
        return
    mine, theirs = (SqliteStore(tmp_path / "home" / "agentctl.db") for _ in range(2))
    yield Pair(mine, theirs)
    mine.close()
    theirs.close()


@pytest.fixture
def store(pair: Pair) -> Any:
    """A store with the task "t1"."""
    assert pair.mine.create("t1", CREATED, NOW)
    return pair.mine


def note(number: int = 0) -> e.PauseRequested:
    return e.PauseRequested(reason=str(number))


def ask(reserve_micros: int | None = 1_000, call: int = 1) -> e.ModelAsked:
    return e.ModelAsked(call, "sim", "sim-1", reserve_micros, 500, 400)


def answer(cost_micros: int | None = 400, **changes: Any) -> e.ModelAnswered:
    usage = changes.pop("usage", Usage(input=100, cache_read=60, output=10))
    return e.ModelAnswered(Message("assistant", "hi"), usage, "end", cost_micros, **changes)


def fail(charged_micros: int | None = 0, tokens: int = 0) -> e.ModelFailed:
    return e.ModelFailed(
        "cut", "", retriable=True, charged_micros=charged_micros, charged_tokens=tokens
    )


# --- the log ------------------------------------------------------------------------------------


def test_events_come_back_in_the_order_they_were_appended_numbered_from_0(store: Any) -> None:
    store.append("t1", 1, [note(1), note(2)], NOW + 5)
    store.append("t1", 3, [note(3)], NOW + 9)
    assert store.read("t1") == [
        e.Recorded(0, NOW, CREATED),
        e.Recorded(1, NOW + 5, note(1)),
        e.Recorded(2, NOW + 5, note(2)),
        e.Recorded(3, NOW + 9, note(3)),
    ]


def test_an_append_returns_what_it_wrote(store: Any) -> None:
    result = store.append("t1", 1, [note(1)], NOW, intents=[ask()])
    assert result.refused == ""
    assert result.recorded == (e.Recorded(1, NOW, note(1)), e.Recorded(2, NOW, ask()))


def test_facts_come_before_intents_of_the_same_append(store: Any) -> None:
    store.append("t1", 1, [note()], NOW, intents=[ask()])
    assert [r.event for r in store.read("t1", 1)] == [note(), ask()]


def test_read_begins_at_the_number_given(store: Any) -> None:
    store.append("t1", 1, [note(1), note(2)], NOW)
    assert [r.seq for r in store.read("t1", 2)] == [2]
    assert store.read("t1", 3) == []


def test_an_id_is_given_once(pair: Pair) -> None:
    assert pair.mine.create("t1", CREATED, NOW) is True
    other = e.TaskCreated("another goal", "", "sim", "sim-1", "/", Limits())
    assert pair.theirs.create("t1", other, NOW) is False
    assert pair.mine.read("t1") == [e.Recorded(0, NOW, CREATED)]


def test_a_task_can_begin_with_more_than_its_first_event(pair: Pair) -> None:
    resumed = e.Resumed(7)
    assert pair.mine.create("t1", CREATED, NOW, [resumed]) is True
    assert pair.theirs.create("t1", CREATED, NOW, [resumed]) is False
    assert pair.theirs.read("t1") == [e.Recorded(0, NOW, CREATED), e.Recorded(1, NOW, resumed)]


def test_tasks_do_not_mix(store: Any) -> None:
    store.create("t2", CREATED, NOW)
    store.append("t1", 1, [note(1)], NOW)
    store.append("t2", 1, [note(2)], NOW)
    assert [r.event for r in store.read("t1", 1)] == [note(1)]
    assert [r.event for r in store.read("t2", 1)] == [note(2)]


def test_an_unknown_task_is_a_key_error(store: Any) -> None:
    with pytest.raises(KeyError):
        store.append("t9", None, [note()], NOW)
    with pytest.raises(KeyError):
        store.read("t9")


# --- news ---------------------------------------------------------------------------------------


def test_news_refuse_intents_and_keep_facts(store: Any, pair: Pair) -> None:
    pair.theirs.append("t1", None, [note(7)], NOW)
    result = store.append("t1", 1, [note(1)], NOW, intents=[ask()])
    assert result.refused == "news"
    assert [(r.seq, r.event) for r in result.recorded] == [(1, note(7)), (2, note(1))]
    assert store.read("t1", 1) == list(result.recorded)


def test_news_refuse_intents_alone_and_are_told(store: Any, pair: Pair) -> None:
    pair.theirs.append("t1", None, [note(7)], NOW)
    result = store.append("t1", 1, [], NOW, intents=[ask()])
    assert result.refused == "news"
    assert [r.event for r in result.recorded] == [note(7)]
    assert len(store.read("t1")) == 2


def test_news_do_not_refuse_facts(store: Any, pair: Pair) -> None:
    pair.theirs.append("t1", None, [note(7)], NOW)
    result = store.append("t1", 1, [note(1)], NOW)
    assert result.refused == ""
    assert [r.event for r in result.recorded] == [note(7), note(1)]


def test_without_an_expected_number_nothing_is_news(store: Any, pair: Pair) -> None:
    pair.theirs.append("t1", None, [note(7)], NOW)
    result = store.append("t1", None, [note(1)], NOW, intents=[ask()])
    assert result.refused == ""
    assert [r.seq for r in result.recorded] == [2, 3]


def test_after_a_refusal_the_same_intent_is_accepted_at_the_new_number(
    store: Any, pair: Pair
) -> None:
    pair.theirs.append("t1", None, [note(7)], NOW)
    store.append("t1", 1, [], NOW, intents=[ask()])
    assert store.append("t1", 2, [], NOW, intents=[ask()]).refused == ""


def test_the_version_is_another_once_anybody_has_written(pair: Pair) -> None:
    versions = [pair.mine.version()]
    assert pair.mine.version() == versions[0]
    pair.theirs.create("t1", CREATED, NOW)
    versions.append(pair.mine.version())
    pair.theirs.append("t1", None, [note()], NOW)
    versions.append(pair.mine.version())
    pair.mine.append("t1", None, [note()], NOW)  # by another driver of this process
    versions.append(pair.mine.version())
    assert len(set(versions)) == 4
    assert pair.mine.version() == versions[3]


# --- the hour -----------------------------------------------------------------------------------


def test_an_empty_hour_has_no_oldest_spend(store: Any) -> None:
    assert hour(store, NOW) == (0, 0)


def test_a_reserve_counts_at_once_and_the_real_cost_replaces_it(store: Any) -> None:
    store.append("t1", 1, [], NOW, intents=[ask(1_000)])
    assert hour(store, NOW)[0] == 1_000
    store.append("t1", 2, [answer(400)], NOW + 5 * MINUTE_MS)
    assert hour(store, NOW + 5 * MINUTE_MS)[0] == 400


def test_a_call_that_was_certainly_not_billed_frees_its_reserve(store: Any) -> None:
    store.append("t1", 1, [], NOW, intents=[ask(1_000)])
    store.append("t1", 2, [fail(0)], NOW)
    assert hour(store, NOW) == (0, 0)


def test_a_call_that_may_have_been_billed_keeps_its_reserve(store: Any) -> None:
    store.append("t1", 1, [], NOW, intents=[ask(1_000)])
    store.append("t1", 2, [fail(1_000, 500)], NOW)
    assert hour(store, NOW)[0] == 1_000


def test_unpriced_calls_add_nothing(store: Any) -> None:
    store.append("t1", 1, [], NOW, intents=[ask(None)], gate=Gate(hour_cap_micros=0))
    store.append("t1", 2, [answer(None)], NOW)
    assert hour(store, NOW) == (0, 0)


def test_spend_counts_for_60_minutes_and_not_for_more_than_61(store: Any) -> None:
    store.append("t1", 1, [], NOW + 30_000, intents=[ask(1_000)])
    opens_ms = NOW + 61 * MINUTE_MS
    assert hour(store, NOW + 30_000) == (1_000, opens_ms)
    assert hour(store, NOW + 30_000 + HOUR_MS) == (1_000, opens_ms)
    assert hour(store, opens_ms - 1) == (1_000, opens_ms)
    assert hour(store, opens_ms) == (0, 0)


def test_spend_belongs_to_the_minute_of_asking(store: Any) -> None:
    store.append("t1", 1, [], NOW, intents=[ask(1_000)])
    store.append("t1", 2, [answer(400)], NOW + 59 * MINUTE_MS)
    assert hour(store, NOW + 61 * MINUTE_MS) == (0, 0)


def test_the_window_opens_when_its_oldest_part_leaves(store: Any) -> None:
    for number, minute in enumerate((0, 10)):
        store.append("t1", None, [], NOW + minute * MINUTE_MS, intents=[ask(100, number + 1)])
        store.append("t1", None, [answer(100)], NOW + minute * MINUTE_MS)
    assert hour(store, NOW + 20 * MINUTE_MS) == (200, NOW + 61 * MINUTE_MS)
    assert hour(store, NOW + 61 * MINUTE_MS) == (100, NOW + 71 * MINUTE_MS)


def test_a_clock_that_was_set_back_frees_no_budget(store: Any) -> None:
    store.append("t1", 1, [], NOW, intents=[ask(1_000)])
    assert hour(store, NOW - 5 * HOUR_MS)[0] == 1_000


def test_the_hours_cap_is_kept_over_all_tasks(store: Any) -> None:
    store.create("t2", CREATED, NOW)
    store.append("t2", 1, [], NOW, intents=[ask(600)])
    refused = store.append("t1", 1, [], NOW, intents=[ask(401)], gate=Gate(hour_cap_micros=1_000))
    assert refused.refused == "cost"
    assert len(store.read("t1")) == 1
    assert (
        store.append("t1", 1, [], NOW, intents=[ask(400)], gate=Gate(hour_cap_micros=1_000)).refused
        == ""
    )
    assert hour(store, NOW)[0] == 1_000


def test_the_hours_cap_keeps_facts(store: Any) -> None:
    result = store.append("t1", 1, [note(1)], NOW, intents=[ask()], gate=Gate(hour_cap_micros=999))
    assert result.refused == "cost"
    assert [r.event for r in result.recorded] == [note(1)]


def test_a_fact_of_the_same_append_frees_its_reserve_first(store: Any) -> None:
    store.append("t1", 1, [], NOW, intents=[ask(900)], gate=Gate(hour_cap_micros=1_000))
    result = store.append(
        "t1", 2, [answer(100)], NOW, intents=[ask(900, 2)], gate=Gate(hour_cap_micros=1_000)
    )
    assert result.refused == ""


def test_a_full_hour_still_tells_the_news(store: Any, pair: Pair) -> None:
    pair.theirs.append("t1", None, [note(7)], NOW)
    result = store.append("t1", 1, [], NOW, intents=[ask()], gate=Gate(hour_cap_micros=1))
    assert result.refused
    assert [r.event for r in result.recorded] == [note(7)]


def test_free_calls_and_tools_pass_a_full_hour(store: Any) -> None:
    tool = e.ToolStarted("c1", "look", "safe")
    for number, intent in enumerate((ask(0), tool), start=1):
        result = store.append("t1", number, [], NOW, intents=[intent], gate=Gate(hour_cap_micros=0))
        assert result.refused == ""


# --- outputs ------------------------------------------------------------------------------------


def test_an_output_is_stored_once(store: Any, pair: Pair) -> None:
    big = StoredOutput("abc", "x" * 100_000)
    for _ in range(3):
        store.append("t1", None, [note()], NOW, outputs=[big])
    assert pair.theirs.output("abc") == big.text
    if isinstance(store, SqliteStore):
        assert store.connection.execute("SELECT count(*) FROM outputs").fetchone() == (1,)


def test_an_unknown_output_is_none(store: Any) -> None:
    assert store.output("nothing") is None


def test_outputs_belong_to_facts_and_are_kept_when_intents_are_refused(
    store: Any, pair: Pair
) -> None:
    pair.theirs.append("t1", None, [note()], NOW)
    store.append("t1", 1, [note()], NOW, intents=[ask()], outputs=[StoredOutput("abc", "text")])
    assert store.output("abc") == "text"


# --- histories ----------------------------------------------------------------------------------

FORKED = e.Forked(e.TaskCreated("then", "", "sim", "sim-2", "/", Limits(), parent="t1"), 1, 3)


def history(store: Any) -> list[e.Recorded]:
    """A history with a paid call, as a fork of t1 has it."""
    store.append("t1", 1, [], NOW, intents=[ask()])
    store.append("t1", 2, [answer()], NOW)
    return [*store.read("t1"), e.Recorded(3, NOW + 9, FORKED)]


def test_a_history_is_read_back_to_the_byte(store: Any) -> None:
    log = history(store)
    assert store.take_over("t2", log, [StoredOutput("h", "long")])
    assert store.read("t2") == log
    assert store.output("h") == "long"


def test_a_history_weighs_on_nothing_that_tasks_share(store: Any) -> None:
    log = history(store)
    before = store.shared("default", ("ai",), NOW)
    store.take_over("t2", log)
    assert store.shared("default", ("ai",), NOW) == before
    store.append("t2", 4, [], NOW, intents=[ask(call=2)])
    assert hour(store, NOW)[0] == before.hour_spent_micros + 1_000


def test_an_id_that_is_taken_is_left_alone(store: Any) -> None:
    log = history(store)
    assert not store.take_over("t1", log)
    assert store.read("t1") == log[:-1]


def test_an_answer_of_a_history_is_found_where_it_was_given(store: Any) -> None:
    store.append("t1", 1, [], NOW, intents=[msgspec.structs.replace(ask(), request="key")])
    store.append("t1", 2, [answer(7)], NOW)
    store.take_over("t2", [*store.read("t1"), e.Recorded(3, NOW, FORKED)])
    assert store.answered("key") == answer(7)
