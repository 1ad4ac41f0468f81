"""The token monitor: after each answer what it took, what was spared, and the task's sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agentctl.core.events import Recorded
from agentctl.core.live import Signal
from agentctl.core.tokens import TokenTally
from agentctl.reports.tokens import call_as_json, totals_as_json


class TokenMonitor:
    """Gives {"task_id", "kind": "Tokens", …} per answered call: see docs/events.md."""

    live = False

    def __init__(
        self,
        give: Callable[[dict[str, Any]], None],
        read: Callable[[str, int], Sequence[Recorded]],
        bytes_per_ktoken: int,
    ) -> None:
        """`give` takes each line; `read` gives a task's events from a number on."""
        self._give = give
        self._read = read
        self._tally = TokenTally(bytes_per_ktoken)
        self._seen = 0

    def hear(self, task_id: str, item: Recorded | Signal) -> None:
        """Count, and give a line if a call has been answered."""
        if not isinstance(item, Recorded):  # it asks for no signals
            return
        if item.seq > self._seen:  # what earlier processes did is not told again
            for record in self._read(task_id, self._seen)[: item.seq - self._seen]:
                self._tally.add(record)
        self._seen = item.seq + 1
        call = self._tally.add(item)
        if call is not None:
            total = totals_as_json(self._tally.totals)
            self._give({"task_id": task_id, "kind": "Tokens", **call_as_json(call), "total": total})

    def close(self) -> None:
        """Nothing is due."""
