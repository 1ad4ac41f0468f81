"""Limits with their use, and what they hold up, as values and as text. Nothing here prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agentctl.core.values import Millis
from agentctl.reports.columns import Column, ascii_only, table, wrapped
from agentctl.reports.limit_words import amount, clock, limit_name
from agentctl.reports.periods import local
from agentctl.reports.text import count, usd, visible


class Use(Struct, frozen=True):
    """A limit and what is used of it."""

    name: str
    """hour_cost_micros, ai_calls_per_minute, task_tokens, …: as in the events."""
    unit: str
    """micros, calls, credits, tokens, steps or ms."""
    used: int | None
    """None where nothing adds up: a limit of one step, a balance."""
    cap: int | None = None
    """None: no limit."""
    left: int | None = None
    level: str = ""
    """ok, warning (from 80 %), critical (from 95 %) or over; empty without a limit."""
    resets_ms: Millis = 0
    """When the oldest part of the use leaves the window; 0: never, or nothing is used."""


class OpenCircuit(Struct, frozen=True):
    """A provider or tool that is left alone because it kept failing."""

    name: str
    """E.g. provider:openai or tool:http_get."""
    failures: int
    """In a row."""
    since_ms: Millis
    opens_ms: Millis
    """From then on one call may try."""
    probing: bool
    """That call is under way."""
    probe_until_ms: Millis
    """If nothing is heard of it until then, another may try; 0: none tries."""


class Waiting(Struct, frozen=True):
    """A task that is parked until a moment."""

    task_id: str
    name: str
    account: str
    wake_ms: Millis
    why: str
    limit: str
    """The limit that it waits for; empty where a provider asked for the wait."""


class Refusals(Struct, frozen=True):
    """How often one limit was in the way, by tool and account; a run of the same counts once."""

    guard: str
    limit: str
    unit: str
    tool: str
    """Empty: a model call."""
    account: str
    times: int
    used: int
    """Of the last one, like `cap` and `need`."""
    cap: int
    need: int
    last_ms: Millis


class TaskLimits(Struct, frozen=True):
    """A task's own limits."""

    id: str
    name: str
    status: str
    limits: tuple[Use, ...]
    on_limit: str
    stopped: str
    """Why it stands still."""
    stopped_at: str
    """The limit that stopped it."""
    given: tuple[str, ...]
    """Shared limits that were given to this task itself."""
    unpriced: int
    """Calls without a price, which the cost does not contain."""
    reserved_micros: int
    """Set aside for the call that is under way, besides what is spent."""


class Overview(Struct, frozen=True):
    """All that `limits` shows."""

    now_ms: Millis
    account: str
    tier: str
    limits: tuple[Use, ...]
    """Those that tasks share."""
    circuits: tuple[OpenCircuit, ...]
    waiting: tuple[Waiting, ...]
    since_ms: Millis
    """Refusals are those since then."""
    refused: tuple[Refusals, ...]
    task: TaskLimits | None = None


class Account(Struct, frozen=True):
    """An account's credits."""

    account: str
    balance: int
    moves: int = 0
    """How often they changed."""
    changed_ms: Millis = 0


class CreditMove(Struct, frozen=True):
    """One change of a balance."""

    at_ms: Millis
    account: str
    amount: int
    """Negative for what was taken."""
    balance: int
    """After it."""
    task_id: str
    """The task whose calls took it; empty for a person."""
    reason: str


class Credits(Struct, frozen=True):
    """All that `credits` shows."""

    accounts: tuple[Account, ...]
    history: tuple[CreditMove, ...] | None = None
    """The newest first; None if it was not asked for."""


def text(found: Overview, width: int, *, plain: bool = False) -> str:
    """The limits, and below them what is open, waits or was refused."""
    whose = f"Account {found.account}" + (f", tier {found.tier}" if found.tier else "")
    lines = [*wrapped(f"{whose}: limits that tasks share", width), ""]
    lines += _uses(found.limits, found.now_ms, width, plain)
    if found.task is not None:
        lines += ["", *_task(found.task, found.now_ms, width, plain)]
    nothing = []
    for part, none in (
        (_circuits(found, width, plain), "no circuit is open"),
        (_waiting(found, width, plain), "no task waits"),
        (_refused(found, width, plain), f"nothing was refused since {_since(found)}"),
    ):
        if part:
            lines += ["", *part]
        else:
            nothing.append(none)
    if nothing:
        said = ", ".join(nothing)
        lines += ["", *wrapped(f"{said[0].upper()}{said[1:]}.", width)]
    return "\n".join(ascii_only(line) if plain else line for line in lines)


def as_json(found: Overview) -> dict[str, Any]:
    """The same for programs; money in micro-dollars, moments in milliseconds since the epoch."""
    made: dict[str, Any] = msgspec.to_builtins(found)
    return {"schema": 1, **made}


def _uses(uses: Sequence[Use], now_ms: Millis, width: int, plain: bool) -> list[str]:
    columns = [
        Column("Used", ["" if u.used is None else amount(u.used, u.unit) for u in uses]),
        Column("Allowed", [_cap(use) for use in uses]),
        Column("Left", ["" if u.left is None else amount(u.left, u.unit) for u in uses]),
        Column("Level", [use.level for use in uses], left=True),
        Column("Resets", [clock(u.resets_ms, now_ms) if u.resets_ms else "" for u in uses], rank=1),
    ]
    shown = [column for column in columns if column.head != "Resets" or any(column.cells)]
    return table("Limit", [limit_name(use.name) for use in uses], shown, width, plain=plain)


