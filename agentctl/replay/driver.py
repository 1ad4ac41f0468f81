"""The driver in a world that is only the recording."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.decide import (
    Action,
    AskUser,
    CallModel,
    Halt,
    Record,
    RunTools,
    Sleep,
    decide,
    in_doubt,
)
from agentctl.core.rows import Gate
from agentctl.core.state import ENDS, State
from agentctl.core.values import Micros, Millis, Rates, ToolCall, ToolSpec, Usage, View
from agentctl.ports import NO_GATE, Answer, Emit, Request
from agentctl.replay.recording import TASK, Died, Diverged, ReplayStore
from agentctl.replay.witness import Witness
from agentctl.run.driver import Driver
from agentctl.run.world import Mind, World

STANDS_MAX = 100
"""So many decisions may lead to no event; news that come between two of them need a few."""


class ReplayDriver(Driver):
    """Decides and writes as ever; whatever the world said then is said again."""

    def __init__(self, world: World, store: ReplayStore, witness: Witness) -> None:
        """Read what has happened again so far and fold it."""
        super().__init__(TASK, world)
        self._recording, self._witness, self._store = store.recording, witness, store
        self._viewer = Reviewer(self, witness)  # type: ignore[assignment]  # it has what is used
        self._place, self._times = (0, 0), 0

    # --- deciding ------------------------------------------------------------------------------

    def _decide(self) -> Action:
        if self.state.status in ENDS:
            return Halt()
        held, recording = len(self._held), self._recording
        self._stands(recording.at, held)
        next_ = recording.owns(held)
        if not next_:
            if len(recording.owns(0)) == held:
                self._commit()  # before it waited for something, and died
            raise Died
        if held and recording.is_apart(held):
            action = self._decided(next_)
            if isinstance(action, AskUser) and self._fits(action, next_):
                return action  # it commits what is held itself, and then asks whatever the news
            self._commit()  # before something that took its time: a wait, a refusal
            return self._decide()
        given = self._given(next_[0])
        if given is not None:
            return given
        action = self._decided(next_)
        while recording.news() and not (_is_fact(action) and self._fits(action, next_)):
            self._learn()
            if self.state.status in ENDS:
                return Halt()
            action = self._decided(next_)
        if isinstance(action, Sleep | AskUser) and not self._is_answered(action, next_[0]):
            raise Diverged(recording.at + held, self._recorded(held), _first(action), self._now())
        if isinstance(action, CallModel):
            self._prepare_call(next_)
        return action

    def _stands(self, at: int, held: int) -> None:
        """Raise Diverged where decisions lead to nothing, again and again."""
        self._times = self._times + 1 if (at, held) == self._place else 0
        self._place = at, held
        if self._times > STANDS_MAX:
            came = e.ToolNote("agentctl", "nothing more is written")
            raise Diverged(at + held, self._recorded(held), came, self._now())

    def _decided(self, next_: Sequence[e.Event]) -> Action:
        """What is decided under the view that there must have been."""
        first: Action | None = None
        for state, view in self._witness.views(
            self.state, next_, self._recording.moment_ms(len(self._held))
        ):
            action = decide(state, view)
            if isinstance(action, Sleep):  # it was slept through
                action = decide(state, replace(view, now_ms=max(view.now_ms, action.until_ms)))
            action = self._as_told(action, next_[0])
            if self._fits(action, next_):
                return action
            first = first or action
        assert first is not None  # noqa: S101 - there is always a view
        return first

    def _as_told(self, action: Action, due: e.Event) -> Action:
        """The action with the recorded hash of the request: it is of tools' descriptions too."""
        match action, due:
            case CallModel(intent), e.ModelAsked(request=request) if intent.request and request:
                return CallModel(replace(intent, request=request))
        return action

    def _fits(self, action: Action, next_: Sequence[e.Event]) -> bool:
        due = next_[0]
        match action:
            case AskUser():
                return self._is_answered(action, due)
            case CallModel(intent) if isinstance(due, e.ModelAsked):
                kept = due.provider == "cached" != self.state.provider and self.state.created.reuse
                return kept or intent == due
            case RunTools(_, intents):
                return intents == tuple(next_[: len(intents)])
            case Record(facts):
                return facts == tuple(next_[: len(facts)])
        return False

    def _is_answered(self, action: Action, due: e.Event) -> bool:
        return isinstance(action, AskUser) and self._witness.answer(action.call, due) is not None

    def _given(self, due: e.Event) -> Action | None:
        """What depends on prices, windows and packages that are not in the log."""
        state = self.state
        if isinstance(due, e.ToolNote):
            return Record((due,))
        free = state.ready_to_ask and not state.unheard
        if isinstance(due, e.ContextPruned) and free:
            return Record((due,))
        if isinstance(due, e.ModelAsked) and due.purpose != "step" and free:
            return CallModel(due)
        if isinstance(due, e.Stopped) and due.reason.startswith("context policy") and free:
            return Record((due,))
        return None

    def _learn(self) -> None:
        """Hear the next that others wrote."""
        self._store.inject(self._recording.news()[0])
        self._take(self._store.read(TASK, self._seen))

    def _recorded(self, held: int) -> e.Recorded | None:
        at = self._recording.at + held
        return self._recording.log[at] if at < len(self._recording.log) else None

    # --- what the world said -------------------------------------------------------------------

    def _prepare_call(self, next_: Sequence[e.Event]) -> None:
        due = next_[0]
        cached = isinstance(due, e.ModelAsked) and due.provider == "cached"
        answer = next_[1] if len(next_) > 1 else None
        self._store.given = answer if cached and isinstance(answer, e.ModelAnswered) else None

    async def _ask(self, intent: e.ModelAsked, mind: Mind) -> e.ModelAnswered | e.ModelFailed:
        due = self._recording.own(len(self._held))
        if not isinstance(due, e.ModelAnswered | e.ModelFailed) or due == in_doubt(intent):
            raise Died
        if isinstance(due, e.ModelFailed) and due.reason == "interrupted":
            self.cut_here()
        return due

    async def embed(
        self, state: State, intent: e.ModelAsked, now_ms: object
    ) -> e.ModelAnswered | e.ModelFailed:
        """A call beside the conversation is answered as any other."""
        return await self._ask(intent, NO_MIND)

    def cut_here(self) -> NoReturn:
        """What was awaited was cut."""
        self._cutting = True
        raise asyncio.CancelledError

    def feed(self, calls: Sequence[ToolCall], on_end: Any, on_start: Any) -> None:
        """Say what the tools said. Raises CancelledError where they were cut, and Died."""
        left = {call.id for call in calls}
        while left:
            if self._held and self._recording.is_apart(len(self._held)):
                self._commit()  # what was said of a call's progress was written at once
            due = self._recording.own(len(self._held))
            if due is None:
                raise Died
            if isinstance(due, e.ToolNote):
                self._hold(due)
            elif isinstance(due, e.ToolStarted) and due.parent:
                refused = on_start(due, self._witness.lax(self.state).specs[due.tool])
                if refused:
                    came = e.ToolEnded(due.call_id, due.tool, refused, "unavailable")
                    raise Diverged(self._recording.at, self._recorded(0), came, self._now())
            elif isinstance(due, e.ToolEnded) and (due.parent or due.call_id in left):
                if due.status == "cut" and not due.parent:
                    self.cut_here()
                left.discard(due.call_id)
                on_end(due, ())
            elif any(start.repeat == "unsafe" for start in self.state.started.values()):
                raise Died  # a cut would have been told of it
            else:
                self.cut_here()


