"""Calls beside the conversation: when they are made, what they cost, and that they are no steps."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from agentctl.core import aside
from agentctl.core import events as e
from agentctl.core.context_replay import as_it_was
from agentctl.core.decide import Action, CallModel, Record, Sleep, decide
from agentctl.core.state import State, apply
from agentctl.core.tokens import TokenTally
from agentctl.core.values import (
    ContextPolicy,
    Limits,
    Message,
    Pace,
    Quote,
    Shape,
    Shared,
    SideCall,
    ToolCall,
    Usage,
)
from tests.core.parts import START_MS, answered, asked, created, failed, recorded, view
from tests.core.test_context_auto import BYTES_PER_KTOKEN, SONNET, talk

PROSE = "some words that no mask takes away. " * 60
POLICY = ContextPolicy(20_000)


def full(turns: int = 40, policy: ContextPolicy = POLICY, **limits: Any) -> State:
    """A task of which half must go, all of it prose: old turns have to be dropped."""
    state = talk(turns, output="short", text=PROSE, policy=policy)
    state.limits = replace(Limits(steps=None, task_tokens=None), **limits)
    return state


def next_of(state: State, shape: Shape = SONNET, **changes: Any) -> Action:
    tokens = state.sent_bytes * 1000 // BYTES_PER_KTOKEN
    quote = Quote(tokens, tokens * 25 // 10, 10_000_000, 8_000, expected_tokens=tokens)
    fields = {"now_ms": START_MS + 60_000, "quote": quote, "shape": shape, **changes}
    seen = view(bytes_per_ktoken=BYTES_PER_KTOKEN, **fields)
    action = decide(state, seen)
    while isinstance(action, Record) and isinstance(action.facts[0], e.LimitWarned):
        for fact in action.facts:
            apply(state, fact, START_MS)
        action = decide(state, seen)
    return action


def summary_of(state: State, **changes: Any) -> e.ModelAsked:
    action = next_of(state, **changes)
    assert isinstance(action, CallModel)
    assert action.intent.purpose == "summary"
    return action.intent


def pruned(state: State, **changes: Any) -> e.ContextPruned:
    action = next_of(state, **changes)
    assert isinstance(action, Record), action
    (fact,) = action.facts
    assert isinstance(fact, e.ContextPruned)
    return fact


def test_before_turns_are_dropped_the_model_is_asked_for_a_summary_of_them() -> None:
    state = full()
    intent = summary_of(state)
    assert intent.output_cap == aside.SUMMARY_TOKENS
    request = aside.conversation(state, intent.purpose)
    assert request[:-1] == state.sent, "the same beginning: it comes from the provider's cache"
    assert request[-1] == Message("user", aside.SUMMARY_REQUEST)


def test_a_summary_reserves_its_worst_case() -> None:
    intent = summary_of(full())
    tokens = full().sent_bytes * 1000 // BYTES_PER_KTOKEN
    assert (intent.reserve_micros or 0) >= tokens * 2.5 + aside.SUMMARY_TOKENS * 10
    assert intent.reserve_tokens >= tokens + aside.SUMMARY_TOKENS


def test_what_the_model_wrote_stands_in_place_of_what_was_dropped() -> None:
    state = full()
    apply(state, summary_of(state), START_MS)
    apply(state, answered("The parser is done; the tests are not."), START_MS)
    fact = pruned(state)
    assert "The parser is done; the tests are not." in fact.note
    apply(state, fact, START_MS)
    assert "The parser is done" in state.sent[1].text


def test_a_summary_is_no_step_and_no_part_of_the_conversation() -> None:
    state = full()
    steps, said, spent = state.steps, len(state.messages), state.spent_micros
    apply(state, summary_of(state), START_MS)
    stray = ToolCall("x1", "act")
    apply(state, answered("words", stray), START_MS)
    assert (state.steps, len(state.messages)) == (steps, said)
    assert not state.pending, "a call that it asks for is not run"
    assert state.spent_micros == spent + 1_000, "but it is paid for"


def test_a_failed_summary_is_done_without() -> None:
    state = full()
    apply(state, summary_of(state), START_MS)
    apply(state, failed("server", charged_micros=700), START_MS)
    assert state.failure is None, "nothing is tried again"
    assert "What you wrote" not in pruned(state).note


def test_an_empty_summary_leaves_the_one_before() -> None:
    state = full()
    apply(state, summary_of(state), START_MS)
    apply(state, answered("the first summary"), START_MS)
    apply(state, pruned(state), START_MS)
    for n in range(41, 80):
        call = ToolCall(f"c{n}", "look", "{}")
        for event in (asked(n), answered(PROSE, call), e.ToolEnded(call.id, "look", "short")):
            apply(state, event, START_MS)
    apply(state, summary_of(state), START_MS)
    apply(state, answered("  "), START_MS)
    assert "the first summary" in pruned(state).note


def test_without_money_for_it_and_the_request_after_it_there_is_none() -> None:
    tokens = full().sent_bytes * 1000 // BYTES_PER_KTOKEN
    whole = tokens * 25 // 10
    summary_of(full(task_cost_micros=whole * 2))
    pruned(full(task_cost_micros=whole + whole // 4))


def test_without_tokens_for_it_and_the_request_after_it_there_is_none() -> None:
    state = full()
    tokens = state.sent_bytes * 1000 // BYTES_PER_KTOKEN
    summary_of(full(task_tokens=state.tokens_processed + 2 * tokens))
    pruned(full(task_tokens=state.tokens_processed + tokens + tokens // 4))


def test_without_credits_for_it_and_the_request_after_it_there_is_none() -> None:
    price = {"credits": {"sim/sim-1": 10}}
    shared = Shared(credits_left=1_000)
    summary_of(full(task_credits=20, **price), shared=shared)
    pruned(full(task_credits=19, **price), shared=shared)
    pruned(full(**price), shared=Shared(credits_left=19))


def test_where_the_next_step_must_wait_for_its_pace_a_summary_waits_too() -> None:
    action = next_of(full(), shared=Shared(paces={"ai": Pace(30, START_MS + 70_000)}))
    assert isinstance(action, Record | Sleep)
    assert not any(isinstance(f, e.ContextPruned) for f in getattr(action, "facts", ()))


def test_a_summary_is_no_longer_than_a_quarter_of_what_may_be_sent() -> None:
    assert summary_of(full(policy=ContextPolicy(8_000))).output_cap == 2_000
    pruned(full(policy=ContextPolicy(1_000, 3, 1)))


def test_a_refusal_is_no_summary() -> None:
    state = full()
    apply(state, summary_of(state), START_MS)
    apply(state, answered("I cannot do that.", stop="refusal"), START_MS)
    assert state.summary == ""


def test_what_a_provider_wants_to_be_waited_for_holds_after_a_summary_too() -> None:
    state = full()
    apply(state, summary_of(state), START_MS)
    later = START_MS + 90_000
    apply(state, failed("rate", retry_at_ms=later, charged_micros=0), START_MS)
    assert (state.failures, state.failure and state.failure.retry_at_ms) == (0, later)


def test_a_cold_cache_is_not_paid_for_once_more() -> None:
    pruned(full(), now_ms=START_MS + 3_600_000)
    summary_of(full(), shape=Shape(1_000_000, caches=False), now_ms=START_MS + 3_600_000)


def test_who_wants_no_summaries_gets_none() -> None:
    pruned(full(policy=replace(POLICY, summarise=False)))


def test_a_fixed_set_of_answers_is_not_asked() -> None:
    pruned(full(), shape=replace(SONNET, summarises=False))


def test_a_request_that_is_too_long_is_not_made_longer() -> None:
    state = full()
    apply(state, asked(41), START_MS)
    apply(state, failed("context", retriable=False), START_MS)
    pruned(state)


def test_outputs_alone_are_masked_without_a_call() -> None:
    state = talk(40, output="x" * 4_000, policy=ContextPolicy(40_000))
    state.limits = Limits(steps=None, task_tokens=None)
    fact = pruned(state)
    assert fact.mask_before
    assert not fact.drop_before


SIDE = SideCall("openai", "small", Quote(900, 18, 0, 0, min_output=0))
WINDOW = ContextPolicy(8_000, 3, 3, "window")


def test_an_embedding_comes_first_and_is_booked_under_its_own_model() -> None:
    action = next_of(full(policy=WINDOW), embedding=SIDE)
    assert isinstance(action, CallModel)
    intent = action.intent
    assert (intent.purpose, intent.provider, intent.model) == ("embedding", "openai", "small")
    assert (intent.reserve_micros, intent.reserve_tokens) == (18, 900)


def test_without_money_for_an_embedding_the_policy_goes_by_words() -> None:
    dear = replace(SIDE, quote=replace(SIDE.quote, input_cost_micros=10_000_000))
    assert summary_of(full(policy=WINDOW), embedding=dear), "the next call is that of a summary"
    pruned(full(policy=replace(WINDOW, summarise=False)), embedding=dear)


def test_an_embedding_neither_learns_nor_warms_nor_speaks() -> None:
    state = full()
    before = (state.anchor_tokens, state.warm_ms, state.steps, len(state.messages))
    apply(state, asked(41, purpose="embedding"), START_MS + 99)
    usage = Usage(input=800)
    apply(state, e.ModelAnswered(Message("assistant"), usage, "end", 16), START_MS + 100)
    assert (state.anchor_tokens, state.warm_ms, state.steps, len(state.messages)) == before
    assert state.spent_micros >= 16


def test_a_task_that_takes_earlier_answers_is_not_pruned_for_a_cache_that_never_was() -> None:
    state = talk(29, output="short", text=PROSE, policy=ContextPolicy(40_000))
    state.limits = Limits(steps=None, task_tokens=None)
    state.warm_ms = 0
    assert isinstance(next_of(state), Record), "another model's cache is cold"
    state.created = replace(state.created, reuse=True)
    assert isinstance(next_of(state), CallModel)


def test_an_embedding_saves_nothing_by_what_was_cut_from_the_conversation() -> None:
    log = [created(context=WINDOW), asked(1), answered("", ToolCall("c1", "look"))]
    log += [e.ToolEnded("c1", "look", "x" * 100, output_ref="r", output_bytes=100_000)]
    log += [asked(2, purpose="embedding"), answered(), asked(3), answered("done")]
    tally = TokenTally(2_500)
    for record in recorded(*log):
        tally.add(record)
    assert tally.totals.cut_tokens == 99_900 * 1000 // 2_500


def test_side_calls_cost_but_are_no_answers_of_a_task() -> None:
    log = recorded(
        created(), asked(1), answered("", ToolCall("c1", "look")), e.ToolEnded("c1", "look", "x"),
        asked(2, purpose="summary"), answered("words", usage=Usage(input=999_999)), asked(3),
        answered("done"),
    )  # fmt: skip
    sums = as_it_was(log)
    assert (sums.calls, sums.cost_micros, sums.largest) == (2, 3_000, 100)
