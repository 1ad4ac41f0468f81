"""The list as it stands now: rows of the store, and what each task did or says last."""

from __future__ import annotations

from msgspec import Struct

from agentctl.control import Desk
from agentctl.core.events import Recorded
from agentctl.core.live import TextDelta, ToolOutput, ToolProgress
from agentctl.core.rows import TaskRow
from agentctl.core.values import Millis
from agentctl.following import Follower
from agentctl.reports.log_lines import LogLines
from agentctl.store import watch_queries
from agentctl.store.opening import translated

NEWEST = 200
SAID_CHARS = 2_000


class Entry(Struct, frozen=True):
    """A task in the list."""

    row: TaskRow
    last: str
    """What happened last, or is being said."""


class _Running:
    """What a task that runs says."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._lines = LogLines()
        self._said = ""
        self.last = ""

    def look(self) -> None:
        for item in self._follower.news():
            if isinstance(item, Recorded):
                self._said = ""
                self.last = self._lines.text(item.event) or self.last
            elif isinstance(item, ToolProgress):
                self.last = item.text
            elif isinstance(item, TextDelta | ToolOutput):
                self._said = (self._said + item.text)[-SAID_CHARS:]
                *_, self.last = ["", *filter(None, map(str.strip, self._said.splitlines()))]


class Board:
    """Reads the list again and again, and only what can have changed."""

    def __init__(self, desk: Desk) -> None:
        """Nothing is read yet."""
        self._desk = desk
        self._version: object = None
        self._rows: list[TaskRow] = []
        self._running: dict[str, _Running] = {}
        self._last: dict[str, tuple[Millis, str]] = {}

    def look(self) -> list[Entry]:
        """Tasks that run first, then the newest. Raises StoreError."""
        store = self._desk.store
        version = store.version()
        if version != self._version:
            self._version = version
            with translated(store.path):
                self._rows = watch_queries.newest_and_running(store.connection, NEWEST)
        seen = [self._desk.seen(row) for row in self._rows]
        seen.sort(key=lambda row: row.status != "running")  # stable: the newest stay first
        entries = [Entry(row, self._last_of(row)) for row in seen]
        alive = {row.id for row in seen if row.status == "running"}
        self._running = {key: each for key, each in self._running.items() if key in alive}
        return entries

    def _last_of(self, row: TaskRow) -> str:
        if row.status == "running":
            running = self._running.get(row.id)
            if running is None:
                running = _Running(Follower(self._desk, row.id, after=self._end(row.id)))
                self._running[row.id] = running
            running.look()
            return running.last
        known = self._last.get(row.id)
        if known is None or known[0] != row.updated_ms:
            records = self._desk.store.read(row.id, self._end(row.id))
            text = LogLines().text(records[-1].event)
            known = self._last[row.id] = row.updated_ms, text
        return known[1]

    def _end(self, task_id: str) -> int:
        store = self._desk.store
        with translated(store.path):
            return watch_queries.last_seq(store.connection, store.number(task_id))
