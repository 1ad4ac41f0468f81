"""Policies of installed packages: what they are given, what they may do, and how they fail."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agentctl.core import context_auto, context_replay
from agentctl.core import events as e
from agentctl.core.context_custom import Conversation, PolicyBroke, Prune
from agentctl.core.decide import CallModel, Record, decide
from agentctl.core.state import State, apply
from agentctl.core.values import ContextPolicy, Message, Quote, Shape, View
from tests.core.parts import (
    START_MS,
    answered,
    asked,
    call,
    created,
    ended,
    failed,
    recorded,
    state_of,
    view,
)
from tests.core.talks import BYTES_PER_KTOKEN, Talk, Turn, conversations, shapes

OWN = ContextPolicy(keep_assistant=1, name="own")
LONG = "x" * 1_000
Plan = Callable[[Conversation], object]


def turns(count: int) -> list[e.Event]:
    """Message 0 is the goal; turn n is the answer 2 n + 1 and its result 2 n + 2."""
    log: list[e.Event] = []
    for number in range(count):
        made = call("look", f"c{number}")
        log += [asked(number + 1), answered(f"step {number}", made)]
        log += [ended(call_id=f"c{number}", text=LONG)]
    return log


def conversation(*more: e.Event, policy: ContextPolicy = OWN) -> State:
    """A goal and four turns, of which three are old."""
    return state_of(*turns(4), *more, context=policy)


def seen(plan: Plan | None, **changes: Any) -> View:
    return view(custom=plan, **changes)


def due(state: State, found: object, *, overflow: bool = False) -> e.ContextPruned | None:
    return context_auto.due(state, seen(lambda _request: found), overflow=overflow)


def problem(found: object, state: State | None = None) -> str:
    with pytest.raises(PolicyBroke) as caught:
        due(state or conversation(), found)
    return str(caught.value)


# --- what works ---------------------------------------------------------------------------------


def test_its_prune_is_made_under_its_name() -> None:
    pruned = due(conversation(), Prune(mask_before=3, drop_before=3, kept=[5, 6], why="enough"))
    assert pruned == e.ContextPruned(3, 3, "context policy 'own': enough")
    pruned = due(conversation(), Prune(mask_before=7, args_before=5, kept={4, 3}, note="n"))
    assert pruned == e.ContextPruned(7, 0, "context policy 'own'", 5, (3, 4), "n")


def test_no_prune_and_the_prune_in_force_change_nothing() -> None:
    assert due(conversation(), None) is None
    prune = Prune(drop_before=3, note="gone")
    pruned = due(conversation(), prune)
    assert pruned is not None
    assert due(conversation(pruned), prune) is None


def test_it_is_given_the_conversation_and_what_is_known_of_the_request() -> None:
    given: list[Conversation] = []
    log = [*turns(4), e.ContextPruned(3, 3, "w", 1, (1, 2), "n")]
    state = state_of(*log, context=replace(OWN, max_tokens=700))
    state.failed.append(4)
    quote = Quote(900, 0, 0, 4_000, expected_tokens=800)
    now_ms = state.warm_ms + 5_000
    shown = seen(given.append, quote=quote, now_ms=now_ms, shape=Shape(window_tokens=800))
    assert context_auto.due(state, shown, overflow=False) is None
    (request,) = given
    last = Prune(mask_before=3, drop_before=3, args_before=1, kept=(1, 2), note="n")
    assert request == Conversation(
        messages=tuple(state.messages),
        sizes_bytes=tuple(state.sizes_bytes),
        sent_bytes=state.sent_bytes,
        failed=(4,),
        old_before=7,
        tokens=800,
        most_tokens=600,
        overflow=False,
        bytes_per_ktoken=3_400,
        steps=4,
        idle_ms=5_000,
        last=last,
        keep_user=1_000_000,
    )
    assert list(request.turns()) == [range(1, 3), range(3, 5), range(5, 7)]
    assert request.size_after(last) == state.sent_bytes


def test_a_model_that_has_not_answered_has_no_cache() -> None:
    given: list[Conversation] = []
    context_auto.due(state_of(context=OWN), seen(given.append), overflow=False)
    assert (given[0].idle_ms, given[0].old_before) == (None, 0)


def test_too_long_a_request_is_halved_where_it_does_nothing() -> None:
    given: list[Conversation] = []
    state = conversation(asked(5), failed("context", retriable=False))
    action = decide(state, seen(given.append, quote=Quote(1_400, 0, 0, 4_000)))
    assert isinstance(action, Record)
    assert isinstance(action.facts[0], e.ContextPruned)
    assert "too many for the model" in action.facts[0].why
    assert given[0].overflow
    own = decide(state, seen(lambda request: Prune(mask_before=5 if request.overflow else 1)))
    assert own == Record((e.ContextPruned(5, 0, "context policy 'own'"),))


def test_no_summary_is_paid_for_it() -> None:
    text = "y" * 40_000
    log = [asked(1), answered(text, call()), ended(), *turns(2)]
    state = state_of(*log, context=OWN)
    plan: Plan = lambda _request: Prune(drop_before=3)  # noqa: E731 - as short as its use
    shape = Shape(summarises=True)
    action = decide(state, seen(plan, shape=shape, now_ms=state.warm_ms + 1))
    assert isinstance(action, Record)


def test_a_package_is_asked_again_until_it_wants_nothing() -> None:
    def one_more(request: Conversation) -> Prune | None:
        left = [turn for turn in request.turns() if turn.start >= request.last.drop_before]
        return Prune(drop_before=left[0].stop) if left else None

    state, drops = conversation(), []
    while not isinstance(action := decide(state, seen(one_more)), CallModel):
        assert isinstance(action, Record)
        (fact,) = action.facts
        assert isinstance(fact, e.ContextPruned)
        drops.append(fact.drop_before)
        apply(state, fact, START_MS)
    assert drops == [3, 5, 7]


def test_indexes_where_another_policy_has_been_are_allowed() -> None:
    """After a resume with it, more of the last turns may be protected than before."""
    before = e.ContextPruned(7, 5)
    state = conversation(before, policy=replace(OWN, keep_assistant=3))
    assert due(state, Prune(mask_before=7, drop_before=5, note="-")) == e.ContextPruned(
        7, 5, "context policy 'own'", note="-"
    )
    assert "drop_before is 7" in problem(Prune(mask_before=7, drop_before=7), state)


# --- what does not ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("drop", "returned str, neither a Prune nor None"),
        (e.ContextPruned(3), "returned ContextPruned, neither"),
        (Prune(mask_before="3"), "wrong Prune: Expected `int`, got `str` - at `$.mask_before`"),
        (Prune(drop_before=None), "at `$.drop_before`"),
        (Prune(args_before=2.5), "at `$.args_before`"),
        (Prune(kept=3), "at `$.kept`"),
        (Prune(kept=("3",)), "at `$.kept[0]`"),
        (Prune(note=3), "at `$.note`"),
        (Prune(why=b"w"), "at `$.why`"),
        (Prune(mask_before=8), "mask_before is 8, and the last turns begin at 7"),
        (Prune(drop_before=-1), "drop_before is -1"),
        (Prune(args_before=10**30), "args_before is 1000"),
        (Prune(drop_before=4), "drop_before 4 parts a call from its result"),
        (Prune(drop_before=7, kept=(9,)), "kept has 9, and there are 9 messages"),
        (Prune(drop_before=7, kept=(-1,)), "kept has -1"),
        (Prune(drop_before=7, kept=(3,)), "kept has 3, but not the whole turn from 3 to 4"),
        (Prune(drop_before=7, kept=(0, 4)), "kept has 4, but not the whole turn"),
        (Prune(note=LONG), "the request would not be smaller"),
        (Prune(kept=(1, 2), note="n"), "the request would not be smaller"),
    ],
)
def test_what_cannot_be_done_is_said(found: object, said: str) -> None:
    assert problem(found).startswith("context policy 'own' returned ")
    assert said in problem(found)


def test_less_left_out_than_now_is_refused() -> None:
    state = conversation(e.ContextPruned(7, 3))
    assert "would not be smaller" in problem(Prune(drop_before=3), state)
    assert "would not be smaller" in problem(Prune(mask_before=7), state)
    assert "would not be smaller" in problem(
        Prune(mask_before=7, drop_before=3, kept=(5, 6)), state
    )


def test_a_prune_that_frees_nothing_yet_is_not_made() -> None:
    assert due(conversation(), Prune(mask_before=1)) is None
    assert due(conversation(), Prune(drop_before=3, note=LONG * 3)) is None
    assert due(state_of(*turns(1), context=OWN), Prune(drop_before=1)) is None


class Untold(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text either")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no\n way"), "context policy 'own' broke: ValueError: no way"),
        (KeyError(), "context policy 'own' broke: KeyError"),
        (SystemExit(3), "context policy 'own' broke: SystemExit: 3"),
        (RecursionError("\udcff"), "context policy 'own' broke: RecursionError: ???"),
        (Untold(), "context policy 'own' broke: Untold"),
    ],
)
def test_whatever_it_raises_stops_the_task_with_the_reason(error: BaseException, said: str) -> None:
    def plan(_request: Conversation) -> None:
        raise error

    action = decide(conversation(), seen(plan))
    said = said.replace("???", "\ufffd" * 3)
    advice = ". To go on without it, resume with --context auto."
    assert action == Record((e.Stopped("failed", said + advice),))


def test_a_reason_that_is_no_text_or_has_no_end_can_be_stored() -> None:
    pruned = due(conversation(), Prune(drop_before=3, note="\udc80", why="\udc80" + "w" * 9_999))
    assert pruned is not None
    kind, body = e.to_json(pruned)
    assert e.from_json(kind, body) == pruned
    assert len(pruned.why) < 600


def test_a_policy_that_is_not_loaded_is_no_reason_to_send_everything() -> None:
    with pytest.raises(PolicyBroke, match="'own' is not loaded"):
        context_auto.due(conversation(), seen(None), overflow=False)


def test_it_cannot_change_the_conversation() -> None:
    state = conversation()

    def plan(request: Conversation) -> None:
        request.messages += (Message("user", "more"),)  # type: ignore[misc] # as others might

    with pytest.raises(PolicyBroke, match="AttributeError: immutable type"):
        context_auto.due(state, seen(plan), overflow=False)
    assert len(state.messages) == 9


# --- on resume and in a replay ------------------------------------------------------------------


def test_a_resume_may_name_another_policy() -> None:
    auto = ContextPolicy()
    resumed = e.Resumed(1, context=auto)
    state = conversation(e.Stopped("failed", "it broke"), resumed)
    assert state.policy == auto
    assert conversation(e.Resumed(1)).policy == OWN


def test_a_replay_asks_it_whatever_a_resume_named() -> None:
    log = recorded(created(), *turns(3), e.Resumed(1, context=ContextPolicy()), *turns(2))
    model = context_replay.Model(Shape(), 3_400, 0, lambda _rates, _usage: 0)

    def plan(request: Conversation) -> Prune | None:
        return None if request.last.mask_before >= 5 else Prune(mask_before=request.old_before)

    assert context_replay.replay(log, OWN, model, plan).prunes == 2  # one after it
    with pytest.raises(PolicyBroke, match="broke: ZeroDivisionError"):
        context_replay.replay(log, OWN, model, lambda _request: 1 // 0)


# --- whatever it returns ------------------------------------------------------------------------


class Played(Talk):
    """A task with a policy that throws dice; `broke` says why it stopped."""

    def __init__(self, seed: int, keep: tuple[int, int], shape: Shape, *, sane: bool) -> None:
        super().__init__(ContextPolicy(2_000, *keep, name="own"), shape)
        self.dice = random.Random(seed)
        self.sane = sane
        self.asks = 0

    def plan(self, request: Conversation) -> object:
        dice = self.dice
        self.asks += 1
        if self.asks > 3 or dice.random() < 0.3:
            return None
        if not self.sane and dice.random() < 0.1:
            return dice.choice(("", 1, Prune(kept=None), Prune(mask_before=None), Prune(note=b"")))
        starts = [turn.start for turn in request.turns()]
        old = request.old_before
        wild = [-1, len(request.messages) + 1, dice.randint(0, len(request.messages))]
        places = [0, old, *starts] + ([] if self.sane else wild)
        kept = {i for turn in request.turns() if dice.random() < 0.2 for i in turn}
        if not self.sane:
            kept |= set(dice.sample(range(-1, len(request.messages) + 1), dice.choice((0, 0, 1))))
        return Prune(
            mask_before=max(dice.choice(places), request.last.mask_before),
            drop_before=max(dice.choice(places), request.last.drop_before),
            args_before=max(dice.choice(places), request.last.args_before),
            kept=kept,
            note=dice.choice(("", "short", "n" * 2_000)),
        )

    def prune(self, *, overflow: bool = False) -> None:
        for _ in range(10):
            self.asks = self.asks if overflow else 0
            before, quote = list(self.state.sent), self._quote()
            shown = seen(
                self.plan,
                now_ms=self.now_ms,
                quote=quote,
                bytes_per_ktoken=BYTES_PER_KTOKEN,
                shape=self.shape,
            )
            found = context_auto.due(self.state, shown, overflow=overflow)
            if found is None:
                return
            self.say(found)
            assert sum(map(len_bytes, self.state.sent)) < sum(map(len_bytes, before))
            overflow = False


def len_bytes(message: Message) -> int:
    return context_replay.size_bytes(message)


def requests(talk: Played, turns: Sequence[Turn]) -> Iterator[list[Message]]:
    """Every request until the end or until the policy breaks, which says why."""
    try:
        yield from talk.play(turns)
    except PolicyBroke as error:
        assert str(error).startswith("context policy 'own' returned ")


@settings(deadline=None, database=None, derandomize=True, max_examples=150)
@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(0, 3), st.integers(0, 5)),
    shapes(),
    conversations(),
    st.booleans(),
)
def test_what_is_sent_is_a_conversation_whatever_it_returns(
    seed: int, keep: tuple[int, int], shape: Shape, turns: list[Turn], sane: bool
) -> None:
    talk = Played(seed, keep, shape, sane=sane)
    for request in requests(talk, turns):
        messages = talk.state.messages
        assert request[0] == messages[0]
        waiting: set[str] = set()
        for message in request:
            if message.role == "tool":
                assert message.call_id in waiting
                waiting.discard(message.call_id)
            else:
                assert not waiting
                waiting = {each.id for each in message.calls}
        assert not waiting
        begins = [n for n, m in enumerate(messages) if m.role == "assistant"]
        if begins:
            last = messages[begins[-max(keep[1], 1)] if len(begins) >= max(keep[1], 1) else 0 :]
            assert request[-len(last) :] == last
