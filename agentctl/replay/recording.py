"""The recording: what comes next, who wrote it, and the store that is compared with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentctl.core import events as e
from agentctl.core.rows import Appended
from agentctl.core.values import Millis
from agentctl.store.memory import MemoryStore

TASK = "replayed"
OTHERS = (e.PauseRequested, e.CancelRequested, e.LimitChanged, e.UserSaid)
"""What other processes write while one drives the task."""
TAKING_UP = (e.Resumed, e.Forked, e.Imported)
"""What is written when nobody drives the task: the process before it is gone."""


class Diverged(Exception):
    """The replay has come to something else than was recorded."""

    def __init__(self, seq: int, recorded: e.Recorded | None, came: e.Event, at_ms: Millis) -> None:
        """`recorded` is None where the recording ends before."""
        super().__init__(f"event {seq}")
        self.seq, self.recorded, self.came, self.at_ms = seq, recorded, came, at_ms


class Died(Exception):
    """The process ended here, or the recording does: nothing more was written by it."""


class Recording:
    """A log that is lived again."""

    def __init__(self, log: Sequence[e.Recorded]) -> None:
        """Nothing of it has happened again yet."""
        self.log = log
        self.at = 0
        """So many events have."""

    def news(self) -> list[e.Recorded]:
        """What others wrote before the driver's next event."""
        found: list[e.Recorded] = []
        for record in self.log[self.at : self.at + 1_000]:
            if not isinstance(record.event, OTHERS) or self._takes_up(record.seq):
                break
            found.append(record)
        return found

    def own(self, after: int) -> e.Event | None:
        """The driver's next event, after so many that it holds back; None: it wrote no more."""
        for event in self.owns(after):
            return event
        return None

    def owns(self, after: int) -> list[e.Event]:
        """What the driver wrote next in one go, after so many events that it holds back."""
        found: list[e.Event] = []
        for record in self.log[self.at : self.at + after + 1_000]:
            if isinstance(record.event, TAKING_UP) or self._takes_up(record.seq):
                break
            if not isinstance(record.event, OTHERS):
                found.append(record.event)
        return found[after:]

    def is_apart(self, held: int) -> bool:
        """Whether what is held back was written before the driver's next event came."""
        left, last_ms, others = held, 0, False
        for record in self.log[self.at : self.at + held + 1_000]:
            if isinstance(record.event, OTHERS):
                others = left == 0
            elif left == 0:
                return others or record.at_ms != last_ms
            else:
                left, last_ms = left - 1, record.at_ms
        return False

    def _takes_up(self, seq: int) -> bool:
        """A change of limits that a resume made is written together with it."""
        following = self.log[seq : seq + 2]
        return (
            len(following) == 2
            and isinstance(following[0].event, e.LimitChanged)
            and isinstance(following[1].event, e.Resumed)
            and following[0].event.reason == "resume"
        )

    def moment_ms(self, after: int = 0) -> Millis:
        """When the driver's next event was written, after so many that it holds back."""
        last_ms = self.log[-1].at_ms
        for record in self.log[self.at : self.at + after + 1_000]:
            if not isinstance(record.event, OTHERS):
                if after == 0:
                    return record.at_ms
                after -= 1
        return last_ms

    def compare(self, event: e.Event, at_ms: Millis) -> None:
        """Go on by one event. Raises Diverged, and Died where the driver wrote no more."""
        recorded = self.log[self.at] if self.at < len(self.log) else None
        if recorded is None or isinstance(recorded.event, TAKING_UP) or self._takes_up(self.at):
            raise Died
        if e.to_json(recorded.event) != e.to_json(event) or recorded.at_ms != at_ms:
            raise Diverged(self.at, recorded, event, at_ms)
        self.at += 1


class ReplayStore(MemoryStore):
    """Takes only what was recorded; what others wrote comes at its place."""

    def __init__(self, recording: Recording) -> None:
        """Begin with the task's first event."""
        super().__init__()
        self.recording = recording
        self.given: e.ModelAnswered | None = None
        """The earlier answer that the next call was given."""
        first = recording.log[0]
        self.create(TASK, first.event, first.at_ms)
        recording.at = 1

    def inject(self, record: e.Recorded) -> None:
        """Write what another process wrote."""
        self.logs[TASK].append(record)
        self.recording.at += 1
        self._changes += 1

    def append(
        self,
        task_id: str,
        expected: int | None,
        facts: Sequence[e.Event],
        at_ms: Millis,
        *,
        intents: Sequence[e.Event] = (),
        **more: Any,
    ) -> Appended:
        """Write facts, then intents: see ports.Store. Raises Diverged and Died."""
        log = self.logs[task_id]
        start = len(log) if expected is None else expected
        for record in self.recording.news():
            self.inject(record)
        refused = "news" if intents and len(log) > start else ""
        for event in (*facts, *(() if refused else intents)):
            self.recording.compare(event, at_ms)
            log.append(e.Recorded(len(log), at_ms, event))
        self._changes += 1
        return Appended(tuple(log[start:]), refused)

    def answered(self, request: str) -> e.ModelAnswered | None:
        """The earlier answer that was given then."""
        return self.given
