"""What local providers say that they billed, against the ledger, to the micro-dollar.

Each server decides for itself what it bills: every answer that it gave whole, and of streams that
broke or whose client was killed, some part or all.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agentctl.core import events as e
from agentctl.core.rows import UsageRow
from tests.contracts import wire
from tests.crash.helpers import Place, Snapshot, check_books, finish, of_kind, running

PRICES = {
    "anthropic": {"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75},
    "openai": {"input": 1.25, "output": 10, "cache_read": 0.125, "cache_write": 1.5},
}
MODELS = {"anthropic": "model-a", "openai": "model-b"}
CONFIG = """\
max_cost = 100
max_cost_hour = "none"
max_tokens = "none"
attempts = 3
"""
LIST = ("call-1", "list_dir", ['{"path"', ': "."}'])


class Sent(NamedTuple):
    """A request as the provider saw it."""

    provider: str
    outcome: str
    """answered, refused, or lost: the client never had the whole answer."""
    response_id: str
    bill_micros: int


class Provider(wire.Server):
    """A provider that does the next thing of its plan at each request, and bills as it likes.

    "tool" and "done" answer; a number refuses with that status; "cut" breaks the stream; "reset"
    the connection; "kill" ends the client in the middle of an answer and "kill early" before it.
    """

    def __init__(self, name: str, plan: list[str | int], books: Books) -> None:
        super().__init__()
        self.name, self.plan, self.books = name, plan, books

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("content-length", 0))
        asked = handler.rfile.read(length)
        step = self.plan.pop(0) if self.plan else "done"
        handler.rfile = _Again(asked, handler.rfile)  # type: ignore[assignment]  # read again below
        self.replies = [self._reply(handler.path, asked, step)]
        super()._answer(handler)

    def _reply(self, path: str, asked: bytes, step: str | int) -> wire.Reply:
        if isinstance(step, int):
            self.books.sent.append(Sent(self.name, "refused", "", 0))
            return wire.Reply(
                [b'{"error": {"message": "not now"}}'],
                status=step,
                headers={"retry-after": "0", "content-type": "application/json"},
            )
        turn = self._turn(asked, step)
        response_id = f"resp-{self.name}-{len(self.books.sent)}"
        bill = self.bill(turn)
        encode = {"messages": wire.anthropic, "completions": wire.chat, "responses": wire.responses}
        whole = encode[path.rpartition("/")[2]](turn)
        chunks = [chunk.replace(b'"resp-1"', f'"{response_id}"'.encode()) for chunk in whole]
        if step in ("tool", "done"):
            self.books.sent.append(Sent(self.name, "answered", response_id, bill))
            return wire.Reply(chunks)
        share = self.books.rng.choice((0, bill // 2, bill))
        self.books.sent.append(Sent(self.name, "lost", response_id, share))
        if step == "reset":
            return wire.Reply(end="reset")
        if step == "cut":
            return wire.Reply(chunks[: len(chunks) // 2], end="cut")
        self.books.kill(self, early=step == "kill early")
        return wire.Reply(chunks[: len(chunks) // 2], end="hang")

    def _turn(self, asked: bytes, step: str) -> wire.Turn:
        """An answer with counts that no estimate of ours knows, within what was reserved."""
        rng, tokens = self.books.rng, len(asked) // 6
        counts = {
            "input": tokens,
            "read": rng.randint(0, tokens // 2),
            "write": rng.randint(0, tokens // 2) if self.name == "anthropic" else 0,
            "output": rng.randint(1, 400),
            "thought": 0,
        }
        if step == "done":
            return wire.Turn(["all ", "done"], counts=counts)
        call_id = f"call-{len(self.books.sent)}"
        return wire.Turn(["looking"], [(call_id, *LIST[1:])], stop="tools", counts=counts)

    def bill(self, turn: wire.Turn) -> int:
        """Micro-dollars, in the provider's own arithmetic: whole billionths, rounded up at last."""
        prices, counts = PRICES[self.name], turn.counts or {}
        fresh = counts["input"] - counts["read"] - counts["write"]
        parts = (
            (fresh, "input"),
            (counts["read"], "cache_read"),
            (counts["write"], "cache_write"),
            (counts["output"], "output"),
        )
        thousandths = sum(tokens * round(prices[key] * 1000) for tokens, key in parts)
        return -(-thousandths // 1000)


class _Again:
    """The body of a request, to be read once more, and what comes after it."""

    def __init__(self, body: bytes, rest: Any) -> None:
        self.body, self.rest = body, rest

    def read(self, length: int) -> bytes:
        body, self.body = self.body, b""
        return body or self.rest.read(length)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rest, name)


