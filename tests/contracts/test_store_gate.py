"""What all tasks share, kept by the reference in memory and by SQLite alike."""

from __future__ import annotations

import random
from typing import Any

import pytest

from agentctl.core import breaker
from agentctl.core import events as e
from agentctl.core.rows import Gate
from agentctl.core.values import Breaker, Circuit, Limits, Pace
from agentctl.store import gate as gates
from agentctl.store.memory import MemoryStore
from tests.contracts.test_store import (
    CREATED,
    HOUR_MS,
    MINUTE_MS,
    NOW,
    Pair,
    answer,
    fail,
    pair,
)

__all__ = ["pair"]
LIMITS = Limits(calls_per_minute={"ai": 3, "web": 2, "free": None})
GATE = Gate(limits=LIMITS, breaker=Breaker(failures=2, window_ms=MINUTE_MS, reset_ms=30_000))


class Tasks:
    """Tasks written to one after the other, each append at the end of its log."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.calls = 0
        for task in ("t1", "t2"):
            assert store.create(task, CREATED, NOW)

    def ask(self, task: str = "t1", at_ms: int = NOW, gate: Gate = GATE, **fields: Any) -> str:
        """Ask a model; return the guard in the way."""
        self.calls += 1
        event = e.ModelAsked(self.calls, "sim", "sim-1", fields.pop("micros", 0), 9, 9, **fields)
        return self._send(task, [event], at_ms, gate)

    def start(
        self, *names: str, task: str = "t1", at_ms: int = NOW, gate: Gate = GATE, **fields: Any
    ) -> str:
        """Start tools; return the guard in the way."""
        events = [e.ToolStarted(f"c-{name}", name, "safe", **fields) for name in names]
        return self._send(task, events, at_ms, gate)

    def _send(self, task: str, events: list[Any], at_ms: int, gate: Gate) -> str:
        seen = len(self.store.read(task))
        refused: str = self.store.append(task, seen, [], at_ms, intents=events, gate=gate).refused
        return refused

    def fact(self, event: e.Event, task: str = "t1", at_ms: int = NOW) -> None:
        self.store.append(task, None, [event], at_ms, gate=GATE)

    def credit(self, amount: int, account: str = "default") -> None:
        if isinstance(self.store, MemoryStore):
            self.store.credits[account] = self.store.credits.get(account, 0) + amount
        else:
            gates.move_credits(self.store.connection, account, amount, NOW, None, "test")

    def left(self, account: str = "default") -> int:
        left: int = self.store.shared(account, (), NOW).credits_left
        return left

    def circuit(self, name: str) -> Circuit:
        found: Circuit = self.store.shared("default", (), NOW).circuits.get(name, Circuit())
        return found


@pytest.fixture
def tasks(pair: Pair) -> Tasks:
    return Tasks(pair.mine)


# --- money --------------------------------------------------------------------------------------


def test_the_days_cap_is_kept_over_all_tasks_for_24_hours(tasks: Tasks) -> None:
    day = Gate(day_cap_micros=1_000)
    assert tasks.ask("t2", micros=600, gate=day) == ""
    assert tasks.ask("t1", NOW + 5 * HOUR_MS, micros=401, gate=day) == "cost"
    assert tasks.ask("t1", NOW + 5 * HOUR_MS, micros=400, gate=day) == ""
    later = NOW + 24 * HOUR_MS
    assert tasks.ask("t1", later, micros=600, gate=day) == "cost"
    assert tasks.ask("t1", later + MINUTE_MS, micros=600, gate=day) == ""


def test_the_day_says_when_its_oldest_part_leaves(tasks: Tasks) -> None:
    tasks.ask(micros=600)
    shared = tasks.store.shared("default", (), NOW + HOUR_MS)
    assert (shared.day_spent_micros, shared.day_opens_ms) == (600, NOW + 24 * HOUR_MS + MINUTE_MS)


@pytest.mark.parametrize("seed", range(5))
def test_a_day_is_the_sum_of_its_minutes_whatever_their_hours(tasks: Tasks, seed: int) -> None:
    dice, paid = random.Random(seed), []
    for _ in range(40):
        at_ms = NOW + dice.randrange(48 * 60) * MINUTE_MS + dice.randrange(MINUTE_MS)
        cost = dice.choice((0, 1, 500))
        assert tasks.ask(at_ms=at_ms, micros=900, gate=Gate()) == ""
        tasks.fact(answer(cost), at_ms=at_ms)
        paid.append((at_ms // MINUTE_MS, cost))
    for _ in range(40):
        now_ms = NOW + dice.randrange(80 * 60) * MINUTE_MS
        counted = [p for p in paid if p[0] >= (now_ms - 24 * HOUR_MS) // MINUTE_MS and p[1]]
        opens = (min(counted)[0] + 1) * MINUTE_MS + 24 * HOUR_MS if counted else 0
        shared = tasks.store.shared("default", (), now_ms)
        spent = sum(cost for _, cost in counted)
        assert (shared.day_spent_micros, shared.day_opens_ms) == (spent, opens)


def test_a_task_whose_time_is_ahead_sees_what_others_spend_now(tasks: Tasks) -> None:
    """The clock was set back by a day, so its log goes on a day ahead of the machine."""
    hour, ahead_ms = Gate(hour_cap_micros=1_000), 24 * HOUR_MS
    assert tasks.ask("t2", NOW, micros=900, gate=hour) == ""
    intent = e.ModelAsked(1, "sim", "sim-1", 900, 9, 9)
    append = tasks.store.append
    refused = append("t1", 1, [], NOW + ahead_ms, intents=[intent], gate=hour, clock_ms=NOW)
    assert refused.refused == "cost"
    shared = tasks.store.shared("default", (), NOW + ahead_ms, NOW)
    assert shared.hour_spent_micros == 900
    assert shared.hour_opens_ms == NOW + HOUR_MS + MINUTE_MS + ahead_ms


def test_what_open_calls_have_reserved_is_told_apart_for_five_minutes(tasks: Tasks) -> None:
    def under_way(after_ms: int) -> int:
        found: int = tasks.store.shared("default", (), NOW + after_ms).under_way_micros
        return found

    tasks.ask("t1", micros=600)
    tasks.ask("t2", micros=50)
    assert under_way(1) == 650
    tasks.fact(answer(100), "t1")
    assert under_way(1) == 50
    assert under_way(5 * MINUTE_MS) == 0


# --- pace ---------------------------------------------------------------------------------------


def test_the_window_of_model_calls_is_exact_over_all_tasks(tasks: Tasks) -> None:
    assert [tasks.ask(f"t{n % 2 + 1}", NOW + n) for n in range(4)] == ["", "", "", "rate"]
    assert tasks.ask(at_ms=NOW + MINUTE_MS - 1) == "rate"
    assert tasks.ask(at_ms=NOW + MINUTE_MS) == ""
    assert tasks.ask(at_ms=NOW + MINUTE_MS) == "rate"
    assert tasks.ask(at_ms=NOW + MINUTE_MS + 1) == ""


def test_it_tells_how_many_calls_there_were_and_when_it_opens(tasks: Tasks) -> None:
    tasks.ask(at_ms=NOW)
    tasks.ask(at_ms=NOW + 7)
    shared = tasks.store.shared("default", ("ai", "web"), NOW + 9)
    assert shared.paces == {"ai": Pace(2, NOW + MINUTE_MS), "web": Pace()}


def test_a_refused_call_takes_no_place(tasks: Tasks) -> None:
    for _ in range(9):
        tasks.ask()
    assert tasks.store.shared("default", ("ai",), NOW).paces["ai"].used == 3


def test_the_tools_of_a_turn_go_together_or_not_at_all(tasks: Tasks) -> None:
    assert tasks.start("a", "b", "c", category="web") == "rate"
    assert tasks.start("a", "b", category="web") == ""
    assert tasks.start("c", category="web") == "rate"
    assert tasks.start("c", category="free") == ""


def test_every_account_has_its_own_window(tasks: Tasks) -> None:
    other = Gate(account="other", limits=LIMITS)
    assert [tasks.ask() for _ in range(4)][-1] == "rate"
    assert [tasks.ask(gate=other) for _ in range(4)] == ["", "", "", "rate"]


def test_a_model_that_nobody_else_runs_has_no_window(tasks: Tasks) -> None:
    local = Gate(limits=LIMITS, paced=False)
    assert [tasks.ask(gate=local) for _ in range(9)] == [""] * 9


def test_a_clock_set_back_by_days_does_not_shut_the_window_for_days(tasks: Tasks) -> None:
    for _ in range(3):
        tasks.ask(at_ms=NOW + 48 * HOUR_MS)
    assert tasks.ask(at_ms=NOW) == ""


# --- credits ------------------------------------------------------------------------------------


def test_credits_are_taken_with_the_intent_and_never_overdrawn(tasks: Tasks) -> None:
    tasks.credit(10)
    assert tasks.ask(credits=7) == ""
    assert tasks.left() == 3
    assert tasks.start("a", credits=4) == "credits"
    assert tasks.start("a", credits=3) == ""
    assert tasks.left() == 0


def test_an_account_that_never_had_credits_can_pay_nothing(tasks: Tasks) -> None:
    tasks.credit(10)
    assert tasks.ask(gate=Gate(account="other"), credits=1) == "credits"


def test_credits_of_a_call_that_was_not_billed_come_back(tasks: Tasks) -> None:
    tasks.credit(10)
    tasks.ask(credits=7)
    tasks.fact(e.ModelFailed("rate", "429", retriable=True, credits_back=7))
    assert tasks.left() == 10


# --- circuits -----------------------------------------------------------------------------------

NAME = breaker.provider("sim")
BAD = e.ModelFailed("server", "500", retriable=True)


def opened(tasks: Tasks) -> None:
    for task in ("t1", "t2"):
        assert tasks.ask(task) == ""
        tasks.fact(BAD, task)


def test_failures_of_different_tasks_open_one_circuit(tasks: Tasks) -> None:
    opened(tasks)
    assert tasks.circuit(NAME) == Circuit(2, NOW, NOW + 30_000)
    assert tasks.ask(at_ms=NOW + 29_999) == "circuit"


def test_exactly_one_may_try_again_and_its_success_frees_all(tasks: Tasks) -> None:
    opened(tasks)
    free = Gate(breaker=GATE.breaker)
    assert tasks.ask("t1", NOW + 30_000, free) == ""
    assert tasks.ask("t2", NOW + 30_000, free) == "circuit"
    tasks.fact(answer(0), "t1", NOW + 31_000)
    assert tasks.circuit(NAME) == Circuit()
    assert tasks.ask("t2", NOW + 31_000, free) == ""


def test_only_the_one_that_tries_frees_its_place_when_it_is_cut(tasks: Tasks) -> None:
    assert tasks.store.create("t3", CREATED, NOW)
    assert tasks.ask("t3", NOW - 1) == ""  # sent before the circuit opened, and still under way
    opened(tasks)
    free, cut = Gate(breaker=GATE.breaker), e.ModelFailed("interrupted", "cut", retriable=True)
    assert tasks.ask("t1", NOW + 30_000, free) == ""
    tasks.fact(cut, "t3", NOW + 30_001)
    assert tasks.ask("t2", NOW + 30_002, free) == "circuit"
    tasks.fact(cut, "t1", NOW + 30_003)
    assert tasks.ask("t2", NOW + 30_004, free) == ""


def test_a_failed_try_shuts_it_for_the_reset_time(tasks: Tasks) -> None:
    opened(tasks)
    free = Gate(breaker=GATE.breaker)
    assert tasks.ask("t1", NOW + 30_000, free) == ""
    tasks.fact(BAD, "t1", NOW + 31_000)
    assert tasks.ask("t2", NOW + 60_999, free) == "circuit"
    assert tasks.ask("t2", NOW + 61_000, free) == ""


def test_a_failure_that_is_written_with_a_local_fallbacks_call_still_counts(tasks: Tasks) -> None:
    local = Gate(breaker=GATE.breaker, paced=False)
    instead = e.Switched("near", "near-1", "why")
    for _ in range(2):
        assert tasks.ask() == ""
        call = e.ModelAsked(9, "near", "near-1", 0, 9, 9)
        seen = len(tasks.store.read("t1"))
        tasks.store.append("t1", seen, [BAD, instead], NOW, intents=[call], gate=local)
        tasks.store.append("t1", None, [answer(0)], NOW, gate=GATE)
    assert tasks.circuit(NAME) == Circuit(2, NOW, NOW + 30_000)
    assert tasks.circuit(breaker.provider("near")) == Circuit()


def test_a_model_on_this_machine_has_no_circuit(tasks: Tasks) -> None:
    local = Gate(breaker=GATE.breaker, paced=False)
    for _ in range(3):
        assert tasks.ask(gate=local) == ""
        tasks.store.append("t1", None, [BAD], NOW, gate=local)
    assert tasks.circuit(NAME) == Circuit()


def test_a_tool_that_breaks_has_a_circuit_of_its_own(tasks: Tasks) -> None:
    for _ in range(2):
        assert tasks.start("look", category="free") == ""
        tasks.fact(e.ToolEnded("c-look", "look", "it broke", "broken"))
    assert tasks.start("look", category="free") == "circuit"
    assert tasks.start("other", category="free") == ""


def test_a_healthy_provider_is_not_stored(tasks: Tasks) -> None:
    tasks.ask()
    tasks.fact(BAD)
    assert tasks.circuit(NAME) == Circuit(1, NOW)
    tasks.ask()
    tasks.fact(answer(0))
    assert tasks.circuit(NAME) == Circuit()


# --- earlier answers ----------------------------------------------------------------------------


def test_the_newest_answer_to_a_request_is_found_by_its_hash(tasks: Tasks) -> None:
    for cost in (1, 2):
        tasks.ask(request="abc", gate=Gate())
        tasks.fact(answer(cost))
    tasks.ask(request="def", gate=Gate())
    tasks.fact(fail())
    found = tasks.store.answered("abc")
    assert found is not None
    assert found.cost_micros == 2
    assert tasks.store.answered("def") is None
    assert tasks.store.answered("ghi") is None


def test_what_was_repeated_is_not_an_answer_of_its_own(tasks: Tasks) -> None:
    event = e.ModelAsked(1, "cached", "answer", 0, 9, 9, request="abc")
    tasks.store.append("t1", 1, [], NOW, intents=[event])
    tasks.fact(answer(0))
    assert tasks.store.answered("abc") is None


def test_a_reserve_is_asked_for_in_order_of_the_guards(tasks: Tasks) -> None:
    """Money first: a call that cannot be paid waits for no window."""
    for _ in range(3):
        tasks.ask()
    poor = Gate(limits=LIMITS, hour_cap_micros=5)
    assert tasks.ask(gate=poor, micros=6) == "cost"
