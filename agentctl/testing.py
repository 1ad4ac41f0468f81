"""For tests of agents and tools: tools that only pretend, and tools that answer from a task's log.

from agentctl.testing import asked, replayed, simulated
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agentctl.core import transfer
from agentctl.core.events import Recorded
from agentctl.core.values import ToolSpec
from agentctl.tools import replayed as _replayed
from agentctl.tools.replayed import Recording, Replayed
from agentctl.tools.simulated import Asked, Invocation, Simulated, asked, simulated

__all__ = [
    "Asked",
    "Invocation",
    "Recording",
    "Replayed",
    "Simulated",
    "asked",
    "replayed",
    "simulated",
]


def replayed(
    task: str | Path | Iterable[Recorded], *, specs: Iterable[ToolSpec] = ()
) -> list[Replayed]:
    """Make the tools that a task used, which answer each call as its log says, in order.

    `task` is an id, a name or "@last" in this environment's state home, the path of an exported
    file, or the events themselves. A call that is not in the log raises a ToolError that says what
    was asked and what is recorded. Raises UnknownTask, StoreError and, for a bad file, ValueError.
    """
    if isinstance(task, Path):
        with task.open("rb") as file:
            found = transfer.read(file)
        outputs = {stored.ref: stored.text for stored in found.outputs}
        return _replayed.replayed(found.log, specs=specs, output=outputs.get)
    if not isinstance(task, str):
        return _replayed.replayed(task, specs=specs)
    from agentctl.control import Desk  # the store: not needed for the rest

    with Desk() as desk:
        records = desk.store.read(desk.find(task).id)
        return _replayed.replayed(records, specs=specs, output=desk.store.output)
