"""Recorded lives come out byte-identical, and whatever is not as it was is found."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from agentctl.core import events as e
from agentctl.core import state
from agentctl.core.values import Message
from agentctl.replay.life import Outcome, replay
from agentctl.store.memory import MemoryStore
from tests.core.parts import answered, asked, created, events, recorded
from tests.sim import life
from tests.sim.test_lives import (
    _cut_is_free,
    _doubt_is_free,
    _no_tool_intent,
    _pause_ignored,
    _spend_forgotten,
    _unsafe_repeated,
)
from tests.sim.world import SPECS, TASK

LIVES = 120
KNOWN = {spec.name: spec for spec in SPECS}
Log = Sequence[e.Recorded]


@cache
def lived() -> list[Log]:
    """The logs of simulated lives: with crashes, faults, pauses, messages and limits."""
    stores: list[MemoryStore] = []

    class Kept(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            stores.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(life, "MemoryStore", Kept)
        for seed in range(LIVES):
            life.live(seed)
    return [store.logs[TASK] for store in stores]


def again(log: Log) -> Outcome:
    return replay(log, KNOWN)


def renumbered(log: Sequence[e.Recorded]) -> Log:
    return [e.Recorded(number, record.at_ms, record.event) for number, record in enumerate(log)]


@pytest.mark.parametrize("first", range(0, LIVES, 40))
def test_every_recorded_life_comes_out_byte_identical(first: int) -> None:
    for log in lived()[first : first + 40]:
        assert again(log) == Outcome(len(log), again(log).processes)


def test_the_lives_have_all_that_can_happen() -> None:
    found = {type(record.event) for log in lived() for record in log}
    never = {
        e.Forked,
        e.Imported,
        e.ToolNote,
        e.LogRemoved,
    }  # of tasks that were never anywhere else
    assert found == set(e.KINDS.values()) - never


@pytest.mark.parametrize(
    "fault",
    [_pause_ignored, _doubt_is_free, _cut_is_free, _unsafe_repeated, _no_tool_intent,
     _spend_forgotten],
    ids=lambda fault: fault.__name__.strip("_"),
)  # fmt: skip
def test_a_core_that_decides_otherwise_is_found_out(
    fault: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = lived()
    fault(monkeypatch)  # type: ignore[operator]  # each takes the patch
    assert any(again(log).divergence is not None for log in logs)


TAMPERED = {
    e.Finished: lambda event: changed(event, text="something else"),
    e.Stopped: lambda event: changed(event, reason="something else"),
    e.ToolStarted: lambda event: changed(event, tool="other"),
    e.ModelAsked: lambda event: changed(event, call=event.call + 7),
    e.LimitWarned: lambda event: changed(event, level="mild"),
    e.UserHeard: lambda event: changed(event, messages=event.messages + 1),
}


@pytest.mark.parametrize("kind", TAMPERED, ids=lambda kind: kind.__name__)
def test_a_changed_decision_is_found_at_its_event(kind: type[e.Event]) -> None:
    tried = 0
    for log in lived():
        for record in log:
            own = not getattr(record.event, "parent", "")
            own = own and getattr(record.event, "purpose", "step") == "step"
            if isinstance(record.event, kind) and own and "wall" not in repr(record.event):
                forged = e.Recorded(record.seq, record.at_ms, TAMPERED[kind](record.event))
                found = again([*log[: record.seq], forged, *log[record.seq + 1 :]]).divergence
                assert found is not None
                # The events of one decision are told apart by the first that differs; what was
                # said a little later may make the forged one true, but not the one after it.
                assert abs(record.seq - found.seq) < 8
                tried += 1
                break
    assert tried


def test_another_answer_is_found_where_it_changes_something() -> None:
    answer = answered("the end")
    log = recorded(
        created(), e.Resumed(1), asked(), answer, e.Finished("done", "the end"), gap_ms=0
    )
    assert again(log).divergence is None
    forged = changed(answer, message=Message("assistant", "another end"))
    found = again([*log[:3], e.Recorded(3, log[3].at_ms, forged), log[4]]).divergence
    assert found is not None
    assert (found.seq, found.came) == (4, e.Finished("done", "another end"))


@pytest.mark.parametrize("kind", [e.ToolStarted, e.ModelAsked, e.Resumed])
def test_an_event_that_was_taken_out_is_found(kind: type[e.Event]) -> None:
    found = 0
    for log in lived()[:40]:
        place = next((r.seq for r in log if isinstance(r.event, kind)), None)
        if place is not None:
            cut = renumbered([*log[:place], *log[place + 1 :]])
            found += again(cut).divergence is not None
    assert found > 20


def test_a_recording_that_ends_in_the_middle_is_replayed_up_to_there() -> None:
    log = max(lived(), key=len)
    before = (e.ModelAsked, e.Resumed, e.UserHeard)  # what one decision wrote stands together
    lengths = [record.seq for record in log if isinstance(record.event, before)]
    for length in lengths[:60]:
        outcome = again(log[:length])
        assert (outcome.events, outcome.divergence) == (length, None)


def test_a_core_that_never_gets_on_is_told_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = recorded(created(), e.Resumed(1), e.UserSaid("x"), e.UserHeard(), asked(), gap_ms=0)
    assert again(log).divergence is None
    monkeypatch.setitem(state._APPLY, e.UserHeard, lambda state, event: None)
    assert again(log).divergence is not None


@settings(deadline=None, database=None, derandomize=True, max_examples=60)
@given(st.data())
def test_whatever_a_log_says_a_replay_comes_to_an_end(data: st.DataObject) -> None:
    """Also one that was changed by hand or comes from elsewhere."""
    log = list(data.draw(st.sampled_from(lived()[:30])))
    kept = log[: data.draw(st.integers(1, min(len(log), 60)))]
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(1, len(kept)))
        event = data.draw(events().filter(lambda each: not isinstance(each, e.TaskCreated)))
        kept.insert(place, e.Recorded(0, kept[place - 1].at_ms, event))
    kept = [record for record in kept if not isinstance(record.event, e.LogRemoved)]
    assert again(renumbered(kept)).events <= len(kept)
