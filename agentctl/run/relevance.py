"""What of a conversation is near in meaning to what is being done, as an embedder sees it.

Asked only when the policy "window" is about to leave something out. Vectors live as long as the
run: each old turn is embedded once, and with each prune what is being done now. After one failed
call the run does without, and the policy goes by words.
"""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from operator import mul

from msgspec import Struct

from agentctl.core import events as e
from agentctl.core.context import MARGIN_FIRST_PERCENT, left_out, protected_from, turns
from agentctl.core.context_words import text_of
from agentctl.core.limits import MTOK, ceil_div
from agentctl.core.sanitize import storable
from agentctl.core.state import State
from agentctl.core.values import Message, Millis, Quote, SideCall, Usage
from agentctl.errors import ProviderError
from agentctl.ports import Counter, Embedded, Embedder, Pricer
from agentctl.run.batcher import Batch, Batcher
from agentctl.run.perform import LOCAL_FIRST_BYTE_MS

MAX_TEXTS = 100
"""Of one call."""
TEXT_BYTES = 6_000
"""Of one text: no token is shorter than a byte, and OpenAI takes 8,192 tokens."""
CALL_BYTES = 300_000
"""Of one call: OpenAI takes 300,000 tokens."""
NOTHING: Mapping[int, float] = {}
_QUERY = -1
"""Stands for what is being done now where others stand for a message's index."""


class _Sight(Struct, frozen=True):
    """A conversation as it must be compared."""

    version: tuple[int, int, int]
    """It is the same while this is."""
    ends: dict[int, int]
    """What may go: the end of each span of messages by its begin."""
    query: str