class Books:
    """What the providers have seen, in order, and the client that they may kill."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.sent: list[Sent] = []
        self.client: subprocess.Popen[str] | None = None
        self.started = threading.Event()

    def kill(self, provider: Provider, *, early: bool) -> None:
        self.started.wait(10)
        assert self.client is not None
        delay_s = 0 if early else 0.05  # the first half of the answer is on its way by then
        threading.Timer(delay_s, self.client.send_signal, (signal.SIGKILL,)).start()


class Shop:
    """Two local providers, and the command line that calls them."""

    def __init__(self, place: Place, books: Books, urls: dict[str, str]) -> None:
        self.place, self.books = place, books
        config = place.work / "mine.toml"
        config.write_text(CONFIG + _tables(), encoding="utf-8")
        self.env = {
            **place.env,
            "AGENTCTL_CONFIG": str(config),
            "ANTHROPIC_API_KEY": "sk-canary-1",
            "OPENAI_API_KEY": "sk-canary-2",
            "ANTHROPIC_BASE_URL": urls["anthropic"],
            "OPENAI_BASE_URL": urls["openai"] + "/v1",
        }

    def run(self, *arguments: str) -> int:
        """Run a command to its end and return its exit code."""
        self.books.started.clear()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.payer", *arguments],
            env=self.env, cwd=self.place.work, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.books.client = process
        self.books.started.set()
        with running(process):
            self.last = finish(process)
        return self.last.code

    def live(self, home: str, fallback: str) -> int:
        """Run a task, and resume it whenever it was killed, to its end; return the kills."""
        more = ["--provider", home, "--model", MODELS[home], "--approve", "auto"]
        config = Path(self.env["AGENTCTL_CONFIG"])
        other = f'fallback = "{fallback}/{MODELS[fallback]}"\n'
        config.write_text(other + config.read_text(), encoding="utf-8")
        kills = 0
        code = self.run("run", "reach the goal", *more)
        while code == -signal.SIGKILL:
            kills += 1
            code = self.run("resume", "@last")
        assert code == 0, (code, self.last.err)
        return kills


def _tables() -> str:
    return "".join(
        f'[prices."{name}/{MODELS[name]}"]\n'
        + "".join(f"{key} = {value}\n" for key, value in prices.items())
        for name, prices in PRICES.items()
    )


@contextmanager
def shop(tmp: Path, seed: int, **plans: list[str | int]) -> Iterator[Shop]:
    books = Books(seed)
    with ExitStack() as stack:
        urls = {}
        for name in PRICES:
            server = Provider(name, list(plans.get(name, [])), books)
            urls[name] = stack.enter_context(server).url
        yield Shop(Place(tmp), books, urls)


def check_bill(made: Shop, seen: Snapshot) -> None:
    """Each request has one row: equal to the bill where it was answered, else at least as much."""
    sent = made.books.sent
    for bill, row in zip(sent, seen.usage, strict=True):
        _check_call(bill, row)
    billed = sum(bill.bill_micros for bill in sent)
    settled = sum(row.cost_micros or 0 for row in seen.usage if row.state == "settled")
    unsettled = sum(row.cost_micros or 0 for row in seen.usage if row.state == "unsettled")
    assert settled <= billed <= settled + unsettled
    assert settled == sum(bill.bill_micros for bill in sent if bill.outcome == "answered")
    check_books(made.place, seen)


def _check_call(bill: Sent, row: UsageRow) -> None:
    assert row.provider == bill.provider
    if bill.outcome == "answered":
        assert (row.state, row.response_id) == ("settled", bill.response_id)
        assert row.cost_micros == bill.bill_micros
    elif bill.outcome == "refused":
        assert (row.state, row.cost_micros) == ("free", 0)
    else:
        assert row.state == "unsettled"
        assert bill.bill_micros <= (row.cost_micros or 0) == row.reserve_micros


PAIRS = [("anthropic", "openai"), ("openai", "anthropic")]


@pytest.mark.parametrize(("home", "other"), PAIRS)
def test_without_faults_ledger_and_bill_are_equal(tmp_path: Path, home: str, other: str) -> None:
    with shop(tmp_path, 1, **{home: ["tool"] * 5}) as made:
        assert made.live(home, other) == 0
        seen = made.place.snapshot()
    assert len(seen.usage) == 6
    assert sum(row.cost_micros or 0 for row in seen.usage) == sum(
        bill.bill_micros for bill in made.books.sent
    )
    check_bill(made, seen)


@pytest.mark.parametrize(("home", "other"), PAIRS)
def test_after_faults_and_fallback_every_answered_call_is_exact_and_the_rest_covered(
    tmp_path: Path, home: str, other: str
) -> None:
    first: list[str | int] = ["tool", "cut", "tool", 429, 500, "tool", "reset", 529, "tool"]
    first += [503, "cut", 500]  # three tries: now the other one goes on
    second: list[str | int] = ["tool", 429, "cut", "tool", "reset", "tool", "done"]
    with shop(tmp_path, 2, **{home: first, other: second}) as made:
        assert made.live(home, other) == 0
        seen = made.place.snapshot()
    assert [bill.provider for bill in made.books.sent] == [home] * 12 + [other] * 7
    (switch,) = of_kind(seen.logs[seen.tasks[0].id], e.Switched)
    assert (switch.provider, switch.model) == (other, MODELS[other])
    check_bill(made, seen)


@pytest.mark.parametrize(("home", "other"), PAIRS)
def test_after_kills_every_answered_call_is_exact_and_the_rest_covered(
    tmp_path: Path, home: str, other: str
) -> None:
    """Killed in the middle of an answer, before one, and while the other provider is in use."""
    first: list[str | int] = ["tool", "kill", "tool", "cut", "kill early", 529, "tool"]
    first += [500, 500, 500, "tool", "done"]
    second: list[str | int] = ["tool", "kill"]
    with shop(tmp_path, 3, **{home: first, other: second}) as made:
        assert made.live(home, other) == 3
        seen = made.place.snapshot()
    assert len(made.books.sent) == len(first) + len(second)
    check_bill(made, seen)


def test_the_report_shows_the_bill_of_what_was_answered_and_the_rest_as_at_most(
    tmp_path: Path,
) -> None:
    with shop(tmp_path, 4, anthropic=["cut", 429, "tool", "done"]) as made:
        assert made.live("anthropic", "openai") == 0
        seen = made.place.snapshot()
        assert made.run("costs", "report", "--json") == 0
    total = json.loads(made.last.out)["total"]
    answered = sum(b.bill_micros for b in made.books.sent if b.outcome == "answered")
    lost = sum(row.reserve_micros or 0 for row in seen.usage if row.state == "unsettled")
    assert (total["calls"], total["cost_micros"], total["open_micros"]) == (4, answered, lost)
    assert answered > 0
    assert lost > 0
