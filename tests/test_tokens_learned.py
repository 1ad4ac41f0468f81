"""What a run learns of its model's tokens is there for the next one, and costs a step nothing."""

import pytest

from agentctl import counting
from agentctl.assembly import Counters
from agentctl.control import Desk
from agentctl.core import events as e
from agentctl.core.calibrate import MEMORY_TOKENS, NOTHING, Calibration, Learner
from agentctl.core.state import fold
from agentctl.core.values import Message, Rates, Usage
from agentctl.ports import Answer
from agentctl.pricing import FixedPricer
from agentctl.run.perform import quote
from agentctl.run.world import Mind
from tests.core.parts import created, recorded
from tests.run.parts import Do, Life, Play, call, says

MODEL = ("openai", "gpt-5.4")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTCTL_HOME", str(tmp_path / "home"))
    with Desk() as opened:
        yield opened


def teach(learner, ratio, steps=40):
    sent_bytes = given = 1_000
    for _ in range(steps):
        learner.hear(sent_bytes, 0, 0, Usage(input=given, output=0), sealed=False)
        sent_bytes += 10_000
        given += 10_000_000 // ratio


def test_a_new_run_begins_with_what_the_one_before_learned(desk):
    first = Counters(desk)
    counter, learner = first.make(*MODEL)
    assert counter.bytes_per_ktoken == counting.usual(*MODEL)
    teach(learner, 2_800)
    first.close()
    again, _ = Counters(desk).make(*MODEL)
    assert abs(again.bytes_per_ktoken - 2_800) < 60
    assert again.bytes_per_ktoken == learner.bytes_per_ktoken


def test_each_model_has_its_own(desk):
    counters = Counters(desk)
    _, learner = counters.make(*MODEL)
    counters.make("openai", "gpt-6.1-sol")
    teach(learner, 2_800)
    counters.close()
    assert desk.store.learned("openai", "gpt-6.1-sol") == NOTHING
    assert desk.store.learned("anthropic", "gpt-5.4") == NOTHING


def test_a_run_that_learned_nothing_writes_nothing(desk):
    counters = Counters(desk)
    counters.make(*MODEL)
    counters.close()
    assert desk.store.connection.execute("SELECT count(*) FROM calibration").fetchone() == (0,)


@pytest.mark.parametrize("provider", ["offline", "scripted"])
def test_made_up_numbers_teach_nothing(desk, provider):
    assert Counters(desk).make(provider, "x")[1] is None


def test_two_runs_at_once_lose_nothing_of_each_other(desk):
    with Desk() as other:
        for each in (desk, other, desk):
            each.store.learn(*MODEL, Calibration(30_000, 10_000))
    assert desk.store.learned(*MODEL) == Calibration(90_000, 30_000)


def test_what_is_kept_is_bounded(desk):
    for _ in range(3):
        desk.store.learn(*MODEL, Calibration(400_000, MEMORY_TOKENS))
    assert desk.store.learned(*MODEL).tokens == MEMORY_TOKENS


def test_a_driven_run_learns_from_each_answer_after_the_first():
    """The tool gives 6,000 bytes, reported as 3,000 tokens: two bytes a token."""

    def turn(number, *calls):
        usage = Usage(input=500 + number * 3_010, output=10)
        return Answer(Message("assistant", "", calls), usage, "tools" if calls else "end")

    life, learner = Life(), Learner(3_400)
    turns = [turn(n, call(call_id=f"c{n}")) for n in range(4)]
    life.drive(Play(*turns, says("done")), [Do("look", lambda _: "x" * 6_000)], learner=learner)
    assert learner.news == Calibration(18_000, 9_000)
    assert learner.bytes_per_ktoken == (3_400 * 2 + 18_000) * 1_000 // 11_000 // 20 * 20
    reserved = [asked.reserve_tokens - asked.output_cap for asked in life.events(e.ModelAsked)]
    ratio = learner.bytes_per_ktoken
    assert reserved[-1] == (500 + 3 * 3_010 + 10 + 6_000_000 // ratio) * 105 // 100 + 16


def test_learning_costs_no_commit():
    def commits(learner):
        life = Life()
        turns = [says("", call(call_id=f"c{n}")) for n in range(5)]
        life.drive(Play(*turns, says("done")), [Do("look")], learner=learner)
        return life.store.commits

    assert commits(Learner(3_400)) == commits(None)


@pytest.mark.parametrize(("ratio", "is_more"), [(7_000, False), (2_000, True)])
def test_what_was_learned_of_light_texts_makes_no_reserve_smaller(desk, ratio, is_more):
    state = fold(recorded(created(goal="g" * 100_000)))

    def reserved() -> int:
        counter, learner = Counters(desk).make(*MODEL)
        mind = Mind(Play(), FixedPricer(Rates()), counter, learner)
        return quote(state, mind, counter.count("o" * 10_000)).input_tokens

    before = reserved()
    counters = Counters(desk)
    teach(counters.make(*MODEL)[1], ratio)
    counters.close()
    assert reserved() > before if is_more else 0 <= reserved() - before <= 2, "rounding"