class Relevance:
    """The vectors of one run's conversation, and the embedder that makes them."""

    def __init__(
        self,
        embedder: Embedder,
        pricer: Pricer,
        counter: Counter,
        on_batch: Callable[[Batch], None] | None = None,
        redact: Callable[[str], str] = str,
    ) -> None:
        """Nothing is embedded yet. `on_batch` hears of each call's texts.

        `redact` takes secrets out of what an embedder says of a failure.
        """
        self._redact = redact
        self.paced = embedder.paced
        self.gave_up = False
        """A call has failed: nothing is asked for any more."""
        self._embedder = embedder
        self._pricer = pricer
        self._counter = counter
        self._on_batch = on_batch
        self._vectors: dict[int, array[float]] = {}
        self._query = ""
        """What the vector of _QUERY is of."""
        self._sight = _Sight((0, 0, 0), {}, "")
        self._known: tuple[object, Mapping[int, float]] = (None, NOTHING)

    def look(self, state: State, quote: Quote) -> tuple[Mapping[int, float], SideCall | None]:
        """Return the scores where a prune is due, and the call that is missing for them."""
        too_long = state.failure is not None and state.failure.reason == "context"
        is_due = too_long or quote.input_tokens > state.policy.max_tokens
        if self.gave_up or not is_due or state.policy.name != "window":
            return NOTHING, None
        return self.scores(state), self.side_call(state)

    def wanted(self, state: State) -> list[int]:
        """Indexes at which spans begin that may go and have no vector yet."""
        return [begin for begin in self._look_at(state).ends if begin not in self._vectors]

    def scores(self, state: State) -> Mapping[int, float]:
        """How near each span that may go is to what is being done, from -1 to 1, by its begin.

        Empty until all of them can be compared.
        """
        sight = self._look_at(state)
        if self.gave_up or sight.query != self._query or self.wanted(state):
            return NOTHING
        if self._known[0] != sight.version:
            query = self._vectors[_QUERY]
            near = {begin: sum(map(mul, self._vectors[begin], query)) for begin in sight.ends}
            self._known = (sight.version, near)
        return self._known[1]

    def side_call(self, state: State) -> SideCall | None:
        """The next call that is needed for scores, with its worst price; None: there is none."""
        texts = self._next(state)
        if not texts:
            return None
        sent_bytes = sum(len(text.encode()) for text in texts.values())
        expected = ceil_div(sent_bytes * 1000, self._counter.bytes_per_ktoken)
        tokens = expected * MARGIN_FIRST_PERCENT // 100 + 16
        rates = self._pricer.rates(Usage(input=tokens))
        cost_micros = None if rates is None else ceil_div(tokens * rates.input, MTOK)
        quote = Quote(tokens, cost_micros, 0, 0, min_output=0, expected_tokens=expected)
        return SideCall(self._embedder.name, self._embedder.model, quote, self.paced)

    async def embed(
        self, state: State, intent: e.ModelAsked, now_ms: Callable[[], Millis]
    ) -> e.ModelAnswered | e.ModelFailed:
        """Make the call that the intent announced. Cancelling it cuts the connection."""
        texts = self._next(state)
        told: list[Embedded] = []
        timeout_ms = state.limits.timeout_ms("ai", None if self.paced else LOCAL_FIRST_BYTE_MS)

        async def load(batch: Sequence[str]) -> Sequence[Sequence[float]]:
            told.append(await self._ask(batch, timeout_ms))
            return told[-1].vectors

        began_ms = now_ms()
        batcher: Batcher[str, Sequence[float]]
        batcher = Batcher(load, size=MAX_TEXTS, on_batch=self._on_batch)
        try:
            answers = await batcher.many(list(texts.values()))
        finally:
            await batcher.close()
        vectors = [answer for answer in answers if not isinstance(answer, Exception)]
        if len(vectors) < len(answers):
            self.gave_up = True
            error = next(a for a in answers if isinstance(a, Exception))
            return _failed(intent, error, self._redact)
        self._keep(texts, vectors)
        (answer,) = told
        return e.ModelAnswered(
            Message("assistant"),
            answer.usage,
            "end",
            self._pricer.cost(answer.usage),
            now_ms() - began_ms,
            self._pricer.note(answer.usage),
            model=storable(answer.model) if answer.model != self._embedder.model else "",
        )

    async def close(self) -> None:
        """Free connections. Safe to call twice."""
        await self._embedder.close()

    async def _ask(self, texts: Sequence[str], timeout_ms: Millis) -> Embedded:
        limit = asyncio.timeout(timeout_ms / 1000)
        try:
            async with limit:
                return await self._embedder.embed(texts)
        except TimeoutError as error:
            raise ProviderError(
                f"{self._embedder.name} did not answer within {timeout_ms / 1000:g} s.",
                reason="timeout",
                retriable=True,
                may_be_billed=True,
            ) from error

    def _look_at(self, state: State) -> _Sight:
        """What may go and what is being done; worked out once for each message."""
        messages, policy = state.messages, state.policy
        version = (len(messages), policy.keep_assistant, policy.keep_user)
        if self._sight.version != version:
            boundary = protected_from(messages, policy.keep_assistant)
            gone = left_out(messages, boundary, (), policy.keep_user)
            ends = dict(turns(messages, 0, boundary))
            ends.update((i, i + 1) for i in gone if messages[i].role == "user")
            self._sight = _Sight(version, ends, _now(messages))
        return self._sight

    def _next(self, state: State) -> dict[int, str]:
        """The texts of the next call, by where they belong."""
        sight = self._look_at(state)
        texts: dict[int, str] = {}
        if self.gave_up or not sight.ends:
            return texts
        if sight.query != self._query:
            texts[_QUERY] = sight.query
        left_bytes = CALL_BYTES - TEXT_BYTES
        for begin in self.wanted(state):
            if len(texts) >= MAX_TEXTS:
                break
            texts[begin] = _text(state.messages[begin : sight.ends[begin]], TEXT_BYTES)
            left_bytes -= len(texts[begin].encode())
            if left_bytes < TEXT_BYTES:
                break
        return texts

    def _keep(self, texts: Mapping[int, str], vectors: Sequence[Sequence[float]]) -> None:
        lengths = {len(vector) for vector in (*self._vectors.values(), *vectors)}
        if len(lengths) > 1:  # another model answers under the same name: not to be compared
            self.gave_up = True
            return
        self._vectors.update(zip(texts, map(_unit, vectors), strict=True))
        self._query = texts.get(_QUERY, self._query)


def _text(messages: Sequence[Message], most_bytes: int) -> str:
    """What these messages say, the beginning of it; never empty, which embedders refuse."""
    said = "\n".join(map(text_of, messages)).strip() or "-"
    return storable(said).encode()[:most_bytes].decode(errors="ignore")


def _now(messages: Sequence[Message]) -> str:
    """What is being done: the goal, what the user last said, and the last turn, in equal parts."""
    last_user = max(i for i, m in enumerate(messages) if not i or m.role == "user")
    last_turn = messages[protected_from(messages, 1) :]
    parts = [messages[:1], messages[last_user : last_user + 1] if last_user else (), last_turn]
    return "\n".join(_text(part, TEXT_BYTES // 3 - 1) for part in parts if part)


def _unit(vector: Sequence[float]) -> array[float]:
    """The vector at length 1; zeros where it has no direction."""
    length = math.hypot(*vector)
    if not length or not math.isfinite(length):
        return array("f", bytes(4 * len(vector)))
    return array("f", [number / length for number in vector])


def _failed(intent: e.ModelAsked, error: Exception, redact: Callable[[str], str]) -> e.ModelFailed:
    """The fact of a failed call; it is not tried again, whatever may be hoped of that."""
    if not isinstance(error, ProviderError):
        raise error
    billed = error.may_be_billed
    return e.ModelFailed(
        error.reason,
        redact(storable(str(error))),
        error.retriable,
        intent.reserve_micros if billed else 0,
        intent.reserve_tokens if billed else 0,
        credits_back=0 if billed else intent.credits,
    )
