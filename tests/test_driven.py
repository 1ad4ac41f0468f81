"""Several tasks in one loop: each is driven as if it were alone, and is free again at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from agentctl import app, assembly, orders, registry, settings
from agentctl.control import Desk
from agentctl.core.state import State
from agentctl.core.values import Message, Rates, Usage
from agentctl.errors import TaskBusy
from agentctl.ports import Answer
from agentctl.run.driver import Driver
from agentctl.store.lease import Lease, owner


class Together:
    """A provider that answers only once so many calls have come as the test waits for."""

    name, default_model, max_output, paced = "together", "m", 400, False
    rates: Rates | None = Rates()
    due: ClassVar[int] = 0
    came: ClassVar[asyncio.Event]
    asked: ClassVar[asyncio.Event]

    def __init__(self, model: str, options: dict[str, str]) -> None:
        self.model, self.options = model, options

    async def ask(self, request: Any, emit: Any) -> Answer:
        Together.asked.set()
        Together.due -= 1
        if Together.due == 0:
            Together.came.set()
        await Together.came.wait()
        return Answer(Message("assistant", request.messages[-1].text), Usage(5, output=5), "end")

    async def close(self) -> None:
        return None


class Nameless(Together):
    """Its server names its model."""

    default_model = ""

    async def resolve(self) -> str:
        await asyncio.sleep(0)
        return "of the server"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("AGENTCTL_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(registry.PROVIDERS, "together", "tests.test_driven:Together")
    monkeypatch.setitem(registry.PROVIDERS, "nameless", "tests.test_driven:Nameless")
    with Desk() as opened:
        yield opened


def run(tmp_path: Path) -> app.Run:
    return app.Run(complain=print, ledger=tmp_path / "costs.json")


def created(desk: Desk, tmp_path: Path, *goals: str, provider: str = "together") -> list[str]:
    chosen = settings.Settings(provider=provider)
    return [
        orders.create(desk, orders.Order(goal=goal, settings=chosen, cwd=tmp_path))
        for goal in goals
    ]


def begin(due: int) -> None:
    Together.due, Together.came, Together.asked = due, asyncio.Event(), asyncio.Event()


def all_driven(
    desk: Desk, tmp_path: Path, ids: list[str], due: int, on_driver: Callable[[Driver], None]
) -> list[State]:
    async def drive() -> list[State]:
        begin(due)
        runs = (app.driven(desk, each, run(tmp_path), on_driver=on_driver) for each in ids)
        return await asyncio.gather(*runs)

    return asyncio.run(drive())


def test_tasks_of_one_desk_are_driven_side_by_side_and_are_free_at_the_end(
    desk: Desk, tmp_path: Path
) -> None:
    ids = created(desk, tmp_path, "one", "two", "three")
    states = all_driven(desk, tmp_path, ids, 3, lambda _: None)  # alone, none would be answered
    assert [state.answer for state in states] == ["one", "two", "three"]
    assert [owner(desk.locks, task_id) for task_id in ids] == [0, 0, 0]


def test_interrupting_one_leaves_the_others_running(desk: Desk, tmp_path: Path) -> None:
    ids = created(desk, tmp_path, "one", "two")

    def seize(driver: Driver) -> None:
        if driver.task_id == ids[0]:
            driver.interrupt("SIGINT")

    states = all_driven(desk, tmp_path, ids, 1, seize)
    assert [state.status for state in states] == ["paused", "done"]
    Lease(desk.locks, ids[0]).release()


def test_a_request_by_the_same_connection_is_heard(desk: Desk, tmp_path: Path) -> None:
    ids = created(desk, tmp_path, "one", "two")

    def cancel_other(driver: Driver) -> None:
        if driver.task_id == ids[1]:  # the first has been asked, and waits for its answer
            desk.cancel(desk.find(ids[0]), reason="")

    async def drive() -> list[State]:
        begin(3)
        first = asyncio.create_task(app.driven(desk, ids[0], run(tmp_path)))
        await Together.asked.wait()
        second = app.driven(desk, ids[1], run(tmp_path), on_driver=cancel_other)
        second_driving = asyncio.create_task(second)
        cancelled = await first
        Together.came.set()
        return [cancelled, await second_driving]

    assert [state.status for state in asyncio.run(drive())] == ["cancelled", "done"]


def test_a_task_whose_await_is_cancelled_is_free_again(desk: Desk, tmp_path: Path) -> None:
    (task_id,) = created(desk, tmp_path, "one")

    async def drive() -> None:
        begin(2)
        begun = asyncio.Event()
        driven = app.driven(desk, task_id, run(tmp_path), on_driver=lambda _: begun.set())
        driving = asyncio.create_task(driven)
        await begun.wait()
        with pytest.raises(TaskBusy):
            Lease(desk.locks, task_id)
        driving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await driving

    asyncio.run(drive())
    assert desk.find(task_id).status == "interrupted"


def test_a_server_is_asked_for_its_model_also_within_a_loop(desk: Desk, tmp_path: Path) -> None:
    async def make() -> str:
        return assembly.make_provider("nameless", "", {}).model

    assert asyncio.run(make()) == "of the server"
