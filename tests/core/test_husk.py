"""What is left of an ended task's log: every sum, and no word."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agentctl.core import events as e
from agentctl.core.husk import GOAL_CHARS, husk
from agentctl.core.recount import FIELDS, KINDS, TOTALS, recount
from agentctl.core.state import fold
from agentctl.core.values import ToolCall, Usage
from tests.core.parts import START_MS, answered, asked, created, ended, failed, recorded, started

WORD = "canary"
SUMS = ("status", "steps", "spent_micros", "unpriced", "tokens_processed", "tokens_total", "calls")


def turns() -> st.SearchStrategy[list[e.Event]]:
    """A model call and how it ended."""
    usages = st.builds(Usage, input=st.integers(0, 999), output=st.integers(0, 99))
    costs = st.none() | st.integers(0, 10**6)
    answers = st.builds(
        lambda usage, cost: answered("x", usage=usage, cost_micros=cost), usages, costs
    )
    failures = st.builds(
        lambda cost, tokens: failed(charged_micros=cost, charged_tokens=tokens), costs,
        st.integers(0, 99),
    )  # fmt: skip
    others = (e.Switched("other", "model", "why"), e.Forked(created(name="fork"), 1, 2),
              e.Imported(created(name="here")))  # fmt: skip
    return st.lists(st.one_of(answers, failures, st.sampled_from(others)), max_size=12)


def lived(parts: list[e.Event], outcome: str = "done") -> list[e.Recorded]:
    log: list[e.Event] = [created(goal=f"{WORD} " * 100, system=WORD)]
    number = 0
    for part in parts:
        if not isinstance(part, e.Switched | e.Forked | e.Imported):
            number += 1
            log.append(asked(number))
        log.append(part)
    return recorded(*log, e.Finished(outcome, "the answer"))


@settings(deadline=None, database=None, derandomize=True, max_examples=200)
@given(turns(), st.sampled_from(["done", "cancelled"]))
def test_every_call_and_every_sum_follows_from_it_as_before(
    parts: list[e.Event], outcome: str
) -> None:
    log = lived(parts, outcome)
    left = husk(log, 1, START_MS)
    before, after = fold(log), fold(left)
    assert [getattr(after, name) for name in SUMS] == [getattr(before, name) for name in SUMS]
    counts = [
        recount((r.at_ms, r.event) for r in each if type(r.event).__name__ in KINDS)
        for each in (log, left)
    ]
    assert [getattr(counts[0], n) for n in TOTALS] == [getattr(counts[1], n) for n in TOTALS]
    ours, theirs = (
        [[getattr(call, n) for n in FIELDS] for call in count.calls.values()] for count in counts
    )
    assert ours == theirs
    assert counts[1].problems == []


def test_no_word_of_model_tool_or_user_is_left() -> None:
    call = ToolCall("c1", "look", f'{{"a": "{WORD}"}}')
    log = recorded(
        created(goal="x" * GOAL_CHARS + WORD, system=WORD, options={"a": WORD}, schema=WORD),
        asked(request=WORD),
        answered(WORD, call, stop="tools"),
        e.ToolApproved("c1", "look", rule=f"look: {WORD}"),
        started("look", "c1"),
        ended("look", "c1", WORD),
        e.ToolNote("server", WORD),
        e.ContextPruned(1, note=WORD),
        asked(2),
        e.ModelFailed("server", WORD, True),
        e.Switched("other", "model", WORD),
        e.UserSaid(WORD),
        e.UserHeard(),
        e.Forked(created(goal="x" * GOAL_CHARS + WORD, system=WORD), 1, 9),
        e.PauseRequested(reason=WORD),
        e.Stopped("paused", WORD),
        e.Resumed(1),
        asked(3),
        answered(WORD),
        e.Finished("done", WORD),
    )
    left = husk(log, 4_711, START_MS + 10**9)
    assert not [r for r in left if WORD in e.to_json(r.event)[1].decode()]
    assert [r.seq for r in left] == list(range(len(left)))
    assert left[-1] == e.Recorded(len(left) - 1, START_MS + 10**9, e.LogRemoved(20, 4_711))
    assert fold(left).removed == e.LogRemoved(20, 4_711)
