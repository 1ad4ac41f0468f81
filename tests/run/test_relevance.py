"""What an embedder says is near: what it is asked, when, at what price, and what is made of it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.state import State, apply, fold
from agentctl.core.values import ContextPolicy, Limits, Message, Quote, Rates, ToolCall, Usage
from agentctl.counting import ByteCounter
from agentctl.errors import ProviderError
from agentctl.ports import Embedded
from agentctl.pricing import FixedPricer, Unpriced
from agentctl.run.relevance import CALL_BYTES, MAX_TEXTS, TEXT_BYTES, Relevance
from tests.run.parts import Do, Life, Play, call, says

PRICES = Rates(input=20_000, cache_read=20_000, cache_write=20_000, output=0, source="list")
DUE = Quote(10_000, 1, 1, 100)
TOPICS = ("boats", "tax", "garden")


class Topics:
    """Embeds by counting topics, in three dimensions; the last one is always a little there."""

    name, model, rates, paced = "near", "topics-1", None, True

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.fault: Exception | None = None
        self.size = 3
        self.closed = 0

    async def embed(self, texts: Sequence[str]) -> Embedded:
        self.asked.append(list(texts))
        if self.fault is not None:
            raise self.fault
        vectors = [[text.count(topic) + 0.01 for topic in TOPICS] for text in texts]
        padded = [[*vector, *[0.0] * (self.size - 3)] for vector in vectors]
        return Embedded(padded, Usage(input=sum(map(len, texts)) // 4), self.model)

    async def close(self) -> None:
        self.closed += 1


def made(embedder: Any = None, **more: Any) -> tuple[Relevance, Topics]:
    topics = embedder or Topics()
    pricer = more.pop("pricer", FixedPricer(PRICES))
    return Relevance(topics, pricer, ByteCounter(4_000), **more), topics


def task(*turns: str, goal: str = "mend the boats", **policy: Any) -> State:
    """A task with one turn for each text: a call, and the text as its result."""
    fields = {"max_tokens": 1_000, "keep_user": 3, "keep_assistant": 1, "name": "window", **policy}
    created = e.TaskCreated(
        goal, "", "sim", "sim-1", "/", Limits(), context=ContextPolicy(**fields)
    )
    state = fold([e.Recorded(0, 1, created)])
    for text in turns:
        add(state, text)
    return state


def add(state: State, text: str) -> None:
    made_call = ToolCall(f"c{len(state.messages)}", "look")
    answer = Message("assistant", "", (made_call,))
    apply(state, e.ModelAnswered(answer, Usage(input=10, output=1), "tools", 0), 1)
    apply(state, e.ToolEnded(made_call.id, "look", text, "ok"), 1)


def intent(**changes: Any) -> e.ModelAsked:
    asked = e.ModelAsked(1, "near", "topics-1", 500, 700, 0, "embedding", credits=3)
    return replace(asked, **changes)


def embed(relevance: Relevance, state: State) -> Any:
    ticks = iter((100, 130))
    return asyncio.run(relevance.embed(state, intent(), lambda: next(ticks)))


def failed(**changes: Any) -> ProviderError:
    told = {"reason": "rate", "retriable": True, "may_be_billed": False, **changes}
    return ProviderError("slow down", retry_after_ms=9_000, **told)


def test_the_turn_that_means_the_same_scores_highest() -> None:
    relevance, topics = made()
    state = task("tax tax", "boats", "garden", "the last turn")
    embed(relevance, state)
    near, missing = relevance.look(state, DUE)
    assert missing is None
    assert near[3] == max(near.values())
    assert set(near) == {1, 3, 5}
    assert all(-1 <= score <= 1.000001 for score in near.values())
    assert near[3] == pytest.approx(1, abs=0.05)
    assert len(topics.asked) == 1


def test_one_text_a_turn_and_one_of_what_is_being_done() -> None:
    relevance, topics = made()
    state = task("tax", "garden", "the last turn")
    embed(relevance, state)
    now, *turns = topics.asked[0]
    assert turns == ["look\ntax", "look\ngarden"]
    assert now == "mend the boats\nlook\nthe last turn"


def test_user_messages_that_may_go_are_embedded_too() -> None:
    relevance, topics = made()
    state = task("tax", keep_user=0)
    answer = e.ModelAnswered(Message("assistant", "cut"), Usage(input=1), "length", 0)
    apply(state, answer, 1)  # after which the task itself says to go on
    add(state, "the last turn")
    assert state.messages[4].role == "user"
    assert relevance.wanted(state) == [1, 3, 4]
    embed(relevance, state)
    assert topics.asked[0][-1] == state.messages[4].text
    assert state.messages[4].text in topics.asked[0][0]


def test_each_turn_is_embedded_once_and_the_query_when_it_changed() -> None:
    relevance, topics = made()
    state = task("tax", "garden", "third")
    embed(relevance, state)
    add(state, "fourth")
    near, missing = relevance.look(state, DUE)
    assert not near
    assert missing is not None
    embed(relevance, state)
    assert topics.asked[1] == ["mend the boats\nlook\nfourth", "look\nthird"]
    near, missing = relevance.look(state, DUE)
    assert (set(near), missing) == ({1, 3, 5}, None)


def test_a_long_conversation_takes_several_calls_of_at_most_a_hundred_texts() -> None:
    relevance, topics = made()
    state = task(*(f"turn {n}" for n in range(250)))
    rounds = 0
    while relevance.side_call(state) is not None:
        assert not relevance.scores(state)
        embed(relevance, state)
        rounds += 1
    assert [len(texts) for texts in topics.asked] == [MAX_TEXTS, MAX_TEXTS, 50]
    assert (rounds, len(relevance.scores(state))) == (3, 249)


def test_texts_and_calls_have_a_bound_in_bytes() -> None:
    relevance, topics = made()
    state = task(*(f"{n} " + "€" * 9_000 for n in range(80)), goal="€" * 9_000)
    embed(relevance, state)
    sizes = [len(text.encode()) for text in topics.asked[0]]
    assert max(sizes) <= TEXT_BYTES
    assert CALL_BYTES - 2 * TEXT_BYTES < sum(sizes) <= CALL_BYTES


def test_what_is_being_done_has_room_for_goal_and_last_turn_alike() -> None:
    relevance, topics = made()
    state = task("tax", "the last turn", goal="long " * 5_000)
    embed(relevance, state)
    assert topics.asked[0][0].startswith("long long")
    assert topics.asked[0][0].endswith("the last turn")


def test_equal_turns_are_sent_once() -> None:
    relevance, topics = made()
    state = task("same", "same", "other", "the last turn")
    embed(relevance, state)
    assert len(topics.asked[0]) == 3
    assert relevance.scores(state)[1] == relevance.scores(state)[3]


def test_the_quote_covers_the_texts_with_a_margin() -> None:
    relevance, topics = made()
    state = task("tax" * 1_000, "the last turn")
    side = relevance.side_call(state)
    assert side is not None
    assert (side.provider, side.model, side.paced) == ("near", "topics-1", True)
    embed(relevance, state)
    sent_bytes = sum(map(len, topics.asked[0]))
    quote = side.quote
    assert quote.expected_tokens == -(-sent_bytes // 4)
    assert quote.input_tokens == quote.expected_tokens * 125 // 100 + 16
    assert quote.input_cost_micros == -(-quote.input_tokens * 20_000 // 1_000_000)
    assert (quote.output_micros_per_mtok, quote.max_output, quote.min_output) == (0, 0, 0)


def test_without_a_price_the_quote_has_none() -> None:
    relevance, _ = made(pricer=Unpriced())
    side = relevance.side_call(task("tax", "the last turn"))
    assert side is not None
    assert side.quote.input_cost_micros is None


@pytest.mark.parametrize(
    "policy", [{"name": "auto"}, {"name": "none"}, {"max_tokens": 10_000}], ids=str
)
def test_nothing_is_asked_where_no_window_is_about_to_be_shortened(policy: dict[str, Any]) -> None:
    relevance, _ = made()
    assert relevance.look(task("tax", "the last turn", **policy), DUE) == ({}, None)


def test_a_request_that_the_provider_calls_too_long_is_reason_enough() -> None:
    relevance, _ = made()
    state = task("tax", "the last turn", max_tokens=10_000)
    state.failure = e.ModelFailed("context", "too long", retriable=False)
    assert relevance.look(state, DUE)[1] is not None


def test_nothing_is_asked_where_nothing_may_go() -> None:
    relevance, _ = made()
    assert relevance.look(task("only"), DUE) == ({}, None)


def test_the_answer_is_an_event_with_usage_cost_prices_and_time() -> None:
    relevance, _ = made()
    event = embed(relevance, task("tax" * 4_000, "the last turn"))
    assert isinstance(event, e.ModelAnswered)
    assert (event.message, event.stop) == (Message("assistant"), "end")
    assert event.cost_micros == -(-event.usage.input * 20_000 // 1_000_000)
    assert '"source":"list"' in event.prices
    assert (event.duration_ms, event.model) == (30, "")


@pytest.mark.parametrize(("billed", "charged"), [(True, (500, 700, 0)), (False, (0, 0, 3))])
def test_a_failed_call_ends_the_asking_and_is_charged_if_it_may_be_billed(
    billed: bool, charged: tuple[int, int, int]
) -> None:
    relevance, topics = made()
    topics.fault = failed(may_be_billed=billed)
    state = task("tax", "the last turn")
    event = embed(relevance, state)
    assert isinstance(event, e.ModelFailed)
    assert (event.reason, event.retry_at_ms) == ("rate", 0)
    assert (event.charged_micros, event.charged_tokens, event.credits_back) == charged
    assert relevance.gave_up
    assert relevance.look(state, DUE) == ({}, None)
    assert len(topics.asked) == 1


def test_a_fault_of_ours_is_not_hidden() -> None:
    relevance, topics = made()
    topics.fault = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        embed(relevance, task("tax", "the last turn"))


def test_vectors_of_another_length_are_paid_but_not_compared() -> None:
    relevance, topics = made()
    state = task("tax", "garden", "third")
    embed(relevance, state)
    topics.size = 4
    add(state, "fourth")
    assert isinstance(embed(relevance, state), e.ModelAnswered)
    assert relevance.gave_up
    assert relevance.look(state, DUE) == ({}, None)


def test_vectors_without_a_direction_are_near_nothing() -> None:
    class Zero(Topics):
        async def embed(self, texts: Sequence[str]) -> Embedded:
            return Embedded([[0.0, 0.0] for _ in texts], Usage(input=1))

    relevance, _ = made(Zero())
    state = task("tax", "the last turn")
    embed(relevance, state)
    assert relevance.scores(state) == {1: 0.0}


def test_an_answer_that_does_not_come_in_time_may_be_billed() -> None:
    class Silent(Topics):
        async def embed(self, texts: Sequence[str]) -> Embedded:
            await asyncio.Event().wait()
            raise AssertionError("nothing ends this wait")

    relevance, _ = made(Silent())
    state = task("tax", "the last turn")
    state.limits = Limits(timeouts_ms={"ai": 1})
    event = embed(relevance, state)
    assert (event.reason, event.charged_micros) == ("timeout", 500)


def test_cancelling_cuts_the_call_and_it_may_be_asked_again() -> None:
    class Silent(Topics):
        cut = False

        async def embed(self, texts: Sequence[str]) -> Embedded:
            self.begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cut = True
            raise AssertionError("nothing ends this wait")

    relevance, silent = made(Silent())
    state = task("tax", "the last turn")
    silent.begun = asyncio.Event()  # type: ignore[attr-defined]  # of the class above

    async def main() -> None:
        running = asyncio.create_task(relevance.embed(state, intent(), lambda: 0))
        await silent.begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert silent.cut  # type: ignore[attr-defined]  # of the class above
    assert relevance.look(state, DUE)[1] is not None


def test_batches_are_told() -> None:
    told: list[Any] = []
    relevance, _ = made(on_batch=told.append)
    embed(relevance, task("tax", "garden", "the last turn"))
    assert [(batch.items, batch.why) for batch in told] == [(3, "flush")]


def lived(relevance: Relevance, *topics: str) -> tuple[Life, State]:
    """A life of one look at each topic, in a window that holds about two of them."""
    policy = ContextPolicy(2_000, 1, 1, "window", summarise=False)
    life = Life(context=policy)
    texts = iter([f"{topic} " * 300 for topic in topics])
    turns = [says("", call(call_id=f"look-{n}")) for n in range(len(topics))]
    uncounted = [replace(t, usage=Usage(10, output=10, reported=False)) for t in turns]
    play = Play(*uncounted, says("done"))
    state = life.drive(play, [Do("look", lambda _: next(texts))], relevance=relevance)
    return life, state


def whys_of(life: Life) -> set[str]:
    return {
        pruned.why.rpartition("(")[2].partition(")")[0] for pruned in life.events(e.ContextPruned)
    }


def test_a_run_goes_by_meaning_and_books_the_embedding() -> None:
    relevance, embedder = made()
    life, state = lived(relevance, "tax", "boats", "garden", "tax", "goal")
    asked = [event for event in life.events(e.ModelAsked) if event.purpose == "embedding"]
    assert state.status == "done"
    assert state.steps == 6
    assert len(asked) == len(embedder.asked) >= 1
    assert (asked[0].provider, asked[0].model) == ("near", "topics-1")
    assert asked[0].reserve_micros
    assert whys_of(life) == {"meaning"}
    assert embedder.closed == 1


def test_a_run_goes_on_by_words_where_the_embedder_fails() -> None:
    relevance, embedder = made()
    embedder.fault = failed()
    life, state = lived(relevance, "tax", "boats", "garden", "tax", "goal")
    assert (state.status, state.failures, len(embedder.asked)) == ("done", 0, 1)
    assert [event.reason for event in life.events(e.ModelFailed)] == ["rate"]
    assert whys_of(life) == {"BM25"}


def test_a_run_goes_on_by_words_where_a_limit_forbids_the_call() -> None:
    relevance, embedder = made(pricer=Unpriced())
    life, state = lived(relevance, "tax", "boats", "garden", "tax", "goal")
    assert (state.status, embedder.asked) == ("done", [])
    assert whys_of(life) == {"BM25"}
