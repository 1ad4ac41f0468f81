"""One whole replay: each process of the recording, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from msgspec import Struct

from agentctl import registry
from agentctl.core import events as e
from agentctl.core.decide import Record, decide
from agentctl.core.state import apply, fold
from agentctl.core.values import Millis, Quote, ToolCall, ToolSpec, View
from agentctl.errors import UsageError
from agentctl.replay.driver import NOBODY, ReplayBelt, ReplayDriver
from agentctl.replay.recording import (
    OTHERS,
    TAKING_UP,
    TASK,
    Died,
    Diverged,
    Recording,
    ReplayStore,
)
from agentctl.replay.witness import Witness
from agentctl.run.world import World

FOREVER_MS = 1 << 40


class Divergence(Struct, frozen=True):
    """The first event that came out otherwise."""

    seq: int
    recorded: e.Recorded | None
    """None where the recording ends before."""
    came: e.Event
    at_ms: Millis


class Outcome(Struct, frozen=True):
    """What a replay has found."""

    events: int
    """That came out identical, up to the divergence if there is one."""
    processes: int
    divergence: Divergence | None = None


def known_tools() -> dict[str, ToolSpec]:
    """What the built-in tools say of themselves."""
    tools = registry.TOOLS | registry.DELEGATE
    kinds = (registry.load(tools, name, "tool") for name in tools)
    specs: list[ToolSpec] = [kind().spec for kind in kinds]
    return {spec.name: spec for spec in specs}


def replay(log: Sequence[e.Recorded], known: Mapping[str, ToolSpec]) -> Outcome:
    """Live a recorded task again. `known` are specs of tools that are at hand.

    Raises UsageError if the texts of the task were taken out of its log.
    """
    if isinstance(log[-1].event, e.LogRemoved):
        raise UsageError(
            "The texts of this task were taken out of its log: there is nothing to replay."
        )
    recording = Recording(log)
    store, witness = ReplayStore(recording), Witness(log, known)
    processes = 0
    try:
        while _between(recording, store):
            processes += 1
            asyncio.run(_process(store, witness))
    except Diverged as found:
        diverged = Divergence(found.seq, found.recorded, found.came, found.at_ms)
        return Outcome(found.seq, processes, diverged)
    return Outcome(recording.at, processes)


def _between(recording: Recording, store: ReplayStore) -> bool:
    """Go on to where a process takes the task up; False at the end of the recording.

    What is written while nobody drives the task comes from others, or follows from the log.
    """
    log = recording.log
    while recording.at < len(log):
        record = log[recording.at]
        if isinstance(record.event, (*OTHERS, *TAKING_UP)):
            store.inject(record)
            if isinstance(record.event, e.Resumed):
                return True
            continue
        state = fold(store.read(TASK))
        action = decide(state, View(record.at_ms, Quote(0, 0, 0, 0)))
        if not isinstance(action, Record):
            came: e.Event = e.ToolNote("agentctl", "nobody drives the task")
            raise Diverged(record.seq, record, came, record.at_ms)
        for fact in action.facts:
            recording.compare(fact, record.at_ms)
            store.logs[TASK].append(e.Recorded(len(store.logs[TASK]), record.at_ms, fact))
            apply(state, fact, record.at_ms)
    return False


async def _process(store: ReplayStore, witness: Witness) -> None:
    """One process drives the task until it stops, or to where it died."""
    belt = ReplayBelt(witness.known)
    drivers: list[ReplayDriver] = []

    async def ask(call: ToolCall, spec: ToolSpec, in_doubt: bool, rule: str) -> str:
        driver = drivers[0]
        answer = witness.answer(call, store.recording.own(len(driver._held)))
        if answer is None:
            raise Died
        return answer

    world = World(
        store, NOBODY, NOBODY, NOBODY, belt, _Clock(store.recording), ask=ask,  # type: ignore[arg-type]  # it does what is asked of it
        complain=_unheard, poll_ms=FOREVER_MS,
    )  # fmt: skip
    driver = ReplayDriver(world, store, witness)
    drivers.append(driver)
    belt.driver = driver
    try:
        await driver.drive()
    except Died:
        return


class _Clock:
    """It is always the moment at which the next event was written."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def now_ms(self) -> Millis:
        return self._recording.moment_ms()

    async def sleep_until(self, moment_ms: Millis) -> None:
        """Time passes when something is written."""


def _unheard(line: str) -> None:
    """Nobody is told: what is found comes as the outcome."""
