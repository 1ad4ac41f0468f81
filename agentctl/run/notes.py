"""What tools and their servers say besides results, kept in the log: bounded, no secrets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from agentctl.core import events as e
from agentctl.core.live import Signal, ToolOutput, ToolProgress
from agentctl.core.sanitize import storable
from agentctl.core.values import Millis
from agentctl.errors import StoreError

GAP_MS: Millis = 1_000
"""Of one call, progress is told no more often than this, and what it said last in any case."""


class Notes:
    """Passes signals on to whoever watches and holds what belongs in the log."""

    def __init__(
        self,
        hear: Callable[[Signal], None],
        hold: Callable[[e.ToolNote], None],
        commit: Callable[[], object],
        now_ms: Callable[[], Millis],
    ) -> None:
        """`hold` takes a fact for the log, `commit` writes what is held."""
        self._hear, self._hold, self._commit, self._now_ms = hear, hold, commit, now_ms
        self._told_ms: dict[str, Millis] = {}
        self._untold: dict[str, ToolProgress] = {}
        self._closed = False

    def from_source(self, signal: Signal) -> None:
        """Keep what a server of tools says of itself, as long as the run goes on."""
        self._hear(signal)
        if isinstance(signal, ToolOutput) and not self._closed:
            self._hold(e.ToolNote(signal.call_id, storable(signal.text)))

    def from_tool(self, signal: Signal) -> None:
        """Keep how far a call is, now and then: who watches from elsewhere reads it in the log."""
        if not isinstance(signal, ToolProgress):
            self._hear(signal)
            return
        now_ms, last_ms = self._now_ms(), self._told_ms.get(signal.call_id)
        if last_ms is not None and now_ms - last_ms < GAP_MS:
            self._untold[signal.call_id] = signal
            return
        self._told_ms[signal.call_id] = now_ms
        self._untold.pop(signal.call_id, None)
        self._tell(signal)
        with suppress(StoreError):  # the call's end meets the same fault, and the run ends then
            self._commit()

    def ended(self, call_id: str) -> None:
        """Tell what a call said last before its end is told."""
        self._told_ms.pop(call_id, None)
        last = self._untold.pop(call_id, None)
        if last is not None:
            self._tell(last)

    def close(self) -> None:
        """The run is over: what is said from now on is not part of it."""
        self._closed = True

    def _tell(self, signal: ToolProgress) -> None:
        if not self._closed:
            self._hear(signal)
            self._hold(e.ToolNote(signal.tool, storable(signal.text), signal.call_id))
