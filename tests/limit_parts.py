"""A state home with a fixed time, and tasks in it, for tests of limits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentctl import limit_lines, limits_desk
from agentctl.control import Desk
from agentctl.core import events as e
from agentctl.core.rows import Gate
from agentctl.core.values import Limits, Message, Usage

NOW = 1_800_000_000_000
MINUTE_MS = 60_000
LIMITS = Limits()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for name in ("AGENTCTL_ACCOUNT", "AGENTCTL_TIER", "MAX_COST_PER_HOUR", "MAX_COST_PER_DAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AGENTCTL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AGENTCTL_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text("max_cost_day = 20\n")
    for module in (limits_desk, limit_lines):
        monkeypatch.setattr(module, "now_ms", lambda: NOW)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    with Desk() as made:
        yield made
    monkeypatch.undo()
    time.tzset()


def created(account: str = "default", limits: Limits = LIMITS, name: str = "") -> e.TaskCreated:
    return e.TaskCreated("goal", "", "sim", "sim-1", "/", limits, name, account=account)


def begin(desk: Desk, *facts: e.Event, task: str = "t1", **of_task: Any) -> str:
    assert desk.store.create(task, created(**of_task), NOW - 10 * MINUTE_MS)
    desk.store.append(task, None, facts, NOW - 5 * MINUTE_MS)
    return task


def spend(desk: Desk, cost_micros: int, task: str = "t1", gate: Gate | None = None) -> None:
    """A model call, asked five minutes before now and settled."""
    asked = e.ModelAsked(1, "sim", "sim-1", cost_micros, 500, 400)
    usage = Usage(input=1_000, output=100)
    answer = e.ModelAnswered(Message("assistant", "hi"), usage, "tools", cost_micros)
    moment_ms = NOW - 5 * MINUTE_MS if gate is None else NOW - 10_000
    result = desk.store.append(task, None, [], moment_ms, intents=[asked], gate=gate or Gate())
    assert not result.refused
    desk.store.append(task, None, [answer], moment_ms)


def refuse(limit: str = "task_cost_micros", tool: str = "", cap: int = 10) -> e.LimitReached:
    return e.LimitReached("cost", limit, 9, cap, 4, "micros", tool)
