"""Look-ups merged: when a batch goes, who gets which answer, and what a cancelled one leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest

from agentctl.run.batcher import Batch, Batcher
from tests.sim import loop


class Load:
    """Doubles numbers; takes a while, fails and gives too little as a test wants."""

    def __init__(self, *, seconds: float = 0, bad: Sequence[int] = (), short: int = 0) -> None:
        self.seconds, self.bad, self.short = seconds, bad, short
        self.asked: list[list[int]] = []
        self.cut = 0

    async def __call__(self, items: Sequence[int]) -> Sequence[int | Exception]:
        self.asked.append(list(items))
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cut += 1
            raise
        answers = [ValueError(f"{one}") if one in self.bad else one * 2 for one in items]
        return answers[: len(items) - self.short]


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """In virtual time; afterwards no task may be left."""

    async def process() -> None:
        await test()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    loop.run(process(), 0.0)


async def begun(*waits: Awaitable[Any]) -> list[asyncio.Future[Any]]:
    """Let these begin, as far as they come without time passing."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


def gets(batcher: Batcher[int, int], *items: int) -> list[Awaitable[int]]:
    return [batcher.get(item) for item in items]


# --- when a batch goes --------------------------------------------------------------------------


def test_a_batch_goes_when_it_is_full_and_does_not_wait() -> None:
    async def test() -> None:
        load, told = Load(), list[Batch]()
        batcher = Batcher(load, size=3, on_batch=told.append)
        assert await asyncio.gather(*gets(batcher, 3, 1, 2)) == [6, 2, 4]
        assert load.asked == [[3, 1, 2]]
        assert told == [Batch(3, 3, 0, "size")]

    run(test)


def test_one_that_is_not_full_goes_after_the_wait_from_its_first_item_on() -> None:
    async def test() -> None:
        load, told = Load(), list[Batch]()
        batcher = Batcher(load, wait_ms=100, on_batch=told.append)
        first = await begun(batcher.get(1))
        await asyncio.sleep(0.06)
        second = await begun(batcher.get(2))
        await asyncio.sleep(0.03)
        assert load.asked == []
        await asyncio.sleep(0.02)
        assert load.asked == [[1, 2]]
        assert await asyncio.gather(*first, *second) == [2, 4]
        assert told == [Batch(2, 2, 100, "time")]

    run(test)


def test_the_wait_is_the_one_that_was_given() -> None:
    async def test() -> None:
        slept: list[float] = []
        go = asyncio.Event()

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            await go.wait()

        load = Load()
        (first,) = await begun(Batcher(load, wait_ms=250, sleep=sleep).get(1))
        assert (slept, load.asked) == ([0.25], [])
        go.set()
        assert await first == 2

    run(test)


def test_many_go_at_once_without_a_wait_and_are_answered_in_order() -> None:
    async def test() -> None:
        load, told = Load(), list[Batch]()
        batcher = Batcher(load, size=3, on_batch=told.append)
        assert await batcher.many([5, 4, 3, 2, 1, 0, 7]) == [10, 8, 6, 4, 2, 0, 14]
        assert load.asked == [[5, 4, 3], [2, 1, 0], [7]]
        assert [(batch.items, batch.why) for batch in told] == [
            (3, "size"),
            (3, "size"),
            (1, "flush"),
        ]
        assert asyncio.get_running_loop().time() < 0.1

    run(test)


def test_many_take_along_what_waits_already() -> None:
    async def test() -> None:
        load = Load()
        batcher = Batcher(load)
        (waiting,) = await begun(batcher.get(1))
        assert await batcher.many([2]) == [4]
        assert await waiting == 2
        assert load.asked == [[1, 2]]

    run(test)


def test_none_of_many_loads_nothing() -> None:
    async def test() -> None:
        load = Load()
        batcher = Batcher(load)
        (waiting,) = await begun(batcher.get(1))
        assert await batcher.many([]) == []
        assert load.asked == []
        await waiting

    run(test)


def test_equal_items_of_a_batch_are_loaded_once() -> None:
    async def test() -> None:
        load, told = Load(bad=[2]), list[Batch]()
        batcher = Batcher(load, size=2, on_batch=told.append)
        one, again, bad = await batcher.many([1, 1, 2])
        assert (one, again, str(bad)) == (2, 2, "2")
        assert load.asked == [[1, 2]]
        assert told == [Batch(3, 2, 0, "size")]

    run(test)


def test_a_batch_does_not_wait_for_the_one_before() -> None:
    async def test() -> None:
        load = Load(seconds=10)
        batcher = Batcher(load, size=1)
        await asyncio.gather(*gets(batcher, 1, 2))
        assert asyncio.get_running_loop().time() < 11

    run(test)


def test_a_batch_holds_at_least_one_item() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Batcher(Load(), size=0)


# --- errors -------------------------------------------------------------------------------------


def test_the_error_of_one_item_is_raised_for_it_alone() -> None:
    async def test() -> None:
        batcher = Batcher(Load(bad=[2]), size=3)
        one, bad, three = await asyncio.gather(*gets(batcher, 1, 2, 3), return_exceptions=True)
        assert (one, three) == (2, 6)
        assert isinstance(bad, ValueError)

    run(test)


