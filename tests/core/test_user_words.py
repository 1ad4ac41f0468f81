"""What users say to a task: when it becomes part of the conversation, and what it changes."""

import itertools

import pytest

from agentctl.core import events as e
from agentctl.core.decide import CallModel, Record, RunTools, decide
from agentctl.core.state import State, apply_all, fold
from agentctl.core.values import Message
from tests.core.parts import (
    answered,
    asked,
    call,
    created,
    ended,
    failed,
    recorded,
    started,
    state_of,
    view,
)

SAID = e.UserSaid("and the tests")
HEARD = e.UserHeard()
TOLD = Message("user", "and the tests")


def facts(state: State) -> tuple[e.Event, ...]:
    action = decide(state, view())
    assert isinstance(action, Record), action
    return action.facts


def test_what_is_said_waits_until_it_is_heard() -> None:
    state = state_of(SAID)
    assert (state.unheard, state.messages) == (["and the tests"], [Message("user", "goal")])
    state = state_of(SAID, HEARD)
    assert (state.unheard, state.messages[1:]) == ([], [TOLD])


def test_it_is_heard_before_the_next_model_call() -> None:
    assert facts(state_of(SAID)) == (HEARD,)
    assert isinstance(decide(state_of(SAID, HEARD), view()), CallModel)


def test_all_that_was_said_is_heard_at_once_in_its_order() -> None:
    state = state_of(SAID, e.UserSaid("and the docs"))
    assert facts(state) == (e.UserHeard(2),)
    heard = state_of(SAID, e.UserSaid("and the docs"), e.UserHeard(2))
    assert [message.text for message in heard.messages] == [
        "goal", "and the tests", "and the docs",
    ]  # fmt: skip


def test_it_never_stands_between_a_call_and_its_result() -> None:
    wanted = state_of(asked(), answered("", call(), call("put")), SAID)
    assert isinstance(decide(wanted, view()), RunTools)
    log = recorded(
        created(), asked(), answered("", call(), call("put")), SAID,
        started(), started("put"), ended(), ended("put"),
    )  # fmt: skip
    state = fold(log)
    assert facts(state) == (HEARD,)
    apply_all(state, [e.Recorded(len(log), log[-1].at_ms, HEARD)])
    assert [message.role for message in state.messages] == [
        "user", "assistant", "tool", "tool", "user",
    ]  # fmt: skip


OWN = {
    "answer": (asked(), answered("", call(), stop="tools")),
    "last word": (asked(), answered("all done")),
    "failure": (asked(), failed()),
    "result": (asked(), answered("", call()), started(), ended()),
    "prune": (asked(), answered("", call()), started(), ended(), e.ContextPruned(2, 1)),
    "heard": (e.UserSaid("first"), HEARD),
    "stopped": (e.Stopped("limit", ""),),
    "resumed": (e.Stopped("limit", ""), e.Resumed(1)),
}


@pytest.mark.parametrize("name", OWN)
def test_it_means_the_same_before_and_after_the_drivers_own_fact(name: str) -> None:
    *before, last = OWN[name]
    first = state_of(*before, SAID, last, gap_ms=0)
    later = state_of(*before, last, SAID, gap_ms=0)
    assert first == later


def test_a_task_whose_last_word_was_said_goes_on_when_somebody_has_spoken_in_either_order() -> None:
    for order in itertools.permutations((answered("all done"), SAID)):
        state = state_of(asked(), *order)
        assert facts(state) == (HEARD,)
        state = state_of(asked(), *order, HEARD)
        assert (state.final, state.messages[-1]) == (False, TOLD)
        assert isinstance(decide(state, view()), CallModel)


def test_a_refusal_and_empty_replies_are_answered_by_what_is_said() -> None:
    refusal = (asked(), answered("no", stop="refusal"))
    assert isinstance(decide(state_of(*refusal, SAID, HEARD), view()), CallModel)
    empty = [event for n in (1, 2, 3) for event in (asked(n), answered(""))]
    assert isinstance(facts(state_of(*empty))[0], e.Stopped)
    assert isinstance(decide(state_of(*empty, SAID, HEARD), view()), CallModel)


@pytest.mark.parametrize(
    ("request_", "outcome"),
    [(e.PauseRequested(), e.Stopped), (e.CancelRequested(), e.Finished)],
)
def test_a_pause_and_a_cancel_come_before_what_was_said(
    request_: e.Event, outcome: type[e.Event]
) -> None:
    state = state_of(asked(), answered("all done"), SAID, request_)
    assert isinstance(facts(state)[0], outcome)


def test_what_is_said_to_a_task_that_stands_still_neither_wakes_it_nor_counts_as_running() -> None:
    still = state_of(e.Stopped("waiting", "", wake_ms=1))
    told = state_of(e.Stopped("waiting", "", wake_ms=1), SAID)
    assert (told.status, told.active_ms) == (still.status, still.active_ms)
