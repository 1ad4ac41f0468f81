"""What is shown of limits: their use, what they hold up, and nothing invented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentctl import limit_lines, limits_desk
from agentctl.control import Desk
from agentctl.core import events as e
from agentctl.core.rows import Gate
from agentctl.core.values import Limits
from agentctl.reports.limits import (
    OpenCircuit,
    Overview,
    Refusals,
    TaskLimits,
    Use,
    Waiting,
    as_json,
    credits_json,
    credits_text,
    text,
)
from agentctl.store.lease import Lease
from tests.limit_parts import LIMITS, MINUTE_MS, NOW, begin, desk, refuse, spend

__all__ = ["desk"]


def look(desk: Desk, task: str = "", account: str | None = None, since_ms: int = 0) -> Any:
    return limit_lines.overview(desk, desk.find(task) if task else None, account, since_ms)


def uses(limits: Any) -> dict[str, tuple[Any, ...]]:
    return {use.name: (use.used, use.cap, use.left, use.level) for use in limits}


def test_shared_limits_are_those_of_the_configuration_with_their_use(desk: Desk) -> None:
    begin(desk)
    spend(desk, 8_000_000)
    found = look(desk)
    assert uses(found.limits) == {
        "hour_cost_micros": (8_000_000, 10_000_000, 2_000_000, "warning"),
        "day_cost_micros": (8_000_000, 20_000_000, 12_000_000, "ok"),
    }
    assert found.limits[0].resets_ms > NOW + 50 * MINUTE_MS


def test_paces_of_categories_that_were_called_or_configured_are_shown(
    desk: Desk, tmp_path: Path
) -> None:
    begin(desk, account="a")
    spend(desk, 100, gate=Gate("a", limits=LIMITS))
    assert uses(look(desk, account="a").limits)["ai_calls_per_minute"] == (1, 30, 29, "ok")
    (tmp_path / "config.toml").write_text('[rates]\nemail = 5\nhttp = "none"\n')
    found = uses(look(desk).limits)
    assert found["email_calls_per_minute"] == (0, 5, 5, "ok")
    assert found["http_calls_per_minute"] == (0, None, None, "")
    assert "ai_calls_per_minute" not in found, "it was another account"


def test_credits_are_shown_where_there_are_some(desk: Desk) -> None:
    assert "account_credits" not in uses(look(desk).limits)
    limits_desk.add_credits(desk, "default", "40", reason="")
    assert uses(look(desk).limits)["account_credits"] == (None, None, 40, "")


def test_an_open_circuit_is_shown_until_it_closes(desk: Desk) -> None:
    begin(desk)
    for number in range(5):
        asked = e.ModelAsked(number + 1, "sim", "sim-1", 0, 0, 0)
        failed = e.ModelFailed("server", "down", retriable=True)
        desk.store.append("t1", None, [], NOW - 1_000, intents=[asked])
        desk.store.append("t1", None, [failed], NOW - 1_000)
        assert bool(look(desk).circuits) == (number == 4)
    (circuit,) = look(desk).circuits
    assert (circuit.name, circuit.failures, circuit.probing) == ("provider:sim", 5, False)
    assert (circuit.since_ms, circuit.opens_ms) == (NOW - 1_000, NOW + 29_000)
    assert "open until 08:00:29" in text(look(desk), 80)
    again = e.ModelAsked(6, "sim", "sim-1", 0, 0, 0)
    desk.store.append("t1", None, [], NOW + 30_000, intents=[again])
    (circuit,) = look(desk).circuits
    assert circuit.probing


def test_waiting_tasks_are_shown_with_their_reason_the_first_to_wake_first(desk: Desk) -> None:
    later = e.Stopped("waiting", "rate: slow down", wake_ms=NOW + 1)
    sooner = e.Stopped("waiting", "the hour is full", "hour_cost_micros", wake_ms=NOW)
    begin(desk, e.Stopped("failed", "old"), e.Resumed(1), later, task="t1", name="mend")
    begin(desk, sooner, task="t2", account="a")
    begin(desk, e.Stopped("paused", "x"), task="t3")
    found = look(desk)
    assert [(w.task_id, w.why, w.limit, w.wake_ms) for w in found.waiting] == [
        ("t2", "the hour is full", "hour_cost_micros", NOW),
        ("t1", "rate: slow down", "", NOW + 1),
    ]
    assert [w.task_id for w in look(desk, account="a").waiting] == ["t2"]
    assert "agentctl resume --due" in text(found, 80)


def test_refusals_are_counted_by_guard_limit_tool_and_account(desk: Desk) -> None:
    begin(desk, refuse(), refuse(cap=20), refuse("hour_cost_micros"), refuse(tool="x"))
    begin(desk, refuse(), task="t2", account="a")
    counted = [(r.limit, r.tool, r.account, r.times, r.cap) for r in look(desk).refused]
    assert counted[0] == ("task_cost_micros", "", "default", 2, 20), "the newest, twice"
    assert sorted(counted[1:]) == [
        ("hour_cost_micros", "", "default", 1, 10),
        ("task_cost_micros", "", "a", 1, 10),
        ("task_cost_micros", "x", "default", 1, 10),
    ]
    assert [r.account for r in look(desk, account="a").refused] == ["a"]
    assert len(look(desk, "t2").refused) == 1
    assert look(desk, since_ms=NOW).refused == ()


def test_of_a_task_its_own_limits_are_shown_with_their_levels(desk: Desk) -> None:
    limits = Limits(task_cost_micros=100, task_tokens=1_150, steps=1, wall_ms=None)
    begin(desk, limits=limits)
    spend(desk, 79)
    desk.store.append("t1", None, [e.Stopped("limit", "no room", "steps", 1, 1, 1)], NOW)
    task = look(desk, "t1").task
    assert uses(task.limits) == {
        "task_cost_micros": (79, 100, 21, "ok"),
        "step_cost_micros": (None, None, None, ""),
        "task_tokens": (1_100, 1_150, 50, "critical"),
        "steps": (1, 1, 0, "critical"),
        "wall_ms": (10 * MINUTE_MS, None, None, ""),
        "task_credits": (0, 10_000, 10_000, "ok"),
        "step_credits": (0, 1_000, 1_000, "ok"),
    }
    assert (task.status, task.stopped, task.stopped_at) == ("limit", "no room", "steps")


def test_a_dead_process_used_no_time_after_its_last_sign_of_life(desk: Desk) -> None:
    begin(desk, refuse())
    assert uses(look(desk, "t1").task.limits)["wall_ms"][0] == 5 * MINUTE_MS
    held = Lease(desk.locks, "t1")
    try:
        assert uses(look(desk, "t1").task.limits)["wall_ms"][0] == 10 * MINUTE_MS
    finally:
        held.release()


def test_a_stopped_task_meets_todays_configuration_but_for_what_was_given_to_it(
    desk: Desk, tmp_path: Path
) -> None:
    old = Limits(hour_cost_micros=1, day_cost_micros=2, given=("hour_cost_micros",))
    begin(desk, e.Stopped("paused", ""), limits=old)
    (tmp_path / "config.toml").write_text("max_cost_hour = 7\nmax_cost_day = 8\n")
    found = uses(look(desk, "t1").limits)
    assert (found["hour_cost_micros"][1], found["day_cost_micros"][1]) == (1, 8_000_000)
    assert "Given to this task itself: Cost in 60 minutes." in text(look(desk, "t1"), 80)


# --- how it looks -------------------------------------------------------------------------------

HOUR_FULL = "the next call might cost more than is left"
SHARED_USES = (
    Use("hour_cost_micros", "micros", 4_120_000, 5_000_000, 880_000, "warning", NOW + 1_234_567),
    Use("day_cost_micros", "micros", 19_900_000, None, resets_ms=NOW + 86_000_000),
    Use("ai_calls_per_minute", "calls", 30, 30, 0, "critical", NOW + 12_000),
    Use("account_credits", "credits", None, None, 1_240),
)
OVERVIEW = Overview(
    NOW, "team-a", "pro", SHARED_USES,
    (
        OpenCircuit("provider:openai", 5, NOW - 4_000, NOW + 26_000, False, 0),
        OpenCircuit("tool:http_get", 7, NOW - 400_000, NOW - 2_600, True, NOW + 200_000),
    ),
    (
        Waiting("1rsgprtw", "nightly", "team-a", NOW, HOUR_FULL, "hour_cost_micros"),
        Waiting("1rsgprtx", "", "team-a", NOW + 7_000_000, "rate: asked to wait for 1 h 56 m", ""),
    ),
    NOW - 86_400_000,
    (
        Refusals("rate", "ai_calls_per_minute", "calls", "", "team-a", 12, 30, 30, 1, NOW - 9_000),
        Refusals("circuit", "tool:http_get", "failures", "http_get", "default", 1, 7, 5, 1, NOW),
    ),
    TaskLimits(
        "1rsgprtw", "nightly", "waiting",
        (
            Use("task_cost_micros", "micros", 310_000, 500_000, 190_000, "ok"),
            Use("wall_ms", "ms", 4_000_000, 7_200_000, 3_200_000, "ok"),
        ),
        "wait", HOUR_FULL, "hour_cost_micros", ("hour_cost_micros",), 2, 27_895,
    ),
)  # fmt: skip
AT_80 = """\
Account team-a, tier pro: limits that tasks share

