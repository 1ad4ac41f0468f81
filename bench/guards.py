"""What the guards cost: CPU per decision, at 100,000 calls in the ledger and a full day of spend.

A decision asks the pure guards, perhaps reads anew what tasks share, and has its intent tested in
the transaction that writes it. The last is measured as an append with all limits less the same
append without any limit or credits (medians, taken in turn), and the look at the circuits, which
both have. The driver reads what is shared at most once a decision and at most every 250 ms, so the
sum below, which counts a whole read, is the worst case.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.guards import model_verdict, tool_verdict
from agentctl.core.rows import Gate
from agentctl.core.state import fold
from agentctl.core.values import (
    CALLS_PER_MINUTE,
    Limits,
    Message,
    Millis,
    Quote,
    ToolSpec,
    Usage,
    View,
)
from agentctl.store import limit_queries
from agentctl.store.gate import circuits
from agentctl.store.sqlite import SqliteStore
from bench.report import build

CALLS, RUNNING = 100_000, 50
DAY_MS, MINUTE_MS = 86_400_000, 60_000
TARGET_US = 150
BEAT_MS = 2_001
"""Between two calls: so that 30 a minute, the usual limit of a model, is full and never passed."""
FREE = Gate()
USUAL = Limits(
    task_cost_micros=10**12, hour_cost_micros=10**12, task_tokens=10**12, steps=10**9,
    task_credits=10**12, credits={"sim/sim-1": 1, "look": 1},
)  # fmt: skip
CASES = {"hour limit": USUAL, "hour and day limit": replace(USUAL, day_cost_micros=10**13)}
SPEC = ToolSpec("look", "", "{}", category="file")


class Figures(NamedTuple):
    """Microseconds of CPU."""

    model_guards: float
    tool_guards: float
    shared: float
    circuits: float
    ask: float
    ask_free: float
    start: float
    start_free: float

    @property
    def of_model(self) -> float:
        """All that guards cost before a model call."""
        return self.model_guards + self.shared + self.circuits + self.ask - self.ask_free

    @property
    def of_tool(self) -> float:
        """All that guards cost before a tool call."""
        return self.tool_guards + self.shared + self.circuits + self.start - self.start_free


def prepare(path: Path, calls: int, now_ms: Millis) -> SqliteStore:
    """A ledger of so many calls, spend in every minute of the last day, 50 tasks that wait."""
    build(path, calls // 50, now_ms)
    store = SqliteStore(path)
    db, last = store.connection, now_ms // MINUTE_MS
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM spend")
    day = range(last - DAY_MS // MINUTE_MS - 1, last + 1)
    db.executemany("INSERT INTO spend VALUES (?, 1000)", [(minute,) for minute in day])
    db.execute("COMMIT")
    limit_queries.change_credits(db, "default", lambda _: 10**12, now_ms, "bench")
    for number in range(RUNNING):
        task_id = f"r{number}"
        store.create(task_id, e.TaskCreated("goal", "", "sim", "sim-1", "/", USUAL), now_ms)
        store.append(task_id, 1, [e.ModelAsked(1, "sim", "sim-1", 1_000, 9, 9)], now_ms)
    return store


def cpu_us(work: Callable[[], object], times: int = 300, rounds: int = 9) -> float:
    """CPU of one call: the median of some rounds."""
    found = []
    for _ in range(rounds):
        begun = time.process_time_ns()
        for _ in range(times):
            work()
        found.append((time.process_time_ns() - begun) / times / 1_000)
    return statistics.median(found)


class Writer:
    """Writes a task's calls, one beat after the other, and notes what each intent took."""

    def __init__(self, store: SqliteStore, task_id: str, now_ms: Millis) -> None:
        self.store, self.task_id, self.now_ms = store, task_id, now_ms
        created = e.TaskCreated("goal", "", "sim", "sim-1", "/", USUAL)
        store.create(task_id, created, now_ms)
        self.seen, self.calls = 1, 0

    def step(self, gate: Gate, ask_us: list[float], start_us: list[float]) -> None:
        """One model call and one tool call."""
        self.calls += 1
        self.now_ms += BEAT_MS
        price = 0 if gate is FREE else 1
        asked = e.ModelAsked(self.calls, "sim", "sim-1", 1_000, 900, 400, credits=price)
        ask_us.append(self._intent(asked, gate))
        answer = e.ModelAnswered(Message("assistant", "yes"), Usage(900, output=9), "end", 700)
        self._write([answer], [], gate)
        call_id = f"c{self.calls}"
        started = e.ToolStarted(call_id, "look", "safe", "file", price)
        start_us.append(self._intent(started, gate))
        self._write([e.ToolEnded(call_id, "look", "seen")], [], gate)

    def _intent(self, intent: e.Event, gate: Gate) -> float:
        begun = time.process_time_ns()
        refused = self._write([], [intent], gate)
        took_us = (time.process_time_ns() - begun) / 1_000
        if refused:
            raise SystemExit(f"refused: {refused}")
        return took_us

    def _write(self, facts: list[e.Event], intents: list[e.Event], gate: Gate) -> str:
        result = self.store.append(
            self.task_id, self.seen, facts, self.now_ms, intents=intents, gate=gate
        )
        self.seen += len(result.recorded)
        return result.refused


