"""Arithmetic of what is to come: month ends, limits ahead, and what a task usually takes.

Whole numbers only, and nothing but what is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

from msgspec import Struct

from agentctl.core.values import Micros, Millis

DAY_MS = 86_400_000
MINUTE_MS = 60_000
DAYS_LEAST = 3
"""Fewer days with calls than this say nothing about the next ones."""
Z_PERCENT = 128
"""1.28 standard deviations on either side hold 80 % of a normal distribution."""


class Range(Struct, frozen=True):
    """What the month will have cost at its end."""

    low_micros: Micros
    expected_micros: Micros
    high_micros: Micros


def month_end(spent_micros: Micros, daily: Sequence[Micros], remaining_ms: Millis) -> Range:
    """Carry the rate of some full days on to the end of the month.

    With n days of mean m and sample variance v, and r days that remain, the expected end is
    spent + m·r. The range holds 80 % of what days like these would give: its half width is
    1.28 · √(v · (r + r²/n)), where r stands for the chance of each day to come and r²/n for the
    mean itself being known from n days only. It never goes below what is already spent. Raises
    ValueError for fewer than two days.
    """
    days = len(daily)
    if days < 2:
        raise ValueError("a spread needs at least two days")
    total = sum(daily)
    expected = spent_micros + total * remaining_ms // (days * DAY_MS)
    # n·(n-1)·v and n·DAY²·(r + r²/n), so that nothing is divided before the root.
    spread = days * sum(each * each for each in daily) - total * total
    time = days * DAY_MS * remaining_ms + remaining_ms * remaining_ms
    half = isqrt(spread * time // (days * (days - 1) * days)) * Z_PERCENT // (100 * DAY_MS)
    return Range(max(expected - half, spent_micros), expected, expected + half)


def limit_reached(
    spend: Sequence[tuple[int, Micros]],
    now_minute: int,
    window_minutes: int,
    per_hour_micros: Micros,
    cap_micros: Micros,
) -> int | None:
    """The first minute at which a limit is used up if spending goes on at this rate.

    `spend` holds minutes since the epoch with their amounts, oldest first: the window moves on
    over them. None when it never is: once the window holds nothing but this rate, it stays so.
    """
    old = [(minute, micros) for minute, micros in spend if minute >= now_minute - window_minutes]
    left, gone = sum(micros for _, micros in old), 0
    for ahead in range(window_minutes + 2):
        while gone < len(old) and old[gone][0] < now_minute + ahead - window_minutes:
            left -= old[gone][1]
            gone += 1
        if left + per_hour_micros * min(ahead, window_minutes) // 60 >= cap_micros:
            return now_minute + ahead
    return None


def percentile(values: Sequence[int], percent: int) -> int:
    """The nearest rank: the least value that so many percent do not exceed.

    Raises ValueError for no values.
    """
    if not values:
        raise ValueError("no values")
    rank = max(-(-len(values) * percent // 100), 1)
    return sorted(values)[rank - 1]
