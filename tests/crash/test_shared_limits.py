"""Limits that all processes of a state home share hold at every moment, killed or not."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentctl.control import Desk, now_ms
from agentctl.core import events as e
from agentctl.core.values import Limits, Message, Usage
from agentctl.ports import Answer
from agentctl.store import limit_queries
from agentctl.store.lease import Lease
from tests.crash.helpers import ROOT, running
from tests.crash.spender import BREAKER
from tests.run.parts import Life, Play, says

SPENDERS, CALLS = 8, 50
CAP_MICROS = 1_200_000
MOST_MICROS = 20_000
"""Of one call, which costs three quarters of its reserve on average: 400 would spend 2 limits."""
USED_LEAST = 0.97
RATE = 10
"""Calls a minute, as spender.py sets it."""


class Hands:
    """Several processes of one state home, one task each."""

    def __init__(self, desk: Desk, processes: list[subprocess.Popen[str]]) -> None:
        self.desk = desk
        self.processes = processes

    def ask(self, number: int, name: str, **arguments: Any) -> Any:
        """Have one process do something and return its answer."""
        self.send(number, name, **arguments)
        return self.heard(number)

    def all(self, name: str, **arguments: Any) -> list[Any]:
        """Have all do the same at the same moment."""
        return self.each(name, [arguments] * len(self.processes))

    def each(self, name: str, arguments: list[dict[str, Any]]) -> list[Any]:
        """Have each do the same in its own way at the same moment."""
        for number, own in enumerate(arguments):
            self.send(number, name, **own)
        return [self.heard(number) for number in range(len(arguments))]

    def send(self, number: int, name: str, **arguments: Any) -> None:
        pipe = self.processes[number].stdin
        assert pipe is not None
        pipe.write(json.dumps([name, arguments]) + "\n")
        pipe.flush()

    def heard(self, number: int) -> Any:
        """The answer of a process; None from one that died."""
        pipe = self.processes[number].stdout
        assert pipe is not None
        line = pipe.readline()
        return json.loads(line) if line else None


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("AGENTCTL_HOME", str(tmp_path / "home"))
    with Desk() as opened:
        yield opened


def create(desk: Desk, task_id: str, account: str = "default") -> None:
    event = e.TaskCreated("goal", "", "sim", "sim-1", "/", Limits(), account=account)
    assert desk.store.create(task_id, event, now_ms())


@contextmanager
def hands(desk: Desk, count: int, accounts: tuple[str, ...] = ("default",)) -> Iterator[Hands]:
    """Start processes with a task each and wait until all are ready."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "AGENTCTL_HOME": str(desk.home)}
    with ExitStack() as stack:
        processes = []
        for number in range(count):
            create(desk, f"t{number}", accounts[number % len(accounts)])
            command = [sys.executable, "-m", "tests.crash.spender", f"t{number}"]
            process = subprocess.Popen(
                command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            processes.append(stack.enter_context(running(process)))
        made = Hands(desk, processes)
        assert [made.heard(number) for number in range(count)] == ["ready"] * count
        yield made


def column(desk: Desk, sql: str, *values: object) -> list[Any]:
    return [row[0] for row in desk.store.connection.execute(sql, values).fetchall()]


def total(desk: Desk, sql: str) -> int:
    return int(column(desk, sql)[0] or 0)


# --- money --------------------------------------------------------------------------------------


@pytest.mark.parametrize("killed", [0, 3])
def test_eight_processes_use_up_an_hour_and_never_pass_it(
    desk: Desk, tmp_path: Path, killed: int
) -> None:
    """50 calls each at random prices; the bill is kept outside, before any answer is recorded."""
    bill, seed, at_ms = tmp_path / "bill", 20 + killed, now_ms()
    rng = random.Random(seed)
    victims = rng.sample(range(SPENDERS), killed)
    shared = {"cap_micros": CAP_MICROS, "most_micros": MOST_MICROS, "calls": CALLS, "at_ms": at_ms}
    orders = [
        {**shared, "bill": str(bill), "seed": seed * 100 + number, "dies_at": -1}
        for number in range(SPENDERS)
    ]
    for victim in victims:
        orders[victim]["dies_at"] = rng.randint(0, 10)
    watch_spend(desk)
    with hands(desk, SPENDERS) as spenders:
        ends = spenders.each("spend", orders)
        codes = [spenders.processes[victim].wait() for victim in victims]
        assert codes == [-signal.SIGKILL] * killed
        assert [number for number, end in enumerate(ends) if end is None] == sorted(victims)
        assert sum(end["refused"] for end in ends if end) > SPENDERS, "they have met the limit"
        desk.settle_dead()
        check_books(desk, bill, killed)


def watch_spend(desk: Desk) -> None:
    """Have the database note what is spent and reserved, within each change's transaction."""
    desk.store.connection.execute("CREATE TABLE moments (micros INTEGER)")
    for change in ("INSERT", "UPDATE"):
        desk.store.connection.execute(
            f"CREATE TRIGGER watch_{change} AFTER {change} ON spend"
            " BEGIN INSERT INTO moments SELECT sum(micros) FROM spend; END"
        )


def check_books(desk: Desk, bill: Path, killed: int) -> None:
    """Billed ≤ limit, 97 % of it used, nothing open, and every sum of the store is the same."""
    billed = sum(int(line.split()[1]) for line in bill.read_text().splitlines())
    assert billed <= CAP_MICROS
    assert max(column(desk, "SELECT micros FROM moments")) <= CAP_MICROS
    assert column(desk, "SELECT count(*) FROM usage WHERE state = 'open'") == [0]
    settled = total(desk, "SELECT sum(cost_micros) FROM usage WHERE state = 'settled'")
    unsettled = total(desk, "SELECT sum(cost_micros) FROM usage WHERE state = 'unsettled'")
    assert settled <= billed <= settled + unsettled <= CAP_MICROS
    assert column(desk, "SELECT count(*) FROM usage WHERE state = 'unsettled'")[0] <= killed
    assert settled + unsettled >= USED_LEAST * CAP_MICROS
    if not killed:
        assert billed == settled
    assert total(desk, "SELECT sum(micros) FROM spend") == settled + unsettled
    assert total(desk, "SELECT sum(cost_micros) FROM sums") == settled
    assert total(desk, "SELECT sum(unsettled_micros) FROM sums") == unsettled
    assert total(desk, "SELECT sum(cost_micros) FROM tasks") == settled + unsettled


def test_what_a_dead_process_reserved_is_settled_and_a_living_ones_left_alone(desk: Desk) -> None:
    with hands(desk, 2) as both:
        assert both.all("ask", at_ms=now_ms(), reserve_micros=700) == ["", ""]
        both.processes[0].kill()
        both.processes[0].wait()
        desk.settle_dead()
        states = column(desk, "SELECT state FROM usage JOIN tasks ON no = task ORDER BY tasks.id")
        assert states == ["unsettled", "open"]
        both.ask(1, "answer", at_ms=now_ms(), cost_micros=300)
    assert total(desk, "SELECT sum(micros) FROM spend") == 700 + 300


def test_a_dead_process_is_settled_once_however_many_sweep_at_the_same_moment(desk: Desk) -> None:
    with hands(desk, SPENDERS) as group:
        group.all("ask", at_ms=now_ms(), reserve_micros=700)
        for dead in group.processes[:2]:
            dead.kill()
            dead.wait()
        for number in range(2, SPENDERS):
            group.send(number, "sweep")
        for number in range(2, SPENDERS):
            group.heard(number)
        states = column(desk, "SELECT state FROM usage ORDER BY task")
        assert states == ["unsettled"] * 2 + ["open"] * 6
    assert column(desk, "SELECT cost_micros FROM tasks ORDER BY no") == [700] * 2 + [0] * 6
    assert total(desk, "SELECT sum(micros) FROM spend") == 700 * SPENDERS


def test_an_answer_is_kept_though_another_process_wrote_during_its_call(desk: Desk) -> None:
    create(desk, "t1")
    with Desk() as other:
        asked = e.ModelAsked(1, "sim", "sim-1", 9, 9, 9, request="hash")
        answered = e.ModelAnswered(Message("assistant", "yes"), Usage(), "end", 5)
        desk.store.append("t1", 1, [], now_ms(), intents=[asked])
        other.store.append("t1", None, [e.PauseRequested()], now_ms())
        desk.store.append("t1", 2, [answered], now_ms())
        assert other.store.answered("hash") == answered


def test_a_run_elsewhere_settles_what_a_dead_process_reserved_within_a_minute(desk: Desk) -> None:
    """The run waits for its model, in virtual time, while the other process is killed."""
    with hands(desk, 1) as other:
        other.ask(0, "ask", at_ms=now_ms(), reserve_micros=700)
        other.processes[0].kill()
        other.processes[0].wait()
    states: list[str] = []

    async def slow() -> Answer:
        await asyncio.sleep(59)
        states.extend(column(desk, "SELECT state FROM usage ORDER BY id"))
        return says("done")

    life = Life()
    life.store = desk.store
    create(desk, "t1")
    desk.leases["t1"] = Lease(desk.locks, "t1")
    assert life.drive(Play(slow), sweep=desk.settle_dead).status == "done"
    assert states == ["unsettled", "open"]


# --- circuits -----------------------------------------------------------------------------------

BEGUN_MS = 1_800_000_000_000
FREE, SHUT = "", "circuit"


def open_circuit(group: Hands) -> int:
    """Fail until nothing goes any more; return when one may try."""
    for number in range(BREAKER.failures):
        assert group.ask(number, "ask", at_ms=BEGUN_MS) == FREE
        group.ask(number, "fail", at_ms=BEGUN_MS)
    opens_ms = BEGUN_MS + BREAKER.reset_ms
    assert group.all("ask", at_ms=opens_ms - 1) == [SHUT] * SPENDERS
    return opens_ms


def probe(group: Hands, at_ms: int) -> int:
    """All try at the same moment: exactly one gets through, and it is told which."""
    tried = group.all("ask", at_ms=at_ms)
    assert sorted(tried) == [FREE] + [SHUT] * (SPENDERS - 1)
    return tried.index(FREE)


def test_an_open_circuit_lets_exactly_one_of_eight_processes_try(desk: Desk) -> None:
    with hands(desk, SPENDERS) as group:
        opens_ms = open_circuit(group)
        first = probe(group, opens_ms)
        assert group.all("ask", at_ms=opens_ms + 1_000) == [SHUT] * SPENDERS
        group.ask(first, "fail", at_ms=opens_ms + 2_000)
        again_ms = opens_ms + 2_000 + BREAKER.reset_ms
        assert group.all("ask", at_ms=again_ms - 1) == [SHUT] * SPENDERS
        second = probe(group, again_ms)
        group.ask(second, "answer", at_ms=again_ms + 1_000)
        assert group.all("ask", at_ms=again_ms + 1_000) == [FREE] * SPENDERS


def test_a_probe_whose_process_dies_makes_room_for_another(desk: Desk) -> None:
    with hands(desk, SPENDERS) as group:
        opens_ms = open_circuit(group)
        first = probe(group, opens_ms)
        dead = group.processes[first]
        dead.kill()
        dead.wait()
        desk.settle_dead()
        left = [number for number in range(SPENDERS) if number != first]
        tried = [group.ask(number, "ask", at_ms=opens_ms + 1_000) for number in left]
        assert sorted(tried) == [FREE] + [SHUT] * (SPENDERS - 2)


# --- pace ---------------------------------------------------------------------------------------


def through(answers: list[dict[str, list[int]]], category: str) -> list[int]:
    return sorted(at_ms for answer in answers for at_ms in answer[category])


def test_a_window_lets_exactly_n_of_10n_tries_of_four_processes_through(desk: Desk) -> None:
    """Calls of the model and of two tools; a minute later, as many again."""
    categories = ["ai", "email", "calendar"]
    with hands(desk, 4) as group:
        for at_ms in (BEGUN_MS, BEGUN_MS + 59_999, BEGUN_MS + 60_000):
            expected = RATE if at_ms != BEGUN_MS + 59_999 else 0
            moments = [at_ms] * (10 * RATE // 4)
            answers = group.all(
                "tries", account="default", categories=categories, moments_ms=moments
            )
            for category in categories:
                assert len(through(answers, category)) == expected, (category, at_ms - BEGUN_MS)


def test_two_accounts_have_a_window_each(desk: Desk) -> None:
    moments = [BEGUN_MS + 10 * number for number in range(5 * RATE)]
    orders = [
        {"account": account, "categories": ["email"], "moments_ms": moments}
        for account in ("a", "a", "b", "b")
    ]
    with hands(desk, 4) as group:
        answers = group.each("tries", orders)
    assert len(through(answers[:2], "email")) == RATE
    assert len(through(answers[2:], "email")) == RATE


def test_no_60_seconds_hold_more_calls_than_allowed(desk: Desk) -> None:
    """Four processes that try every second for three minutes, in step to within some seconds."""
    with hands(desk, 4) as group:
        found: list[int] = []
        for second in range(0, 180, 4):
            moments = [BEGUN_MS + 1_000 * (second + ahead) for ahead in range(4)]
            answers = group.all(
                "tries", account="default", categories=["email"], moments_ms=moments
            )
            found += through(answers, "email")
    found.sort()
    most = max(sum(1 for at in found if end - 60_000 < at <= end) for end in found)
    assert most == RATE
    assert len(found) == 3 * RATE


# --- credits ------------------------------------------------------------------------------------


def test_four_processes_never_overdraw_a_balance(desk: Desk) -> None:
    """Half of the calls are tools'; some calls of the model failed unbilled and are given back."""
    database = desk.store.connection
    limit_queries.change_credits(database, "default", lambda _: 900, now_ms(), "bought")
    orders = [{"seed": seed, "calls": 60, "at_ms": BEGUN_MS} for seed in range(4)]
    with hands(desk, 4) as group:
        answers = group.each("buy", orders)
    taken = sum(answer["taken"] for answer in answers)
    left = column(desk, "SELECT balance FROM credits WHERE account = 'default'")[0]
    assert sum(answer["refused"] for answer in answers) > 4, "they have met the end of the balance"
    assert left == 900 - taken >= 0
    assert total(desk, "SELECT sum(amount) FROM credit_moves") == left
    assert min(column(desk, "SELECT balance FROM credit_moves")) >= 0
    assert column(desk, "SELECT balance FROM credit_moves ORDER BY id DESC LIMIT 1") == [left]
