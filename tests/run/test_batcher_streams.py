"""Batches whose load answers one by one: who is told when, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from agentctl.run.batcher import Batcher
from tests.run.test_batcher import begun, cancelled, gets, run


def test_a_load_may_answer_each_item_as_soon_as_it_is_known() -> None:
    async def test() -> None:
        async def load(items: Sequence[int]) -> AsyncGenerator[tuple[int, int], None]:
            for item in reversed(items):
                await asyncio.sleep(1)
                yield item, item * 2

        one, two = await begun(*gets(Batcher(load, size=2), 1, 2))
        assert (await two, one.done()) == (4, False)
        assert await one == 2

    run(test)


def test_what_such_a_load_leaves_out_is_told_and_what_it_raises() -> None:
    async def test() -> None:
        async def leaves_out(items: Sequence[int]) -> AsyncGenerator[tuple[int, int], None]:
            yield items[1], 0

        async def fails(items: Sequence[int]) -> AsyncGenerator[tuple[int, int], None]:
            yield items[1], 0
            raise OSError("gone")

        error, known = await Batcher[int, int](leaves_out).many([1, 2])
        assert (str(error), known) == ("A batch of 2 was given 1 answers.", 0)
        error, known = await Batcher[int, int](fails).many([1, 2])
        assert (str(error), known) == ("gone", 0)

    run(test)


def test_cancelling_the_last_one_ends_such_a_load_too() -> None:
    async def test() -> None:
        ended: list[int] = []

        async def load(items: Sequence[int]) -> AsyncGenerator[tuple[int, int], None]:
            try:
                yield items[0], 0
                await asyncio.sleep(10)
            finally:
                ended.append(len(items))

        one, two = await begun(*gets(Batcher(load, size=2), 1, 2))
        assert (await one, ended) == (0, [])
        await cancelled(two)
        assert ended == [2]

    run(test)


def test_the_last_answer_is_told_when_such_a_load_has_ended() -> None:
    async def test() -> None:
        ended: list[str] = []

        async def load(items: Sequence[int]) -> AsyncGenerator[tuple[int, int], None]:
            for item in items:
                yield item, item * 2
            await asyncio.sleep(10)
            ended.append("closed")

        one, two = await begun(*gets(Batcher(load, size=2), 1, 2))
        assert (one.done(), two.done(), ended) == (True, False, [])
        assert (await two, ended) == (4, ["closed"])

    run(test)
