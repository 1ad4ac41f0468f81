"""What is sent: never a call without its result, byte-stable between prunes, ending some time."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agentctl.core import context_auto
from agentctl.core import events as e
from agentctl.core.context import (
    after,
    estimate_tokens,
    expected_tokens,
    size_bytes,
    stored,
    stub,
    with_short_arguments,
)
from agentctl.core.state import State, apply, fold
from agentctl.core.values import ContextPolicy, Message, Quote, ToolCall, Usage
from tests.core.parts import START_MS, asked, created, policies, recorded, view

BYTES_PER_KTOKEN = 3_400
LONG = "long " * 300
# A turn: sizes of its tool results; an empty turn is a reply that is nudged.
turns = st.lists(st.lists(st.integers(0, 3_000), max_size=3), max_size=12)


def sizes(messages: Sequence[Message]) -> list[int]:
    return list(map(size_bytes, messages))


def due(state: State) -> e.ContextPruned | None:
    """The prune that `decide` would record now."""
    known = state.sent_bytes, state.anchor_tokens, state.anchor_bytes, 50, BYTES_PER_KTOKEN
    quote = Quote(estimate_tokens(*known), 0, 0, 0, expected_tokens=expected_tokens(*known))
    seen = view(now_ms=START_MS, quote=quote, bytes_per_ktoken=BYTES_PER_KTOKEN)
    return context_auto.due(state, seen, overflow=False)


def pruned(
    messages: Sequence[Message], mask: int, drop: int, keep_user: int, **more: Any
) -> list[Message]:
    """What is sent after a prune up to these indexes."""
    return after(messages, e.ContextPruned(mask, drop, "", **more), keep_user)


class Talk:
    """A task's conversation, and each request as it is sent."""

    def __init__(self, policy: ContextPolicy) -> None:
        self.state = fold(recorded(created(goal="the goal", context=policy)))
        self.requests: list[tuple[int, list[Message]]] = []
        self.prunes = 0

    def say(self, *events: e.Event) -> None:
        for event in events:
            apply(self.state, event, START_MS)

    def turn(self, number: int, results: list[int]) -> None:
        self.ask()
        long = "new_words " * (number % 3 * 60)
        given = f'{{"path":"src/a_{number % 5}.py","text":"{long}"}}'
        calls = tuple(ToolCall(f"c{number}-{n}", "look", given) for n in range(len(results)))
        text = "thinking" if calls else ""
        usage = Usage(input=self.state.sent_bytes * 1000 // BYTES_PER_KTOKEN + 50, output=9)
        self.say(asked(number), e.ModelAnswered(Message("assistant", text, calls), usage, "end", 0))
        for made, result in zip(calls, results, strict=True):
            status = "error" if result % 3 == 0 else "ok"
            self.say(e.ToolEnded(made.id, "look", f"src/a_{number}.py {'r' * result}", status))

    def ask(self) -> None:
        before = (0, 0, 0)
        while (prune := due(self.state)) is not None:
            now = (prune.mask_before, prune.args_before, prune.drop_before)
            size = self.state.sent_bytes
            assert all(new >= old for new, old in zip(now, before, strict=True))
            self.prunes += 1
            self.say(prune)
            assert now > before or self.state.sent_bytes < size, "a prune changes something"
            before = now
            again = after(self.state.messages, prune, self.state.policy.keep_user)
            assert self.state.sent == again, "what is sent follows from the log alone"
        self.requests.append((self.prunes, list(self.state.sent)))


def talk(policy: ContextPolicy, results: list[list[int]]) -> Talk:
    made = Talk(policy)
    for number, turn in enumerate(results, start=1):
        made.turn(number, turn)
    made.ask()
    return made


lives = settings(deadline=None, database=None, derandomize=True, max_examples=200)


@lives
@given(policies(), turns)
def test_every_request_begins_with_the_goal(
    policy: ContextPolicy, results: list[list[int]]
) -> None:
    for _, request in talk(policy, results).requests:
        assert request[0] == Message("user", "the goal")


@lives
@given(policies(), turns)
def test_a_call_is_never_parted_from_its_result(
    policy: ContextPolicy, results: list[list[int]]
) -> None:
    for _, request in talk(policy, results).requests:
        open_calls: list[str] = []
        for message in request:
            if message.role == "tool":
                assert message.call_id in open_calls, "a result without its call"
                open_calls.remove(message.call_id)
            else:
                assert not open_calls, "a call without its result"
            open_calls += [made.id for made in message.calls]
        assert not open_calls


@lives
@given(policies(), turns)
def test_between_prunes_each_request_begins_with_the_one_before(
    policy: ContextPolicy, results: list[list[int]]
) -> None:
    requests = talk(policy, results).requests
    for (prunes, request), (later_prunes, later) in pairwise(requests):
        if prunes == later_prunes:
            assert later[: len(request)] == request


@lives
@given(policies(), turns)
def test_the_last_turns_and_user_messages_are_sent_whole(
    policy: ContextPolicy, results: list[list[int]]
) -> None:
    made = talk(policy, results)
    messages, sent = made.state.messages, made.state.sent
    spoken = [n for n, message in enumerate(messages) if message.role == "assistant"]
    if spoken:
        since = spoken[-max(policy.keep_assistant, 1) :][0]
        kept = messages[since:]
        assert sent[-len(kept) :] == kept
    users = [message for message in messages if message.role == "user"]
    for message in users[len(users) - policy.keep_user :]:
        assert message in sent


@lives
@given(policies(), turns)
def test_the_bytes_of_a_request_are_known_without_counting_them_again(
    policy: ContextPolicy, results: list[list[int]]
) -> None:
    state = talk(policy, results).state
    assert state.sent_bytes == sum(sizes(state.sent))
    assert state.sizes_bytes == sizes(state.messages)


@lives
@given(turns)
def test_a_conversation_that_fits_is_never_pruned(results: list[list[int]]) -> None:
    made = talk(ContextPolicy(max_tokens=10**9), results)
    assert made.prunes == 0
    assert made.state.sent == made.state.messages


@lives
@given(policies(), turns)
def test_when_nothing_more_can_go_the_rest_is_sent_as_it_is(
    policy: ContextPolicy, results: list[list[int]]
) -> None:
    assert due(talk(policy, results).state) is None


# --- single facts -------------------------------------------------------------------------------


def test_a_prune_frees_a_large_piece_so_that_it_is_seldom() -> None:
    made = talk(ContextPolicy(2_000, 10**6, 1, "window"), [[301]] * 60)
    assert 1 <= made.prunes <= 15
    assert len(made.state.sent) < len(made.state.messages)


def test_keeping_no_turn_keeps_the_last_one_all_the_same() -> None:
    """The model has not read its results yet."""
    none, one = (talk(ContextPolicy(2_000, 0, keep, "window"), [[300]] * 30) for keep in (0, 1))
    assert none.prunes > 0
    assert none.state.sent == one.state.sent


def test_a_stub_names_how_to_read_the_output_again() -> None:
    shown = stub(Message("tool", LONG, call_id="c7"))
    assert shown.role == "tool"
    assert shown.call_id == "c7"
    assert "read_output(id='c7')" in shown.text
    assert size_bytes(shown) < 200


def test_an_output_no_longer_than_a_stub_is_left() -> None:
    short = Message("tool", "ok", call_id="c1")
    asks = Message("assistant", "", (ToolCall("c1", "look"),))
    messages = [Message("user", "goal"), asks, short]
    assert pruned(messages, 3, 0, 0) == messages


def test_dropping_says_how_many_messages_were_left_out() -> None:
    messages = [Message("user", "goal"), *(Message("assistant", str(n)) for n in range(5))]
    sent = pruned(messages, 4, 4, 0)
    assert sent[0] == messages[0]
    assert sent[1].text == "[3 earlier messages of this task were left out to save room]"
    assert sent[2:] == messages[4:]


def test_the_last_user_messages_survive_a_drop() -> None:
    users = [Message("user", str(n)) for n in range(5)]
    assert pruned(users, 5, 5, 2)[2:] == users[3:]
    assert len(pruned(users, 5, 5, 0)) == 2


def test_size_is_counted_in_bytes_with_calls_and_native_parts() -> None:
    assert size_bytes(Message("user", "é")) == 2
    asks = Message("assistant", "ab", (ToolCall("ignored", "look", "{}"),), native="[1]")
    assert size_bytes(asks) == 2 + 4 + 2 + 3


def test_before_the_first_report_everything_is_estimated_with_a_large_margin() -> None:
    assert estimate_tokens(3_400, 0, 0, 1_000, 3_400) == 2_000 * 125 // 100 + 16


def test_with_an_anchor_only_what_was_added_is_estimated() -> None:
    assert estimate_tokens(13_400, 5_000, 10_000, 1_000, 3_400) == 6_000 * 105 // 100 + 16


def test_an_estimate_is_never_below_nothing() -> None:
    assert estimate_tokens(0, 10, 10**6, 0, 3_400) > 0


def test_what_was_left_out_is_not_taken_for_heavier_than_the_rest() -> None:
    """A tokenizer of 8 bytes a token, an estimate of 3.4: half the bytes are half the tokens."""
    assert estimate_tokens(80_000, 20_000, 160_000, 0, 3_400) >= 10_000


def test_long_arguments_of_an_old_call_are_cut_and_can_be_read_again() -> None:
    long = ToolCall("c1", "write", '{"path":"a.py","text":"' + "word " * 500 + '"}')
    short = with_short_arguments(Message("assistant", "so", (long,)))
    (cut,) = short.calls
    assert cut.arguments.startswith('{"path":"a.py","text":"word word')
    assert "read_output(id='args:c1')" in cut.arguments
    assert len(cut.arguments) < 400
    assert stored([Message("assistant", "", (long,))], "args:c1") == long.arguments


def test_short_arguments_are_left_and_broken_ones_do_no_harm() -> None:
    brief = Message("assistant", "", (ToolCall("c1", "look", '{"path":"a"}'),))
    assert with_short_arguments(brief) is brief
    broken = Message("assistant", "", (ToolCall("c1", "look", "{" * 999),))
    assert with_short_arguments(broken).calls[0].arguments == "{}"


def test_what_is_kept_stays_whole_wherever_it_stands() -> None:
    messages = [Message("user", "goal")]
    for n in range(4):
        messages += [
            Message("assistant", "", (ToolCall(f"c{n}", "look"),)),
            Message("tool", LONG, call_id=f"c{n}"),
        ]
    sent = pruned(messages, 7, 5, 9, kept=(3, 4), note="what was there")
    assert sent[1] == Message("user", "what was there")
    assert sent[2:4] == messages[3:5]
    assert sent[5] == stub(messages[6])
    assert sent[6:] == messages[7:]


def test_after_a_prune_the_expected_input_shrinks_with_the_text() -> None:
    assert expected_tokens(50_000, 21_000, 100_000, 1_000, 3_400) == 11_000
    assert expected_tokens(103_400, 21_000, 100_000, 1_000, 3_400) == 22_000
    assert expected_tokens(3_400, 0, 0, 1_000, 3_400) == 2_000
