"""What `limits` and `credits` do. Light: `limits set` must be as quick to start as `pause`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from agentctl import quantities, settings
from agentctl.control import Desk, now_ms
from agentctl.core import events as e
from agentctl.core.rows import TaskRow
from agentctl.core.sanitize import storable
from agentctl.core.state import FINAL, State, apply_all, fold
from agentctl.core.values import SHARED, Limits, Millis
from agentctl.errors import NotResumable, UsageError
from agentctl.store import limit_queries
from agentctl.store.opening import translated

LIMIT_FIELDS = {
    "max_cost": "task_cost_micros",
    "max_cost_step": "step_cost_micros",
    "max_cost_hour": "hour_cost_micros",
    "max_cost_day": "day_cost_micros",
    "max_tokens": "task_tokens",
    "max_steps": "steps",
    "timeout": "wall_ms",
    "max_credits": "task_credits",
    "max_credits_step": "step_credits",
    "on_limit": "on_limit",
    "wait_in_place": "wait_in_place_ms",
    "allow_unpriced": "allow_unpriced",
}
"""Setting, as in the flag of that name, to the field of Limits."""


def changed_limits(limits: Limits, flags: Mapping[str, object]) -> Limits:
    """Return the limits with the given flags in place; None values were not given.

    A limit that tasks share is marked as given to this task, so that a resume keeps it. Raises
    UsageError.
    """
    changes: dict[str, Any] = {
        LIMIT_FIELDS[name]: settings.read_flag(name, raw)
        for name, raw in flags.items()
        if raw is not None
    }
    given = [name for name in changes if name in SHARED and name not in limits.given]
    return replace(limits, **changes, given=(*limits.given, *given))


def shared_from(configured: Limits, limits: Limits) -> Limits:
    """The limits of a task, those that tasks share as configured but for those given to it."""
    names = [name for name in SHARED if name not in limits.given]
    return replace(limits, **{name: getattr(configured, name) for name in names})


class LimitChange(Struct, frozen=True):
    """One limit of a task: as it was, as it is, and what is used of it."""

    name: str
    """Field of Limits."""
    old: Any
    new: Any
    used: int | None = None
    """None where a limit does not fill up."""

    @property
    def is_used_up(self) -> bool:
        """The new limit leaves nothing."""
        return isinstance(self.new, int) and self.used is not None and self.used >= self.new


class LimitsSet(Struct, frozen=True):
    """What `limits set` did, or would do."""

    task_id: str
    status: str
    """Of the task, when it was changed."""
    changes: tuple[LimitChange, ...]
    written: bool
    """False for a dry run and when every limit was so already."""
    cost_micros: int
    unpriced: int


def set_limits(
    desk: Desk, row: TaskRow, flags: Mapping[str, object], *, reason: str, dry_run: bool = False
) -> LimitsSet:
    """Change limits of a task that runs or stands still; it takes effect at its next decision.

    Raises UsageError for a bad value, NotResumable for a task that has ended.
    """
    state = fold(desk.store.read(row.id))
    while True:
        if state.status in FINAL:
            raise NotResumable(
                f"Task {row.id} has ended ({state.status}).",
                kept="Its limits were not changed.",
                next_step=f"See it with: agentctl show {row.id}",
            )
        limits = changed_limits(state.limits, flags)
        if dry_run or limits == state.limits:
            break
        # An intent: refused if anything was written since, as another's change of another limit.
        change = e.LimitChanged(limits, storable(reason))
        result = desk.store.append(
            row.id, state.seq, [], max(now_ms(), state.last_ms), intents=[change]
        )
        if not result.refused:
            break
        apply_all(state, result.recorded)
    written = not dry_run and limits != state.limits
    names = [LIMIT_FIELDS[name] for name, raw in flags.items() if raw is not None]
    used = _used(desk, row, state)
    changes = (
        LimitChange(name, getattr(state.limits, name), getattr(limits, name), used.get(name))
        for name in names
    )
    return LimitsSet(
        row.id, row.status, tuple(changes), written, state.spent_micros, state.unpriced
    )


def set_json(done: LimitsSet, *, dry_run: bool) -> dict[str, Any]:
    """The same for programs: values as in the events."""
    made: dict[str, Any] = to_builtins(done)
    return made | {"dry_run": dry_run}


def _used(desk: Desk, row: TaskRow, state: State) -> dict[str, int]:
    """What is used of each limit that fills up."""
    shared = desk.store.shared(state.created.account, (), now_ms())
    return {
        "task_cost_micros": state.spent_micros,
        "hour_cost_micros": shared.hour_spent_micros,
        "day_cost_micros": shared.day_spent_micros,
        "task_tokens": state.tokens_processed,
        "steps": state.steps,
        "wall_ms": running_ms(row, state),
        "task_credits": state.credits_spent,
    }


def running_ms(row: TaskRow, state: State) -> Millis:
    """Running time up to now; of a task whose process died, up to its last sign of life."""
    since_ms = now_ms() - state.ran_ms if row.status == "running" else 0
    return state.active_ms + max(since_ms, 0)


# --- credits ------------------------------------------------------------------------------------


def add_credits(
    desk: Desk, account: str, text: str, *, reason: str, dry_run: bool = False
) -> tuple[int, int]:
    """Add credits to an account, or take some away, and return its balance before and after.

    With `dry_run` nothing is changed.

    Raises UsageError for what is no whole number and for more than there is to be taken.
    """
    digits = text.strip().removeprefix("+")
    sign = -1 if digits.startswith("-") else 1
    number = sign * _whole(digits.removeprefix("-"), 1)

    def amount(balance: int) -> int:
        if balance + number < 0:
            raise UsageError(
                f"Account {account} has {balance} credits: {-number} cannot be taken from it.",
                kept="Nothing was changed.",
                next_step=f"Empty it with: agentctl credits set 0 --account {account}",
            )
        return number

    return _change(desk, account, amount, reason, dry_run)


def set_credits(
    desk: Desk, account: str, text: str, *, reason: str, dry_run: bool = False
) -> tuple[int, int]:
    """Make the balance of an account this number; return what it was and is. Raises UsageError."""
    number = _whole(text, 0)
    return _change(desk, account, lambda balance: number - balance, reason, dry_run)


def _change(
    desk: Desk, account: str, amount: Callable[[int], int], reason: str, dry_run: bool
) -> tuple[int, int]:
    with translated(desk.store.path):
        db = desk.store.connection
        return limit_queries.change_credits(
            db, account, amount, now_ms(), storable(reason), dry_run=dry_run
        )


def _whole(digits: str, least: int) -> int:
    try:
        return int(str(quantities.count(least)(digits)))
    except ValueError as error:
        raise UsageError(
            f"Credits: {error}.", next_step="Write a whole number, e.g. 500."
        ) from None


def account_in_force(account: str | None) -> str:
    """The account that was named, or else the configured one. Raises UsageError, ConfigError."""
    flags = {"account": account}
    return settings.load(flags, env=os.environ, cwd=settings.here()).account
