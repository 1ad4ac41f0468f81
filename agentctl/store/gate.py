"""What all tasks share, looked at and taken within one transaction: money, pace, credits, circuits.

`admit` asks whether intents may be written and takes what they need. It runs under BEGIN IMMEDIATE,
so that between the question and the taking nobody else can take the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentctl.core import breaker
from agentctl.core import events as e
from agentctl.core.rows import Gate
from agentctl.core.values import Circuit, Micros, Millis, Pace, Shared

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
UNDER_WAY_MS = 300_000
"""A call that has no answer after so long is not waited for."""


def shared(
    db: Any,
    account: str,
    categories: Iterable[str],
    now_ms: Millis,
    clock_ms: Millis | None = None,
    batch: str = "",
) -> Shared:
    """What all tasks share at this moment; `db` is a connection or a cursor.

    With `batch` also what the tasks of that one share.

    `clock_ms` is the machine's time where that of the task is ahead of it, because the clock was
    set back: others spend by the clock, so the windows begin with it. The moments that are told
    are in the task's time.
    """
    begin_ms = now_ms if clock_ms is None else min(now_ms, clock_ms)
    hour, hour_opens_ms = spent(db, begin_ms, HOUR_MS)
    day, day_opens_ms = spent(db, begin_ms, DAY_MS)
    ahead_ms = now_ms - begin_ms
    return Shared(
        hour,
        hour_opens_ms and hour_opens_ms + ahead_ms,
        day,
        day_opens_ms and day_opens_ms + ahead_ms,
        {category: pace(db, account, category, now_ms) for category in categories},
        balance(db, account),
        circuits(db),
        under_way(db, now_ms),
        *(batch_money(db, batch, now_ms) if batch else ()),
    )


def under_way(db: Any, now_ms: Millis) -> Micros:
    """Reserves of calls without an answer yet; a dead process's are settled long before that."""
    total: Micros = db.execute(
        "SELECT coalesce(sum(reserve_micros), 0) FROM usage WHERE state = 'open' AND at_ms > ?",
        (now_ms - UNDER_WAY_MS,),
    ).fetchone()[0]
    return total


def batch_money(db: Any, batch: str, now_ms: Millis) -> tuple[Micros, Micros, Micros | None]:
    """Spent and reserved by a batch, of that under way, and the most that it may spend.

    Nothing is counted where there is no such limit.
    """
    row = db.execute("SELECT cap_micros FROM batches WHERE id = ?", (batch,)).fetchone()
    if row is None or row[0] is None:
        return 0, 0, None
    settled = db.execute(
        "SELECT coalesce(sum(cost_micros), 0) FROM tasks WHERE batch = ? AND batch <> ''",
        (batch,),
    ).fetchone()[0]
    reserved, busy = db.execute(
        "SELECT coalesce(sum(reserve_micros), 0),"
        " coalesce(sum(CASE WHEN at_ms > ? THEN reserve_micros END), 0)"
        " FROM usage JOIN tasks ON no = task"
        " WHERE state = 'open' AND batch = ? AND batch <> ''",  # so that the index is used
        (now_ms - UNDER_WAY_MS, batch),
    ).fetchone()
    return settled + reserved, busy, row[0]


def spent(db: Any, now_ms: Millis, window_ms: Millis) -> tuple[Micros, Millis]:
    """Settled and reserved within the window, and when the oldest part of it leaves.

    Whole minutes are counted, so the window is up to a minute longer, never shorter. Spend dated
    in the future counts too: a clock that was set back frees no budget.
    """
    first = (now_ms - window_ms) // MINUTE_MS
    if window_ms <= HOUR_MS:
        total, oldest = db.execute(_MINUTES, (first, 1 << 62)).fetchone()
    else:
        hour = first // 60 + 1
        total, oldest = db.execute(_MINUTES, (first, hour * 60)).fetchone()
        more, then = db.execute(_HOURS, (hour,)).fetchone()
        total += more
        if oldest is None and then is not None:
            oldest = db.execute(_MINUTES, (then * 60, then * 60 + 60)).fetchone()[1]
    return total, 0 if oldest is None else (oldest + 1) * MINUTE_MS + window_ms


_MINUTES = (
    "SELECT coalesce(sum(micros), 0), min(minute) FROM spend"
    " WHERE minute >= ? AND minute < ? AND micros > 0"
)
_HOURS = (
    "SELECT coalesce(sum(micros), 0), min(hour) FROM spend_hours WHERE hour >= ? AND micros > 0"
)


def pace(db: Any, account: str, category: str, now_ms: Millis) -> Pace:
    """Calls of the last 60 seconds. After a clock was set back, later ones do not count."""
    used, oldest_ms = db.execute(
        "SELECT coalesce(sum(calls), 0), min(at_ms) FROM paces"
        " WHERE account = ? AND category = ? AND at_ms > ? AND at_ms <= ?",
        (account, category, now_ms - MINUTE_MS, now_ms + MINUTE_MS),
    ).fetchone()
    return Pace(used, 0 if oldest_ms is None else oldest_ms + MINUTE_MS)


