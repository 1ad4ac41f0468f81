"""Whole conversations for Hypothesis, as events make them, with prunes in between."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from hypothesis import strategies as st
from msgspec import Struct

from agentctl.core import context, context_auto
from agentctl.core import events as e
from agentctl.core.context import estimate_tokens, expected_tokens, size_bytes
from agentctl.core.state import State, apply, fold
from agentctl.core.values import ContextPolicy, Limits, Message, Quote, Shape, ToolCall, Usage
from tests.core.parts import START_MS, created, recorded, view

BYTES_PER_KTOKEN = 2_500
OVERHEAD_TOKENS = 50
GOAL = "the goal: keep src/main.py working"


class Call(Struct, frozen=True):
    """A call and how it ended."""

    arguments: str
    output: str
    status: str
    problem: str = ""


class Turn(Struct, frozen=True):
    """One answer of the model, or what else can happen."""

    text: str
    calls: tuple[Call, ...]
    stop: str = "end"
    reported: bool = True
    overflow: bool = False
    """Before it the provider says that the request is too long."""
    idle: bool = False
    """Before it nothing happens for an hour."""
    switched: bool = False


def texts() -> st.SearchStrategy[str]:
    """Nothing, blanks, prose, code, names, other scripts and long texts."""
    words = st.sampled_from(
        (
            "",
            " \n",
            "ok",
            "see src/main.py",
            "def f(x): return x_1 + y_2",
            "日本語の長い文",
            "🎈\u200b",
        )
    )
    long = st.builds(lambda word, times: (word + "\n") * times, words, st.integers(20, 400))
    return st.one_of(words, st.text(max_size=30), long, long)


def arguments() -> st.SearchStrategy[str]:
    """Objects with short, long and nested values, and what a model may send instead."""
    values = st.one_of(texts(), st.integers(), st.none(), st.lists(texts(), max_size=3))
    objects = st.dictionaries(st.sampled_from(("path", "text", "n")), values, max_size=3)
    return st.one_of(
        objects.map(lambda given: context.msgspec.json.encode(given).decode()),
        st.sampled_from(('{"path":"src/main.py"}', '{"x', "[]", "", "{}" + " " * 500)),
    )


def calls() -> st.SearchStrategy[Call]:
    """Calls that end well, badly or not at all."""
    status = st.sampled_from(("ok", "ok", "error", "invalid", "denied", "unknown"))
    return st.builds(Call, arguments(), texts(), status)


def conversations() -> st.SearchStrategy[list[Turn]]:
    """Short ones that are drawn, and long ones that are thrown."""
    turn = st.builds(
        Turn,
        texts(),
        st.lists(calls(), max_size=4).map(tuple),
        st.sampled_from(("end", "tools", "length")),
        st.booleans(),
        overflow=st.integers(0, 9).map(lambda n: n == 0),
        idle=st.integers(0, 9).map(lambda n: n == 0),
        switched=st.integers(0, 9).map(lambda n: n == 0),
    )
    drawn = st.lists(turn, max_size=8)
    return st.one_of(drawn, st.integers(0, 2**32).map(_long), st.integers(0, 2**32).map(_long))


def _long(seed: int) -> list[Turn]:
    """Up to 80 turns; Hypothesis itself draws few and small ones."""
    dice = random.Random(seed)

    def words() -> str:
        name = f"src/part_{dice.randrange(12)}.py"
        said = (f"see {name}\n", "x_1 = f(y_2)\n", "日本語の長い文。", "and so on ", "\u200b🎈")
        return dice.choice(said) * dice.choice((0, 1, 1, 30, 150, 400))

    def call() -> Call:
        given = dice.choice(('{"x', "", "[]", '{"path":"src/main.py"}'))
        if dice.random() < 0.8:
            given = context.msgspec.json.encode({"path": words()[:40], "text": words()}).decode()
        return Call(given, words(), dice.choice(("ok", "ok", "ok", "error", "denied")))

    return [
        Turn(
            dice.choice(("", " ", words())),
            tuple(call() for _ in range(dice.choice((0, 1, 1, 1, 2, 4, 12)))),
            dice.choice(("end", "tools")),
            reported=dice.random() < 0.8,
            overflow=dice.random() < 0.03,
            idle=dice.random() < 0.05,
            switched=dice.random() < 0.03,
        )
        for _ in range(dice.randrange(80))
    ]


def policies(name: str = "") -> st.SearchStrategy[ContextPolicy]:
    """All policies, or one, so small that such conversations are pruned several times."""
    auto = st.builds(
        ContextPolicy,
        max_tokens=st.sampled_from((60, 2_000, 5_000, 10_000, 20_000, 60_000)),
        keep_assistant=st.integers(0, 5),
    )
    window = st.builds(
        ContextPolicy,
        st.sampled_from((1, 100, 2_000, 8_000, 20_000)),
        st.integers(0, 3),
        st.integers(0, 3),
        st.just("window"),
    )
    if name == "window":
        return window
    return st.one_of(auto, auto, window, st.just(ContextPolicy(name="none")))


def shapes() -> st.SearchStrategy[Shape]:
    """With a cache, without, and local."""
    return st.sampled_from(
        (
            Shape(),
            Shape(100_000),
            Shape(0, 20_000, 50),
            Shape(caches=False),
            Shape(32_768, local=True),
        )
    )


def _tokens(size: int) -> int:
    return size * 1000 // BYTES_PER_KTOKEN


class Prune(Struct, frozen=True):
    """A prune, and what stood around it."""

    event: e.ContextPruned
    before: list[Message]
    sent: list[Message]
    tokens: int
    """Expected before it."""
    left_tokens: int
    overflow: bool


class Talk:
    """A task's conversation, pruned as `decide` would."""

    def __init__(self, policy: ContextPolicy, shape: Shape) -> None:
        """Begin."""
        self.state: State = fold(
            recorded(created(goal=GOAL, context=policy, limits=Limits(steps=None)))
        )
        self.shape = shape
        self.now_ms = START_MS
        self.prunes: list[Prune] = []

    def play(self, turns: Sequence[Turn]) -> Iterator[list[Message]]:
        """Every request as it is sent."""
        for number, turn in enumerate(turns):
            self.now_ms += 3_600_000 if turn.idle else 1_000
            if turn.switched:
                self.say(e.Switched("other", f"m{number}", "gone"))
            self.prune()
            if turn.overflow:
                yield list(self.state.sent)
                self.prune(overflow=True)
            yield list(self.state.sent)
            self.answer(number, turn)
        self.prune()
        yield list(self.state.sent)

    def say(self, *events: e.Event) -> None:
        for event in events:
            apply(self.state, event, self.now_ms)

    def answer(self, number: int, turn: Turn) -> None:
        made = tuple(
            ToolCall(f"c{number}-{n}", f"tool_{number % 5}", call.arguments)
            for n, call in enumerate(turn.calls)
        )
        answer = Message("assistant", turn.text, made)
        total, output = (
            OVERHEAD_TOKENS + _tokens(self.state.sent_bytes),
            _tokens(size_bytes(answer)),
        )
        usage = Usage(total if turn.reported else 0, output=output, reported=turn.reported)
        stop = turn.stop if made else "length"  # else it would be the last word
        self.say(e.ModelAnswered(answer, usage, stop, 0))
        ended = [
            e.ToolEnded(call.id, call.name, given.output, given.status)
            for call, given in zip(made, turn.calls, strict=True)
        ]
        self.say(*(reversed(ended) if number % 2 else ended))  # side by side: in any order

    def tokens(self) -> int:
        """What is expected of the next request."""
        return self._quote().expected_tokens

    def prune(self, *, overflow: bool = False) -> None:
        """Record every prune that is due; an overflow is told once."""
        for _ in range(10):
            tokens, before = self.tokens(), list(self.state.sent)
            seen = view(
                now_ms=self.now_ms,
                quote=self._quote(),
                bytes_per_ktoken=BYTES_PER_KTOKEN,
                shape=self.shape,
            )
            found = context_auto.due(self.state, seen, overflow=overflow)
            if found is None:
                return
            self.say(found)
            sent = list(self.state.sent)
            self.prunes.append(Prune(found, before, sent, tokens, self.tokens(), overflow))
            overflow = False
        raise AssertionError("pruning does not come to an end")

    def _quote(self) -> Quote:
        state = self.state
        known = (state.sent_bytes, state.anchor_tokens, state.anchor_bytes, OVERHEAD_TOKENS,
                 BYTES_PER_KTOKEN)  # fmt: skip
        return Quote(estimate_tokens(*known), 0, 0, 0, expected_tokens=expected_tokens(*known))
