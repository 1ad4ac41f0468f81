"""Driving tasks: the concrete parts of `assembly`, joined into a world."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from agentctl import mcp_servers, own_tools, registry, schemas, secrets, signals
from agentctl.assembly import (
    Counters,
    SystemClock,
    confinement,
    context,
    fallback_minds,
    fenced,
    ledger,
    make_relevance,
    mind,
    options_of,
    tools,
)
from agentctl.control import Desk, now_ms
from agentctl.core import events as e
from agentctl.core.history import own_from
from agentctl.core.live import LIVE
from agentctl.core.only import offered
from agentctl.core.permissions import parse_rule
from agentctl.core.redact import Redactor
from agentctl.core.rows import TaskRow
from agentctl.core.state import FINAL, State, fold
from agentctl.core.values import (
    MAX_CONCURRENT,
    Approve,
    ContextPolicy,
    Limits,
    Millis,
    OnUnknown,
    Rule,
    Sandbox,
)
from agentctl.delegation import Children
from agentctl.errors import EXIT_CODES, NotResumable, TaskBusy, UsageError
from agentctl.limits_desk import changed_limits, shared_from
from agentctl.listeners.mirror import Mirror
from agentctl.orders import check_credits, drawn
from agentctl.ports import Ask, Listener, Tool
from agentctl.run.driver import Driver
from agentctl.run.toolbelt import Toolbelt
from agentctl.run.world import World
from agentctl.settings_values import Settings
from agentctl.store import permissions
from agentctl.store.lease import Lease


class Run(Struct, frozen=True, kw_only=True):
    """How to drive a task this time."""

    listeners: Sequence[Listener] = ()
    ask: Ask | None = None
    complain: Callable[[str], None]
    ledger: Path | None
    """Where the cost history is; None: a listener keeps it for several tasks."""
    prices: Mapping[str, Any] = {}
    silence_ms: Millis = 60_000
    on_unknown: OnUnknown = "tell"
    provider: str = ""
    model: str = ""
    approve: Approve | None = None
    limits: Mapping[str, object] = {}
    """Changed limits, by the names of flags; None values are left out."""
    shared: Limits | None = None
    """The limits of the configuration in force: a resume takes those that tasks share from it."""
    fallback: tuple[str, ...] | None = None
    """New fallbacks; None: those the task has."""
    context: ContextPolicy | None = None
    """A new context policy; None: that of the task."""
    embedder: str = ""
    """"provider/model" that tells what is near in meaning, under the policy "window"."""
    rules: tuple[Rule, ...] = ()
    """Permissions of the configuration in force, and those given this time."""
    sandbox: Sandbox | None = None
    """A new one; None: that of the task."""
    tools: tuple[str, ...] | None = None
    """Own tools for this time; None: those of the task."""
    mcp: tuple[str, ...] | None = None
    """The same of MCP servers."""
    max_concurrent: int = MAX_CONCURRENT
    """Most calls of tools that run at once."""
    concurrency: Mapping[str, int | None] = {}
    """Most that run at once of a category; None: no limit of its own."""
    lookup_ttl_ms: Millis | None = None
    """How long another task's look-ups are reused; None: every look-up is made anew."""
    redactor: Redactor | None = None
    """Takes out the secrets of the environment, made once for several tasks; None: made here."""
    reason: str = ""
    """Why the task is taken up, in the user's words, to be kept in its log."""
    address: Callable[[str], str] = lambda _name: ""
    """Where a provider is that the task was not begun with, as configured today; "": as usual."""


def run_as(chosen: Settings, **more: Any) -> Run:
    """A run under these settings; `more` are further fields, or others than the settings say."""
    fields = {
        "ledger": Path(chosen.ledger),
        "prices": chosen.prices,
        "silence_ms": chosen.silence_timeout_ms,
        "shared": chosen.limits(),
        "address": lambda name: chosen.address(name, os.environ),
        "embedder": chosen.embedder,
        "max_concurrent": chosen.max_concurrent_tools,
        "concurrency": chosen.concurrency,
        "lookup_ttl_ms": None if chosen.no_cache else chosen.lookup_ttl_ms,
        "rules": chosen.permissions,
    }
    return Run(**{**fields, **more})


def _driver(task_id: str, world: World, tell_from: int) -> Driver:
    driver = Driver(task_id, world, tell_from=tell_from)
    if isinstance(world.children, Children):
        world.children.attach(driver)
    return driver


class Ended(Struct, frozen=True):
    """A run's end: the task's state and the signal that stopped it, if one did."""

    state: State
    signal_name: str = ""
    left_as: str = ""
    """How a task stands whose process died: its own status still says "running"."""

    @property
    def outcome(self) -> str:
        """How it stands."""
        return self.left_as or self.state.status

    @property
    def exit_code(self) -> int:
        """0 only for a goal that was reached."""
        if self.signal_name and self.state.status not in FINAL:
            return EXIT_CODES[self.signal_name]
        return EXIT_CODES[self.outcome]


def drive(desk: Desk, task_id: str, run: Run) -> Ended:
    """Go on with a task until it ends or stops. Raises TaskBusy, NotResumable, StoreError."""
    desk.settle_dead()
    with _taken(desk, task_id, run) as driver:
        return asyncio.run(_heeding(driver))