def test_a_load_that_raises_fails_every_item_and_the_next_batch_is_loaded() -> None:
    async def test() -> None:
        error, calls = OSError("no network"), list[int]()

        async def load(items: Sequence[int]) -> Sequence[int]:
            calls.extend(items)
            if items[0] == 1:
                raise error
            return items

        batcher: Batcher[int, int] = Batcher(load, size=2)
        assert await asyncio.gather(*gets(batcher, 1, 2), return_exceptions=True) == [error] * 2
        assert await batcher.many([1]) == [error]
        assert await batcher.many([3]) == [3]

    run(test)


@pytest.mark.parametrize("short", [1, 2, -1])
def test_too_few_answers_are_told(short: int) -> None:
    async def test() -> None:
        async def load(items: Sequence[int]) -> Sequence[int]:
            return [0] * (len(items) - short)

        batcher: Batcher[int, int] = Batcher(load)
        for answer in await batcher.many([1, 2]):
            assert isinstance(answer, RuntimeError)
            assert str(answer) == f"A batch of 2 was given {2 - short} answers."

    run(test)


# --- cancelling ---------------------------------------------------------------------------------


async def cancelled(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_cancelling_one_leaves_the_others_alone() -> None:
    async def test() -> None:
        load = Load(seconds=10)
        batcher = Batcher(load, size=3)
        one, two, three = await begun(*gets(batcher, 1, 2, 3))
        await cancelled(two)
        assert await asyncio.gather(one, three) == [2, 6]
        assert load.cut == 0

    run(test)


def test_cancelling_one_of_two_who_wait_for_the_same_leaves_the_other_alone() -> None:
    async def test() -> None:
        batcher = Batcher(Load(seconds=10))
        one, same = await begun(*gets(batcher, 1, 1))
        await cancelled(one)
        assert await same == 2

    run(test)


def test_what_nobody_waits_for_any_more_is_not_loaded() -> None:
    async def test() -> None:
        load, told = Load(), list[Batch]()
        one, two = await begun(*gets(Batcher(load, on_batch=told.append), 1, 2))
        await cancelled(one)
        assert await two == 4
        assert load.asked == [[2]]
        assert (told[0].items, told[0].distinct) == (1, 1)

    run(test)


def test_cancelling_the_last_one_cancels_the_load() -> None:
    async def test() -> None:
        load = Load(seconds=10)
        batcher = Batcher(load, size=2)
        one, two = await begun(*gets(batcher, 1, 2))
        await cancelled(one)
        assert load.cut == 0
        await cancelled(two)
        assert load.cut == 1

    run(test)


def test_cancelling_the_last_one_before_the_batch_went_loads_nothing() -> None:
    async def test() -> None:
        load = Load()
        batcher = Batcher(load)
        (one,) = await begun(batcher.get(1))
        await cancelled(one)
        await asyncio.sleep(10)
        assert load.asked == []
        assert await batcher.many([2]) == [4]

    run(test)


def test_cancelling_many_cancels_all_their_loads() -> None:
    async def test() -> None:
        load = Load(seconds=10)
        (all_of_them,) = await begun(Batcher(load, size=2).many([1, 2, 3, 4, 5]))
        await cancelled(all_of_them)
        assert (len(load.asked), load.cut) == (3, 3)

    run(test)


def test_cancelling_many_leaves_those_alone_who_wait_for_the_same() -> None:
    async def test() -> None:
        batcher = Batcher(Load(seconds=10))
        one, both = await begun(batcher.get(1), batcher.many([1, 2]))
        await cancelled(both)
        assert await one == 2

    run(test)


def test_a_load_is_cancelled_once_and_may_end_in_peace() -> None:
    async def test() -> None:
        ended: list[str] = []

        async def load(items: Sequence[int]) -> Sequence[int]:
            try:
                await asyncio.sleep(10)
            finally:
                await asyncio.sleep(5)
                ended.append("closed")
            return items

        batcher: Batcher[int, int] = Batcher(load, size=2)
        waiting = await begun(*gets(batcher, 1, 2))
        for task in waiting:
            task.cancel()
        await batcher.close()
        assert ended == ["closed"]
        await asyncio.wait(waiting)

    run(test)


# --- closing ------------------------------------------------------------------------------------


def test_closing_cancels_what_is_under_way_and_leaves_no_task() -> None:
    async def test() -> None:
        load = Load(seconds=10)
        batcher = Batcher(load, size=2)
        waiting = await begun(*gets(batcher, 1, 2, 3), batcher.many([]))
        assert load.asked == [[1, 2]]
        await batcher.close()
        assert load.cut == 1
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 3 + [list]
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await batcher.close()

    run(test)


def test_a_closed_one_says_so() -> None:
    async def test() -> None:
        batcher = Batcher(Load())
        await batcher.close()
        with pytest.raises(RuntimeError, match="closed"):
            await batcher.get(1)

    run(test)
