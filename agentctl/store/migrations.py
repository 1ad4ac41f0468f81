"""The schema, step by step. Step n takes a database from user_version n-1 to n.

A step and its number are written in one transaction. Imported only when the schema is behind:
sqlite-utils costs more at start-up than all the rest of a command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlite_utils import Database


def m001_first_tables(db: Database) -> None:
    """Create the log, its views by task and call, the spend by minute and the large outputs."""
    table: Any = db.table
    table("tasks").create(
        {
            "no": int,
            "id": str,
            "name": str,
            "goal": str,
            "status": str,
            "cwd": str,
            "provider": str,
            "model": str,
            "created_ms": int,
            "updated_ms": int,
            "steps": int,
            "cost_micros": int,
            "unpriced": int,
            "tokens_processed": int,
            "tokens_total": int,
            "pid": int,
            "wake_ms": int,
            "limit_micros": int,
        },
        pk="no",
        not_null={"id", "goal", "status", "steps", "cost_micros"},
    )
    table("tasks").create_index(["id"], unique=True)
    # pos = task number * 2^32 + sequence number: one key, no second index, tasks stay together.
    table("events").create(
        {"pos": int, "kind": str, "at_ms": int, "body": str},
        pk="pos",
        not_null={"kind", "at_ms", "body"},
    )
    # In the order of asking, over all tasks, so that the newest calls are found without an index.
    table("usage").create(
        {
            "id": int,
            "task": int,
            "call": int,
            "at_ms": int,
            "offer": int,
            "purpose": str,
            "state": str,
            "input": int,
            "cache_read": int,
            "cache_write": int,
            "output": int,
            "reasoning": int,
            "reserve_micros": int,
            "cost_micros": int,
            "response_id": str,
        },
        pk="id",
        not_null={"task", "call", "at_ms", "offer", "state"},
    )
    # A model at a price: the same few for thousands of calls.
    table("offers").create(
        {"id": int, "provider": str, "model": str, "prices": str},
        pk="id",
        not_null={"provider", "model", "prices"},
    )
    table("offers").create_index(["provider", "model", "prices"], unique=True)
    table("spend").create({"minute": int, "micros": int}, pk="minute", not_null={"micros"})
    table("outputs").create({"ref": str, "text": str}, pk="ref", not_null={"text"})
    db.create_view(
        "event_log",
        "select tasks.id as task_id, pos & 4294967295 as seq, kind, at_ms, body "
        "from events join tasks on tasks.no = pos >> 32",
    )


MIGRATIONS: tuple[Callable[[Database], None], ...] = (m001_first_tables,)


def migrate(connection: Any, version: int) -> None:
    """Apply what is missing, each step in its own transaction."""
    db = Database(connection)
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have done it while we waited for the lock.
            if connection.execute("PRAGMA user_version").fetchone()[0] < number:
                step(db)
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