def measure(store: SqliteStore, limits: Limits, steps: int, writer: Writer) -> Figures:
    """Every figure with these limits."""
    gate = Gate(
        "default", limits.hour_cost_micros, limits.day_cost_micros, limits, True, limits.breaker
    )
    taken: dict[str, list[float]] = {name: [] for name in ("ask", "ask free", "start", "free")}
    for _ in range(steps):
        writer.step(gate, taken["ask"], taken["start"])
        writer.step(FREE, taken["ask free"], taken["free"])
    created = e.TaskCreated("goal", "", "sim", "sim-1", "/", limits)
    state = fold([e.Recorded(0, writer.now_ms, created)])
    categories = sorted(CALLS_PER_MINUTE)

    def read() -> object:
        return store.shared("default", categories, writer.now_ms)

    shared = store.shared("default", categories, writer.now_ms)
    quote = Quote(900, 900, 10_000_000, 400)
    view = View(writer.now_ms + BEAT_MS, quote, shared, specs={"look": SPEC})
    return Figures(
        cpu_us(lambda: model_verdict(state, view)),
        cpu_us(lambda: tool_verdict(state, view, SPEC, ())),
        cpu_us(read, times=100),
        cpu_us(lambda: circuits(store.connection)),
        *(statistics.median(taken[name]) for name in ("ask", "ask free", "start", "free")),
    )


def _show(title: str, found: Figures) -> bool:
    """Print a table; tell whether the target was missed."""
    print(f"\n{title}{'':14}guards  shared   append  without    sum µs   without a read")
    rows = (
        ("model call", found.model_guards, found.ask, found.ask_free, found.of_model),
        ("tool call", found.tool_guards, found.start, found.start_free, found.of_tool),
    )
    for name, guards, append, free, total in rows:
        note = "  MISSED" if total > TARGET_US else ""
        print(
            f"{name:{len(title) + 14}}{guards:6.1f}  {found.shared:6.1f}  {append:7.1f}"
            f"  {free:7.1f}  {total:8.1f}  {total - found.shared:8.1f}{note}"
        )
    return max(found.of_model, found.of_tool) > TARGET_US


def main(arguments: list[str]) -> int:
    """Print a table for each case; with --check return 1 when the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench guards")
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args(arguments)
    now_ms = time.time_ns() // 1_000_000
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
        store = prepare(Path(name) / "agentctl.db", chosen.calls, now_ms)
        print(
            f"{chosen.calls:,} calls in the ledger, {DAY_MS // MINUTE_MS:,} minutes of spend,"
            f" {RUNNING} running tasks; CPU in µs, target {TARGET_US} a decision"
        )
        writer = Writer(store, "bench", now_ms)
        missed = [
            _show(title, measure(store, limits, chosen.steps, writer))
            for title, limits in CASES.items()
        ]
        store.close()
    return 1 if chosen.check and any(missed) else 0
