"""What a task has of another one, and what it has not."""

import pytest

from agentctl.core import events as e
from agentctl.core.decide import CallModel, decide
from agentctl.core.history import own_from
from agentctl.core.husk import husk
from agentctl.core.recount import KINDS, recount
from agentctl.core.state import State, fold
from agentctl.core.tokens import TokenTally
from agentctl.core.tool_costs import Tally
from agentctl.core.values import Limits, ToolCall
from tests.core.parts import (
    answered,
    asked,
    call,
    created,
    ended,
    recorded,
    started,
    state_of,
    view,
)

PAST = (
    e.LimitChanged(Limits(steps=9)), e.Resumed(1), asked(), answered("", call(), call("put")),
    e.ToolApproved("put-1", "put", always=True, rule="put"), started(), started("put"), ended(),
    ended("put"), e.LimitWarned("task_cost_micros", "critical", 1, 1),
)  # fmt: skip
NEW = created(limits=Limits(steps=50), model="sim-2", origin="fork", parent="t1", goal="then")


def test_a_fork_knows_what_was_said_and_has_spent_nothing() -> None:
    before, state = state_of(*PAST), state_of(*PAST, e.Forked(NEW, 1, 11))
    assert (state.messages, state.steps, state.calls) == (before.messages, 1, before.calls)
    assert before.spent_micros
    assert (state.spent_micros, state.tokens_processed, state.tokens_total) == (0, 0, 0)
    assert (state.credits_spent, state.active_ms, state.warned) == (0, 0, {})


def test_a_fork_has_what_it_was_created_with() -> None:
    state = state_of(*PAST, e.Forked(NEW, 1, 11))
    assert (state.limits, state.model, state.home) == (Limits(steps=50), "sim-2", ("sim", "sim-2"))
    assert (state.created, state.anchor_tokens) == (NEW, 0)


def test_what_was_allowed_to_the_other_task_is_not_allowed_to_a_fork() -> None:
    before, state = state_of(*PAST), state_of(*PAST, e.Forked(NEW, 1, 11))
    assert before.always
    assert before.allowed
    assert not (state.always or state.allowed or state.approved)


@pytest.mark.parametrize("end", [e.Finished("done", "x"), e.Stopped("limit", "x")])
def test_a_fork_stands_still_and_can_be_taken_up_however_the_other_ended(end: e.Event) -> None:
    state = state_of(asked(), answered("x"), end, e.Forked(NEW, 1, 3))
    assert (state.status, state.finished, state.stopped) == ("paused", None, None)
    state = state_of(asked(), answered("x"), end, e.Forked(NEW, 1, 3), e.Resumed(1))
    assert isinstance(decide(state, view()), CallModel)


def test_an_imported_task_stays_as_it_was_and_one_that_ran_stands_still() -> None:
    brought = e.Imported(created(origin="import", parent="t1"))
    assert state_of(asked(), answered("x"), e.Finished("done", "x"), brought).status == "done"
    assert state_of(e.Stopped("limit", "x"), brought).status == "limit"
    running = state_of(asked(), brought)
    assert (running.status, running.asked) == ("paused", None)


def test_a_call_in_doubt_stays_in_doubt_in_an_imported_task() -> None:
    state = state_of(asked(), answered("", call("act")), started("act"), e.Imported(created()))
    assert list(state.started) == ["act-1"]


def test_the_own_part_begins_after_the_last_mark() -> None:
    assert own_from(recorded(created(), asked())) == 0
    log = recorded(created(), e.Forked(NEW), asked(), answered("x"), e.Forked(NEW), asked(2))
    assert own_from(log) == 5


def test_the_books_count_only_what_is_the_tasks_own() -> None:
    log = recorded(created(), *PAST, e.Forked(NEW, 1, 11), asked(2), answered("x", cost_micros=7))
    count = recount((record.at_ms, record.event) for record in log)
    assert (list(count.calls), count.cost_micros, count.steps, count.problems) == ([2], 7, 2, [])


def test_a_call_that_was_open_in_the_history_is_nobodys() -> None:
    log = recorded(created(), asked(), e.Imported(created()), asked(2), answered("x"))
    count = recount((record.at_ms, record.event) for record in log)
    assert (list(count.calls), count.problems) == ([2], [])


def test_tokens_and_costs_of_tools_are_those_of_the_tasks_own_calls() -> None:
    log = recorded(
        created(), *PAST, e.Forked(NEW, 1, 11), asked(2), answered("", call("look"), cost_micros=7),
        started(), ended(),
    )  # fmt: skip
    tally = TokenTally(3_400)
    for record in log:
        tally.add(record)
    assert (tally.totals.calls, tally.totals.cost_micros) == (1, 7)
    tools = Tally()
    tools.add(log)
    assert (tools.calls, sum(cost.cost_micros for cost in tools.costs())) == (1, 7)
    assert [cost.results for cost in tools.costs() if cost.key == "look"] == [1]


def test_a_fork_of_a_fork_counts_from_the_second_mark() -> None:
    log = (*PAST, e.Forked(NEW, 1, 11), asked(2), answered("", ToolCall("x", "look")))
    state: State = state_of(*log, e.ToolEnded("x", "look", "out"), e.Forked(NEW, 2, 15))
    assert (state.steps, state.spent_micros) == (2, 0)


@pytest.mark.parametrize("mark", [e.Forked(NEW, 1, 11), e.Imported(NEW)])
def test_what_is_left_of_a_log_whose_texts_are_taken_out_counts_the_same(mark: e.Event) -> None:
    log = recorded(
        created(), *PAST, mark, e.Resumed(1), asked(2), answered("x", cost_micros=7),
        e.Finished("done", "x"),
    )  # fmt: skip
    left = husk(log, 1, log[-1].at_ms)

    def counted(records: list[e.Recorded]) -> object:
        told = [r for r in records if type(r.event).__name__ in KINDS]
        return recount((record.at_ms, record.event) for record in told)

    assert counted(log) == counted(left)
    states = [fold(log), fold(left)]
    assert len({(each.status, each.spent_micros, each.steps) for each in states}) == 1
    assert states[1].spent_micros == 7


def test_what_was_carved_out_of_another_account_is_nothing_here() -> None:
    begun = e.ToolStarted("act", "delegate", "idempotent", carved_micros=9, carved_tokens=9)
    for mark in (e.Imported(created()), e.Forked(NEW)):
        state = state_of(asked(), answered("", call("act")), begun, mark)
        assert (state.used_micros, state.used_tokens) == (0, 0)
        unknown = e.ToolEnded("act", "delegate", "?", "unknown")
        state = state_of(asked(), answered("", call("act")), begun, mark, unknown)
        assert (state.used_micros, state.used_tokens) == (0, 0)


def test_the_size_of_a_request_is_never_taken_from_a_file() -> None:
    assert state_of(asked(), answered("x"), e.Imported(created())).anchor_tokens == 0
