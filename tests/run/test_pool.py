"""A pool: as many jobs at once as there are workers, in their order, until it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from agentctl.run.pool import Pool


class Jobs:
    """Jobs that end when the test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.running = 0
        self.most = 0
        self.after: Callable[[str], None] = lambda job: None

    async def work(self, job: str) -> None:
        self.begun.append(job)
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        self.after(job)


def run(jobs: Jobs, names: str, workers: int, pool: Pool[str] | None = None) -> list[str]:
    """Capital letters have a higher priority, and digits a lower one."""

    def priority(name: str) -> int:
        return 1 if name.isupper() else -1 if name.isdigit() else 0

    return asyncio.run((pool or Pool(jobs.work)).run(names, workers, priority))


@pytest.mark.parametrize("workers", [1, 3, 50])
def test_never_more_jobs_run_than_there_are_workers_and_all_are_done(workers: int) -> None:
    jobs = Jobs()
    assert run(jobs, "abcdefgh", workers) == []
    assert sorted(jobs.begun) == list("abcdefgh")
    assert jobs.most == min(workers, 8)


def test_a_higher_priority_begins_first_and_equals_in_their_order() -> None:
    jobs = Jobs()
    run(jobs, "b1A2aBc", 1)
    assert "".join(jobs.begun) == "ABbac12"


def test_after_a_stop_nothing_more_begins_and_what_runs_goes_on() -> None:
    jobs = Jobs()
    pool = Pool(jobs.work)
    jobs.after = lambda job: pool.stop() if job == "b" else None
    assert run(jobs, "abcdef", 2, pool) == list("def")
    assert (jobs.begun, jobs.running) == (list("abc"), 0)


def test_no_job_is_no_work() -> None:
    assert run(Jobs(), "", 4) == []


def test_what_a_job_raises_ends_the_pool() -> None:
    jobs = Jobs()

    def fail(job: str) -> None:
        raise LookupError(job)

    jobs.after = fail
    with pytest.raises(LookupError):
        run(jobs, "abc", 2)