Limit                     Used   Allowed   Left  Level               Resets
───────────────────────────────────────────────────────────────────────────
Cost in 60 minutes       $4.12     $5.00  $0.88  warning           08:20:34
Cost in 24 hours        $19.90  no limit                   2027-01-16 07:53
ai calls a minute           30        30      0  critical          08:00:12
Credits of the account                    1,240

Task 1rsgprtw nightly (waiting), at a limit: wait

Limit               Used  Allowed     Left  Level
─────────────────────────────────────────────────
Cost of the task   $0.31    $0.50    $0.19  ok
Running time      1h 06m   2h 00m  53m 20s  ok

? 2 calls unpriced, not contained in the cost.
$0.03 more is reserved for the call under way.
Given to this task itself: Cost in 60 minutes.
Stopped at Cost in 60 minutes: the next call might cost more than is left.
Change one with: agentctl limits set 1rsgprtw --max-cost 2.00

Open circuit     State                Failures     Since
────────────────────────────────────────────────────────
provider:openai  open until 08:00:26         5  07:59:56
tool:http_get    one call is trying          7  07:53:20

Waiting task         Wakes  Account  Why
───────────────────────────────────────────────────────────────────────────────
1rsgprtw nightly       due  team-a   the next call might cost more than is left
1rsgprtx          09:56:40  team-a   rate: asked to wait for 1 h 56 m

