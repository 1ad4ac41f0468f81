"""The listeners of a run, fenced: whatever one of them does, the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentctl.core.events import Recorded
from agentctl.core.live import Signal
from agentctl.ports import Listener


class Audience:
    """Those who hear what happens in one task."""

    def __init__(
        self, task_id: str, listeners: Sequence[Listener], complain: Callable[[str], None]
    ) -> None:
        """`complain` is told once of each listener that fails."""
        self._task_id = task_id
        self._all = listeners
        self._complain = complain
        self._live = [listener for listener in listeners if listener.live]
        self._broken: set[Listener] = set()

    @property
    def is_live(self) -> bool:
        """Somebody watches live."""
        return bool(self._live)

    def tell(self, record: Recorded) -> None:
        """Tell all of a committed event."""
        for listener in self._all:
            self._hear(listener, record)

    def signal(self, signal: Signal) -> None:
        """Tell those who watch live."""
        for listener in self._live:
            self._hear(listener, signal)

    def close(self) -> None:
        """The run has ended."""
        for listener in self._all:
            try:
                listener.close()
            except Exception as error:  # noqa: BLE001 - a listener can never stop a run
                self._report(listener, error)

    def _hear(self, listener: Listener, item: Recorded | Signal) -> None:
        try:
            listener.hear(self._task_id, item)
        except Exception as error:  # noqa: BLE001 - a listener can never stop a run
            self._report(listener, error)

    def _report(self, listener: Listener, error: Exception) -> None:
        if listener not in self._broken:
            self._broken.add(listener)
            name = type(listener).__name__
            self._complain(f"{name} failed and is ignored: {type(error).__name__}: {error}")
