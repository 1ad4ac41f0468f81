"""Tasks with calls of every kind, written through the store as a run writes them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentctl.control import Desk
from agentctl.core import events as e
from agentctl.core.values import Limits, Message, Usage
from agentctl.reports.books import difference_text

NOW = 1_793_534_400_000  # 2026-11-01T12:00:00Z
DAY = 86_400_000
PRICES = '{"input":2000000,"source":"test"}'
MODEL = "claude-sonnet-5-5"


@contextmanager
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A state home of its own, in UTC."""
    monkeypatch.setenv("AGENTCTL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        with Desk() as desk:
            yield desk
    finally:
        monkeypatch.undo()
        time.tzset()


def begin(desk, task_id, at_ms=NOW, provider="anthropic", model=MODEL):
    created = e.TaskCreated("the goal", "", provider, model, "/", Limits())
    assert desk.store.create(task_id, created, at_ms)


def ask(desk, task_id, call, at_ms=NOW, reserve=50_000, provider="anthropic", model=MODEL):
    intent = e.ModelAsked(call, provider, model, reserve, 100, 100)
    assert not desk.store.append(task_id, None, [], at_ms, intents=[intent]).refused


def answer(desk, task_id, at_ms=NOW + 500, cost=1_350, usage=None, response="", prices=PRICES):
    usage = usage or Usage(1_200, 1_000, 100, 80)
    fact = e.ModelAnswered(
        Message("assistant", "hi"), usage, "end", cost, prices=prices, response_id=response
    )
    desk.store.append(task_id, None, [fact], at_ms)


def fail(desk, task_id, at_ms=NOW + 500, charged=0, tokens=0):
    desk.store.append(task_id, None, [e.ModelFailed("cut", "", True, charged, tokens)], at_ms)


def lived(desk):
    """Two tasks with every kind of call; nothing is open."""
    begin(desk, "task-a")
    ask(desk, "task-a", 1)
    answer(desk, "task-a", response="msg_1")
    ask(desk, "task-a", 2, NOW + 1_000)
    fail(desk, "task-a", NOW + 1_500)
    ask(desk, "task-a", 3, NOW + 2_000)
    fail(desk, "task-a", NOW + 2_500, 50_000, 200)
    ask(desk, "task-a", 4, NOW + 3_000)
    answer(desk, "task-a", NOW + 3_500, 999, Usage(10, reported=False), prices="")
    begin(desk, "task-b")
    ask(desk, "task-b", 1, NOW + DAY, None, "openai", "own-model")
    answer(desk, "task-b", NOW + DAY + 5, None, Usage(20, output=5), "r-1", '{"source":"unpriced"}')
    desk.store.append("task-b", None, [e.Stopped("paused", "user")], NOW + DAY + 10)


def sql(desk, text, *values):
    return desk.store.connection.execute(text, values).fetchall()


def said(found):
    return [difference_text(each) for each in found.differences]
