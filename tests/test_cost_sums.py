"""Cost reports from the store: every call is in every sum, once."""

import time
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from agentctl.control import Desk, now_ms
from agentctl.core import events as e
from agentctl.core.values import Limits, Message, Rates, Usage
from agentctl.cost_lines import calls_of, cost_report, shares
from agentctl.pricing import cost_of, note_of
from agentctl.reports import cost_calls
from agentctl.reports.columns import cells_of
from agentctl.reports.costs import KINDS, CostLine, Share
from agentctl.store import queries

RATES = Rates(input=2_000_000, cache_read=200_000, cache_write=2_500_000, output=10_000_000)
USAGE = Usage(1_000_000, 600_000, 100_000, 50_000)
QUARTER_MS = 900_000
DAY_MS = 86_400_000


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTCTL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AGENTCTL_CONFIG", "")
    monkeypatch.chdir(tmp_path)
    with Desk() as opened:
        yield opened


def create(desk, task, at_ms=0, cwd="/", account="default"):
    created = e.TaskCreated("goal of " + task, "", "p", "m", cwd, Limits(), account=account)
    desk.store.create(task, created, at_ms)


def call(desk, task, number, at_ms, *, usage=USAGE, rates=RATES, model="m", answered=True):
    asked = e.ModelAsked(number, "p", model, 900, 100, 50)
    desk.store.append(task, None, [asked], at_ms)
    if answered:
        cost = cost_of(rates, usage) if rates else None
        prices = note_of(rates) if rates else '{"source":"unpriced"}'
        answer = e.ModelAnswered(Message("assistant", "x"), usage, "end", cost, 1, prices, "r")
        desk.store.append(task, None, [answer], at_ms + 5)


def test_calls_are_summed_as_settled_estimated_open_or_unpriced(desk):
    create(desk, "t")
    call(desk, "t", 1, 0)
    call(desk, "t", 2, 0, usage=replace(USAGE, reported=False))
    call(desk, "t", 3, 0, rates=None)
    call(desk, "t", 4, 0, answered=False)
    (line,) = cost_report(desk, "task").lines
    cost = cost_of(RATES, USAGE)
    assert line == CostLine(
        "t", 4, 1, 3_000_000, 1_800_000, 300_000, 150_000, 1_350_000, 2 * cost, 1, 900,
        2 * (600_000 * 18 - 100_000 * 5) // 10, 0, "goal of t",
    )  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tool"])
def test_by_whatever_it_is_summed_the_total_is_the_same(desk, kind):
    for number, task in enumerate(("a", "b", "c")):
        create(desk, task, cwd=f"/{number % 2}", account=f"x{number % 2}")
        for step in range(4):
            usage = Usage(1_001 + number, 7 * step, step, 333)
            at_ms = number * 40 * DAY_MS + step * QUARTER_MS
            call(desk, task, step + 1, at_ms, usage=usage, model=f"m{step % 2}")
    report = cost_report(desk, kind, breakdown=True)
    whole = cost_report(desk, "account")
    assert report.total == whole.total
    for field in ("calls", "input", "cost_micros", "open_micros"):
        assert sum(getattr(line, field) for line in report.lines) == getattr(whole.total, field)
        for line in report.lines if kind != "model" else ():
            assert sum(getattr(p, field) for p in line.parts) == getattr(line, field)


def test_lines_are_named_by_what_they_sum(desk):
    create(desk, "a", cwd="/one", account="anna")
    call(desk, "a", 1, 1_793_491_200_000)  # 2026-11-01 00:00 UTC, a Sunday
    named = {
        kind: cost_report(desk, kind, zone=ZoneInfo("UTC")).lines[0].key
        for kind in KINDS
        if kind != "tool"
    }
    assert named == {
        "day": "2026-11-01", "week": "2026-W44", "month": "2026-11", "hour": "2026-11-01 00:00",
        "task": "a", "model": "p/m", "provider": "p", "project": "/one", "account": "anna",
    }  # fmt: skip


def test_a_period_holds_its_first_moment_and_not_its_last(desk):
    create(desk, "a")
    for step in range(4):
        call(desk, "a", step + 1, step * QUARTER_MS)
    call(desk, "a", 5, 2 * QUARTER_MS, answered=False)
    report = cost_report(desk, "task", QUARTER_MS, 3 * QUARTER_MS)
    assert (report.total.calls, report.total.open_micros) == (3, 900)


