"""Joining the parts: who is asked, what a new task records, and who may drive it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentctl import app, assembly, orders, registry, settings
from agentctl.control import Desk
from agentctl.core import events as e
from agentctl.core.state import State, fold
from agentctl.core.values import Limits, Message, Rates, Usage
from agentctl.errors import (
    EXIT_CODES,
    NotEnoughCredits,
    NotResumable,
    TaskBusy,
    UnknownPrice,
    UsageError,
)
from agentctl.limits_desk import set_credits
from agentctl.ports import Answer
from agentctl.store.lease import Lease


class Unpriced:
    """A provider from outside, of which no price is known."""

    name, default_model, max_output, paced = "outsider", "model-x", 400, True
    rates: Rates | None = None

    def __init__(self, model: str, options: dict[str, str]) -> None:
        self.model, self.options = model, options

    async def ask(self, request: Any, emit: Any) -> Answer:
        return Answer(Message("assistant", f"{self.model} answers"), Usage(50, output=5), "end")

    async def close(self) -> None:
        return None


class Free(Unpriced):
    """The same, free of charge."""

    name = "free"
    rates = Rates()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("AGENTCTL_HOME", str(tmp_path / "home"))
    for variable in [name for name in os.environ if name.startswith(("LLM_", "MAX_", "KEEP_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setitem(registry.PROVIDERS, "outsider", "tests.test_app:Unpriced")
    monkeypatch.setitem(registry.PROVIDERS, "free", "tests.test_app:Free")
    with Desk() as opened:
        yield opened


def order(tmp_path: Path, goal: str = "goal", **changes: Any) -> orders.Order:
    return orders.Order(
        goal=goal, settings=settings.Settings(**{"provider": "free", **changes}), cwd=tmp_path
    )


def run(tmp_path: Path, **changes: Any) -> app.Run:
    return app.Run(complain=print, ledger=tmp_path / "costs.json", **changes)


def log_of(desk: Desk, task_id: str) -> list[e.Event]:
    return [record.event for record in desk.store.read(task_id)]


# --- choosing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "env", "ollama", "expected"),
    [
        ("openai", {"ANTHROPIC_API_KEY": "k"}, True, "openai"),
        ("", {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}, True, "anthropic"),
        ("", {"OPENAI_API_KEY": "k"}, True, "openai"),
        ("", {"OPENAI_API_KEY": ""}, True, "ollama"),
        ("", {}, False, "offline"),
    ],
)
def test_the_first_usable_provider_is_taken(
    chosen: str, env: dict[str, str], ollama: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "_ollama_answers", lambda: ollama)
    assert assembly.choose_provider(chosen, env)[0] == expected


def test_a_provider_that_there_is_not_is_told_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="'nobody'") as told:
        assembly.make_provider("nobody", "", {})
    assert "offline" in told.value.next_step


def test_a_model_that_is_named_is_used_and_else_the_providers_own(desk: Desk) -> None:
    assert assembly.make_provider("free", "", {}).model == "model-x"
    assert assembly.make_provider("free", "mine", {}).model == "mine"


def test_tools_come_in_the_order_that_never_changes() -> None:
    assert [tool.spec.name for tool in assembly.tools("ask")] == list(registry.TOOLS)


def test_a_read_only_run_has_no_tool_that_changes_something() -> None:
    tools = assembly.tools("read-only")
    assert tools
    assert not [tool.spec.name for tool in tools if tool.spec.changes]


# --- ids and limits -----------------------------------------------------------------------------


def test_ids_are_eight_plain_characters_and_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for second in (1_800_000_000, 1_800_000_001, 1_900_000_000, 2_800_000_000):
        monkeypatch.setattr(orders.time, "time", lambda second=second: second + 0.9)
        ids.append(orders.new_id())
    assert ids == sorted(ids)
    assert all(len(one) == 8 and set(one) <= set(orders.ALPHABET) for one in ids)


def test_only_given_limits_change() -> None:
    flags = {"max_cost": "1.50", "max_tokens": None, "max_steps": "none", "timeout": "5m"}
    assert app.changed_limits(Limits(task_tokens=7), flags) == Limits(
        task_cost_micros=1_500_000, task_tokens=7, steps=None, wall_ms=300_000
    )


def test_a_bad_limit_names_its_flag() -> None:
    with pytest.raises(UsageError, match="--max-cost"):
        app.changed_limits(Limits(), {"max_cost": "-1"})


# --- ends ---------------------------------------------------------------------------------------


def ended(status: str, signal_name: str = "") -> int:
    created = e.TaskCreated("g", "", "p", "m", "/", Limits())
    return app.Ended(State(created, status=status), signal_name).exit_code


def test_every_end_has_its_exit_code_and_only_done_has_0() -> None:
    codes = {
        status: ended(status)
        for status in ("done", "failed", "limit", "paused", "cancelled", "waiting")
    }
    assert codes == {status: EXIT_CODES[status] for status in codes}
    assert len(set(codes.values())) == len(codes)
    assert [status for status, code in codes.items() if code == 0] == ["done"]


def test_a_signal_decides_the_code_unless_the_task_had_ended() -> None:
    assert ended("paused", "SIGTERM") == 143
    assert ended("paused", "SIGINT") == 130
    assert ended("failed", "SIGHUP") == 129
    assert ended("done", "SIGTERM") == 0
    assert ended("cancelled", "SIGTERM") == 5


# --- creating -----------------------------------------------------------------------------------


def test_a_new_task_records_what_it_was_given(desk: Desk, tmp_path: Path) -> None:
    task_id = orders.create(desk, order(tmp_path, system="Be brief.", approve="auto", max_steps=3))
    (created,) = log_of(desk, task_id)
    assert isinstance(created, e.TaskCreated)
    assert (created.goal, created.provider, created.model) == ("goal", "free", "model-x")
    assert created.system == f"{orders.SYSTEM_PROMPT}\nBe brief."
    assert (created.approve, created.cwd, created.limits.steps) == ("auto", str(tmp_path), 3)


@pytest.mark.parametrize(
    ("goal", "changes", "error"),
    [
        (" ", {}, UsageError),
        ("goal", {"provider": "nobody"}, UsageError),
        ("goal", {"provider": "scripted"}, UsageError),
        ("goal", {"provider": "outsider"}, UnknownPrice),
    ],
)
def test_what_could_not_be_run_is_not_created(
    desk: Desk, tmp_path: Path, goal: str, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        orders.create(desk, order(tmp_path, goal, **changes))
    assert desk.tasks() == []


@pytest.mark.parametrize(
    "changes", [{"allow_unpriced": True}, {"max_cost_micros": None, "max_cost_hour_micros": None}]
)
def test_an_unpriced_model_runs_when_the_user_said_so(
    desk: Desk, tmp_path: Path, changes: dict[str, Any]
) -> None:
    task_id = orders.create(desk, order(tmp_path, provider="outsider", **changes))
    state = app.drive(desk, task_id, run(tmp_path)).state
    assert (state.status, state.spent_micros, state.unpriced) == ("done", 0, 1)
    (record,) = json.loads((tmp_path / "costs.json").read_text())["records"]
    assert record["cost_micros"] is None


def test_the_users_own_price_makes_a_model_priced(desk: Desk, tmp_path: Path) -> None:
    prices = {"outsider/model-x": Rates(input=1_000_000, output=2_000_000)}
    task_id = orders.create(desk, order(tmp_path, provider="outsider", prices=prices))
    state = app.drive(desk, task_id, run(tmp_path, prices=prices)).state
    assert (state.spent_micros, state.unpriced) == (50 + 10, 0)


def test_text_that_cannot_be_stored_is_made_storable(desk: Desk, tmp_path: Path) -> None:
    (created,) = log_of(desk, orders.create(desk, order(tmp_path, "goal \udcff")))
    assert isinstance(created, e.TaskCreated)
    assert created.goal.startswith("goal \ufffd")


# --- driving ------------------------------------------------------------------------------------


def test_a_drive_is_recorded_with_its_process_and_ends(desk: Desk, tmp_path: Path) -> None:
    task_id = orders.create(desk, order(tmp_path))
    done = app.drive(desk, task_id, run(tmp_path))
    assert (done.exit_code, done.state.answer) == (0, "model-x answers")
    log = log_of(desk, task_id)
    assert log[1] == e.Resumed(os.getpid(), enforced=log[1].enforced)
    assert log[1].enforced.startswith("sandbox: ")
    assert isinstance(log[-1], e.Finished)
    assert not (desk.locks / f"{task_id}.lock").exists(), "an ended task leaves no lock"


def test_changes_of_a_resume_are_recorded_before_it(desk: Desk, tmp_path: Path) -> None:
    task_id = orders.create(desk, order(tmp_path))
    changes = run(tmp_path, limits={"max_steps": "7"}, model="other", approve="never")
    app.drive(desk, task_id, changes)
    _, changed, resumed, *_ = log_of(desk, task_id)
    assert changed == e.LimitChanged(Limits(steps=7), "resume")
    assert resumed == e.Resumed(
        os.getpid(), "tell", "", "other", "never", enforced=resumed.enforced
    )


def abandoned(desk: Desk, what: orders.Order) -> str:
    """A task whose process died right after its creation."""
    task_id = orders.create(desk, what)
    desk.leases.pop(task_id).release()
    return task_id


def test_a_pause_between_creation_and_the_first_step_is_heard(desk: Desk, tmp_path: Path) -> None:
    task_id = orders.create(desk, order(tmp_path))
    desk.pause(desk.find(task_id), now=False, reason="")
    ended = app.drive(desk, task_id, run(tmp_path))
    assert ended.state.status == "paused"
    assert not any(isinstance(event, e.ModelAsked) for event in log_of(desk, task_id))


def test_a_pause_while_the_provider_is_loaded_is_heard(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = abandoned(desk, order(tmp_path))
    load = assembly.make_provider

    def slow(*given: Any, **named: Any) -> Any:
        desk.pause(desk.find(task_id), now=False, reason="")
        return load(*given, **named)

    monkeypatch.setattr(assembly, "make_provider", slow)
    assert app.drive(desk, task_id, run(tmp_path)).state.status == "paused"


def test_a_second_driver_is_refused_and_nothing_is_written(desk: Desk, tmp_path: Path) -> None:
    task_id = abandoned(desk, order(tmp_path))
    held = Lease(desk.locks, task_id)
    with pytest.raises(TaskBusy, match=str(os.getpid())):
        app.drive(desk, task_id, run(tmp_path))
    held.release()
    assert len(log_of(desk, task_id)) == 1


def test_an_ended_task_is_refused(desk: Desk, tmp_path: Path) -> None:
    task_id = orders.create(desk, order(tmp_path))
    app.drive(desk, task_id, run(tmp_path))
    before = log_of(desk, task_id)
    with pytest.raises(NotResumable):
        app.drive(desk, task_id, run(tmp_path))
    assert log_of(desk, task_id) == before


def test_a_folder_that_is_gone_is_told_and_the_task_is_free_again(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    task_id = orders.create(desk, order(tmp_path / "work"))
    (tmp_path / "work").rmdir()
    with pytest.raises(UsageError, match="is gone"):
        app.drive(desk, task_id, run(tmp_path))
    (tmp_path / "work").mkdir()
    assert app.drive(desk, task_id, run(tmp_path)).exit_code == 0


def test_the_interrupted_and_the_paused_are_resumed_oldest_first(
    desk: Desk, tmp_path: Path
) -> None:
    ids = [abandoned(desk, order(tmp_path, f"goal {n}")) for n in range(4)]
    desk.store.append(ids[1], None, [e.Stopped("paused", "")], 1)
    desk.store.append(ids[2], None, [e.Stopped("failed", "")], 1)
    assert app.resumable(desk) == [ids[0], ids[1], ids[3]]
    held = Lease(desk.locks, ids[3])
    assert app.resumable(desk) == [ids[0], ids[1]], "one that runs is left alone"
    held.release()


def test_a_pause_of_an_interrupted_task_is_settled_at_once(desk: Desk, tmp_path: Path) -> None:
    task_id = abandoned(desk, order(tmp_path))
    asked = e.ModelAsked(1, "free", "model-x", 500, 60, 40)
    desk.store.append(task_id, 1, [], 1, intents=[asked])
    desk.pause(desk.find(task_id), now=False, reason="reboot")
    state = fold(desk.store.read(task_id))
    assert (state.status, state.spent_micros, state.asked) == ("paused", 500, None)


def test_a_waiting_task_that_is_paused_is_not_woken(desk: Desk, tmp_path: Path) -> None:
    task_id = abandoned(desk, order(tmp_path))
    desk.store.append(task_id, None, [e.Stopped("waiting", "a window is full", wake_ms=1)], 1)
    assert app.due(desk) == [task_id]
    said = desk.pause(desk.find(task_id), now=False, reason="")
    assert said == f"Task {task_id} was waiting; it is paused now."
    assert app.due(desk) == []
    assert desk.find(task_id).status == fold(desk.store.read(task_id)).status == "paused"
    assert app.drive(desk, task_id, run(tmp_path)).state.status == "done"


# --- another provider or model by a resume ------------------------------------------------------


def test_a_provider_that_a_resume_brings_in_is_asked_at_its_configured_address(
    desk: Desk, tmp_path: Path
) -> None:
    task_id = orders.create(desk, order(tmp_path))
    state = fold(desk.store.read(task_id))
    changes = {"provider": "outsider", "fallback": ("free/mine",), "limits": {}}
    asked_for: list[str] = []

    def address(name: str) -> str:
        asked_for.append(name)
        return "https://gateway.example"

    changed = run(tmp_path, address=address, shared=Limits(allow_unpriced=True), **changes)
    state.limits = Limits(allow_unpriced=True)
    made: Any = app._world(desk, state, changed)
    assert made.provider.options == {"base_url": "https://gateway.example"}
    assert asked_for == ["outsider"], "the task keeps the address of the provider it began with"
    assert "base_url" not in made.others["free/mine"].provider.options


def test_credits_are_asked_for_the_model_that_a_resume_names(desk: Desk, tmp_path: Path) -> None:
    prices = {"free/dear": 100}
    set_credits(desk, "default", "100", reason="")
    task_id = orders.create(desk, order(tmp_path, model="dear", credits=prices))
    set_credits(desk, "default", "5", reason="")
    shared = Limits(credits=prices)
    with pytest.raises(NotEnoughCredits):
        app.drive(desk, task_id, run(tmp_path, shared=shared))
    assert app.drive(desk, task_id, run(tmp_path, shared=shared, model="small")).exit_code == 0


def test_a_sandbox_that_cannot_be_had_is_told_before_there_is_a_task(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_tools: object, _cwd: str) -> str:
        raise UsageError("--sandbox strict cannot be had here")

    monkeypatch.setattr(orders, "confinement", refuse)
    with pytest.raises(UsageError, match="cannot be had"):
        orders.create(desk, order(tmp_path, sandbox_mode="strict"))
    assert desk.tasks(ended=True) == []
    orders.create(desk, order(tmp_path, sandbox_mode="strict", approve="read-only"))
