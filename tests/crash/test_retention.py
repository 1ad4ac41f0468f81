"""`gc` that is killed, and `gc` beside a process that writes: nothing is half, nobody fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agentctl.core import events as e
from agentctl.core.rows import StoredOutput
from agentctl.core.state import fold
from agentctl.core.values import Limits, Message, Usage
from agentctl.store.sqlite import SqliteStore
from tests.crash.helpers import Place, check_told, finish, running
from tests.test_backup import WRITER

TASKS = 60
PACED = WRITER.replace("    store.append", "    time.sleep(0.01)\n    store.append")
PACED = f"import time\n{PACED}"
"""A run that writes a hundred times a second, and leaves others their turn as runs do."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """With tasks that ended long ago, each with a call that was paid for and an output."""
    made = Place(tmp_path)
    store = SqliteStore(made.home / "agentctl.db")
    for number in range(TASKS):
        task_id = f"old{number:04d}"
        store.create(task_id, e.TaskCreated("goal", "", "sim", "m", "/", Limits()), 1_000)
        asked = e.ModelAsked(1, "sim", "m", 9_000, 10, 10)
        store.append(task_id, None, [], 2_000, intents=[asked])
        ref = f"{number:016x}"
        facts = [
            e.ModelAnswered(Message("assistant", "x" * 5_000), Usage(100, output=9), "end", 700),
            e.ToolEnded("c1", "look", "x", output_ref=ref, output_bytes=20_000),
            e.Finished("done", "the answer"),
        ]
        store.append(task_id, None, facts, 3_000, outputs=[StoredOutput(ref, "y" * 20_000)])
    store.close()
    check_told(made.run("costs", "rebuild"), 0)
    return made


def husks(place: Place) -> int:
    """How many logs were taken out; every one is whole or a husk, and has its call."""
    seen = place.snapshot()
    found = 0
    for task in seen.tasks:
        if not task.id.startswith("old"):
            continue
        state = fold(seen.logs[task.id])
        assert (state.status, state.spent_micros, state.steps) == ("done", 700, 1)
        found += state.removed is not None
    return found


@pytest.mark.parametrize("kept", [0, 1, 17, TASKS - 1])
def test_killed_in_the_middle_every_task_is_whole_or_taken_out(place: Place, kept: int) -> None:
    """It dies within the transaction of a task, after some others."""
    die = (
        "import os, sys\n"
        "from agentctl.store import retention\n"
        "usual, left = retention.rewrite, [int(sys.argv.pop(1))]\n"
        "def rewrite(db, number, kept):\n"
        "    usual(db, number, kept)\n"
        "    left[0] -= 1\n"
        "    if left[0] < 0:\n"
        "        os.kill(os.getpid(), 9)\n"
        "retention.rewrite = rewrite\n"
        "from agentctl.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", die, str(kept), "gc", "--older-than", "1d", "--yes"]
    done = subprocess.run(command, env=place.env, cwd=place.work, capture_output=True, timeout=60)
    assert done.returncode == -9
    assert husks(place) == kept
    check_told(place.run("costs", "check"), 0)
    check_told(place.run("gc", "--older-than", "1d", "--yes"), 0)
    assert husks(place) == TASKS
    check_told(place.run("costs", "check"), 0)
    plan = json.loads(place.run("gc", "--older-than", "1d", "--json").out)
    assert (plan["tasks"], plan["orphans"]) == ([], 0)


def test_beside_a_process_that_writes_both_do_their_work(place: Place) -> None:
    database = str(place.home / "agentctl.db")
    writer = subprocess.Popen(
        [sys.executable, "-c", PACED, database], stdout=subprocess.PIPE, text=True,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    with running(writer):
        assert writer.stdout is not None
        writer.stdout.readline()
        ran = finish(place.start("gc", "--older-than", "1d", "--yes"))
        check_told(ran, 0, "others have it open")
        before = int(writer.stdout.readline())
        assert int(writer.stdout.readline()) > before  # it still writes
        assert writer.poll() is None
    assert husks(place) == TASKS
