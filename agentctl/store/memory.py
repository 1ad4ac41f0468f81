"""The store's reference: the same contract in plain lists, for simulations and tests."""

from __future__ import annotations

from collections.abc import Sequence

from agentctl.core import events as e
from agentctl.core.rows import Appended, StoredOutput
from agentctl.core.values import Micros, Millis

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


class MemoryStore:
    """Keeps every task's log in memory."""

    def __init__(self) -> None:
        """Begin empty."""
        self.logs: dict[str, list[e.Recorded]] = {}
        self.outputs: dict[str, str] = {}
        self._changes = 0
        self._seen = -1

    def create(self, task_id: str, event: e.Event, at_ms: Millis) -> bool:
        """Write the first event of a new task; False when the id is taken."""
        if task_id in self.logs:
            return False
        self.logs[task_id] = [e.Recorded(0, at_ms, event)]
        self._changes += 1
        return True

    def append(
        self,
        task_id: str,
        expected: int | None,
        facts: Sequence[e.Event],
        at_ms: Millis,
        *,
        intents: Sequence[e.Event] = (),
        hour_cap_micros: Micros | None = None,
        outputs: Sequence[StoredOutput] = (),
    ) -> Appended:
        """Write facts, then intents: see ports.Store."""
        log = self.logs[task_id]
        start = len(log) if expected is None else expected
        news = log[start:]
        refused = "news" if news and intents else ""
        for output in outputs:
            self.outputs[output.ref] = output.text
        for fact in facts:
            log.append(e.Recorded(len(log), at_ms, fact))
        due = sum(i.reserve_micros or 0 for i in intents if isinstance(i, e.ModelAsked))
        if not refused and due and hour_cap_micros is not None:
            refused = "hour" if self.hour_spent(at_ms)[0] + due > hour_cap_micros else ""
        for intent in () if refused else intents:
            log.append(e.Recorded(len(log), at_ms, intent))
        self._changes += 1
        return Appended(tuple(log[start:]), refused)

    def read(self, task_id: str, after: int = 0) -> list[e.Recorded]:
        """Events numbered `after` and later."""
        return self.logs[task_id][after:]

    def changed(self) -> bool:
        """Whether anything was written since the last call."""
        before, self._seen = self._seen, self._changes
        return before != self._changes

    def hour_spent(self, now_ms: Millis) -> tuple[Micros, Millis]:
        """Settled and reserved in the last 60 minutes, and when its oldest part leaves them."""
        minutes: dict[int, Micros] = {}
        for log in self.logs.values():
            minute, reserve = 0, 0
            for record in log:
                event = record.event
                if isinstance(event, e.ModelAsked):
                    minute, reserve = record.at_ms // MINUTE_MS, event.reserve_micros or 0
                    minutes[minute] = minutes.get(minute, 0) + reserve
                elif isinstance(event, e.ModelAnswered):
                    minutes[minute] += (event.cost_micros or 0) - reserve
                elif isinstance(event, e.ModelFailed):
                    minutes[minute] += (event.charged_micros or 0) - reserve
        first = (now_ms - HOUR_MS) // MINUTE_MS
        counted = {m: micros for m, micros in minutes.items() if m >= first and micros > 0}
        opens = (min(counted) + 1) * MINUTE_MS + HOUR_MS if counted else 0
        return sum(counted.values()), opens

    def output(self, ref: str) -> str | None:
        """A stored output."""
        return self.outputs.get(ref)
