"""A state home of a test, the processes that work in it, and what must hold afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil

from agentctl.core import events as e
from agentctl.core.rows import TaskRow, UsageRow
from agentctl.core.state import State, fold
from agentctl.store import queries
from agentctl.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
"""How long a process may take on a busy machine before a test gives up on it."""
Log = list[e.Recorded]


class Ran(msgspec.Struct, frozen=True):
    """A process that has ended."""

    code: int
    out: str
    err: str


class Snapshot(msgspec.Struct, frozen=True):
    """What is durable in a state home."""

    tasks: list[TaskRow]
    logs: dict[str, Log]
    usage: list[UsageRow]


class Place:
    """A state home, a workspace and a script; nothing of the user's own is seen."""

    def __init__(self, tmp: Path) -> None:
        self.home = tmp / "home"
        self.work = tmp / "work"
        self.work.mkdir()
        self.script = tmp / "script.json"
        self.copies = tmp / "copies"
        self.copies.mkdir()
        self.points = tmp / "points"
        self.bill = tmp / "bill"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp),
            "AGENTCTL_HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "TEST_POINTS": str(self.points),
            "TEST_BILL": str(self.bill),
        }

    def write_script(self, *turns: dict[str, Any], **more: Any) -> None:
        """Turns for the scripted provider, at $3 and $15 for a million tokens."""
        script = {"rates": {"input": 3, "output": 15}, "turns": turns, **more}
        self.script.write_text(json.dumps(script), encoding="utf-8")

    @property
    def run_arguments(self) -> list[str]:
        """`run` with this script and nobody to ask."""
        arguments = ["run", "reach the goal", "--provider", "scripted", "--approve", "auto"]
        return [*arguments, "--script", str(self.script), "--cwd", str(self.work)]

    def command(self, *arguments: str, point: str = "-") -> list[str]:
        """The command line of `agentctl` with these arguments."""
        return [sys.executable, "-m", "tests.crash.child", point, *arguments]

    def start(
        self, *arguments: str, point: str = "-", env: dict[str, str] | None = None, **more: Any
    ) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        options: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "cwd": self.work,
            **more,
        }
        return subprocess.Popen(
            self.command(*arguments, point=point),
            env={**self.env, **(env or {})},
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, *arguments: str, point: str = "-", **more: Any) -> Ran:
        """Run a command to its end."""
        return finish(self.start(*arguments, point=point, **more))

    def listed(self) -> list[dict[str, Any]]:
        """`agentctl list --json`."""
        ran = self.run("list", "--json")
        assert ran.code == 0, ran.err
        rows: list[dict[str, Any]] = json.loads(ran.out)
        return rows

    def snapshot(self) -> Snapshot:
        """Read what is durable, from a copy: the state home itself is not touched."""
        copy = self.copies / "agentctl.db"
        for suffix in ("", "-wal", "-shm"):
            Path(f"{copy}{suffix}").unlink(missing_ok=True)
        for suffix in ("", "-wal"):
            original = Path(f"{self.home}/agentctl.db{suffix}")
            if original.exists():
                shutil.copyfile(original, f"{copy}{suffix}")
        store = SqliteStore(copy)
        try:
            tasks = queries.tasks(store.connection)
            logs = {task.id: store.read(task.id) for task in tasks}
            usage = queries.recent_calls(store.connection, 100_000, 0)
        finally:
            store.close()
        return Snapshot(tasks, logs, usage)

    def lines(self, name: str) -> list[str]:
        """Lines of a file in the workspace that tools append to."""
        path = self.work / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def small_life(tmp: Path) -> Place:
    """A place with two steps: an effect outside, then the answer "end"."""
    place = Place(tmp)
    place.write_script(turn(shell("echo one >> marks"), text="first"), turn(text="end"))
    return place


def shell(command: str, **arguments: Any) -> dict[str, Any]:
    """A call of run_shell."""
    return {"name": "run_shell", "arguments": {"command": command, **arguments}}


def turn(*calls: dict[str, Any], text: str = "", **more: Any) -> dict[str, Any]:
    """A turn with a usage that the provider reports."""
    return {"text": text, "calls": calls, "usage": {"input": 1000, "output": 50}, **more}


def finish(process: subprocess.Popen[str]) -> Ran:
    """Wait for a process, kill it if it hangs, and give its words."""
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it hangs: {process.args}\n{out}\n{err}") from None
    return Ran(process.returncode, out or "", err or "")


