"""What `agentctl costs report` takes with a million calls in the ledger: time and memory.

The ledger is a year of 20,000 tasks with 50 calls each at six offers, written as the store would
have written it. Each report is a real process, as a user starts it.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from agentctl.core.values import Rates, Usage
from agentctl.pricing import cost_of, note_of
from agentctl.store.migrations import REBUILD_SUMS
from agentctl.store.sqlite import SqliteStore

TASKS, CALLS = 20_000, 50
DAY_MS = 86_400_000
TARGET_S, TARGET_MB = 1.5, 150
OFFERS = (
    ("anthropic", "claude-sonnet-5-5", Rates(2_000_000, 100_000, 2_500_000, 10_000_000, "table")),
    ("anthropic", "claude-haiku-5-5", Rates(100_000, 10_000, 125_000, 500_000, "table")),
    ("openai", "gpt-6.1-sol", Rates(2_000_000, 100_000, 2_500_000, 10_000_000, "table")),
    ("openai", "gpt-6.1-terra", Rates(1_000_000, 50_000, 1_250_000, 5_000_000, "table")),
    ("ollama", "qwen4", Rates()),
    ("openai", "private-model", None),
)
REPORTS = (
    [],
    ["--by", "hour"],
    ["--by", "task"],
    ["--by", "task", "--json"],
    ["--by", "model"],
    ["--by", "month", "--breakdown"],
    ["--by", "project"],
)
MAIN = "from agentctl.cli import main; main()"
LAUNCHER = """
import os, sys, time
begun = time.perf_counter()
_, status, used = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
print(time.perf_counter() - begun, used.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small process to start from: a new process counts the peak of its parent as its own."""


def build(path: Path, tasks: int, until_ms: int) -> None:
    """Write the ledger, spread over the year before a moment."""
    store = SqliteStore(path)
    db = store.connection
    step_ms = 365 * DAY_MS // tasks
    first_ms = until_ms - 365 * DAY_MS
    starts = [first_ms + number * step_ms for number in range(tasks)]
    db.execute("BEGIN IMMEDIATE")
    db.executemany(
        "INSERT INTO offers (id, provider, model, prices) VALUES (?, ?, ?, ?)",
        [
            (number, provider, model, note_of(rates) if rates else '{"source":"unpriced"}')
            for number, (provider, model, rates) in enumerate(OFFERS, 1)
        ],
    )
    db.executemany(
        "INSERT INTO tasks (no, id, name, goal, status, cwd, provider, model, created_ms,"
        " updated_ms, steps, cost_micros, unpriced, tokens_processed, tokens_total, pid, wake_ms)"
        " VALUES (?, ?, '', ?, 'done', ?, '', '', ?, ?, 50, 0, 0, 0, 0, 0, 0)",
        [
            (number, f"t{number:07d}", f"Mend what is wrong in part {number} of the code",
             f"/home/user/projects/p{number % 40}", start_ms, start_ms)
            for number, start_ms in enumerate(starts, 1)
        ],
    )  # fmt: skip
    db.executemany(
        "INSERT INTO usage VALUES (NULL, ?, ?, ?, ?, 'step', ?, ?, ?, ?, ?, 0, ?, ?, '')",
        _calls(starts),
    )
    db.execute("DELETE FROM sums")
    db.execute(REBUILD_SUMS)
    db.execute("COMMIT")
    store.close()


def _calls(starts: list[int]) -> Iterator[tuple[object, ...]]:
    dice = random.Random(7)
    for task, start_ms in enumerate(starts, 1):
        offer = dice.choices(range(1, len(OFFERS) + 1), (40, 20, 20, 10, 8, 2))[0]
        rates, at_ms, sent = OFFERS[offer - 1][2], start_ms, 2_000
        for call in range(1, CALLS + 1):
            grown, output = dice.randrange(200, 3_000), dice.randrange(20, 800)
            usage = Usage(sent + grown, sent if call > 1 else 0, grown, output)
            sent += grown
            cost = cost_of(rates, usage) if rates else None
            at_ms += dice.randrange(3_000, 30_000)
            state = "settled" if dice.random() > 0.0002 else "unsettled"
            yield (
                task, call, at_ms, offer, state, usage.input, usage.cache_read,
                usage.cache_write, output, cost, cost,
            )  # fmt: skip


def measure(words: list[str], env: dict[str, str]) -> tuple[float, float, int]:
    """Return seconds, megabytes at the peak and lines printed of one real process."""
    command = [sys.executable, "-c", LAUNCHER, sys.executable, "-c", MAIN, *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{words} failed: {done.stderr}")
    took, peak_kb = done.stderr.split()[-2:]
    return float(took), int(peak_kb) / 1024, done.stdout.count("\n")


def main(arguments: list[str]) -> int:
    """Print a line per report; with --check return 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench report")
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args(arguments)
    missed = 0
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
        folder = Path(name)
        begun = time.perf_counter()
        build(folder / "home" / "agentctl.db", chosen.tasks, time.time_ns() // 1_000_000)
        size = (folder / "home" / "agentctl.db").stat().st_size / 1e6
        print(
            f"{chosen.tasks * CALLS:,} calls, {size:.0f} MB, built in"
            f" {time.perf_counter() - begun:.1f} s; best of {chosen.rounds} rounds;"
            f" targets {TARGET_S} s, {TARGET_MB} MB"
        )
        env = os.environ | {"AGENTCTL_HOME": str(folder / "home"), "HOME": str(folder)}
        for extra in REPORTS:
            words = ["costs", "report", *extra]
            took, peak, lines = min(measure(words, env) for _ in range(chosen.rounds))
            over = took > TARGET_S or peak > TARGET_MB
            missed += over
            print(
                f"{' '.join(words):40} {took:6.2f} s {peak:6.0f} MB {lines:7,} lines"
                f"{'  MISSED' if over else ''}",
                flush=True,
            )
    return 1 if chosen.check and missed else 0
