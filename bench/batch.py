"""What `agentctl batch` reaches of what its workers could: scripted goals that wait for a model.

Each goal is one answer after 200 ms. The ideal is as many goals at once as there are workers, with
nothing between them. Each batch is a real process, as a user starts it; its start is told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

LATENCY_MS = 200
TARGET_RATIO = 0.9
TARGET_GROWTH_MB = 10
MAIN = "from agentctl.cli import main; main()"


class Reached(NamedTuple):
    """One batch."""

    seconds: float
    """From the first goal's begin to the last one's end."""
    cpu_ms: float
    """Of the whole process, for each goal."""
    rss_mb: float
    """At most."""


def run(goals: int, workers: int) -> Reached:
    """Run a batch in a state home of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = {"turns": [{"text": "done", "delay_ms": LATENCY_MS}]}
        (folder / "script.json").write_text(json.dumps(script))
        (folder / "goals.txt").write_text("".join(f"goal {n}\n" for n in range(goals)))
        words = ["batch", "goals.txt", "--script", "script.json", "-w", str(workers), "--json"]
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *words], cwd=folder, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "AGENTCTL_HOME": str(folder / "home")},
        )  # fmt: skip
        began_s = ended_s = 0.0
        assert process.stdout is not None
        for line in process.stdout:
            kind = json.loads(line)["kind"]
            if kind == "BatchBegun":
                began_s = time.perf_counter()
            elif kind == "GoalEnded":
                ended_s = time.perf_counter()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        assert process.returncode == 0, "a goal was not reached"
    cpu_s = usage.ru_utime + usage.ru_stime
    return Reached(ended_s - began_s, cpu_s * 1000 / goals, usage.ru_maxrss / 1024)


def main(arguments: list[str]) -> int:
    """Run the batches and print what they reached."""
    parser = argparse.ArgumentParser(prog="python -m bench batch", description=__doc__)
    parser.add_argument("--goals", type=int, default=1000)
    parser.add_argument("--workers", type=int, nargs="*", default=[4, 16])
    chosen = parser.parse_args(arguments)
    few = max(chosen.goals // 10, 1)
    for workers in chosen.workers:
        small, large = run(few, workers), run(chosen.goals, workers)
        ideal_s = chosen.goals * LATENCY_MS / 1000 / workers
        ratio = ideal_s / large.seconds
        print(
            f"{workers} workers, {chosen.goals} goals: {chosen.goals / large.seconds:.1f} goals/s "
            f"of {chosen.goals / ideal_s:.1f}, ratio {ratio:.3f} (target {TARGET_RATIO}); "
            f"{large.cpu_ms:.2f} ms CPU a goal; {small.rss_mb:.1f} MB at {few} goals, "
            f"{large.rss_mb:.1f} MB at {chosen.goals} (target + {TARGET_GROWTH_MB})"
        )
    return 0