class Reviewer:
    """Shows what lets everything pass: each decision is given its own view."""

    def __init__(self, driver: ReplayDriver, witness: Witness) -> None:
        """For this driver."""
        self._driver, self._witness = driver, witness

    def view(self, state: State, now_ms: Millis) -> View:
        """For calls that calls make."""
        return self._witness.lax(state)

    def mind(self, state: State) -> Mind:
        """Nobody is asked."""
        return NO_MIND

    def gate(self, state: State, *, paced: bool | None = None) -> Gate:
        """Nothing is in the way."""
        return NO_GATE

    def look_anew(self) -> None:
        """There is nothing new to be seen."""


class ReplayBelt:
    """The tools, which say what they said."""

    is_stale = False

    def __init__(self, specs: Mapping[str, ToolSpec]) -> None:
        """They are not there, only what is known of them."""
        self.specs = dict(specs)
        self.driver: ReplayDriver | None = None

    async def open(self, *_: object) -> None:
        """Nothing is begun."""

    async def refresh(self) -> None:
        """Nothing changes."""

    async def close(self) -> None:
        """Nothing is open."""

    async def run(
        self, calls: Sequence[ToolCall], on_end: Any, *_: object, on_start: Any, **more: object
    ) -> None:
        """Say what is recorded of these calls."""
        assert self.driver is not None  # noqa: S101 - set before it drives
        self.driver.feed(calls, on_end, on_start)


class Nobody:
    """A provider that is never asked, and a pricer and counter that are not either."""

    name, model, max_output, paced, rates = "", "", 0, True, None
    bytes_per_ktoken = 3_400

    async def ask(self, request: Request, emit: Emit) -> Answer:
        """Never called."""
        raise AssertionError("a replay asks no provider")

    async def close(self) -> None:
        """Nothing is open."""

    def cost(self, usage: Usage) -> Micros | None:
        """Never called."""
        raise AssertionError("a replay prices nothing")

    def note(self, usage: Usage) -> str:
        """Never called."""
        raise AssertionError("a replay prices nothing")

    def rates_of(self, usage: Usage) -> Rates | None:
        """Never called."""
        raise AssertionError("a replay prices nothing")

    def count(self, text: str) -> int:
        """Never called."""
        raise AssertionError("a replay counts nothing")


NOBODY: Any = Nobody()
NO_MIND = Mind(NOBODY, NOBODY, NOBODY)


def _first(action: Action) -> e.Event:
    """The first event that an action would write, or one that stands for it."""
    match action:
        case CallModel(intent):
            return intent
        case RunTools(_, intents):
            return intents[0]
        case Record(facts):
            return facts[0]
        case AskUser(call):
            return e.ToolNote("agentctl", f"the user is asked about {call.name}")
        case Sleep(_, why):
            return e.ToolNote("agentctl", f"it waits: {why}")
        case Halt():
            return e.ToolNote("agentctl", "the run is over")


def _is_fact(action: Action) -> bool:
    """What comes of it is written whatever others have written meanwhile."""
    if isinstance(action, AskUser):
        return True
    return isinstance(action, Record) and not isinstance(action.facts[-1], e.Stopped | e.Finished)
