"""Periods and local days: what people write, and what the clock on the wall does to it."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from agentctl.reports.periods import SLOTS, since_ms, until_ms

BERLIN = ZoneInfo("Europe/Berlin")
KOLKATA = ZoneInfo("Asia/Kolkata")


def moment(*parts, tz=UTC):
    return int(datetime(*parts, tzinfo=tz).timestamp() * 1000)


NOW = moment(2026, 11, 21, 7, 40, 12)


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("2026-11-01", (2026, 11, 1), (2026, 11, 2)),
        ("today", (2026, 11, 21), (2026, 11, 22)),
        ("0d", (2026, 11, 21), (2026, 11, 22)),
        ("yesterday", (2026, 11, 20), (2026, 11, 21)),
        ("7d", (2026, 11, 14), (2026, 11, 15)),
        ("monday", (2026, 11, 16), (2026, 11, 17)),
        ("saturday", (2026, 11, 21), (2026, 11, 22)),
        ("sunday", (2026, 11, 15), (2026, 11, 16)),
        ("24h", (2026, 11, 20, 8, 30), (2026, 11, 20, 8, 45)),
        ("30d", (2026, 10, 22), (2026, 10, 23)),
    ],
)
def test_a_day_is_a_local_day_and_hours_are_whole_quarters(text, begin, end):
    assert since_ms(text, BERLIN, NOW) == moment(*begin, tz=BERLIN)
    assert until_ms(text, BERLIN, NOW) == moment(*end, tz=BERLIN)


def test_the_day_on_which_the_clock_changes_has_23_or_25_hours():
    spring, autumn = "2026-03-29", "2026-10-25"
    assert until_ms(spring, BERLIN, NOW) - since_ms(spring, BERLIN, NOW) == 23 * 3_600_000
    assert until_ms(autumn, BERLIN, NOW) - since_ms(autumn, BERLIN, NOW) == 25 * 3_600_000


def test_today_is_the_day_of_the_named_zone():
    late = moment(2026, 11, 21, 20, 0)
    assert since_ms("today", KOLKATA, late) == moment(2026, 11, 22, tz=KOLKATA)
    assert since_ms("today", UTC, late) == moment(2026, 11, 21)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2026-13-01", "2026-02-30", "20261101", "2026-W47-1", "-7d", "7", "d", "h", "٧d",
     "1e9d", "9999999d", "99999d", "1960-01-01", "9999-12-31", "0001-01-01", "7d ", "24H"],
)  # fmt: skip
def test_what_is_no_day_is_refused(text):
    for read in (since_ms, until_ms):
        with pytest.raises(ValueError, match=r"day|year"):
            read(text, BERLIN, NOW)


def names(kind, zone, *moments):
    return [SLOTS[kind](each, zone)[0] for each in moments]


def test_days_begin_at_local_midnight_also_in_zones_off_by_half_an_hour():
    kolkata = timezone(timedelta(hours=5, minutes=30))
    before, after = moment(2026, 10, 31, 18, 15), moment(2026, 10, 31, 18, 30)
    assert names("day", kolkata, before, after) == ["2026-10-31", "2026-11-01"]
    assert names("day", UTC, before, after) == ["2026-10-31", "2026-10-31"]


@pytest.mark.parametrize("zone", [UTC, BERLIN, ZoneInfo("Africa/Cairo"), ZoneInfo("Asia/Beirut")])
@pytest.mark.parametrize("kind", SLOTS)
def test_every_quarter_of_a_year_is_in_the_slot_that_its_own_clock_names(kind, zone):
    """Cairo and Beirut change at midnight, where a day begins at 01:00 or 00:00 comes twice."""
    name, end = "", 0
    for quarter in range(moment(2026, 1, 1) // 900_000, moment(2027, 1, 9) // 900_000):
        at_ms = quarter * 900_000
        if at_ms >= end:
            name, end = SLOTS[kind](at_ms, zone)
        local = datetime.fromtimestamp(at_ms / 1000, zone)
        form = {
            "hour": f"{local:%Y-%m-%d %H:00 %z}",
            "day": f"{local:%Y-%m-%d}",
            "week": f"{local:%G-W%V}",
            "month": f"{local:%Y-%m}",
        }
        assert name == form[kind]


def test_a_week_is_that_of_iso_and_may_belong_to_the_other_year():
    new_year = (moment(2026, 12, 31), moment(2027, 1, 3), moment(2027, 1, 4))
    assert names("week", UTC, *new_year) == ["2026-W53", "2026-W53", "2027-W01"]
