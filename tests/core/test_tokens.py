"""What a task's calls took and what was spared, from its log."""

from hypothesis import given
from hypothesis import strategies as st

from agentctl.core import events as e
from agentctl.core.tokens import CallTokens, NextRequest, TokenTally, Totals
from agentctl.core.values import Message, Rates, ToolCall, Usage
from agentctl.pricing import cost_of, note_of
from tests.core.parts import asked, created, failed, recorded

RATES = Rates(input=2_000_000, cache_read=200_000, cache_write=2_500_000, output=10_000_000)
RATIO = 2_000
"""Two bytes a token: estimates are easy to follow."""


def answered(usage, *calls, prices="same", **more):
    note = note_of(RATES) if prices == "same" else prices
    cost = cost_of(RATES, usage)
    message = Message("assistant", "said", tuple(ToolCall(name, "look") for name in calls))
    return e.ModelAnswered(message, usage, "tools" if calls else "end", cost, 1, note, **more)


def tally_of(*events, ratio=RATIO, **task):
    tally = TokenTally(ratio)
    calls = [call for r in recorded(created(**task), *events) if (call := tally.add(r))]
    return tally, calls


def ended(call_id, text="x" * 100, **more):
    return e.ToolEnded(call_id, "look", text, **more)


def test_a_call_has_what_its_provider_reported_and_what_its_cache_saved():
    usage = Usage(1_000_000, 600_000, 100_000, 50_000, 20_000)
    tally, calls = tally_of(asked(), answered(usage))
    saved = 600_000 * 18 // 10 - 100_000 * 5 // 10
    assert calls == [CallTokens(1, "sim", "sim-1", usage, cost_of(RATES, usage), "step", saved)]
    assert tally.totals == Totals(
        1, 0, 0, 1_000_000, 600_000, 100_000, 50_000, 20_000, cost_of(RATES, usage), 0,
        saved * 1_000_000,
    )  # fmt: skip
    assert tally.totals.cache_saved_micros == saved


def test_prices_that_are_not_repeated_are_those_of_the_answer_before():
    usage = Usage(1_000, 500)
    _, calls = tally_of(
        asked(), answered(usage, "a"), ended("a"), asked(2), answered(usage, prices="")
    )
    assert [call.cache_saved_micros for call in calls] == [900, 900]


def test_without_a_price_nothing_is_said_to_be_saved():
    tally, calls = tally_of(asked(), answered(Usage(9, 9), prices='{"source":"unpriced"}'))
    assert calls[0].cache_saved_micros == tally.totals.cache_saved == 0


def test_estimated_unpriced_and_open_calls_are_told_apart():
    usage = Usage(10, reported=False)
    unpriced = e.ModelAnswered(Message("assistant", "x"), usage, "end", None)
    tally, _ = tally_of(asked(), failed(charged_micros=700), asked(2), unpriced)
    totals = tally.totals
    assert (totals.calls, totals.estimated, totals.unpriced, totals.open_micros) == (1, 1, 1, 700)


def test_a_cut_output_spares_tokens_in_every_request_after_it():
    cut = ended("a", output_ref="r", output_bytes=20_100)
    steps = [asked(), answered(Usage(5), "a"), cut, asked(2), answered(Usage(6), "b"), ended("b")]
    tally, calls = tally_of(*steps, asked(3), answered(Usage(7)))
    assert [call.cut_tokens for call in calls] == [0, 10_000, 10_000]
    assert tally.totals.cut_tokens == 20_000


def test_a_cut_output_that_a_prune_left_out_spares_no_more():
    texts = [ended(name, "x" * 500, output_ref="r", output_bytes=2_500) for name in ("a", "b")]
    steps = [
        asked(),
        answered(Usage(5), "a"),
        texts[0],
        asked(2),
        answered(Usage(6), "b"),
        texts[1],
    ]
    prune = e.ContextPruned(3)  # the goal, the first answer, its output
    _, calls = tally_of(*steps, prune, asked(3), answered(Usage(7)))
    assert [call.cut_tokens for call in calls] == [0, 1_000, 1_000]


def test_what_pruning_saved_is_taken_from_the_answer():
    tally, calls = tally_of(asked(), answered(Usage(5), pruned_micros=-30))
    assert calls[0].pruned_saved_micros == tally.totals.pruned_saved_micros == -30


def test_before_a_report_the_next_request_is_estimated_by_bytes():
    tally, _ = tally_of(system="s" * 400, goal="g" * 100)
    assert tally.next_request() == NextRequest(200, 50, 0, 0, 0)


def test_after_a_report_only_what_was_added_is_estimated_and_the_tools_fill_the_rest():
    steps = (asked(), answered(Usage(1_000, output=20), "a"), ended("a", "x" * 600))
    tally, _ = tally_of(*steps, system="s" * 400, goal="g" * 100)
    assert tally.next_request() == NextRequest(965, 50, 5, 300, 1_020)


def test_text_that_is_lighter_than_estimated_makes_all_parts_give_way():
    steps = (asked(), answered(Usage(100, output=20), "a"), ended("a", "x" * 600))
    tally, _ = tally_of(*steps, system="s" * 400, goal="g" * 100)
    assert tally.next_request().tokens == 120 + 300


@given(
    st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 5_000), st.integers(1_000, 8_000)
)
def test_the_parts_are_never_negative_and_their_sum_is_what_was_reported(
    given_tokens, out, size, k
):
    steps = (asked(), answered(Usage(given_tokens, output=out), "a"), ended("a", "x" * size))
    tally, _ = tally_of(*steps, ratio=k)
    found = tally.next_request()
    assert min(found.system, found.goal, found.history, found.tool_output) >= 0
    assert found.tokens == given_tokens + out + size * 1000 // k
