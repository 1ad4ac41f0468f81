"""Which tasks a list has, as they really stand."""

from __future__ import annotations

from itertools import islice

from agentctl.control import Desk
from agentctl.core.rows import TaskRow
from agentctl.core.wanted import Wanted
from agentctl.store import task_queries
from agentctl.store.opening import translated

STATUSES = (
    "running",
    "interrupted",
    "paused",
    "limit",
    "waiting",
    "failed",
    "done",
    "cancelled",
)


def listed(desk: Desk, which: Wanted, most: int | None) -> list[TaskRow]:
    """The newest `most` of them, newest first; None: all. Raises StoreError."""
    with translated(desk.store.path):
        found = task_queries.wanted(desk.store.connection, which)
        seen = (desk.seen(row) for row in found)
        kept = (row for row in seen if not which.statuses or row.status in which.statuses)
        return list(islice(kept, most))
