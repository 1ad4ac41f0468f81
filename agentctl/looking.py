"""Looking at tasks: those of a list, and one with all that is known of it."""

from __future__ import annotations

from itertools import islice

from agentctl.control import Desk
from agentctl.core.redact import Redactor
from agentctl.core.rows import TaskRow, Wanted
from agentctl.core.state import fold
from agentctl.core.steps import steps
from agentctl.reports.task_look import Look
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


def look(desk: Desk, text: str, redactor: Redactor | None = None) -> Look:
    """The task of that id, prefix or name. Raises UnknownTask and StoreError.

    With a `redactor` its texts leave this machine.
    """
    row = desk.find(text)
    log = desk.store.read(row.id)
    with translated(desk.store.path):
        related = task_queries.from_it(desk.store.connection, row.id)
    clean = redactor.text if redactor is not None else str
    related = [desk.seen(each) for each in related]
    return Look(row, fold(log), steps(log), len(log), clean, related)
