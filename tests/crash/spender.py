"""A process that takes from what all tasks share, through the real store.

`python -m tests.crash.spender TASK` opens the state home of AGENTCTL_HOME, takes the task's lease
and says "ready". Then it does what each line on stdin asks for, a JSON list of a name and its
arguments, and answers with a line of JSON. Time is passed in: nothing here waits.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentctl.control import Desk
from agentctl.core import events as e
from agentctl.core.rows import Gate
from agentctl.core.values import Breaker, Limits, Message, Usage
from agentctl.paths import state_home
from agentctl.store.lease import Lease
from agentctl.store.sqlite import SqliteStore

LEAST_MICROS = 500
"""The smallest call that is tried when no larger one fits."""
BREAKER = Breaker(failures=3, window_ms=60_000, reset_ms=30_000)


class Spender:
    """One task's process."""

    def __init__(self, task_id: str) -> None:
        home = Path(state_home(os.environ))
        self.task_id = task_id
        self.store = SqliteStore(home / "agentctl.db")
        self.lease = Lease(home / "locks", task_id)
        self.seen = len(self.store.read(task_id))
        self.calls = 0
        self.tools = 0

    def write(
        self, at_ms: int, facts: Sequence[e.Event], intents: Sequence[e.Event], gate: Gate
    ) -> str:
        result = self.store.append(
            self.task_id, self.seen, facts, at_ms, intents=intents, gate=gate
        )
        self.seen += len(result.recorded)
        return result.refused

    def ask(self, at_ms: int, reserve_micros: int = 0, price: int = 0, **gate: Any) -> str:
        """Write the intent of a model call and return who was in the way."""
        intent = e.ModelAsked(self.calls + 1, "sim", "sim-1", reserve_micros, 9, 9, credits=price)
        refused = self.write(at_ms, [], [intent], Gate(breaker=BREAKER, **gate))
        self.calls += not refused
        return refused

    def answer(self, at_ms: int, cost_micros: int = 0) -> None:
        fact = e.ModelAnswered(Message("assistant", "yes"), Usage(), "end", cost_micros)
        self.write(at_ms, [fact], [], Gate(breaker=BREAKER))

    def fail(self, at_ms: int, reason: str = "server", credits_back: int = 0) -> None:
        fact = e.ModelFailed(reason, "down", retriable=True, credits_back=credits_back)
        self.write(at_ms, [fact], [], Gate(breaker=BREAKER))

    # --- what a test asks for ---

    def sweep(self) -> None:
        """Settle what dead processes have reserved, as any command does."""
        with Desk() as desk:
            desk.settle_dead()

    def spend(
        self,
        seed: int,
        cap_micros: int,
        most_micros: int,
        calls: int,
        at_ms: int,
        bill: str,
        dies_at: int,
    ) -> dict[str, int]:
        """Make calls at random prices, ever smaller ones where a limit is in the way.

        Each is billed outside between its intent and its answer. At the call `dies_at`, the
        process is killed within the next milliseconds, wherever it is then.
        """
        rng = random.Random(seed)
        outside = os.open(bill, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        made = refused = 0
        most = most_micros
        death = None
        while made < calls and most >= LEAST_MICROS:
            if made == dies_at and death is None:
                wait_s = rng.random() * 0.02
                death = threading.Timer(wait_s, os.kill, (os.getpid(), signal.SIGKILL))
                death.start()
            reserve = rng.randint(min(most, LEAST_MICROS), most)
            if self.ask(at_ms, reserve, hour_cap_micros=cap_micros):
                refused += 1
                most = reserve // 2
                continue
            cost = reserve if rng.random() < 0.5 else rng.randint(0, reserve)
            os.write(outside, f"{self.task_id} {cost}\n".encode())
            time.sleep(rng.random() * 0.004)  # so that calls of several processes are open at once
            self.answer(at_ms, cost)
            made += 1
        if dies_at >= 0:  # others may have used up the limit before it came so far
            os.kill(os.getpid(), signal.SIGKILL)
        os.close(outside)
        return {"made": made, "refused": refused}

    def tries(self, account: str, categories: Sequence[str], moments_ms: Sequence[int]) -> Any:
        """Try one call of each category at each moment; return the moments of those let through."""
        gate = Gate(account, limits=Limits(calls_per_minute=dict.fromkeys(categories, 10)))
        through: dict[str, list[int]] = {category: [] for category in categories}
        for at_ms in moments_ms:
            for category in categories:
                self.tools += 1
                call_id = f"c{self.tools}"
                intent: e.Event = e.ToolStarted(call_id, "look", "safe", category)
                fact: e.Event = e.ToolEnded(call_id, "look", "")
                if category == "ai":
                    intent = e.ModelAsked(self.calls + 1, "sim", "sim-1", 0, 9, 9)
                    fact = e.ModelAnswered(Message("assistant", "yes"), Usage(), "end", 0)
                if not self.write(at_ms, [], [intent], gate):
                    self.write(at_ms, [fact], [], gate)
                    through[category].append(at_ms)
        return through

    def buy(self, seed: int, calls: int, at_ms: int) -> dict[str, int]:
        """Make calls that cost credits, some by the model, some by a tool; some are given back."""
        rng = random.Random(seed)
        taken = refused = 0
        for number in range(calls):
            price = rng.randint(1, 20)
            if rng.random() < 0.5:
                intent = e.ToolStarted(f"c{number}", "look", "safe", credits=price)
                if self.write(at_ms, [], [intent], Gate()):
                    refused += 1
                    continue
                self.write(at_ms, [e.ToolEnded(f"c{number}", "look", "")], [], Gate())
            else:
                if self.ask(at_ms, price=price):
                    refused += 1
                    continue
                if rng.random() < 0.3:
                    self.fail(at_ms, "rate", credits_back=price)
                    continue
                self.answer(at_ms)
            taken += price
        return {"taken": taken, "refused": refused}


def main() -> None:
    spender = Spender(sys.argv[1])
    print('"ready"', flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(getattr(spender, name)(**arguments)), flush=True)
    spender.store.close()


if __name__ == "__main__":
    main()
