"""From the store and the settings to what `limits` and `credits` show."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from agentctl import settings
from agentctl.control import Desk, now_ms
from agentctl.core.limits import level
from agentctl.core.rows import TaskRow
from agentctl.core.state import State, fold
from agentctl.core.values import Circuit, Limits, Millis, Shared
from agentctl.limits_desk import account_in_force, running_ms, shared_from
from agentctl.reports.limits import (
    Account,
    CreditMove,
    Credits,
    OpenCircuit,
    Overview,
    Refusals,
    TaskLimits,
    Use,
    Waiting,
)
from agentctl.store import limit_queries
from agentctl.store.opening import translated


def overview(desk: Desk, row: TaskRow | None, account: str | None, since_ms: Millis) -> Overview:
    """Every limit that is in force with its use, and what is held up by one.

    Of a task its own limits too, and its refusals alone. Raises what `settings.load` does.
    """
    state = None if row is None else fold(desk.store.read(row.id))
    chosen = _settings(state, account)
    limits = _in_force(row, state, chosen.limits())
    moment_ms = now_ms()
    with translated(desk.store.path):
        db = desk.store.connection
        used = limit_queries.categories(db, chosen.account)
        # One account's alone, if it was asked for; a task has only one.
        only = chosen.account if account is not None else ""
        waiting = limit_queries.waiting(db, only)
        refused = limit_queries.violations(db, since_ms, only, "" if row is None else row.id)
        known = limit_queries.balances(db, chosen.account)
    names = sorted({*used, *limits.calls_per_minute})
    shared = desk.store.shared(chosen.account, names, moment_ms)
    return Overview(
        now_ms=moment_ms,
        account=chosen.account,
        tier=chosen.tier,
        limits=tuple(_shared_uses(limits, shared, with_credits=bool(known or limits.credits))),
        circuits=tuple(
            _circuit(name, circuit, moment_ms)
            for name, circuit in sorted(shared.circuits.items())
            if circuit.opens_ms
        ),
        waiting=tuple(
            Waiting(task_id, name, owner, wake_ms, stopped.reason, stopped.limit)
            for task_id, name, owner, wake_ms, stopped in waiting
        ),
        since_ms=since_ms,
        refused=tuple(Refusals(*each) for each in refused),
        task=None if row is None or state is None else _task_limits(row, state, moment_ms),
    )


def _settings(state: State | None, account: str | None) -> settings.Settings:
    """The settings of this folder; of a task those that a resume would read."""
    if state is None:
        return settings.load({"account": account}, env=os.environ, cwd=settings.here())
    folder, begun = Path(state.created.cwd), state.created
    place = folder if folder.is_dir() else settings.here()
    task = {"account": begun.account, "tier": begun.tier}
    return settings.load({}, env=os.environ, cwd=place, task=task)


def _in_force(row: TaskRow | None, state: State | None, configured: Limits) -> Limits:
    """A task that runs keeps its limits; one that stands still meets today's configuration."""
    if row is None or state is None:
        return configured
    return state.limits if row.status == "running" else shared_from(configured, state.limits)


def _shared_uses(limits: Limits, shared: Shared, *, with_credits: bool) -> Iterator[Use]:
    for name, used, cap, opens_ms in (
        (
            "hour_cost_micros",
            shared.hour_spent_micros,
            limits.hour_cost_micros,
            shared.hour_opens_ms,
        ),
        ("day_cost_micros", shared.day_spent_micros, limits.day_cost_micros, shared.day_opens_ms),
    ):
        yield _use(name, "micros", used, cap, opens_ms)
    for category, pace in shared.paces.items():
        cap = limits.per_minute(category)
        name = f"{category}_calls_per_minute"
        yield _use(name, "calls", pace.used, cap, pace.opens_ms)
    if with_credits:
        yield Use("account_credits", "credits", None, None, shared.credits_left)


def _use(name: str, unit: str, used: int, cap: int | None, resets_ms: Millis = 0) -> Use:
    if cap is None:
        return Use(name, unit, used, None, None, "", resets_ms if used else 0)
    left = max(cap - used, 0)
    return Use(name, unit, used, cap, left, level(used, cap), resets_ms if used else 0)


def _circuit(name: str, circuit: Circuit, moment_ms: Millis) -> OpenCircuit:
    probing = moment_ms < circuit.probe_until_ms
    return OpenCircuit(
        name, circuit.failures, circuit.since_ms, circuit.opens_ms, probing, circuit.probe_until_ms
    )


def _task_limits(row: TaskRow, state: State, moment_ms: Millis) -> TaskLimits:
    limits = state.limits
    uses = (
        _use("task_cost_micros", "micros", state.spent_micros, limits.task_cost_micros),
        Use("step_cost_micros", "micros", None, limits.step_cost_micros),
        _use("task_tokens", "tokens", state.tokens_processed, limits.task_tokens),
        _use("steps", "steps", state.steps, limits.steps),
        _use("wall_ms", "ms", running_ms(row, state), limits.wall_ms),
        _use("task_credits", "credits", state.credits_spent, limits.task_credits),
        _use("step_credits", "credits", state.step_credits, limits.step_credits),
    )
    stopped = state.stopped
    reserved = state.asked.reserve_micros if state.asked is not None else 0
    return TaskLimits(
        row.id,
        row.name,
        row.status,
        uses,
        limits.on_limit,
        stopped.reason if stopped is not None else "",
        stopped.limit if stopped is not None else "",
        limits.given,
        state.unpriced,
        reserved or 0,
    )


def balances(desk: Desk, account: str | None, *, moves: int | None) -> Credits:
    """The balance of each account that has credits, or of one; the newest moves (-1: all)."""
    usual = account_in_force(account)
    with translated(desk.store.path):
        db = desk.store.connection
        found = [Account(*each) for each in limit_queries.balances(db, account or "")]
        found = found or [Account(usual, 0)]
        history = None
        if moves is not None:
            rows = limit_queries.credit_moves(db, account or "", moves)
            history = tuple(CreditMove(*each) for each in rows)
    return Credits(tuple(found), history)