Wake those that are due with: agentctl resume --due

Refused since 2027-01-14 08:00, by guard, limit, tool and account

Guard    Limit              Tool      Account  Times      Last
──────────────────────────────────────────────────────────────
rate     ai calls a minute            team-a      12  07:59:51
circuit  tool:http_get      http_get  default      1  08:00:00"""


def test_a_full_overview_at_80_columns(desk: Desk) -> None:
    assert text(OVERVIEW, 80) == AT_80


@pytest.fixture
def full(desk: Desk) -> Any:
    """An overview with something in each part, and hostile names."""
    hostile = "\x1b[31m\u202e" + "long name " * 9
    begin(desk, refuse("provider:\x1b", tool=hostile), account="a" * 64, name=hostile)
    spend(desk, 8_000_000)
    wait = e.Stopped("waiting", hostile, "hour_cost_micros", wake_ms=NOW + 90_000_000)
    desk.store.append("t1", None, [wait], NOW)
    limits_desk.add_credits(desk, "a" * 64, "1000000", reason=hostile)
    return look(desk, "t1")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_asked_and_no_text_can_act(full: Any, width: int) -> None:
    for plain in (False, True):
        shown = text(full, width, plain=plain)
        assert max(map(len, shown.splitlines())) <= width
        assert all(line.isprintable() for line in shown.splitlines())
        assert shown.isascii() or not plain


def test_balances_and_changes_fit_too(desk: Desk, full: Any) -> None:
    found = limit_lines.balances(desk, None, moves=50)
    for width in (40, 80):
        shown = credits_text(found, NOW, width, plain=True)
        assert max(map(len, shown.splitlines())) <= width
        assert all(line.isprintable() for line in shown.splitlines())
    assert json.loads(json.dumps(credits_json(found)))["history"][0]["amount"] == 1_000_000
    assert "history" not in credits_json(limit_lines.balances(desk, None, moves=None))


def test_json_holds_what_the_text_rounds(full: Any) -> None:
    found = json.loads(json.dumps(as_json(full)))
    assert found["limits"][0]["used"] == 8_000_000
    assert found["waiting"][0]["wake_ms"] == NOW + 90_000_000
    assert found["refused"][0]["times"] == 1
    assert found["task"]["limits"][0]["name"] == "task_cost_micros"


def test_where_there_is_nothing_one_sentence_says_so(desk: Desk) -> None:
    assert text(look(desk), 80).splitlines()[-1] == (
        "No circuit is open, no task waits, nothing was refused since 1970-01-01 00:00."
    )
