"""Pools that the tools of a run share: made when needed, kept for a while, closed at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agentctl.core.live import ToolOutput
from agentctl.errors import ToolError
from agentctl.ports import ToolContext
from agentctl.run.resources import SharedResources, Use
from agentctl.run.toolbelt import Toolbelt
from tests.run.belts import Seen, tool
from tests.run.parts import Do, Life, Listen, Play, call, says
from tests.sim import loop


class Shop:
    """Makes numbered things and remembers which it closed."""

    def __init__(self) -> None:
        self.made = 0
        self.closed: list[int] = []

    async def make(self) -> int:
        self.made += 1
        return self.made

    async def close(self, thing: int) -> None:
        self.closed.append(thing)


def run(process: Callable[[SharedResources, Shop], Awaitable[Any]]) -> Shop:
    shop = Shop()

    async def whole() -> None:
        await process(SharedResources(), shop)

    loop.run(whole(), 0.0)
    return shop


def test_a_thing_is_made_when_needed_and_used_again() -> None:
    async def process(shared: SharedResources, shop: Shop) -> None:
        pool = shared.pool("db", shop.make, shop.close)
        assert shop.made == 0
        for _ in range(3):
            async with pool.acquire() as thing:
                assert thing == 1
        assert shared.usage() == [Use("db", 5, 0, 1, 0, 1)]

    assert run(process).closed == []


def test_the_same_name_is_the_same_pool() -> None:
    async def process(shared: SharedResources, shop: Shop) -> None:
        assert shared.pool("db", shop.make, shop.close) is shared.pool("db", shop.make, shop.close)

    run(process)


def test_no_more_are_in_use_than_the_pool_holds_and_others_wait() -> None:
    async def process(shared: SharedResources, shop: Shop) -> None:
        pool = shared.pool("db", shop.make, shop.close, size=2)

        async def use() -> None:
            async with pool.acquire():
                await asyncio.sleep(1)

        await asyncio.gather(*(use() for _ in range(5)))
        assert shared.usage() == [Use("db", 2, 0, 2, 3, 2)]

    run(process)


def test_whoever_waits_too_long_is_told() -> None:
    async def process(shared: SharedResources, shop: Shop) -> None:
        pool = shared.pool("db", shop.make, shop.close, size=1, acquire_ms=500)
        async with pool.acquire():
            with pytest.raises(
                ToolError, match=r"All 1 of the pool db were in use for 0\.5 s"
            ) as told:
                async with pool.acquire():
                    raise AssertionError("it is in use")
        assert told.value.retriable
        async with pool.acquire() as thing:
            assert thing == 1

    run(process)


def test_what_lay_idle_too_long_is_closed() -> None:
    async def process(shared: SharedResources, shop: Shop) -> None:
        pool = shared.pool("db", shop.make, shop.close, idle_ms=1_000)
        async with pool.acquire(), pool.acquire():
            pass
        async with pool.acquire():
            await asyncio.sleep(0.5)
        await asyncio.sleep(0.7)
        assert shop.closed == []
        async with pool.acquire():  # one was used lately, the other was not
            assert len(shop.closed) == 1

    run(process)


@pytest.mark.parametrize(
    ("error", "closed"), [(OSError("reset"), [1]), (ToolError("no such row"), [])]
)
def test_what_may_be_broken_is_not_used_again(error: Exception, closed: list[int]) -> None:
    async def process(shared: SharedResources, shop: Shop) -> None:
        pool = shared.pool("db", shop.make, shop.close)
        with pytest.raises(type(error)):
            async with pool.acquire():
                raise error
        assert shop.closed == closed

    run(process)


def test_what_cannot_be_made_leaves_its_place_free() -> None:
    async def process(shared: SharedResources, shop: Shop) -> None:
        async def refuse() -> None:
            raise OSError("refused")

        pool = shared.pool("db", refuse, shop.close, size=1)
        for _ in range(2):
            with pytest.raises(OSError, match="refused"):
                async with pool.acquire():
                    raise AssertionError("it was refused")
        assert shared.usage() == [Use("db", 1, 0, 0, 0, 1)]

    run(process)


def test_all_is_closed_at_the_end_the_last_pool_first() -> None:
    async def process(shared: SharedResources, shop: Shop) -> None:
        for name in ("a", "b"):
            async with shared.pool(name, shop.make, shop.close).acquire():
                pass
        await shared.close()
        await shared.close()
        with pytest.raises(ToolError, match="the run has ended"):
            async with shared.pool("a", shop.make, shop.close).acquire():
                raise AssertionError("it is closed")

    assert run(process).closed == [2, 1]


def test_what_is_still_in_use_at_the_end_is_closed_when_given_back() -> None:
    async def process(shared: SharedResources, shop: Shop) -> None:
        async with shared.pool("a", shop.make, shop.close).acquire():
            await shared.close()
            assert shop.closed == []
        assert shop.closed == [1]

    run(process)


@pytest.mark.parametrize("fault", ["raises", "hangs"])
def test_one_that_does_not_close_holds_nobody_up(fault: str) -> None:
    async def process(shared: SharedResources, shop: Shop) -> None:
        async def close(thing: int) -> None:
            if fault == "hangs":
                await asyncio.sleep(10**9)
            raise OSError("stuck")

        for name, how in (("a", shop.close), ("b", close)):
            async with shared.pool(name, shop.make, how).acquire():
                pass
        await shared.close()

    assert run(process).closed == [1]


def test_a_pool_without_a_place_is_refused() -> None:
    async def process(shared: SharedResources, shop: Shop) -> None:
        with pytest.raises(ValueError, match="at least one"):
            shared.pool("db", shop.make, shop.close, size=0)

    run(process)


# --- in a belt ----------------------------------------------------------------------------------


def test_tools_of_a_run_share_what_one_of_them_made() -> None:
    shop, things = Shop(), []

    async def work(context: ToolContext) -> str:
        assert context.resources is not None
        async with context.resources.pool("db", shop.make, shop.close).acquire() as thing:
            things.append(thing)
        return "done"

    seen = Seen(tool("a", work), tool("b", work), max_concurrent=1)
    seen.run(call("a"), call("b"))
    assert things == [1, 1]
    assert seen.belt.usage() == [Use("db", 5, 0, 1, 0, 1)]


def test_what_tools_shared_ends_after_them() -> None:
    steps: list[str] = []

    class Living(Do):
        async def start(self, resources: Any) -> None:
            async def make() -> str:
                return "thing"

            async def close(_thing: str) -> None:
                steps.append("pool")

            async with resources.pool("db", make, close).acquire():
                pass

        async def health(self) -> str:
            return ""

        async def close(self) -> None:
            steps.append("tool")

    async def process() -> None:
        belt = Toolbelt([Living("a")], "/")
        await belt.open(print)
        await belt.close()

    loop.run(process(), 0.0)
    assert steps == ["tool", "pool"]


def test_whoever_watches_is_told_how_a_pool_was_used() -> None:
    async def make() -> str:
        return "connection"

    async def end(_item: str) -> None:
        return None

    async def use(context: ToolContext) -> str:
        assert context.resources is not None
        pool = context.resources.pool("db", make, end, size=2)
        async with pool.acquire() as item:
            return str(item)

    life, live = Life(), Listen(live=True)
    life.drive(Play(says("", call()), says("done")), [Do("look", use)], listeners=[live])
    heard = [item.text for item in live.heard if isinstance(item, ToolOutput)]
    assert "pool db: 1 made, at most 1 of 2 in use, 0 had to wait" in heard
