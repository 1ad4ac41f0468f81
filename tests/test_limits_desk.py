"""Changing limits and credits: nothing is lost, nothing is done by halves."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from msgspec.structs import replace

from agentctl import app, limit_lines, limits_desk
from agentctl.control import Desk
from agentctl.core import events as e
from agentctl.core.state import fold
from agentctl.core.values import Limits
from agentctl.errors import NotResumable, UsageError
from agentctl.limits_desk import changed_limits, set_limits
from agentctl.store.lease import Lease
from tests.limit_parts import LIMITS, NOW, begin, desk, spend

__all__ = ["desk"]


def change(desk: Desk, task: str = "t1", *, dry_run: bool = False, **flags: Any) -> Any:
    return set_limits(desk, desk.find(task), flags, reason="why", dry_run=dry_run)


def limits_of(desk: Desk, task: str = "t1") -> Limits:
    return fold(desk.store.read(task)).limits


# --- changed limits -----------------------------------------------------------------------------


def test_only_what_is_given_changes_and_every_setting_has_its_field() -> None:
    assert changed_limits(LIMITS, {"max_cost": None, "on_limit": None}) == LIMITS
    flags = {
        "max_cost": "1", "max_cost_step": "0.10", "max_tokens": "5", "max_steps": "6",
        "timeout": "90s", "max_credits": "7", "max_credits_step": "8", "on_limit": "wait",
        "wait_in_place": "5m", "allow_unpriced": True,
    }  # fmt: skip
    assert changed_limits(LIMITS, flags) == Limits(
        task_cost_micros=1_000_000, step_cost_micros=100_000, task_tokens=5, steps=6,
        wall_ms=90_000, task_credits=7, step_credits=8, on_limit="wait", wait_in_place_ms=300_000,
        allow_unpriced=True,
    )  # fmt: skip


def test_a_shared_limit_is_marked_as_given_to_the_task_once() -> None:
    once = changed_limits(LIMITS, {"max_cost_hour": "2", "max_cost": "1"})
    assert (once.hour_cost_micros, once.given) == (2_000_000, ("hour_cost_micros",))
    twice = changed_limits(once, {"max_cost_hour": "3", "max_cost_day": "none"})
    assert twice.given == ("hour_cost_micros", "day_cost_micros")
    assert (twice.hour_cost_micros, twice.day_cost_micros) == (3_000_000, None)


@pytest.mark.parametrize("flag", [{"max_cost": "-1"}, {"on_limit": "explode"}, {"timeout": "x"}])
def test_a_bad_value_is_refused_with_the_name_of_its_flag(flag: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(flag)).replace('_', '-')}"):
        changed_limits(LIMITS, flag)


# --- setting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["paused", "limit", "waiting", "failed", ""])
def test_limits_of_a_task_that_stands_still_can_be_set(desk: Desk, outcome: str) -> None:
    begin(desk, *([e.Stopped(outcome, "why")] if outcome else []))
    done = change(desk, max_cost="2", max_steps="none")
    assert done.status == (outcome or "interrupted")
    assert done.written
    assert limits_of(desk) == replace(LIMITS, task_cost_micros=2_000_000, steps=None)
    assert desk.find("t1").limit_micros == 2_000_000
    assert desk.find("t1").status == done.status, "setting a limit starts nothing"


def test_limits_of_a_running_task_can_be_set_while_its_process_holds_it(desk: Desk) -> None:
    begin(desk)
    held = Lease(desk.locks, "t1")
    try:
        done = change(desk, max_cost="2")
    finally:
        held.release()
    assert (done.status, done.written) == ("running", True)
    assert limits_of(desk).task_cost_micros == 2_000_000


@pytest.mark.parametrize("outcome", ["done", "cancelled"])
def test_limits_of_a_task_that_has_ended_cannot(desk: Desk, outcome: str) -> None:
    begin(desk, e.Finished(outcome))
    with pytest.raises(NotResumable, match=outcome):
        change(desk, max_cost="2")
    assert limits_of(desk) == LIMITS


def test_a_task_that_waits_is_due_once_its_limits_have_changed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "now_ms", lambda: NOW)
    begin(desk, e.Stopped("waiting", "the hour is full", "hour_cost_micros", wake_ms=NOW + 60_000))
    assert app.due(desk) == []
    change(desk, max_cost_hour="20")
    assert app.due(desk) == ["t1"]


def test_two_who_change_different_limits_at_once_lose_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(desk)
    append, others = desk.store.append, [e.LimitChanged(replace(LIMITS, steps=7), "other")]

    def late(*arguments: Any, **more: Any) -> Any:
        while others:
            append("t1", None, [others.pop()], NOW)
        return append(*arguments, **more)

    monkeypatch.setattr(desk.store, "append", late)
    done = change(desk, max_cost="2", max_steps=None)
    assert done.written
    assert limits_of(desk) == replace(LIMITS, task_cost_micros=2_000_000, steps=7)


def test_the_old_value_told_is_the_one_that_was_replaced(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(desk)
    append, others = desk.store.append, [e.LimitChanged(replace(LIMITS, steps=7), "other")]

    def late(*arguments: Any, **more: Any) -> Any:
        while others:
            append("t1", None, [others.pop()], NOW)
        return append(*arguments, **more)

    monkeypatch.setattr(desk.store, "append", late)
    (told,) = change(desk, max_steps="9").changes
    assert (told.name, told.old, told.new) == ("steps", 7, 9)


def test_a_task_that_ends_meanwhile_is_left_as_it_ended(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(desk)
    row, append = desk.find("t1"), desk.store.append
    ends = [e.Finished("done", "answer")]

    def late(*arguments: Any, **more: Any) -> Any:
        while ends:
            append("t1", None, [ends.pop()], NOW)
        return append(*arguments, **more)

    monkeypatch.setattr(desk.store, "append", late)
    with pytest.raises(NotResumable):
        set_limits(desk, row, {"max_cost": "2"}, reason="")
    assert limits_of(desk) == LIMITS


def test_a_dry_run_and_what_is_so_already_write_nothing(desk: Desk) -> None:
    begin(desk)
    before = len(desk.store.read("t1"))
    assert not change(desk, max_cost="2", dry_run=True).written
    assert not change(desk, max_cost="0.50").written
    assert len(desk.store.read("t1")) == before


def test_a_limit_below_what_is_spent_is_set_and_said_to_be_used_up(desk: Desk) -> None:
    begin(desk)
    spend(desk, 300_000)
    money, steps, hour = change(desk, max_cost="0.30", max_steps="2", max_cost_hour="0.1").changes
    assert (money.used, money.is_used_up) == (300_000, True)
    assert (steps.used, steps.is_used_up) == (1, False)
    assert (hour.used, hour.is_used_up) == (300_000, True)
    assert limits_of(desk).task_cost_micros == 300_000


def test_the_reason_is_kept_in_the_log(desk: Desk) -> None:
    begin(desk)
    set_limits(desk, desk.find("t1"), {"max_cost": "2"}, reason="more \udcff budget")
    (event,) = (r.event for r in desk.store.read("t1") if isinstance(r.event, e.LimitChanged))
    assert event.reason == "more \ufffd\ufffd\ufffd budget"


# --- credits ------------------------------------------------------------------------------------


def test_credits_are_added_taken_and_set_and_each_change_is_kept(desk: Desk) -> None:
    assert limits_desk.add_credits(desk, "a", "100", reason="first") == (0, 100)
    assert limits_desk.add_credits(desk, "a", "-30", reason="") == (100, 70)
    assert limits_desk.set_credits(desk, "a", "5", reason="year's end") == (70, 5)
    assert limits_desk.set_credits(desk, "b", "0", reason="") == (0, 0)
    found = limit_lines.balances(desk, "a", moves=-1)
    assert [(each.account, each.balance, each.moves) for each in found.accounts] == [("a", 5, 3)]
    assert found.history is not None
    moves = [(move.amount, move.balance, move.reason) for move in found.history]
    assert moves == [(-65, 5, "year's end"), (-30, 70, ""), (100, 100, "first")]
    assert sum(move.amount for move in found.history) == 5


def test_no_more_credits_are_taken_than_there_are(desk: Desk) -> None:
    limits_desk.add_credits(desk, "a", "100", reason="")
    with pytest.raises(UsageError, match="has 100 credits: 101 cannot be taken"):
        limits_desk.add_credits(desk, "a", "-101", reason="")
    assert limits_desk.add_credits(desk, "a", "-100", reason="") == (100, 0)
    found = limit_lines.balances(desk, "a", moves=-1)
    assert found.accounts[0].moves == 2, "what was refused is no change"


@pytest.mark.parametrize(
    "number", ["", "x", "0", "-0", "1.5", "--5", "nan", "1e99", "none", "9" * 20]
)
def test_what_is_no_number_of_credits_is_refused(desk: Desk, number: str) -> None:
    with pytest.raises(UsageError, match="Credits:"):
        limits_desk.add_credits(desk, "a", number, reason="")
    assert limit_lines.balances(desk, None, moves=-1).history == ()


@pytest.mark.parametrize("number", ["-1", "x", "", "0.5"])
def test_a_balance_is_set_to_0_or_more(desk: Desk, number: str) -> None:
    with pytest.raises(UsageError, match="Credits:"):
        limits_desk.set_credits(desk, "a", number, reason="")


def _add(number: int) -> None:
    with Desk() as desk:
        for _ in range(25):
            limits_desk.add_credits(desk, "a", "3", reason=str(number))
            limits_desk.add_credits(desk, "a", "-1", reason=str(number))


def test_processes_that_add_at_once_all_count(desk: Desk) -> None:
    with ProcessPoolExecutor(4, get_context("spawn")) as pool:
        list(pool.map(_add, range(4), timeout=60))
    found = limit_lines.balances(desk, "a", moves=-1)
    assert found.accounts[0].balance == 4 * 25 * 2
    assert found.history is not None
    assert len(found.history) == 200
    assert sum(move.amount for move in found.history) == 200
    for after, before in zip(found.history, found.history[1:], strict=False):
        assert after.balance == before.balance + after.amount


def test_an_account_that_never_had_credits_has_none(desk: Desk) -> None:
    (account,) = limit_lines.balances(desk, None, moves=None).accounts
    assert (account.account, account.balance) == ("default", 0)
