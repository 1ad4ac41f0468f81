"""300 simulated lives keep every promise, and a broken core is found out by the same rules."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agentctl.core import decide as decide_module
from agentctl.core import events as e
from agentctl.core import state as state_module
from agentctl.core.answers import say
from agentctl.core.guards import steps, tokens
from agentctl.core.values import Message, Pace
from agentctl.run import perform
from agentctl.run.driver import Driver
from tests.sim.life import live
from tests.sim.rules import Broken

LIVES = 300
CHUNK = 60


@pytest.mark.parametrize("first", range(0, LIVES, CHUNK))
def test_every_rule_holds_in_every_life(first: int) -> None:
    for seed in range(first, first + CHUNK):
        live(seed)


def _no_reserve(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("agentctl.core.guards.GUARDS", (tokens.check, steps.check))
    patch.setattr("agentctl.store.memory.MemoryStore._refusal", lambda *_: "")


def _pause_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(state_module._APPLY, e.PauseRequested, lambda state, event: None)


def _unsafe_repeated(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide_module, "_unknown_policy", lambda state, call, view: "rerun")


def _doubt_is_free(patch: pytest.MonkeyPatch) -> None:
    def settle(state: state_module.State, view: object) -> decide_module.Action | None:
        if state.asked is None:
            return None
        return decide_module.Record((e.ModelFailed("interrupted", "", retriable=True),))

    rules = (settle, *decide_module._RULES[1:])
    patch.setattr(decide_module, "_RULES", rules)


def _cut_is_free(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(perform, "cut", lambda intent, why: e.ModelFailed("cut", why, retriable=True))


def _no_tool_intent(patch: pytest.MonkeyPatch) -> None:
    commit = Driver._commit

    def forgetful(self: Driver, intents: tuple[e.Event, ...] = (), **more: bool) -> bool:
        if any(isinstance(intent, e.ToolStarted) for intent in intents):
            return commit(self)
        return commit(self, intents, **more)

    patch.setattr(Driver, "_commit", forgetful)


def _hour_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("agentctl.store.memory.MemoryStore._spent", lambda *_: (0, 0))


def _pace_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("agentctl.store.memory.MemoryStore._pace", lambda *_: Pace())


def _credits_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("agentctl.core.guards.balance._short", lambda *_: None)
    patch.setattr("agentctl.store.memory.MemoryStore._refusal", lambda *_: "")


def _spend_forgotten(patch: pytest.MonkeyPatch) -> None:
    resumed = state_module._APPLY[e.Resumed]

    def forget(state: state_module.State, event: e.Resumed) -> None:
        resumed(state, event)
        state.spent_micros = 0

    patch.setitem(state_module._APPLY, e.Resumed, forget)


def _words_lost(patch: pytest.MonkeyPatch) -> None:
    def ends(state: state_module.State, view: object) -> decide_module.Action | None:
        if state.final:
            return decide_module.Record((e.Finished("done", state.answer),))
        return decide_module._end(state, view)

    patch.setattr(
        decide_module, "_RULES", (decide_module._RULES[0], ends, *decide_module._RULES[2:])
    )


def _words_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(state_module._APPLY, e.UserHeard, lambda state, event: state.unheard.clear())


def _words_repeated(patch: pytest.MonkeyPatch) -> None:
    heard = state_module._APPLY[e.UserHeard]

    def twice(state: state_module.State, event: e.UserHeard) -> None:
        texts = state.unheard[: event.messages]
        heard(state, event)
        for text in texts:
            say(state, Message("user", text))

    patch.setitem(state_module._APPLY, e.UserHeard, twice)


def _children_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(state_module, "_take_child", lambda *_: None)


def _any_answer_fits(patch: pytest.MonkeyPatch) -> None:
    def judged(state: state_module.State, problem_of: object) -> tuple[e.Event, ...]:
        return (e.Finished("done", state.answer),)

    patch.setattr(decide_module, "judged", judged)


FAULTS: tuple[Callable[[pytest.MonkeyPatch], None], ...] = (
    _no_reserve,
    _pause_ignored,
    _unsafe_repeated,
    _doubt_is_free,
    _cut_is_free,
    _no_tool_intent,
    _hour_forgotten,
    _pace_forgotten,
    _credits_forgotten,
    _spend_forgotten,
    _words_lost,
    _words_forgotten,
    _words_repeated,
    _children_forgotten,
    _any_answer_fits,
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.strip("_"))
def test_a_deliberate_fault_is_caught_within_300_lives(
    fault: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch)
    with pytest.raises(Broken, match="seed"):
        for seed in range(LIVES):
            live(seed)
