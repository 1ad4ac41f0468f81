"""What a durable step costs, beside a bare SQLite loop with the same durability.

A step is one scripted answer with one tool call and its result, about 2.4 kB of text, through the
real driver, tool belt, store and ledger. The bare loop writes the same bytes as plain rows: two
transactions a step, WAL, synchronous=FULL, and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import tempfile
import time
from pathlib import Path

import msgspec

from agentctl import assembly, counting, pricing
from agentctl.control import now_ms
from agentctl.core import events as e
from agentctl.core.state import State
from agentctl.core.values import ContextPolicy, Limits, Message, ToolCall, ToolSpec
from agentctl.listeners.ledger import Ledger
from agentctl.listeners.mirror import Mirror
from agentctl.ports import Listener, ToolContext, ToolResult
from agentctl.providers.scripted import Scripted
from agentctl.run.driver import Driver
from agentctl.run.toolbelt import Toolbelt
from agentctl.run.world import World
from agentctl.store import opening, queries
from agentctl.store.sqlite import SqliteStore

SIZES = (10, 100, 1_000, 5_000)
SAID, ARGUMENT, RESULT = "thinking " * 40, "x" * 240, "line of output\n" * 120
CALL = ToolCall("c1000-1", "echo", json.dumps({"text": ARGUMENT}))
PAYLOAD_BYTES = sum(
    len(msgspec.json.encode(message))
    for message in (Message("assistant", SAID, (CALL,)), Message("tool", RESULT, call_id=CALL.id))
)
"""The two messages of a step as JSON: what any log of the conversation must hold."""
UNLIMITED = Limits(
    task_cost_micros=10**12,
    hour_cost_micros=10**12,
    task_tokens=10**12,
    steps=10**6,
    calls_per_minute={"ai": None, "default": None},  # what waiting costs is not asked here
)


class Echo:
    """A tool that costs nothing."""

    spec = ToolSpec("echo", "Repeat.", '{"type":"object"}', repeat="unsafe", changes=False)

    def check(self, arguments: str) -> str:
        return ""

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        return ToolResult(RESULT)

    async def close(self) -> None:
        return None


def _script(folder: Path, steps: int) -> Path:
    turn = {
        "text": SAID,
        "calls": [{"name": "echo", "arguments": {"text": ARGUMENT}}],
        "usage": {"input": 5_000, "cache_read": 4_000, "output": 200},
    }
    path = folder / "script.json"
    rates = {"input": 2, "cache_read": 0.2, "cache_write": 2.5, "output": 10}
    path.write_text(json.dumps({"rates": rates, "turns": [turn] * steps + [{"text": "done"}]}))
    return path


def _store_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("agentctl.db*"))


def ours(folder: Path, steps: int) -> dict[str, float]:
    """Drive a task of so many steps; return its figures."""
    provider = Scripted("", {"script": str(_script(folder, steps))})
    store = SqliteStore(folder / "agentctl.db")
    empty_bytes = _store_size(folder)
    created = e.TaskCreated(
        "bench", "system", "scripted", provider.model, str(folder), UNLIMITED,
        context=ContextPolicy(max_tokens=10**9), approve="auto",
    )  # fmt: skip
    store.create("bench", created, now_ms())
    ledger: Listener = Ledger(
        folder / "ledger.json",
        lambda least, since_ms: queries.recent_calls(store.connection, least, since_ms),
        lambda: iter(()),
        now_ms,
    )

    async def drive() -> State:
        world = World(
            store, provider, pricing.pricer("scripted", "", provider.rates, {}),
            counting.counter("scripted", ""), Toolbelt([Echo()], str(folder)),
            assembly.SystemClock(), (ledger, Mirror(folder / "live")),
        )  # fmt: skip
        return await Driver("bench", world).drive()

    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    state = asyncio.run(drive())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert state.steps == steps + 1, state.status
    store.close()
    size = _store_size(folder) - empty_bytes
    again = time.perf_counter()
    store = SqliteStore(folder / "agentctl.db")
    world = World(store, provider, pricing.pricer("scripted", "", provider.rates, {}),
                  counting.counter("scripted", ""), _belt(folder),
                  assembly.SystemClock())  # fmt: skip
    driver = Driver("bench", world)
    again = time.perf_counter() - again
    assert driver.state.steps == steps + 1
    store.close()
    return {"wall": wall / steps, "cpu": cpu / steps, "bytes": size / steps, "resume": again}


def _belt(folder: Path) -> Toolbelt:
    return Toolbelt([Echo()], str(folder))


def bare(folder: Path, steps: int) -> dict[str, float]:
    """The same bytes and the same number of durable commits, with nothing around them."""
    db = opening.sqlite_module().connect(str(folder / "bare.db"), isolation_level=None)
    db.execute(f"PRAGMA page_size = {opening.PAGE_BYTES}")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, body TEXT)")
    answer, result = SAID + ARGUMENT, RESULT
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        for body in (answer, result):
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT INTO log (body) VALUES (?)", (body,))
            db.execute("COMMIT")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    db.close()
    return {"wall": wall / steps, "cpu": cpu / steps}


def _measure(steps: int, rounds: int) -> dict[str, float]:
    """Alternate the two, so that noise meets both, and keep each one's best round."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
            folder = Path(name)
            figures = {f"bare {k}": v for k, v in bare(folder, steps).items()}
            figures |= ours(folder, steps)
        for key, value in figures.items():
            best[key] = min(value, best.get(key, value))
    return best


def main(arguments: list[str]) -> int:
    """Print a line per size."""
    parser = argparse.ArgumentParser(prog="python -m bench step")
    parser.add_argument("--steps", type=int, nargs="*", default=SIZES)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args(arguments)
    print(f"durable step of {PAYLOAD_BYTES} bytes; best of {chosen.rounds} rounds; on {Path.cwd()}")
    print("steps   wall ms  bare  ratio    cpu ms  bare  ratio   bytes  /payload  resume ms")
    for steps in chosen.steps:
        m = _measure(steps, chosen.rounds)
        print(
            f"{steps:5d}  {m['wall'] * 1e3:8.3f} {m['bare wall'] * 1e3:5.3f}"
            f" {m['wall'] / m['bare wall']:6.2f}  {m['cpu'] * 1e3:8.3f}"
            f" {m['bare cpu'] * 1e3:5.3f} {m['cpu'] / m['bare cpu']:6.2f}"
            f"  {m['bytes']:6.0f}  {m['bytes'] / PAYLOAD_BYTES:8.2f}  {m['resume'] * 1e3:9.1f}"
        )
    return 0
