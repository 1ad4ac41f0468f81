"""The loop: decide, write the intent, do it, write what happened.

Running, resuming and recovering from a crash are this loop, entered at different places.

Facts are held until the next intent and written together with it, so that a step costs two
durable commits: [answer + tool intents] and [tool results + the next call's reserve]. Nothing is
held while anything is awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from agentctl.core import events as e
from agentctl.core.approval import inner_refusal
from agentctl.core.context import stored as said
from agentctl.core.decide import (
    CUT,
    Action,
    AskUser,
    CallModel,
    Halt,
    Record,
    RunTools,
    Sleep,
    answered,
    decide,
)
from agentctl.core.guards import tool_verdict
from agentctl.core.live import TextDelta, Waiting
from agentctl.core.rows import StoredOutput
from agentctl.core.state import ENDS, State, apply, fold
from agentctl.core.values import Millis, ToolCall, ToolSpec
from agentctl.errors import StoreError
from agentctl.run import perform
from agentctl.run.audience import Audience
from agentctl.run.notes import Notes
from agentctl.run.stopping import must_cut
from agentctl.run.viewing import Viewer
from agentctl.run.voice import Voice
from agentctl.run.world import Mind, World

STEP_BACK_S = 0.005
INNER_TRIES = 20
NOTHING_NEW = "Not begun: the task is about to stop."


class Driver:
    """Drives one task in one world. Whoever makes one must hold the task's lease."""

    def __init__(self, task_id: str, world: World, *, tell_from: int | None = None) -> None:
        """Read the task's log and fold it; listeners are told of it from event `tell_from` on."""
        self.task_id = task_id
        self.world = world
        log = world.store.read(task_id)
        self.state: State = fold(log)
        self._seen = len(log)
        self._untold = [] if tell_from is None else log[tell_from:]
        self._held: list[e.Event] = []
        self._outputs: list[StoredOutput] = []
        # Time goes on from the last event even if the machine's clock was set back since.
        self._ahead_ms = max(self.state.last_ms - world.clock.now_ms(), 0)
        self._viewer = Viewer(world, self.state, task_id)
        self._main: asyncio.Task[object] | None = None
        self._waiting = False
        self._sleeping = False
        self._cutting = False
        self.audience = Audience(task_id, world.listeners, world.complain)
        self._notes = Notes(self.audience.signal, self._hold, self._commit, self._now)
        self._prices = ""
        self._refusals = 0
        self._swept_ms = world.clock.now_ms()

    async def drive(self) -> State:
        """Go on until the task ends or stops, and return its state."""
        self._main = asyncio.current_task()
        watch, belt = asyncio.create_task(self._watch()), self.world.belt
        try:
            for record in self._untold:
                self.audience.tell(record)
            world, hear = self.world, self._notes.from_source
            await self._prepare(lambda: belt.open(world.complain, hear, world.redactor))
            while True:
                if belt.is_stale and self.state.ready_to_ask:
                    await self._prepare(belt.refresh)
                action = self._decide()
                match action:
                    case Record(facts) if isinstance(facts[-1], e.Stopped | e.Finished):
                        # Like an intent: a limit may have been raised, or more been said, just now.
                        self._commit(facts)
                    case Record(facts):
                        self._hold(*facts)
                    case CallModel(intent):
                        await self._call_model(intent)
                    case RunTools(calls, intents):
                        await self._run_tools(calls, intents)
                    case AskUser():
                        await self._ask_user(action)
                    case Sleep():
                        await self._sleep(action)
                    case Halt():
                        self._commit()
                        if self.state.status in ENDS:  # no cancel came with this commit
                            return self.state
        finally:
            watch.cancel()
            self._main = None  # a cut that comes late finds nothing to cut
            self._notes.close()
            await belt.close()
            for mind in (self.world.mind("", ""), *self.world.others.values()):
                await mind.provider.close()
            if self.world.relevance is not None:
                await self.world.relevance.close()
            self.audience.close()

    def _decide(self) -> Action:
        return decide(self.state, self._viewer.view(self.state, self._now()))

    def interrupt(self, by: str) -> None:
        """A signal came: pause at once, giving what runs a moment to end by itself."""
        asyncio.get_running_loop().call_later(self.world.grace_ms / 1000, self._cut)
        if self.world.children is not None:
            self.world.children.interrupt(by)
        self.request(e.PauseRequested(by, now=True))
        if self._waiting:
            self._cut()

    def request(self, request: e.Event, *, cut: bool = False) -> None:
        """Ask the task to stop, as another process would; `cut` what runs, too."""
        try:
            result = self.world.store.append(self.task_id, self._seen, [request], self._now())
            self._take(result.recorded)
        except StoreError as error:
            self.world.complain(str(error))
            apply(self.state, request, self._now())
        if cut:
            self._cut()

    async def _prepare(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the tools. A pause does not."""
        self._commit()
        self._waiting = True
        try:
            await work()
        except asyncio.CancelledError:
            self._was_cut()
        finally:
            self._waiting = False

    # --- actions -------------------------------------------------------------------------------

    async def _call_model(self, intent: e.ModelAsked) -> None:
        is_step, mind = intent.purpose == "step", self._viewer.mind(self.state)
        kept = self.world.store.answered(intent.request) if self.state.created.reuse else None
        if is_step and perform.is_whole(kept):
            intent = perform.from_memory(intent)
            mind = self.world.mind(intent.provider, intent.model)
        relevance = self.world.relevance if intent.purpose == "embedding" else None
        paced = mind.provider.paced if relevance is None else relevance.paced
        if not self._commit([intent], paced=paced):
            await self._step_back()
            return
        event: e.ModelAnswered | e.ModelFailed
        try:
            if relevance is not None:
                event = await relevance.embed(self.state, intent, self._now)
            else:
                event = await self._ask(intent, mind)
        except asyncio.CancelledError:
            self._was_cut()
            event = perform.cut(intent, "the call was cut; charged at its reserve")
        if isinstance(event, e.ModelAnswered) and event.prices and relevance is None:
            self._prices = event.prices
        self._hold(event)

    async def _ask(self, intent: e.ModelAsked, mind: Mind) -> e.ModelAnswered | e.ModelFailed:
        """Make the call; what is said as it comes is heard without secrets."""
        watched = intent.purpose == "step" and self.audience.is_live
        voice = Voice(self.world.redactor, self._emit_text if watched else None)
        try:
            return await perform.ask_model(
                self.state, self.world, mind, intent, voice.say, self._now, self._prices
            )
        finally:
            voice.end()

    async def _run_tools(self, calls: Sequence[ToolCall], intents: Sequence[e.ToolStarted]) -> None:
        if not self._commit(intents):
            await self._step_back()
            return
        try:
            await self.world.belt.run(
                calls,
                self._tool_ended,
                self._notes.from_tool,
                self._read_stored,
                self.world.clock.now_ms,
                self.state.limits,
                self.world.reuse(self.task_id, self.state),
                task_id=self.task_id,
                on_start=self._inner_started,
                may=self._inner_refused,
                redactor=self.world.redactor,
                watched=self.audience.is_live,
                sleep_until=self.world.clock.sleep_until,
                jitter=self.world.jitter,
                delegate=None if self.world.children is None else self.world.children.delegate,
            )
        except asyncio.CancelledError:
            self._was_cut()
            # A call that is safe to repeat stays open: resume runs it again.
            self._hold(
                *(
                    e.ToolEnded(start.call_id, start.tool, CUT, "cut")
                    for start in list(self.state.started.values())
                    if start.repeat == "unsafe"
                )
            )

    def _inner_refused(
        self, call: ToolCall, spec: ToolSpec, instead_of: ToolCall | None = None
    ) -> str:
        view = self._viewer.view(self.state, self._now())
        return inner_refusal(self.state, view, call, spec, instead_of)

    def _inner_started(self, start: e.ToolStarted, spec: ToolSpec) -> str:
        """Write the intent of a call that a running tool makes, or return why it must not be."""
        for _ in range(INNER_TRIES):
            state = self.state
            if state.pause_wanted is not None or state.cancel_wanted or state.status in ENDS:
                return NOTHING_NEW
            deny = tool_verdict(state, self._viewer.view(state, self._now()), spec, ())
            if deny is not None:
                return f"Not now: {deny.reason}."
            if self._commit([start]):
                return ""
        return "Not now: others are always quicker."

    def _tool_ended(self, event: e.ToolEnded, outputs: Sequence[StoredOutput]) -> None:
        """Hold the last result for the next commit; write earlier ones while others run."""
        self._notes.ended(event.call_id)
        self._outputs.extend(outputs)
        self._hold(event)
        if self.state.started:
            self._commit()

    async def _ask_user(self, action: AskUser) -> None:
        self._commit()
        call = action.call
        assert self.world.ask is not None  # noqa: S101 - decide asks only when the view says so
        self._waiting = True
        try:
            answer = await self.world.ask(
                call, self.world.belt.specs[call.name], action.in_doubt, action.rule
            )
        except asyncio.CancelledError:
            self._was_cut()
            return
        finally:
            self._waiting = False
        self._hold(answered(call, answer, action.rule))

    async def _sleep(self, action: Sleep) -> None:
        limits = self.state.limits
        self._commit()
        if self.state.limits is not limits:
            return  # they came just now
        self.audience.signal(Waiting(action.until_ms, action.why))
        self._waiting = self._sleeping = True
        try:
            await self.world.clock.sleep_until(action.until_ms - self._ahead_ms)
        except asyncio.CancelledError:
            self._was_cut()
        finally:
            self._waiting = self._sleeping = False
            self._viewer.look_anew()

    # --- the log -------------------------------------------------------------------------------

    def _hold(self, *facts: e.Event) -> None:
        """Apply facts now; they are written with the next intent, before anything is awaited."""
        now_ms = self._now()
        for fact in facts:
            apply(self.state, fact, now_ms)
            if isinstance(fact, e.Switched):
                self._prices = ""  # another model's: they must be told again
        self._held.extend(facts)

    def _commit(self, intents: Sequence[e.Event] = (), *, paced: bool | None = None) -> bool:
        """Write what is held and the intents; False when the intents were refused."""
        if not self._held and not intents:
            return True
        result = self.world.store.append(
            self.task_id,
            self._seen,
            self._held,
            self._now(),
            intents=intents,
            gate=self._viewer.gate(self.state, paced=paced),
            clock_ms=self.world.clock.now_ms(),
            outputs=self._outputs,
        )
        held = {id(fact) for fact in self._held}
        self._held = []
        self._outputs = []
        self._take(result.recorded, applied=held)
        if result.refused:
            self._viewer.look_anew()
            self._refusals += 1
        elif intents:
            self._refusals = 0
        return not result.refused

    async def _step_back(self) -> None:
        """Others were quicker: try again at once, then ever later, and let signals be heard."""
        try:
            await asyncio.sleep(min(self._refusals - 1, 100) * STEP_BACK_S)
        except asyncio.CancelledError:
            self._was_cut()

    def _take(
        self, records: Sequence[e.Recorded], applied: set[int] | frozenset[int] = frozenset()
    ) -> None:
        """Apply what is new, then tell the listeners: they hear only what is on disk."""
        for record in records:
            if record.seq != self._seen:
                raise ValueError(f"event {record.seq} where {self._seen} is due")
            self._seen += 1
            if id(record.event) not in applied:
                apply(self.state, record.event, record.at_ms)
                self._keep_up(record.at_ms)
        for record in records:
            self.audience.tell(record)

    def _keep_up(self, at_ms: Millis) -> None:
        """Follow a clock that was set forward since we began: time must not stand still here."""
        jump_ms = at_ms - (self.world.clock.now_ms() + self._ahead_ms)
        if jump_ms > 0:
            self._ahead_ms += jump_ms
            self.state.ran_ms += jump_ms  # nobody has worked meanwhile

    def _now(self) -> Millis:
        return max(self.world.clock.now_ms() + self._ahead_ms, self.state.last_ms)

    def _read_stored(self, ref: str) -> str | None:
        """A large output by its hash, or a result or arguments of this task by the call's id."""
        stored = self.world.store.output(ref)
        if stored is None:
            stored = said(self.state.messages, ref)
        return stored

    def _emit_text(self, text: str) -> None:
        self.audience.signal(TextDelta(text))

    # --- requests of others --------------------------------------------------------------------

    async def _watch(self) -> None:
        """See requests of other processes while something runs, and when the time is up."""
        told = False
        known: object = None
        while True:
            await asyncio.sleep(self.world.poll_ms / 1000)
            self._viewer.look_anew()
            try:
                if (version := self.world.store.version()) != known:
                    known = version
                    limits = self.state.limits
                    self._take(self.world.store.read(self.task_id, self._seen))
                    if self.state.limits is not limits and self._sleeping:
                        self._cut()  # it may go on now
                self._sweep()
            except StoreError as error:
                # The next append meets the same fault and ends the run; until then, go on looking.
                if not told:
                    self.world.complain(str(error))
                told = True
            children = self.world.children
            if must_cut(self.state, self._now(), children, waiting=self._waiting):
                self._cut()

    def _sweep(self) -> None:
        """Settle what dead processes have reserved, now and then."""
        now_ms = self.world.clock.now_ms()
        if self.world.sweep is not None and now_ms - self._swept_ms >= self.world.sweep_ms:
            self._swept_ms = now_ms
            self.world.sweep()

    def _cut(self) -> None:
        """Cancel what is awaited now; the loop goes on and decides what that means."""
        if self._main is not None and not self._main.done() and not self._cutting:
            self._cutting = True
            self._main.cancel()

    def _was_cut(self) -> None:
        """Take the cancellation as ours, or pass on somebody else's."""
        if not self._cutting or self._main is None:
            raise asyncio.CancelledError
        self._cutting = False
        self._main.uncancel()
