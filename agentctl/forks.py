"""Tasks that go on from another one's history: it is known, and it is paid only once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from agentctl import secrets, settings
from agentctl.assembly import context, fallback_minds, make_provider, options_of, pricer_of
from agentctl.control import ENDED, Desk, now_ms
from agentctl.core import events as e
from agentctl.core.rows import TaskRow
from agentctl.core.sanitize import goal_problem, storable
from agentctl.core.state import State, apply, fold
from agentctl.errors import TaskBusy, UnknownTask, UsageError
from agentctl.limits_desk import changed_limits
from agentctl.orders import write_new

FILES_AS_NOW = (
    "Note: you go on from an earlier point of this work. The files in the workspace are as they "
    "are now: what was changed in them after that point was not undone. Look before you rely on "
    "them."
)


class StepEnd(Struct, frozen=True):
    """A step that is over: the model has answered, and so have all tools that it called."""

    number: int
    """0 is the goal alone."""
    seq: int
    """The first event that comes after it."""
    final: bool = False
    """It was the model's last word."""


class Fork(Struct, frozen=True, kw_only=True):
    """What is to be other than in the task that it is a fork of."""

    at: int | None = None
    """After this step; None: after the last one that is over."""
    goal: str = ""
    """What is said to the model there; empty: it just goes on."""
    name: str = ""
    provider: str = ""
    model: str = ""
    script: str = ""
    approve: str = ""
    limits: Mapping[str, object] = {}
    """By the names of flags; None values are left out."""


class Forked(Struct, frozen=True):
    """What became of it."""

    task_id: str
    parent: str
    at_step: int


def step_ends(log: Sequence[e.Recorded]) -> list[StepEnd]:
    """Every step of a log that is over, the goal first."""
    first = log[0].event if log else None
    if not isinstance(first, e.TaskCreated):
        raise ValueError("a log begins with TaskCreated")
    state = State(created=first)
    found: list[StepEnd] = []
    for record in log:
        apply(state, record.event, record.at_ms)
        # Calls that others made run within their parent's, so nothing of the step is left open.
        if len(found) <= state.steps and state.asked is None and not state.pending:
            found.append(StepEnd(state.steps, record.seq + 1, state.final))
    return found


def fork(desk: Desk, row: TaskRow, wanted: Fork) -> Forked:
    """Write a task that has the history of another one up to a step. It is not driven yet.

    All or nothing is written. Raises UsageError for a step that there is not, and what a new task
    raises for a provider, model or limit that it cannot be run with.
    """
    problem = goal_problem(wanted.goal, "message") if wanted.goal else ""
    if problem:
        raise UsageError(problem, next_step=f'Try: agentctl fork {row.id} --goal "…"')
    log = desk.store.read(row.id)
    if isinstance(log[-1].event, e.LogRemoved):
        raise UsageError(
            f"The texts of task {row.id} were taken out of its log: there is no history to share.",
            next_step='Begin a new task: agentctl run "…"',
        )
    found = step_ends(log)
    step = _chosen(row, found, wanted.at)
    if step.final and not wanted.goal:
        raise UsageError(
            f"Step {step.number} of task {row.id} is its final answer: there is nothing to go on "
            "with.",
            next_step=f'Say what to do then: agentctl fork {row.id} --goal "…"   or fork before '
            f"it: agentctl fork {row.id} --at {step.number - 1}",
        )
    redact = secrets.redactor(os.environ).text
    goal = redact(storable(wanted.goal))
    created = _created(desk, row, fold(log), wanted, goal, redact(storable(wanted.name)))
    later = [r.event for r in log[step.seq :] if isinstance(r.event, e.ToolStarted)]
    moved_on = any(start.repeat != "safe" for start in later)
    new: list[e.Event] = [e.Forked(created, step.number, step.seq)]
    if moved_on:
        new.append(e.UserSaid(FILES_AS_NOW, "fork"))
    if goal:
        new.append(e.UserSaid(goal))
    task_id = write_new(desk, lambda task_id: desk.store.take_over(task_id, _log(log, step, new)))
    return Forked(task_id, row.id, step.number)


def go_on(desk: Desk, cwd: str, text: str) -> str:
    """Say something to the last task of a workspace, and return which task hears it.

    One that stands still is told itself; of one that has ended a fork is made at its end. Raises
    UnknownTask where there is none, and TaskBusy if it runs: then nothing was said.
    """
    row = desk.last_of(cwd)
    if row is None:
        raise UnknownTask(
            f"There is no task yet in {cwd}.", next_step='Begin one with: agentctl run "…"'
        )
    if row.status == "running":
        raise TaskBusy(
            f"The last task here, {row.id}, is running (process {row.pid}).",
            kept="Nothing was said to it.",
            next_step=f'Tell it while it runs: agentctl send {row.id} "…"',
        )
    if row.status in ENDED:
        return fork(desk, row, Fork(goal=text, name=row.name)).task_id
    desk.send(row, secrets.redactor(os.environ).text(storable(text)))
    return row.id


def _log(log: Sequence[e.Recorded], step: StepEnd, new: Sequence[e.Event]) -> list[e.Recorded]:
    """The history and what is new; time does not go back in a log."""
    at_ms = max(now_ms(), log[step.seq - 1].at_ms)
    return [*log[: step.seq], *(e.Recorded(step.seq + n, at_ms, ev) for n, ev in enumerate(new))]


def _chosen(row: TaskRow, found: Sequence[StepEnd], at: int | None) -> StepEnd:
    if at is None:
        return found[-1]
    for step in found:
        if step.number == at:
            return step
    raise UsageError(
        f"Task {row.id} has no complete step {at}: it has {found[-1].number}.",
        next_step=f"See them with: agentctl show {row.id}   (--at 0 is the goal alone)",
    )


def _created(
    desk: Desk, row: TaskRow, state: State, wanted: Fork, goal: str, name: str
) -> e.TaskCreated:
    """What the fork begins with: all that its parent has now, but for what is to be other."""
    old = state.created
    place = Path(row.cwd) if Path(row.cwd).is_dir() else settings.here()
    begun = {"account": old.account, "tier": old.tier, "profile": old.profile}
    chosen = settings.load({}, env=os.environ, cwd=place, task=begun)
    limits = changed_limits(state.limits, wanted.limits)
    provider, options = wanted.provider or state.home[0], dict(old.options)
    if wanted.script:
        options["script"] = wanted.script
        provider = wanted.provider or "scripted"
    model = wanted.model or (state.home[1] if provider == state.home[0] else "")
    address = chosen.address(provider, os.environ)
    if provider != state.home[0] and address:
        options[f"{provider}:base_url"] = address
    own = options_of(options, provider)
    made = make_provider(provider, model, own, warm=False)
    pricer_of(made, limits, own, chosen.prices)
    fallback_minds(state.fallbacks, limits, options, chosen.prices, desk.store.answered)
    return replace(
        old,
        goal=goal or old.goal,
        provider=provider,
        model=made.model,
        limits=limits,
        name=name,
        context=context(state.policy, provider, made.model, own.get("base_url", "")),
        approve=settings.read_flag("approve", wanted.approve) if wanted.approve else state.approve,
        options=options,
        fallbacks=state.fallbacks,
        sandbox=state.sandbox,
        origin="fork",
        parent=row.id,
        item=0,
        depth=0,
        key="",
    )
