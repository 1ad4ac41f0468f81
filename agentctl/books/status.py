"""What is being spent now, and what the month may come to: read from sums, never from all calls."""

from __future__ import annotations

from datetime import date, timedelta

from agentctl import forecast
from agentctl.control import Desk
from agentctl.core.values import Limits, Micros, Millis
from agentctl.reports.outlook import Forecast, Outlook, Status, Window
from agentctl.reports.periods import day_slot, local, midnight_ms
from agentctl.store import book_queries as sql
from agentctl.store import queries
from agentctl.store.opening import translated

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
RATE_MS = 900_000
"""The burn rate is that of so long."""
WINDOWS = (("hour", HOUR_MS), ("day", DAY_MS))
OUTLOOK_DAYS = (7, 30)


def status(desk: Desk, limits: Limits, now_ms: Millis) -> Status:
    """Spending of today, of the limits' windows and of the last 15 minutes."""
    midnight = midnight_ms(local(now_ms, None).date(), None)
    with translated(desk.store.path), sql.reading(desk.store.connection):
        db = desk.store.connection
        spend = sql.spend(db, now_ms - DAY_MS)
        # From the same whole minute on as the spend.
        reserved = sql.reserved(db, (now_ms - RATE_MS) // sql.MINUTE_MS * sql.MINUTE_MS)
        today = queries.sums(db, "all", midnight)
        shared = desk.store.shared("default", (), now_ms)  # money is shared by all accounts
    now_minute = now_ms // sql.MINUTE_MS
    first = (now_ms - RATE_MS) // sql.MINUTE_MS
    burnt = sum(micros for minute, micros in spend if minute >= first) - reserved
    rate = max(burnt, 0) * HOUR_MS // RATE_MS
    windows = []
    spent = {"hour": shared.hour_spent_micros, "day": shared.day_spent_micros}
    caps = {"hour": limits.hour_cost_micros, "day": limits.day_cost_micros}
    for name, window_ms in WINDOWS:
        cap, reached = caps[name], None
        if cap is not None:
            reached = forecast.limit_reached(
                spend, now_minute, window_ms // sql.MINUTE_MS, rate, cap
            )
        reached_ms = None if reached is None else max(reached * sql.MINUTE_MS, now_ms)
        windows.append(Window(name, spent[name], cap, reached_ms))
    unpriced, cost, at_most = (today[0][2], today[0][7], today[0][9]) if today else (0, 0, 0)
    return Status(now_ms, cost, at_most, unpriced, rate, tuple(windows))


def month(desk: Desk, now_ms: Millis) -> Forecast:
    """The month so far, and its end at the rates of the last 7 and 30 full days.

    Days are local. A rate is taken over the full days since the first call, those without a call
    included, and needs calls on three of them. See forecast.month_end for the range.
    """
    today = local(now_ms, None).date()
    first = today.replace(day=1)
    after = (first + timedelta(days=31)).replace(day=1)
    since = min(first, today - timedelta(days=max(OUTLOOK_DAYS)))
    with translated(desk.store.path), sql.reading(desk.store.connection):
        rows = queries.sums(desk.store.connection, "quarter", midnight_ms(since, None))
        begun_ms = sql.first_call(desk.store.connection)
    days: dict[str, list[int]] = {}
    name, end_ms = "", -1
    for quarter, _, unpriced, _, _, _, _, cost, _, at_most, _ in rows:
        at_ms = int(quarter) * queries.QUARTER_MS
        if at_ms >= end_ms:
            name, end_ms = day_slot(at_ms, None)
        sums = days.setdefault(name, [0, 0, 0])
        for place, more in enumerate((cost, at_most, unpriced)):
            sums[place] += more
    so_far = [sums for day, sums in days.items() if day >= first.isoformat()]
    spent, at_most, unpriced = (sum(sums[place] for sums in so_far) for place in range(3))
    remaining_ms = midnight_ms(after, None) - now_ms
    begun = today if begun_ms is None else local(begun_ms, None).date()
    return Forecast(
        first.isoformat()[:7],
        (after - timedelta(days=1)).isoformat(),
        spent,
        at_most,
        unpriced,
        tuple(_outlook(each, today, begun, days, spent, remaining_ms) for each in OUTLOOK_DAYS),
    )


def _outlook(
    wanted: int,
    today: date,
    begun: date,
    days: dict[str, list[int]],
    spent_micros: Micros,
    remaining_ms: Millis,
) -> Outlook:
    first = max(begun, today - timedelta(days=wanted))
    names = [(first + timedelta(days=n)).isoformat() for n in range((today - first).days)]
    with_calls = sum(name in days for name in names)
    if with_calls < forecast.DAYS_LEAST:
        return Outlook(wanted, len(names), with_calls)
    daily = [days[name][0] if name in days else 0 for name in names]
    end = forecast.month_end(spent_micros, daily, remaining_ms)
    return Outlook(
        wanted, len(names), with_calls, end.low_micros, end.expected_micros, end.high_micros
    )