def balance(db: Any, account: str) -> int:
    """Credits of an account; 0 if it never had any."""
    row = db.execute("SELECT balance FROM credits WHERE account = ?", (account,)).fetchone()
    return row[0] if row else 0


def circuits(db: Any) -> dict[str, Circuit]:
    """Those that are not healthy: usually none."""
    rows = db.execute("SELECT name, failures, since_ms, opens_ms, probe_until_ms FROM circuits")
    return {name: Circuit(*rest) for name, *rest in rows}


def keep_circuit(db: Any, name: str, circuit: Circuit) -> None:
    """Store a circuit; a healthy one is forgotten."""
    if circuit == Circuit():
        db.execute("DELETE FROM circuits WHERE name = ?", (name,))
        return
    db.execute(
        "INSERT OR REPLACE INTO circuits VALUES (?, ?, ?, ?, ?)",
        (name, circuit.failures, circuit.since_ms, circuit.opens_ms, circuit.probe_until_ms),
    )


def admit(
    db: Any,
    gate: Gate,
    task: int,
    intents: Sequence[e.Event],
    at_ms: Millis,
    known: Mapping[str, Circuit],
    clock_ms: Millis | None = None,
    batch: str = "",
) -> str:
    """Take what the intents need, or return the guard that is in the way.

    That is their place in the windows, their credits, and the probes of `known` circuits.
    `batch` is that of the task, whose money they share.
    """
    due = price = 0
    wanted: dict[str, int] = {}
    names: dict[str, None] = {}
    for intent in intents:
        if isinstance(intent, e.ModelAsked):
            due += intent.reserve_micros or 0
            name, category = breaker.provider(intent.provider), "ai"
        elif isinstance(intent, e.ToolStarted):
            name, category = breaker.tool(intent.tool), intent.category
        else:
            continue
        price += intent.credits
        if category != "ai" or gate.paced:
            names[name] = None
            wanted[category] = wanted.get(category, 0) + 1
    room = _windows(db, gate, wanted, at_ms)
    shut = any(breaker.closed_until(known[name], at_ms) for name in names if name in known)
    if due and _too_dear(db, gate, due, at_ms if clock_ms is None else min(at_ms, clock_ms)):
        return "cost"
    if due and batch:
        used, _, cap = batch_money(db, batch, at_ms)
        if cap is not None and used + due > cap:
            return "cost"
    if room is None:
        return "rate"
    if price and balance(db, gate.account) < price:
        return "credits"
    if shut:
        return "circuit"
    for category in room:
        _take_place(db, gate.account, category, wanted[category], at_ms)
    if price:
        move_credits(db, gate.account, -price, at_ms, task, "calls")
    for name in names:
        if name in known:
            keep_circuit(db, name, breaker.asked(known[name], at_ms))
    return ""


def _too_dear(db: Any, gate: Gate, due_micros: Micros, at_ms: Millis) -> bool:
    for cap, window_ms in ((gate.hour_cap_micros, HOUR_MS), (gate.day_cap_micros, DAY_MS)):
        if cap is not None and spent(db, at_ms, window_ms)[0] + due_micros > cap:
            return True
    return False


def _windows(db: Any, gate: Gate, wanted: Mapping[str, int], at_ms: Millis) -> list[str] | None:
    """The categories that have a window, or None if one of them has no room."""
    counted: list[str] = []
    for category, calls in wanted.items():
        cap = gate.limits.per_minute(category) if gate.limits is not None else None
        if cap is None:
            continue
        if pace(db, gate.account, category, at_ms).used + calls > cap:
            return None
        counted.append(category)
    return counted


def _take_place(db: Any, account: str, category: str, calls: int, at_ms: Millis) -> None:
    db.execute(
        "DELETE FROM paces WHERE account = ? AND category = ? AND at_ms <= ?",
        (account, category, at_ms - DAY_MS),  # not at once: another task's clock may be behind
    )
    db.execute(
        "INSERT INTO paces VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET calls = calls + excluded.calls",
        (account, category, at_ms, calls),
    )


def move_credits(
    db: Any, account: str, amount: int, at_ms: Millis, task: int | None, reason: str
) -> int:
    """Add to an account's balance, or take from it, and return what it is then."""
    left = balance(db, account) + amount
    db.execute("INSERT OR REPLACE INTO credits VALUES (?, ?)", (account, left))
    db.execute(
        "INSERT INTO credit_moves VALUES (NULL, ?, ?, ?, ?, ?, ?)",
        (at_ms, account, amount, left, task, reason),
    )
    return left
