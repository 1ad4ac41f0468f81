"""One life from a seed."""

from __future__ import annotations

import random

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.state import FINAL, State, fold
from agentctl.core.values import (
    Breaker,
    ContextPolicy,
    Limits,
    Millis,
    Rates,
    ToolCall,
    ToolSpec,
    Usage,
)
from agentctl.ports import Answer
from agentctl.pricing import FixedPricer
from agentctl.providers.cached import Cached
from agentctl.run.driver import Driver
from agentctl.run.relevance import Relevance
from agentctl.run.toolbelt import Toolbelt
from agentctl.run.world import Mind, World
from agentctl.store.memory import MemoryStore
from tests.sim import loop
from tests.sim.rules import FITTING, Broken, SimPricer, Watcher
from tests.sim.world import (
    SPECS,
    TASK,
    Crash,
    Fate,
    ProcessStore,
    SimChildren,
    SimEmbedder,
    SimProvider,
    SimTool,
)

OTHER = "sim/sim-2"
PROCESSES_MAX = 400
START_MS = 1_800_000_000_000


class SimClock:
    """The virtual loop's time, as a clock that may have been set back."""

    def __init__(self, offset_ms: Millis) -> None:
        self.offset_ms = offset_ms

    def now_ms(self) -> Millis:
        return int(loop.asyncio.get_running_loop().time() * 1000) + START_MS + self.offset_ms

    async def sleep_until(self, moment_ms: Millis) -> None:
        await loop.asyncio.sleep(max(moment_ms - self.now_ms(), 0) / 1000)


class SimCounter:
    bytes_per_ktoken = 3400

    def count(self, text: str) -> int:
        return len(text) // 3


def live(seed: int) -> list[str]:
    """Live one life and return what happened; raises Broken with the seed if a rule fails."""
    rng = random.Random(seed)
    limits = Limits(
        task_cost_micros=int(10 ** rng.uniform(3, 6.7)),  # $0.001 to $5
        hour_cost_micros=rng.choice((30_000, 10_000_000)),
        task_tokens=rng.choice((9_000, 100_000)),
        steps=rng.choice((3, 30)),
        wall_ms=rng.choice((None, 30_000, 3_600_000)),
        attempts=rng.choice((2, 5)),
        day_cost_micros=rng.choice((90_000, 10_000_000)),
        step_cost_micros=rng.choice((None, 20_000)),
        on_limit=rng.choice(("pause", "pause", "fail", "wait")),
        credits=rng.choice(({}, {"sim/sim-1": 3, "look": 1})),
        step_credits=rng.choice((5, 1_000, 1_000, 1_000)),
        calls_per_minute={"ai": rng.choice((1, 30)), "default": rng.choice((2, 30))},
        breaker=Breaker(rng.choice((2, 5)), 600_000, rng.choice((3_000, 200_000))),
    )
    watcher = Watcher(limits)
    shared = MemoryStore()
    shared.credits["default"] = rng.choice((4, 10_000, 10_000))
    created = e.TaskCreated(
        "goal",
        "system",
        "sim",
        "sim-1",
        "/",
        limits,
        context=ContextPolicy(
            rng.choice((800, 5_000, 96_000)), 3, 3, rng.choice(("auto", "window"))
        ),
        approve=rng.choice(("auto", "ask", "never")),
        fallbacks=rng.choice(((), (OTHER,))),
        schema=rng.choice(("", "{}")),
    )
    shared.create(TASK, created, START_MS)
    watcher.after_commit(shared.logs[TASK])
    crashy, meddle = rng.choice((0.0, 0.5, 0.9)), rng.choice((0.0, 0.02, 0.1))
    turns, story, now_s, offset_ms = rng.randint(1, 8), [], 0.0, 0
    try:
        for _ in range(PROCESSES_MAX):
            points = rng.randint(0, 60) if rng.random() < crashy else None
            fate = Fate(rng, points)
            store = ProcessStore(shared, fate, watcher, meddle)
            end, now_s = loop.run(_process(store, fate, watcher, turns, offset_ms), now_s)
            story.append(end)
            watcher.require(not watcher.broken, watcher.broken)
            if end in FINAL:
                break
            now_s += rng.choice((0, 5, 100_000))
            offset_ms -= rng.choice((0, 0, 0, 7_200_000))  # somebody sets the clock back
            _raise_limit(end, rng, shared, watcher)
            if end == "limit":
                shared.credits["default"] += rng.choice((0, 20))
        else:
            raise Broken(f"every life ends; this one did not in {PROCESSES_MAX} processes: {story}")
    except Broken as broken:
        raise Broken(f"seed {seed}: {broken}   replay: python -m tests.sim --seed {seed}") from None
    return story


