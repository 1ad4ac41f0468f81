"""What it costs to start: instructions of each command, beside `python -c pass`, by callgrind.

Instructions repeat to a tenth of a percent where times do not. `--check` fails when a command has
passed its bound; without valgrind it says so and checks nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BOUNDS = {"pause": 6.5, "costs report": 12.0}
"""Most instructions, in multiples of bare Python."""
MAIN = "from agentctl.cli import main; main()"


def _instructions(arguments: list[str], env: dict[str, str]) -> float:
    command = [
        "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
        sys.executable, *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise SystemExit(f"{' '.join(arguments)}: no count\n{done.stderr[-2000:]}")
    return int(found[1]) / 1e6


def _plain(arguments: list[str], env: dict[str, str]) -> None:
    subprocess.run([sys.executable, *arguments], env=env, capture_output=True, timeout=120)


def main(arguments: list[str]) -> int:
    """Print a line per command; with --check return 1 when a bound is passed."""
    parser = argparse.ArgumentParser(prog="python -m bench startup")
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args(arguments)
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: nothing was counted (apt-get install valgrind)")
        return 0
    with tempfile.TemporaryDirectory() as name:
        return _count(Path(name), check=chosen.check)


def _count(folder: Path, *, check: bool) -> int:
    # Where bytecode may not be written every start compiles anew: that is not what users see.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env |= {"AGENTCTL_HOME": str(folder / "home"), "HOME": str(folder), "PYTHONHASHSEED": "0"}
    (folder / "note.txt").write_text("TODO: one\n")
    run = ["run", "Find all TODOs", "--provider", "offline", "--approve", "auto", "-q"]
    run += ["--cwd", str(folder)]
    commands = {
        "--version": ["--version"],
        "pause": ["pause", "@last"],
        "list": ["list"],
        "costs report": ["costs", "report"],
        "run offline": run,
    }
    started = subprocess.Popen(
        [sys.executable, "-c", MAIN, "run", "x", "--script", str(_slow_script(folder))],
        env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _plain(["-c", MAIN, *run], env)
        bare = _instructions(["-c", "pass"], env)
        print(f"{'python -c pass':16} {bare:8.1f} M instructions")
        late = 0
        for label, arguments in commands.items():
            _plain(["-c", MAIN, *arguments], env)  # bytecode written, caches warm
            count = _instructions(["-c", MAIN, *arguments], env)
            bound = BOUNDS.get(label)
            over = bound is not None and count > bound * bare
            late += over
            note = "" if bound is None else f"   bound {bound:g}x{' PASSED' if over else ''}"
            print(f"{label:16} {count:8.1f} M  {count / bare:5.1f}x{note}")
    finally:
        started.kill()
        started.wait()
    return 1 if check and late else 0


def _slow_script(folder: Path) -> Path:
    """A task that runs meanwhile, so that `pause` meets a live one."""
    path = folder / "slow.json"
    path.write_text('{"turns": [{"text": "late", "delay_ms": 600000}]}')
    return path
