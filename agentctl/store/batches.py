"""What began each batch: enough to go on with it after any crash. Its goals are ordinary tasks."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from agentctl.core.rows import TaskRow
from agentctl.core.values import Micros, Millis
from agentctl.store import queries


class Batch(Struct, frozen=True):
    """One batch, as it was begun."""

    id: str
    created_ms: Millis
    source: str
    """The file with its goals, absolute; "-": they came by stdin."""
    cwd: str
    """Where it was begun: relative names of its goals are below this folder."""
    goals: tuple[str, ...]
    """A hash of each goal, in their order."""
    options: Mapping[str, object]
    """Flags that hold for all goals, as they were typed; without secrets."""
    cap_micros: Micros | None
    """Most that all its tasks may spend together; None: no such limit."""


def insert(db: sqlite3.Connection, batch: Batch) -> None:
    """Write a new batch. Nothing of it has been begun yet."""
    db.execute(
        "INSERT INTO batches (id, created_ms, source, cwd, goals, options, cap_micros)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            batch.id,
            batch.created_ms,
            batch.source,
            batch.cwd,
            " ".join(batch.goals),
            msgspec.json.encode(batch.options).decode(),
            batch.cap_micros,
        ),
    )


def update(db: sqlite3.Connection, batch: Batch) -> None:
    """Write what a resume may change: further goals, options, the limit."""
    db.execute(
        "UPDATE batches SET goals = ?, options = ?, cap_micros = ? WHERE id = ?",
        (
            " ".join(batch.goals),
            msgspec.json.encode(batch.options).decode(),
            batch.cap_micros,
            batch.id,
        ),
    )


def newest(db: sqlite3.Connection, source: str) -> Batch | None:
    """The last batch that was begun with this file."""
    row = db.execute(
        "SELECT id, created_ms, source, cwd, goals, options, cap_micros FROM batches"
        " WHERE source = ? ORDER BY no DESC LIMIT 1",
        (source,),
    ).fetchone()
    if row is None:
        return None
    name, created_ms, source, cwd, goals, options, cap = row
    kept = msgspec.json.decode(options)
    return Batch(name, created_ms, source, cwd, tuple(goals.split()), kept, cap)


def items(db: sqlite3.Connection, batch_id: str) -> list[TaskRow]:
    """The tasks of its goals that were begun, in the order of the goals."""
    return queries.of_batch(db, batch_id)


def spent(db: sqlite3.Connection, batch_id: str) -> Micros:
    """What all its tasks have cost so far, those that they began for themselves included."""
    row = db.execute(
        "SELECT coalesce(sum(cost_micros), 0) FROM tasks WHERE batch = ? AND batch <> ''",
        (batch_id,),
    ).fetchone()
    return int(row[0])