def _cap(use: Use) -> str:
    return "" if use.name == "account_credits" else amount(use.cap, use.unit)


def _task(task: TaskLimits, now_ms: Millis, width: int, plain: bool) -> list[str]:
    title = visible(f"Task {task.id} {task.name}".strip())
    lines = wrapped(f"{title} ({task.status}), at a limit: {task.on_limit}", width)
    lines += ["", *_uses(task.limits, now_ms, width, plain)]
    remarks = []
    if task.unpriced:
        calls = "call" if task.unpriced == 1 else "calls"
        remarks.append(f"? {task.unpriced} {calls} unpriced, not contained in the cost.")
    if task.reserved_micros:
        remarks.append(f"{usd(task.reserved_micros)} more is reserved for the call under way.")
    if task.given:
        names = ", ".join(limit_name(name) for name in task.given)
        remarks.append(f"Given to this task itself: {names}.")
    if task.stopped and task.status in ("limit", "waiting", "failed", "paused"):
        at = f" at {limit_name(task.stopped_at)}" if task.stopped_at else ""
        remarks.append(f"Stopped{at}: {visible(task.stopped)}.")
    if task.status not in ("done", "cancelled"):
        remarks.append(f"Change one with: agentctl limits set {task.id} --max-cost 2.00")
    if remarks:
        lines.append("")
    for remark in remarks:
        lines += wrapped(remark, width)
    return lines


def _circuits(found: Overview, width: int, plain: bool) -> list[str]:
    rows = found.circuits
    if not rows:
        return []
    columns = [
        Column("State", [_state(row, found.now_ms) for row in rows], left=True),
        Column("Failures", [count(row.failures) for row in rows]),
        Column("Since", [clock(row.since_ms, found.now_ms) for row in rows]),
    ]
    return table("Open circuit", [visible(row.name) for row in rows], columns, width, plain=plain)


def _state(row: OpenCircuit, now_ms: Millis) -> str:
    if now_ms < row.opens_ms:
        return f"open until {clock(row.opens_ms, now_ms)}"
    return "one call is trying" if row.probing else "one call may try"


def _waiting(found: Overview, width: int, plain: bool) -> list[str]:
    rows = found.waiting
    if not rows:
        return []
    due = [row.wake_ms <= found.now_ms for row in rows]
    columns = [
        Column(
            "Wakes",
            [
                "due" if d else clock(r.wake_ms, found.now_ms)
                for r, d in zip(rows, due, strict=True)
            ],
        ),
        Column("Account", [row.account for row in rows], left=True, rank=2),
        Column("Why", [visible(row.why) for row in rows], left=True, least=20, rank=1),
    ]
    keys = [visible(f"{row.task_id} {row.name}".strip()) for row in rows]
    lines = table("Waiting task", keys, columns, width, plain=plain)
    if any(due):
        lines += ["", "Wake those that are due with: agentctl resume --due"]
    return lines


def _refused(found: Overview, width: int, plain: bool) -> list[str]:
    rows = found.refused
    if not rows:
        return []
    columns = [
        Column("Limit", [limit_name(visible(row.limit)) for row in rows], left=True),
        Column("Tool", [visible(row.tool) for row in rows], left=True, least=6, rank=1),
        Column("Account", [row.account for row in rows], left=True, least=8, rank=2),
        Column("Times", [count(row.times) for row in rows]),
        Column("Last", [clock(row.last_ms, found.now_ms) for row in rows], rank=1),
    ]
    shown = [column for column in columns if column.head != "Tool" or any(column.cells)]
    head = f"Refused since {_since(found)}, by guard, limit, tool and account"
    lines = table("Guard", [row.guard for row in rows], shown, width, plain=plain)
    return [*wrapped(head, width), "", *lines]


def _since(found: Overview) -> str:
    return f"{local(found.since_ms, None):%Y-%m-%d %H:%M}"


def credits_text(found: Credits, now_ms: Millis, width: int, *, plain: bool = False) -> str:
    """The balances, and the moves if they were asked for."""
    accounts = found.accounts
    columns = [
        Column("Balance", [count(each.balance) for each in accounts]),
        Column("Changes", [count(each.moves) for each in accounts], rank=2),
        Column(
            "Last change",
            [clock(a.changed_ms, now_ms) if a.changed_ms else "never" for a in accounts],
            rank=1,
        ),
    ]
    lines = table("Account", [a.account for a in accounts], columns, width, plain=plain)
    moves = found.history
    if moves:
        columns = [
            Column("Account", [move.account for move in moves], left=True, least=8, rank=2),
            Column("Amount", [f"{move.amount:+,}" for move in moves]),
            Column("Balance", [count(move.balance) for move in moves]),
            Column("Task", [move.task_id for move in moves], left=True, rank=1),
            Column("Reason", [visible(m.reason) for m in moves], left=True, least=10, rank=3),
        ]
        times = [f"{local(move.at_ms, None):%Y-%m-%d %H:%M:%S}" for move in moves]
        lines += ["", *table("Time", times, columns, width, plain=plain)]
    elif moves is not None:
        lines += ["", "No balance has changed yet."]
    return "\n".join(ascii_only(line) if plain else line for line in lines)


def credits_json(found: Credits) -> dict[str, Any]:
    """The same for programs."""
    made: dict[str, Any] = msgspec.to_builtins(found)
    if found.history is None:
        made.pop("history")
    return {"schema": 1, **made}
