"""Local days, weeks and hours, and what people write for a period of them.

A zone of None is the machine's own, with its changes of summer time as the system knows them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, tzinfo

from agentctl.core.values import Millis

HOUR_MS = 3_600_000
QUARTER_MS = 900_000
BACK_MAX = {"d": 36_500, "h": 876_000}
"""A hundred years."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Slot = tuple[str, Millis]
"""A name, and the moment at which the next slot begins."""


def local(moment_ms: Millis, zone: tzinfo | None) -> datetime:
    """The moment on the clock on the wall."""
    return datetime.fromtimestamp(moment_ms // 1000, zone)


def midnight_ms(day: date, zone: tzinfo | None) -> Millis:
    """When a local day begins."""
    # Where a day begins an hour late, at 01:00, the time 00:00 is taken as that very moment.
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000


def since_ms(text: str, zone: tzinfo | None, now_ms: Millis) -> Millis:
    """Read "2026-11-01", "today", "yesterday", "monday", "7d" or "24h" as a beginning.

    "7d" is the beginning of the day seven days ago; "24h" the full quarter of an hour before that
    moment. Raises ValueError with what is wrong.
    """
    hours = _back(text, "h")
    if hours is not None:
        return (now_ms - hours * HOUR_MS) // QUARTER_MS * QUARTER_MS
    return midnight_ms(_day(text, zone, now_ms), zone)


def until_ms(text: str, zone: tzinfo | None, now_ms: Millis) -> Millis:
    """Read the same as an end: a day is in the period as a whole."""
    hours = _back(text, "h")
    if hours is not None:
        return -(-(now_ms - hours * HOUR_MS) // QUARTER_MS) * QUARTER_MS
    return midnight_ms(_day(text, zone, now_ms) + timedelta(days=1), zone)


def _back(text: str, unit: str) -> int | None:
    number = text.removesuffix(unit)
    if number == text or not (number.isascii() and number.isdigit()):
        return None
    if len(number) > 6 or int(number) > BACK_MAX[unit]:
        raise ValueError(f"{text!r} is more than a hundred years ago")
    return int(number)


def _day(text: str, zone: tzinfo | None, now_ms: Millis) -> date:
    days = {"today": 0, "yesterday": 1}.get(text, _back(text, "d"))
    if text in WEEKDAYS:  # the last one, which may be today
        days = (local(now_ms, zone).weekday() - WEEKDAYS.index(text)) % 7
    if days is not None:
        return local(now_ms, zone).date() - timedelta(days=days)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no day") from None
    if day.isoformat() != text or not 1971 <= day.year < 9999:
        raise ValueError(f"{text!r} is no day from 1971 on, written as 2026-11-01")
    return day


def day_slot(moment_ms: Millis, zone: tzinfo | None) -> Slot:
    """The local day of a moment."""
    day = local(moment_ms, zone).date()
    return day.isoformat(), midnight_ms(day + timedelta(days=1), zone)


def week_slot(moment_ms: Millis, zone: tzinfo | None) -> Slot:
    """The ISO week of a moment, Monday to Sunday, as 2026-W47."""
    day = local(moment_ms, zone).date()
    year, week, weekday = day.isocalendar()
    return f"{year}-W{week:02d}", midnight_ms(day + timedelta(days=8 - weekday), zone)


def month_slot(moment_ms: Millis, zone: tzinfo | None) -> Slot:
    """The month of a moment, as 2026-11."""
    day = local(moment_ms, zone).date().replace(day=1)
    return day.isoformat()[:7], midnight_ms((day + timedelta(days=31)).replace(day=1), zone)


def hour_slot(moment_ms: Millis, zone: tzinfo | None) -> Slot:
    """The local hour of a quarter of an hour, with its offset from UTC: an hour may come twice."""
    time = local(moment_ms, zone)
    # Some zones change by half an hour, so the next quarter may belong to another hour.
    return f"{time:%Y-%m-%d %H:00} {time.astimezone(zone):%z}", moment_ms + QUARTER_MS


SLOTS: dict[str, Callable[[Millis, tzinfo | None], Slot]] = {
    "hour": hour_slot,
    "day": day_slot,
    "week": week_slot,
    "month": month_slot,
}
