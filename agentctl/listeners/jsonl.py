"""`--json`: every committed event as one line of JSON."""

from __future__ import annotations

from typing import Any, TextIO

import msgspec

from agentctl.core.events import Recorded, to_json
from agentctl.core.live import Signal
from agentctl.reports.text import visible_json


class JsonLines:
    """Writes {"task_id", "seq", "at_ms", "kind", "event"} per event; signals are left out."""

    live = False

    def __init__(self, stream: TextIO) -> None:
        """Write to a text stream."""
        self._stream = stream

    def hear(self, task_id: str, item: Recorded | Signal) -> None:
        """Write one line."""
        if not isinstance(item, Recorded):  # it asks for no signals
            return
        kind, body = to_json(item.event)
        line = {
            "task_id": task_id,
            "seq": item.seq,
            "at_ms": item.at_ms,
            "kind": kind,
            "event": msgspec.Raw(body),
        }
        self.write(line)

    def write(self, line: dict[str, Any]) -> None:
        """Write a line of another kind, e.g. of the token monitor."""
        self._stream.write(visible_json(msgspec.json.encode(line).decode()) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is due."""