async def driven(
    desk: Desk, task_id: str, run: Run, *, on_driver: Callable[[Driver], None] = lambda _: None
) -> State:
    """Go on with a task within the running loop, beside others; return the state it stopped in.

    `on_driver` is given its driver before it begins: `interrupt` of that pauses the task, and
    cancelling what awaits this leaves the task as a crash would. The task is free again at the end,
    whatever happens. Several may share a desk. Signals are the caller's to heed, and so is
    `desk.settle_dead` before the first. Raises what `drive` raises.
    """
    with _taken(desk, task_id, run) as driver:
        on_driver(driver)
        return await driver.drive()


async def begun(
    desk: Desk, event: e.TaskCreated, run: Run, *, on_driver: Callable[[Driver], None]
) -> State:
    """Begin a task and drive it as `driven` does; it is written and taken up in one commit.

    Nothing is written if it cannot be begun.
    """
    with _new(desk, event, run) as driver:
        on_driver(driver)
        return await driver.drive()


@contextmanager
def _new(desk: Desk, event: e.TaskCreated, run: Run) -> Iterator[Driver]:
    task_id, held = drawn(desk)
    ended_for_good = False
    try:
        at_ms = now_ms()
        state = fold([e.Recorded(0, at_ms, event)])
        world = _ready_world(desk, state, run)
        if not desk.store.create(task_id, event, at_ms, list(_changes(state, run, world))):
            raise TaskBusy("Another process drew the same id just now.", next_step="Try again.")
        yield (driver := _driver(task_id, world, 0))
        ended_for_good = driver.state.status in FINAL
    finally:
        held.release(forget=ended_for_good)


@contextmanager
def _taken(desk: Desk, task_id: str, run: Run) -> Iterator[Driver]:
    """Hold a task, made ready to be driven, and let go of it whatever happens."""
    created_here = desk.leases.pop(task_id, None)
    held = created_here or Lease(desk.locks, task_id)
    ended_for_good = False
    try:
        log = desk.store.read(task_id)
        state = fold(log)
        if state.status in FINAL:
            raise NotResumable(
                f"Task {task_id} has ended ({state.status}).",
                kept="Its answer and costs are kept.",
                next_step=f"See them with: agentctl show {task_id}",
            )
        world = _ready_world(desk, state, run)
        # What came before this process held the task is old; of a new task, nothing is.
        seen = len(log) if created_here is None else own_from(log) or 1
        _take_up(desk, task_id, seen, list(_changes(state, run, world)))
        yield (driver := _driver(task_id, world, 0 if len(log) == 1 else len(log)))
        ended_for_good = driver.state.status in FINAL
    finally:
        held.release(forget=ended_for_good)


def _ready_world(desk: Desk, state: State, run: Run) -> World:
    """The world of a task that can pay for it."""
    world = _world(desk, state, run)
    model = f"{world.provider.name}/{world.provider.model}"  # perhaps a cheaper one this time
    check_credits(desk, _limits(state, run), state.created.account, model)
    return world


def _take_up(desk: Desk, task_id: str, seen: int, changes: Sequence[e.Event]) -> None:
    """Write what a resume changes. A pause that came since the log was read outlives it."""
    wanted: list[e.Event] = []
    while True:
        moment_ms = desk.moment_ms(task_id)
        result = desk.store.append(task_id, seen, [], moment_ms, intents=[*changes, *wanted])
        if not result.refused:
            return
        news = [record.event for record in result.recorded]
        wanted += [event for event in news if isinstance(event, e.PauseRequested)]
        seen += len(news)


def _changes(state: State, run: Run, world: World) -> Iterable[e.Event]:
    """What the user changes by resuming, as events."""
    provider = world.provider
    limits = _limits(state, run)
    if limits != state.limits:
        yield e.LimitChanged(limits, run.reason or "resume")
    name = provider.name if provider.name != state.home[0] else ""
    model = provider.model if provider.model != state.home[1] else ""
    fallbacks = run.fallback if run.fallback != state.fallbacks else None
    policy = run.context
    if policy is not None:
        own = options_of(_kept_options(state.created), provider.name)
        policy = context(policy, provider.name, provider.model, own.get("base_url", ""))
    sandbox = run.sandbox if run.sandbox != state.sandbox else None
    yield e.Resumed(
        os.getpid(), run.on_unknown, name, model, run.approve, fallbacks, policy, sandbox,
        world.enforced, run.reason,
    )  # fmt: skip


def _limits(state: State, run: Run) -> Limits:
    """The task's limits: shared ones as configured today, but for those given to it itself."""
    limits = state.limits
    if run.shared is not None:
        limits = shared_from(run.shared, limits)
    return changed_limits(limits, run.limits)


