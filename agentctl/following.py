"""Following a task from another process: its log, and what its process says live.

Nothing is told to the process that drives it; reading is all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from agentctl.control import Desk
from agentctl.core import events as e
from agentctl.core.live import LIVE, Mirrored, Signal, TextDelta, Waiting, mirror_name
from agentctl.core.rows import TaskRow
from agentctl.core.values import Millis
from agentctl.store import lease

POLL_S = 0.1
Item = e.Recorded | Signal


class Follower:
    """Reads what is new of a task, again and again."""

    def __init__(self, desk: Desk, task_id: str, *, after: int = 0) -> None:
        """Begin with event `after`; nothing is read yet."""
        self.task_id = task_id
        self.pid = 0
        """The process that drove it at the last look; 0: it stands still."""
        self._desk = desk
        self._next = after
        self._path = desk.home / LIVE / mirror_name(task_id)
        self._decoder = msgspec.json.Decoder(Mirrored)
        self._from, self._number = 0, 0
        self._settled = -1
        self._purpose = "step"
        self._said = ""

    def news(self) -> list[Item]:
        """Events and signals since the last look, in order. Raises StoreError."""
        # In this order: a process that has gone has written all, and a signal's event is on disk.
        self.pid = lease.owner(self._desk.locks, self.task_id)
        mirrored = self._mirrored() if self.pid else []
        records = self._desk.store.read(self.task_id, self._next)
        found: list[Item] = []
        for line in mirrored:
            while records and records[0].seq <= line.after:
                self._take(records.pop(0), found)
            if self._settled > line.after and not isinstance(line.signal, Waiting):
                continue  # it is on disk and was told
            if isinstance(line.signal, TextDelta):
                self._said += line.signal.text
            found.append(line.signal)
        for record in records:
            self._take(record, found)
        return found

    def _take(self, record: e.Recorded, found: list[Item]) -> None:
        """Add an event; before an answer, what of its words was not heard live."""
        event = record.event
        self._next = record.seq + 1
        match event:
            case e.ModelAsked():
                self._purpose, self._said = event.purpose, ""
            case e.ModelAnswered() if self._purpose == "step":
                rest = _unheard(event.message.text, self._said)
                if rest:
                    found.append(TextDelta(rest))
            case _:
                pass
        if isinstance(event, e.ModelAnswered | e.ModelFailed | e.ToolEnded):
            self._settled, self._said = record.seq, ""
        found.append(record)

    def _mirrored(self) -> list[Mirrored]:
        """New lines of the process that drives the task; one that is cut off is left for later."""
        try:
            lines = self._path.read_bytes().split(b"\n")[:-1]
        except OSError:
            return []  # it says nothing, or has just ended
        if self.pid != self._from:
            self._from, self._number = self.pid, 0
        new = []
        for text in lines:
            try:
                line = self._decoder.decode(text)
            except msgspec.DecodeError:
                continue  # written while the file was emptied
            if line.pid == self.pid and line.number > self._number:
                self._number = line.number
                new.append(line)
        return new


def follow(
    desk: Desk, task_id: str, *, after: int = 0, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Item]:
    """What happened from event `after` on and what happens, until the task stands still."""
    follower = Follower(desk, task_id, after=after)
    while True:
        yield from follower.news()
        if not follower.pid:
            return
        sleep(POLL_S)


def wait_for(
    desk: Desk,
    ids: Sequence[str],
    tell: Callable[[TaskRow], None],
    *,
    only_one: bool = False,
    within_ms: Millis | None = None,
    sleep: Callable[[float], None] = time.sleep,
    ticks_ms: Callable[[], Millis] = lambda: time.monotonic_ns() // 1_000_000,
) -> dict[str, TaskRow]:
    """Wait until these tasks, or one of them, have stopped; return those that have, by id.

    `tell` hears of each as it stops. After `within_ms` the wait is over.
    """
    end_ms = None if within_ms is None else ticks_ms() + within_ms
    stopped: dict[str, TaskRow] = {}
    while True:
        for task_id in ids:
            row = desk.find(task_id) if task_id not in stopped else None
            if row is not None and row.status != "running":
                stopped[task_id] = row
                tell(row)
        if len(stopped) == len(ids) or (only_one and stopped):
            return stopped
        if end_ms is not None and ticks_ms() >= end_ms:
            return stopped
        sleep(POLL_S)


def _unheard(text: str, said: str) -> str:
    """What of an answer was not heard; of one that was heard from its middle on, nothing."""
    if text.startswith(said):
        return text[len(said) :]
    return "" if text.endswith(said) else text