async def _process(
    store: ProcessStore, fate: Fate, watcher: Watcher, turns: int, offset_ms: Millis
) -> str:
    """One process drives the task until it ends, stops or the process dies."""
    rng = fate.rng
    clock = SimClock(offset_ms)
    failing = rng.choice((0.02, 0.02, 0.02, 0.9))
    first, other = (
        SimProvider(fate, watcher, turns, rng.choice((300, 4_000)), rate) for rate in (failing, 0.1)
    )
    world = World(
        store,
        first,
        SimPricer(),
        SimCounter(),
        Toolbelt([SimTool(spec, fate, watcher) for spec in SPECS], "/"),
        clock,
        ask=_answers(rng) if rng.random() < 0.5 else None,
        jitter=rng.random,
        others={OTHER: Mind(other, SimPricer(), SimCounter()), "cached/answer": _cached(store)},
        lookup_ttl_ms=rng.choice((None, 0, 0)),
        relevance=Relevance(SimEmbedder(fate, watcher), SimPricer(), SimCounter())
        if rng.random() < 0.5
        else None,
        children=SimChildren(fate, watcher),
        misfit=lambda text: "" if text == FITTING else "it is not 1",
    )
    try:
        policy = rng.choice(("tell", "skip", "ask"))
        store.append(TASK, None, [e.Resumed(1, policy)], clock.now_ms())
        driver = Driver(TASK, world)
        if rng.random() < 0.1:
            loop.asyncio.get_running_loop().call_later(rng.random() * 30, _signal, driver, fate)
        state = await driver.drive()
    except Crash:
        return "crash"
    except loop.asyncio.CancelledError:  # of whoever waits for a task that died
        if not fate.dead:
            raise
        return "crash"
    except BaseExceptionGroup as group:
        if group.split(Crash)[1] is not None:
            raise
        return "crash"
    _same(state, fold(store.read(TASK)), watcher)
    return state.status


def _cached(store: ProcessStore) -> Mind:
    def kept(key: str) -> Answer | None:
        found = store.answered(key)
        return None if found is None else Answer(found.message, Usage(), found.stop)

    return Mind(Cached(kept, "answer"), FixedPricer(Rates()), SimCounter())


def _signal(driver: Driver, fate: Fate) -> None:
    if not fate.dead:
        try:
            driver.interrupt("SIGTERM")
        except Crash:
            driver._cut()


def _answers(rng: random.Random):
    async def ask(call: ToolCall, spec: ToolSpec, in_doubt: bool, rule: str) -> str:
        await loop.asyncio.sleep(rng.choice((0.1, 20)))
        return rng.choice(("skip", "tell") if in_doubt else ("once", "task", "always", "no"))

    return ask


def _same(state: State, folded: State, watcher: Watcher) -> None:
    """The driver's own state is what anybody else reads from the log."""
    for field in state.__struct_fields__:
        if field in ("active_ms", "ran_ms", "last_ms"):  # facts are timed when they are written
            continue
        mine, theirs = getattr(state, field), getattr(folded, field)
        watcher.require(mine == theirs, f"10: state.{field} is {mine!r}, the log says {theirs!r}")


def _raise_limit(end: str, rng: random.Random, shared: MemoryStore, watcher: Watcher) -> None:
    """The user gives more where a limit stopped the task, or sees that it leads nowhere."""
    if end not in ("limit", "failed", "waiting", "paused") or not watcher.log:
        return
    if rng.random() < 0.1:
        said = e.UserSaid(f"said {len(watcher.log)}")
        shared.append(TASK, None, [said], watcher.log[-1].at_ms)
    if rng.random() < 0.15:
        shared.append(TASK, None, [e.CancelRequested()], watcher.log[-1].at_ms)
    elif end == "limit":
        old = watcher.limits
        more = replace(
            old,
            task_cost_micros=(old.task_cost_micros or 0) * 2 + 1_000,
            hour_cost_micros=(old.hour_cost_micros or 0) * 2,
            day_cost_micros=(old.day_cost_micros or 0) * 2,
            step_cost_micros=None,
            step_credits=(old.step_credits or 0) * 2,
            task_tokens=(old.task_tokens or 0) * 2,
            steps=(old.steps or 0) + 10,
            wall_ms=None if old.wall_ms is None else old.wall_ms * 2,
        )
        shared.append(TASK, None, [e.LimitChanged(more)], watcher.log[-1].at_ms)
    watcher.after_commit(shared.logs[TASK])
