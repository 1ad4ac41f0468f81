"""Whatever is said, what is sent is a conversation, keeps what is pinned and fits, or says why not.

Under every policy, with prunes one after another, overflows, pauses and changes of the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentctl.core import context_words
from agentctl.core import events as e
from agentctl.core.context import protected_from, size_bytes
from agentctl.core.context_auto import most_tokens
from agentctl.core.state import apply_all, fold
from agentctl.core.values import ContextPolicy, Message, Shape
from tests.core.parts import START_MS, created, recorded
from tests.core.talks import GOAL, Talk, Turn, conversations, policies, shapes

# Of an example that fails, but also of long ones that do not.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
lives = settings(deadline=None, database=None, derandomize=True, max_examples=150)
UNREACHED = "what always stays is more than may be sent"


def played(policy: ContextPolicy, shape: Shape, turns: Sequence[Turn]) -> Talk:
    talk = Talk(policy, shape)
    for _ in talk.play(turns):
        pass
    return talk


@lives
@given(policies(), shapes(), conversations())
def test_every_call_is_answered_in_its_turn_and_nothing_else_is(
    policy: ContextPolicy, shape: Shape, turns: list[Turn]
) -> None:
    for request in Talk(policy, shape).play(turns):
        waiting: set[str] = set()
        assert request[0] == Message("user", GOAL)
        for message in request:
            if message.role == "tool":
                assert message.call_id in waiting
                waiting.discard(message.call_id)
                continue
            assert not waiting
            waiting = {call.id for call in message.calls}
        assert not waiting
        assert request[-1].role != "assistant"


@lives
@given(policies(), shapes(), conversations())
def test_the_users_words_and_the_last_turns_stay_as_they_were(
    policy: ContextPolicy, shape: Shape, turns: list[Turn]
) -> None:
    talk = Talk(policy, shape)
    for request in talk.play(turns):
        messages = talk.state.messages
        said = [message for message in messages if message.role == "user"]
        if policy.name == "window":
            said = [said[0], *(said[1:][-policy.keep_user :] if policy.keep_user else [])]
        heard = [message for message in request if message.role == "user"]
        rest = iter(heard)
        assert all(any(message == each for each in rest) for message in said)
        assert len(heard) <= len([m for m in messages if m.role == "user"]) + 1, "and one note"
        last = [m for m in messages if m.role == "assistant"][-max(policy.keep_assistant, 1) :]
        if last:
            kept = messages[protected_from(messages, policy.keep_assistant) :]
            assert request[-len(kept) :] == kept


@lives
@given(policies(), shapes(), conversations())
def test_an_error_that_still_stands_is_sent_or_can_be_found(
    policy: ContextPolicy, shape: Shape, turns: list[Turn]
) -> None:
    """Whole, as a line with the id of the whole, or in the note on dropped turns, which is bounded
    and then says how many more there were."""
    talk = played(policy, shape, turns)
    if policy.name == "window":
        return
    state = talk.state
    calls = context_words.calls_of(state.messages)
    results = {message.call_id for message in state.sent if message.role == "tool"}
    notes = [m.text for m in state.sent if m.role == "user" and m not in state.messages]
    for index in context_words.unresolved(state.messages, state.failed, calls):
        call_id = state.messages[index].call_id
        if call_id not in results:
            assert any(f"(id {call_id})" in note or "before):" in note for note in notes)


@lives
@given(policies(), shapes(), conversations())
def test_a_prune_leaves_no_more_than_may_be_sent_or_says_why(
    policy: ContextPolicy, shape: Shape, turns: list[Turn]
) -> None:
    talk = played(policy, shape, turns)
    for prune in talk.prunes:
        most = most_tokens(policy, shape)[0] if policy.name == "auto" else policy.max_tokens
        if prune.overflow:
            most = prune.tokens if policy.name == "window" else most
        if policy.name == "none" or prune.left_tokens <= most:
            continue
        assert UNREACHED in prune.event.why, prune.left_tokens - most


@lives
@given(policies("window"), conversations())
def test_the_window_is_halved_and_exceeded_only_by_what_always_stays(
    policy: ContextPolicy, turns: list[Turn]
) -> None:
    """Which the note is part of."""
    talk = played(policy, Shape(), turns)
    for prune in talk.prunes:
        whole = prune.tokens if prune.overflow else policy.max_tokens
        if prune.left_tokens > whole // 2:
            assert not prune.event.kept, "no older turn stays then"
        if UNREACHED in prune.event.why:
            assert prune.left_tokens * 125 // 100 + 16 > whole // (2 if prune.overflow else 1)


@lives
@given(policies(), shapes(), conversations())
def test_a_prune_makes_the_request_smaller(
    policy: ContextPolicy, shape: Shape, turns: list[Turn]
) -> None:
    for prune in played(policy, shape, turns).prunes:
        size = sum(map(size_bytes, prune.sent))
        assert size < sum(map(size_bytes, prune.before)), prune.event


@lives
@given(policies(), shapes(), conversations())
def test_what_may_be_sent_is_exceeded_only_where_nothing_worth_while_can_go(
    policy: ContextPolicy, shape: Shape, turns: list[Turn]
) -> None:
    """After all prunes only what is pinned, less than a fifth apart, is above the bound."""
    talk = played(policy, shape, turns)
    if policy.name != "auto":
        return
    state, most = talk.state, most_tokens(policy, shape)[0]
    tokens = talk.tokens()
    if tokens <= most:
        return
    boundary = protected_from(state.messages, policy.keep_assistant)
    pinned = sum(
        size_bytes(m) for n, m in enumerate(state.messages) if n >= boundary or m.role == "user"
    )
    bound_bytes = most * 25 // 10
    left = state.sent_bytes - pinned
    note = len(state.note.encode()) + 400  # what the next prune leaves out adds to it
    assert left <= bound_bytes // 5 + note or pinned > bound_bytes // 2, (left, pinned, bound_bytes)


@lives
@given(policies(), shapes(), conversations())
def test_sizes_are_what_they_would_be_if_all_were_counted_again(
    policy: ContextPolicy, shape: Shape, turns: list[Turn]
) -> None:
    state = played(policy, shape, turns).state
    assert state.sizes_bytes == list(map(size_bytes, state.messages))
    assert state.sent_bytes == sum(map(size_bytes, state.sent))
    assert state.said_bytes == sum(state.sizes_bytes)


@lives
@given(policies(), shapes(), conversations())
def test_cache_breakpoints_stand_within_what_is_sent_and_in_order(
    policy: ContextPolicy, shape: Shape, turns: list[Turn]
) -> None:
    """The first ends what the last prune left; the second comes before what is still whole."""
    talk = Talk(policy, shape)
    pruned = 0
    for request in talk.play(turns):
        steady = talk.state.steady
        assert 1 <= steady[0] <= steady[-1] <= len(request)
        for prune in talk.prunes[pruned:]:
            assert (
                prune.before[: steady[0]] == prune.sent[: steady[0]]
                or len(talk.prunes) - pruned > 1
            )
        pruned = len(talk.prunes)
        whole = request[steady[-1] :]
        messages = talk.state.messages
        assert whole == messages[len(messages) - len(whole) :]


@lives
@given(st.data())
def test_a_log_read_again_sends_the_same(data: st.DataObject) -> None:
    policy, turns = data.draw(policies()), data.draw(conversations())
    talk = Talk(policy, Shape(20_000))
    log: list[e.Recorded] = recorded(created(goal=GOAL, context=policy))
    say = talk.say

    def noted(*events: e.Event) -> None:
        for event in events:
            log.append(e.Recorded(len(log), START_MS, event))
        say(*events)

    talk.say = noted  # type: ignore[method-assign] # to listen in
    for _ in talk.play(turns):
        pass
    again = fold(log[:1])
    apply_all(again, log[1:])
    assert again.sent == talk.state.sent
    assert again.steady == talk.state.steady