@contextlib.contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Kill the process and close its pipes whatever the test does."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def eventually(holds: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """Wait until something outside this process holds, and return it."""
    end = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.01)
    return found


def processes_with(argument: str) -> list[int]:
    """Processes that have this very argument."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if argument in process.cmdline():
                found.append(process.pid)
    return found


def read_event(process: subprocess.Popen[str], kind: str, ordinal: int = 1) -> list[dict[str, Any]]:
    """Read `--json` lines up to the n-th event of a kind; return all that were read."""
    assert process.stdout is not None
    lines: list[dict[str, Any]] = []
    for text in process.stdout:
        line = json.loads(text)
        lines.append(line)
        ordinal -= line["kind"] == kind
        if ordinal == 0:
            return lines
    raise AssertionError(f"it ended before {kind}: {lines}")


def of_kind(log: Log, kind: type[e.Event]) -> list[Any]:
    """The events of a kind, in order."""
    return [record.event for record in log if isinstance(record.event, kind)]


def check_told(ran: Ran, code: int, *words: str) -> None:
    """It ended with this code, in words for a person, which contain these."""
    assert ran.code == code, (ran.code, ran.out, ran.err)
    assert "Traceback" not in ran.out + ran.err, ran.err
    for word in words:
        assert word in " ".join(ran.err.split()), (word, ran.err)


def check_paragraph(ran: Ran, code: int, *words: str) -> None:
    """It is told in a few lines on stderr, which name the way on; nothing stands on stdout."""
    check_told(ran, code, *words)
    assert ran.err.split().count("Error:") == 1
    assert len(ran.err) < 1000
    assert ran.out == ""


def check_books(place: Place, seen: Snapshot) -> None:
    """The list, the usage rows, the ledger's file and the provider's bill agree with the log."""
    rows: dict[str, list[UsageRow]] = {}
    for row in seen.usage:
        rows.setdefault(row.task_id, []).append(row)
    settled = charged = 0
    for task in seen.tasks:
        state = fold(seen.logs[task.id])
        own = rows.get(task.id, [])
        _check_list(task, state)
        _check_calls(own, seen.logs[task.id])
        assert sum(row.cost_micros or 0 for row in own) == state.spent_micros + _open(state)
        settled += sum(row.cost_micros or 0 for row in own if row.state == "settled")
        charged += sum(row.cost_micros or 0 for row in own)
    if place.bill.exists():
        bill = sum(map(int, place.bill.read_text().split()))
        assert settled <= bill <= charged
    ledger = json.loads((place.home / ".cost_history.json").read_text(encoding="utf-8"))
    assert [_shown(record) for record in ledger["records"]] == [_row(row) for row in seen.usage]
    assert sum(day["calls"] for day in ledger["days"].values()) == len(seen.usage)
    day_micros = sum(day["cost_micros"] + day["open_micros"] for day in ledger["days"].values())
    assert day_micros == charged


def _check_list(task: TaskRow, state: State) -> None:
    """A line of the list says what the log says."""
    assert task.status == state.status
    assert task.steps == state.steps
    assert task.cost_micros == state.spent_micros
    assert task.unpriced == state.unpriced
    assert task.tokens_processed == state.tokens_processed
    assert task.tokens_total == state.tokens_total
    assert task.limit_micros == state.limits.task_cost_micros


def _check_calls(rows: list[UsageRow], log: Log) -> None:
    """Each model call of the log has its row, with what became of it."""
    outcomes: list[tuple[int, str, int | None]] = []
    for record in log:
        match record.event:
            case e.ModelAsked(call=call, reserve_micros=reserve):
                outcomes.append((call, "open", reserve))
            case e.ModelAnswered(cost_micros=cost, usage=usage):
                how = "settled" if usage.reported else "estimated"
                outcomes[-1] = (outcomes[-1][0], how, cost)
            case e.ModelFailed(charged_micros=micros):
                outcomes[-1] = (outcomes[-1][0], "unsettled" if micros else "free", micros)
    assert [(row.call, row.state, row.cost_micros) for row in rows] == outcomes


def _open(state: State) -> int:
    return state.asked.reserve_micros or 0 if state.asked else 0


# Not the moment, which the file writes as text.
FIELDS = [name for name in UsageRow.__struct_fields__ if name not in ("at_ms", "task_name", "cwd")]


def _row(row: UsageRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in FIELDS}


def _shown(record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in FIELDS}