def test_the_machines_own_zone_knows_summer_time(desk, monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        create(desk, "a")
        call(desk, "a", 1, 1_782_855_000_000)  # 2026-06-30 21:30 UTC: 23:30 in summer
        call(desk, "a", 2, 1_767_223_800_000)  # 2025-12-31 23:30 UTC: 00:30 in winter
        days = [line.key for line in cost_report(desk, "day").lines]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert days == ["2026-01-01", "2026-06-30"]


def test_the_share_of_the_hours_and_the_days_limit_is_told(desk, monkeypatch):
    monkeypatch.setenv("MAX_COST_PER_HOUR", "7")
    assert [(share.name, share.cap_micros) for share in shares(desk)] == [("this hour", 7_000_000)]
    monkeypatch.setenv("MAX_COST_PER_DAY", "20")
    create(desk, "a")
    call(desk, "a", 1, now_ms() - 2 * 3_600_000)
    call(desk, "a", 2, now_ms())
    cost = cost_of(RATES, USAGE)
    assert shares(desk) == [
        Share("this hour", cost, 7_000_000),
        Share("last 24 hours", 2 * cost, 20_000_000),
    ]


def test_a_task_is_shown_call_by_call_with_the_reserve_of_the_open_one(desk):
    create(desk, "a")
    call(desk, "a", 1, 0)
    call(desk, "a", 2, 0, rates=None)
    call(desk, "a", 3, 0, answered=False)
    calls, sums = calls_of(desk, "a")
    assert replace(sums, key="a", label="goal of a") == cost_report(desk, "task").lines[0]
    row = desk.find("a")
    made = cost_calls.text(row, calls, sums, 120, ZoneInfo("UTC"), False)
    lines = made.splitlines()
    assert lines[0] == "Task a goal of a"
    heads = "Call Time Model Purpose State In Cached Written Out Reserve Cost"
    assert " ".join(lines[2].split()) == heads
    assert lines[4].split()[:4] == ["1", "1970-01-01", "00:00:00", "p/m"]
    assert [line.split()[-1] for line in lines[4:7]] == ["$1.47", "?", "$0.0009"]
    assert "$0.0009  ≤ $0.0009" in lines[6]
    data = cost_calls.as_json(row, calls, sums)
    assert [each["state"] for each in data["calls"]] == ["settled", "settled", "open"]
    for width in (20, 40, 60, 80):
        narrow = cost_calls.text(row, calls, sums, width, None, False)
        assert max(map(len, narrow.splitlines())) <= width
        assert "$1.47" in narrow


def test_a_task_without_calls_is_shown_as_such(desk):
    create(desk, "a")
    calls, sums = calls_of(desk, "a")
    shown = cost_calls.text(desk.find("a"), calls, sums, 80, None, False)
    assert shown.endswith("No model call has been made yet.")


def test_looking_up_calls_reads_no_row_of_those_that_are_settled(desk):
    create(desk, "a")
    call(desk, "a", 1, 0)
    seen = []
    desk.store.connection.set_trace_callback(seen.append)
    queries.sums(desk.store.connection, "quarter")
    desk.store.connection.set_trace_callback(None)
    (sql,) = seen
    plan = desk.store.connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
    steps = " ".join(row[3] for row in plan)
    assert "USING INDEX usage_open" in steps
    assert "SCAN usage " not in steps.replace("SCAN usage USING INDEX usage_open", "")


def test_the_hour_that_happens_twice_in_autumn_is_shown_twice(desk):
    create(desk, "a")
    first = 1_792_888_200_000  # 2026-10-25 00:30 UTC
    for step in range(3):
        call(desk, "a", step + 1, first + step * 3_600_000)
    hours = cost_report(desk, "hour", zone=ZoneInfo("Europe/Berlin")).lines
    assert [(line.key, line.calls) for line in hours] == [
        ("2026-10-25 02:00 +0200", 1),
        ("2026-10-25 02:00 +0100", 1),
        ("2026-10-25 03:00", 1),
    ]


def test_a_goal_of_many_lines_is_shown_in_one(desk):
    created = e.TaskCreated("one\n\ttwo   three", "", "p", "m", "/", Limits())
    desk.store.create("a", created, 0)
    call(desk, "a", 1, 0)
    assert cost_report(desk, "task").lines[0].label == "one two three"
    calls, sums = calls_of(desk, "a")
    shown = cost_calls.text(desk.find("a"), calls, sums, 80, None, False)
    assert shown.startswith("Task a one two three\n")


@pytest.mark.parametrize("plain", [False, True])
def test_a_title_of_wide_letters_is_no_wider_than_the_terminal(desk, plain):
    desk.store.create("a", e.TaskCreated("漢" * 100, "", "p", "m", "/", Limits()), now_ms())
    calls, sums = calls_of(desk, "a")
    title = cost_calls.text(desk.find("a"), calls, sums, 40, None, plain).split("\n")[0]
    assert 38 <= cells_of(title) <= 40