def _world(desk: Desk, state: State, run: Run) -> World:
    created = state.created
    if not Path(created.cwd).is_dir():
        raise UsageError(
            f"The task's folder {created.cwd} is gone.",
            kept="The task is kept.",
            next_step="Bring the folder back, then resume.",
        )
    name = run.provider or state.home[0]
    model = run.model or (state.home[1] if name == state.home[0] else "")
    names = state.fallbacks if run.fallback is None else run.fallback
    limits, options = _limits(state, run), _kept_options(created)
    _add_addresses(options, created, run, (name, *names, run.embedder))
    counters, policy = Counters(desk), run.context or state.policy
    brought = own_tools.kept(created.options) if run.tools is None else run.tools
    sandbox = fenced(run.sandbox or state.sandbox, desk.home)
    approve = run.approve or state.approve
    has_servers = bool(mcp_servers.kept(created.options) if run.mcp is None else run.mcp)
    made = _tools_of(tools(approve, sandbox, brought, more_later=has_servers), created)
    sources = mcp_servers.sources(created, run.mcp, desk.home, sandbox, approve, run.complain)
    belt = Toolbelt(
        made, created.cwd, sources,
        max_concurrent=run.max_concurrent, concurrency=run.concurrency, only=created.only,
    )  # fmt: skip
    own = options_of(options, name)
    first = mind(name, model, limits, own, run.prices, counters=counters)
    redactor = run.redactor
    if redactor is None or sources:  # servers bring secrets of their own
        redactor = secrets.redactor(os.environ, mcp_servers.words_of(sources))
    return World(
        desk.store,
        first.provider,
        first.pricer,
        first.counter,
        belt,
        SystemClock(),
        _listeners(desk, run, counters),
        run.ask,
        random.random,
        run.complain,
        run.silence_ms,
        others=fallback_minds(
            names, limits, options, run.prices, desk.store.answered, counters, reuse=created.reuse
        ),
        sweep=desk.settle_dead,
        learner=first.learner,
        shape=first.shape,
        # "The same as 5 s ago" would make each request another one.
        lookup_ttl_ms=None if created.reuse else run.lookup_ttl_ms,
        custom=registry.context_policy(policy.name),
        redactor=redactor,
        rules=_rules(desk, created, run),
        enforced=confinement(made, created.cwd),
        children=Children(desk, run, driven) if created.delegates else None,
        misfit=schemas.checker(created.schema) if created.schema else None,
        relevance=make_relevance(run.embedder, policy, limits, options, run.prices, redactor.text),
    )


def _listeners(desk: Desk, run: Run, counters: Counters) -> tuple[Listener, ...]:
    """Who hears of a run: those that were named, and those that every run has."""
    books = (ledger(desk, run.ledger),) if run.ledger else ()
    return (*run.listeners, *books, counters, Mirror(desk.home / LIVE))


def _add_addresses(
    options: dict[str, str], created: e.TaskCreated, run: Run, names: Iterable[str]
) -> None:
    """Where the providers of these names are, that the task was not begun with."""
    others = {full.partition("/")[0] for full in names}
    known = "" if created.origin == "import" else created.provider  # that one knows no address
    for other in others - {known, ""}:
        address = run.address(other)
        if address:  # else its key would go to its usual server and not to the configured one
            options.setdefault(f"{other}:base_url", address)


def _tools_of(made: Sequence[Tool], created: e.TaskCreated) -> list[Tool]:
    """Of these tools those that a task is given, and the parts that they are made of."""
    wanted = [tool for tool in made if offered(created.only, tool.spec.name)]
    parts = {part for tool in wanted for part in tool.spec.parts}
    found = [tool for tool in made if tool in wanted or tool.spec.name in parts]
    if created.delegates:
        found.append(registry.load(registry.DELEGATE, "delegate", "tool")())
    return found


def _rules(desk: Desk, created: e.TaskCreated, run: Run) -> tuple[Rule, ...]:
    """Permissions: the task's own, those in force today, and what was answered with "always"."""
    stored = permissions.stored(desk.store.connection, created.cwd)
    always = (parse_rule(each.rule, "allow", "always") for each in stored)
    return (*created.rules, *run.rules, *always)


def _kept_options(created: e.TaskCreated) -> dict[str, str]:
    """The task's options; an address of the first version belongs to the provider of its time."""
    options = dict(created.options)
    address = options.pop("base_url", "")
    return {f"{created.provider}:base_url": address, **options} if address else options


async def _heeding(driver: Driver) -> Ended:
    go_on = f"agentctl resume {driver.task_id}"
    with signals.listening(go_on, driver.interrupt, driver.world.complain) as received:
        state = await driver.drive()
    return Ended(state, received[0] if received else "")


def due(desk: Desk) -> list[str]:
    """Ids of waiting tasks whose time has come: what `resume --due` takes up, oldest first."""
    moment_ms = now_ms()
    rows = reversed(_own(desk))
    return [row.id for row in rows if row.status == "waiting" and row.wake_ms <= moment_ms]


def resumable(desk: Desk) -> list[str]:
    """Ids of tasks that `resume --all` takes up, oldest first."""
    rows = reversed(_own(desk))
    return [row.id for row in rows if row.status in ("interrupted", "paused")]


def _own(desk: Desk) -> list[TaskRow]:
    """Tasks that have not ended, without those that others take up as they go on."""
    return [row for row in desk.tasks(ended=False) if row.origin != "child"]
