"""Bytes per token, learned from reports: close to the truth soon, and never far from sense."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentctl.core.calibrate import (
    LEAST_BYTES,
    MEMORY_TOKENS,
    NOTHING,
    STEP,
    Calibration,
    Learner,
    bytes_per_ktoken,
    merged,
    sample,
)
from agentctl.core.values import Usage

USUAL = 3_400


class Life:
    """A provider whose tokens are `each_milli` thousandths of a token per byte."""

    def __init__(self, learner, ratio):
        self.learner, self.ratio = learner, ratio
        self.sent_bytes, self.input = 1_000, 400

    def step(self, appended_bytes, **usage):
        told = {"input": self.input, "output": 50, **usage}
        k = self.learner.hear(self.sent_bytes, 0, 150, Usage(**told), sealed=False)
        self.sent_bytes += 150 + appended_bytes
        self.input += 50 + appended_bytes * 1000 // self.ratio
        return k


def test_what_nobody_has_learned_is_as_usual():
    assert bytes_per_ktoken(USUAL, NOTHING) == USUAL
    assert Learner(USUAL).bytes_per_ktoken == USUAL


@pytest.mark.parametrize("ratio", [2_000, 2_700, 4_100, 6_000])
def test_a_long_run_learns_the_models_own_ratio(ratio):
    life, rng = Life(Learner(USUAL), ratio), random.Random(1)
    for _ in range(60):
        k = life.step(rng.randint(500, 12_000))
    assert abs(k - ratio) < ratio * 3 // 100


def test_the_next_run_begins_with_what_was_learned():
    life = Life(Learner(USUAL), 2_500)
    for _ in range(30):
        k = life.step(8_000)
    assert Learner(USUAL, life.learner.news).bytes_per_ktoken == k < USUAL


def test_the_first_answer_of_a_process_teaches_nothing():
    learner = Learner(USUAL)
    learner.hear(50_000, 0, 100, Usage(input=9_000, output=10), sealed=False)
    assert learner.news == NOTHING


def test_an_answer_without_a_report_teaches_nothing_and_neither_does_the_next():
    life = Life(Learner(USUAL), 2_500)
    life.step(5_000)
    life.step(5_000, reported=False)
    life.step(5_000)
    assert life.learner.news == NOTHING
    life.step(5_000)
    assert life.learner.news.bytes == 5_000


def test_growth_across_a_shortened_request_teaches_nothing():
    learner = Learner(USUAL)
    learner.hear(50_000, 0, 100, Usage(input=20_000, output=10), sealed=False)
    learner.hear(60_000, 30_000, 100, Usage(input=21_000, output=10), sealed=False)
    assert learner.news == NOTHING


def test_reasoning_that_is_not_sent_back_is_no_growth():
    for sealed, tokens in ((False, 2_000), (True, 1_100)):
        learner = Learner(USUAL)
        usage = Usage(input=1_000, output=1_000, reasoning=900)
        learner.hear(4_000, 0, 300, usage, sealed=sealed)
        learner.hear(4_300 + 6_000, 0, 300, Usage(input=3_100, output=10), sealed=sealed)
        assert learner.news == Calibration(6_000, max(tokens, 6_000 * 500 // USUAL))


def test_small_growth_is_left_out():
    assert sample(USUAL, LEAST_BYTES - 1, 60) is None
    assert sample(USUAL, LEAST_BYTES, 60) == Calibration(LEAST_BYTES, 60)


@pytest.mark.parametrize("tokens", [0, -1, -10_000])
def test_growth_without_tokens_is_left_out(tokens):
    assert sample(USUAL, 10_000, tokens) is None


@pytest.mark.parametrize("tokens", [1, 10**12])
def test_nonsense_moves_the_ratio_no_further_than_twice_or_half(tokens):
    known = NOTHING
    for _ in range(1_000):
        found = sample(USUAL, 10_000, tokens)
        assert found is not None
        known = merged(known, found)
    assert USUAL // 2 <= bytes_per_ktoken(USUAL, known) <= USUAL * 2


def test_a_provider_that_always_reports_zero_teaches_nothing():
    learner = Learner(USUAL)
    for step in range(1, 50):
        learner.hear(step * 4_000, 0, 100, Usage(), sealed=False)
    assert (learner.news, learner.bytes_per_ktoken) == (NOTHING, USUAL)


def test_one_odd_report_is_forgotten_in_time():
    odd = merged(NOTHING, Calibration(400_000, MEMORY_TOKENS))
    life = Life(Learner(USUAL, odd), 4_000)
    for _ in range(200):
        k = life.step(10_000)
    assert abs(k - 4_000) < 60


def test_a_full_memory_holds_no_more_and_what_is_new_stays_whole():
    full = Calibration(500_000, MEMORY_TOKENS)
    after = merged(full, Calibration(40_000, 10_000))
    assert after == Calibration(500_000 * (MEMORY_TOKENS - 10_000) // MEMORY_TOKENS + 40_000,
                                MEMORY_TOKENS)  # fmt: skip


counts = st.integers(-(10**9), 10**12)


@given(st.integers(1_000, 8_000), counts, counts)
def test_whatever_stands_in_the_store_the_ratio_stays_in_its_bounds(usual, stored, tokens):
    k = bytes_per_ktoken(usual, Calibration(stored, tokens))
    assert usual // 2 <= k <= usual * 2
    assert k % STEP == 0 or k in (usual // 2, usual * 2)


@given(st.integers(1_000, 8_000), st.lists(st.tuples(counts, counts, counts, counts), max_size=30))
def test_whatever_is_reported_the_ratio_stays_in_its_bounds(usual, reports):
    learner = Learner(usual)
    for sent, given_tokens, output, reasoning in reports:
        usage = Usage(input=given_tokens, output=output, reasoning=reasoning)
        k = learner.hear(sent, 0, 10, usage, sealed=False)
        assert usual // 2 <= k <= usual * 2
        assert 0 <= learner.news.tokens <= MEMORY_TOKENS
