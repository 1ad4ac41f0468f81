"""The command line as users run it, in a process that can be made to die at a chosen moment.

`python -m tests.crash.child POINT ARGUMENTS…` runs `agentctl ARGUMENTS…`. POINT says when it kills
itself with SIGKILL: "before ModelAsked 3" or "after ToolStarted 2" (the third, second commit whose
last event is of that kind); "signal 15 after …" sends that signal instead; "-" is never. The
product has no hooks: its methods are wrapped here.

With TEST_TERMINAL, stdin becomes the controlling terminal; with TEST_CLOCK the clock can be set.
Two files are written for the tests, if
these variables name them: TEST_POINTS gets the name of each commit, TEST_BILL the cost of each
answer, as the provider would bill it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios
import time
from collections import Counter
from pathlib import Path
from typing import Any

from agentctl.cli import main
from agentctl.core.values import Usage
from agentctl.providers.scripted import Scripted
from agentctl.store.sqlite import SqliteStore


def note(variable: str, line: str) -> None:
    """Append a line to the file that the variable names."""
    path = os.environ.get(variable)
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def wrap_store(point: str) -> None:
    """Count commits by their last event's kind and die before or after the chosen one."""
    seen: Counter[str] = Counter()
    create, append, take = SqliteStore.create, SqliteStore.append, SqliteStore.take_over
    number = signal.SIGKILL
    if point.startswith("signal "):
        _, word, point = point.split(" ", 2)
        number = signal.Signals(int(word))

    def at(moment: str, name: str) -> None:
        if f"{moment} {name}" == point:
            os.kill(os.getpid(), number)

    def named(kind: str) -> str:
        seen[kind] += 1
        name = f"{kind} {seen[kind]}"
        note("TEST_POINTS", name)
        return name

    def creating(self: SqliteStore, task_id: str, event: Any, at_ms: int, more: Any = ()) -> bool:
        name = named(type(event).__name__)
        at("before", name)
        made = create(self, task_id, event, at_ms, more)
        at("after", name)
        return made

    def appending(
        self: SqliteStore, task_id: str, expected: Any, facts: Any, at_ms: int, **more: Any
    ) -> Any:
        last = [*facts, *more.get("intents", ())][-1]
        name = named(type(last).__name__)
        at("before", name)
        result = append(self, task_id, expected, facts, at_ms, **more)
        at("after", name)
        return result

    def taking(self: SqliteStore, task_id: str, log: Any, *more: Any) -> bool:
        name = named("Forked")
        at("before", name)
        db = self.connection
        if point == f"within {name}":
            die = lambda sql: sql == "COMMIT" and os.kill(os.getpid(), number)  # noqa: E731 - short
            db.set_trace_callback(die)
        made = take(self, task_id, log, *more)
        at("after", name)
        return made

    SqliteStore.take_over = taking  # type: ignore[method-assign] # only in this process
    SqliteStore.create = creating  # type: ignore[method-assign] # only in this process
    SqliteStore.append = appending  # type: ignore[method-assign] # only in this process


def wrap_provider() -> None:
    """Write a bill outside for each answer, before anybody can record it."""
    ask = Scripted.ask

    async def billed(self: Scripted, request: Any, emit: Any) -> Any:
        answer = await ask(self, request, emit)
        note("TEST_BILL", str(cost_micros(self, answer.usage)))
        return answer

    Scripted.ask = billed  # type: ignore[method-assign] # only in this process


def cost_micros(provider: Scripted, usage: Usage) -> int:
    """The price of a usage without cached parts, rounded up."""
    assert provider.rates is not None
    micros = usage.input * provider.rates.input + usage.output * provider.rates.output
    return -(-micros // 1_000_000)


def take_terminal() -> None:
    """Make the terminal on stdin that of this session, so that its end is a hang-up."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def set_clock() -> None:
    """Be as many seconds ahead as the file of TEST_CLOCK says at that moment."""
    path, usual = Path(os.environ["TEST_CLOCK"]), time.time_ns

    def now_ns() -> int:
        return usual() + int(path.read_text(encoding="utf-8") or 0) * 1_000_000_000

    time.time_ns = now_ns
    time.time = lambda: now_ns() / 1e9


if __name__ == "__main__":
    if os.environ.get("TEST_CLOCK"):
        set_clock()
    if os.environ.get("TEST_TERMINAL"):
        take_terminal()
    wrap_store(sys.argv.pop(1))
    wrap_provider()
    main()
