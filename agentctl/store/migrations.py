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


def m002_shared_limits_and_sums(db: Database) -> None:
    """Add what limits need that tasks share, and sums so that reports need not read every call."""
    for column, kind in (
        ("account", "TEXT NOT NULL DEFAULT 'default'"),
        ("active_ms", "INTEGER NOT NULL DEFAULT 0"),
        ("resumed_ms", "INTEGER NOT NULL DEFAULT 0"),
    ):
        db.execute(f"ALTER TABLE tasks ADD COLUMN {column} {kind}")
    db.execute("CREATE INDEX usage_task ON usage (task)")
    # Few calls are open at any time: those of dead processes are found without reading the rest.
    db.execute("CREATE INDEX usage_open ON usage (task) WHERE state = 'open'")
    db.execute(
        "CREATE TABLE sums (quarter INTEGER, task INTEGER, offer INTEGER, calls INTEGER NOT NULL,"
        " unpriced INTEGER NOT NULL, input INTEGER NOT NULL, cache_read INTEGER NOT NULL,"
        " cache_write INTEGER NOT NULL, output INTEGER NOT NULL, cost_micros INTEGER NOT NULL,"
        " estimated INTEGER NOT NULL, unsettled_micros INTEGER NOT NULL,"
        " PRIMARY KEY (quarter, task, offer)) WITHOUT ROWID"
    )
    db.execute(REBUILD_SUMS)
    db.execute(SUM_WHEN_SETTLED)
    _spend_by_hour(db)
    db.execute(
        "CREATE TABLE paces (account TEXT, category TEXT, at_ms INTEGER, calls INTEGER NOT NULL,"
        " PRIMARY KEY (account, category, at_ms)) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE circuits (name TEXT PRIMARY KEY, failures INTEGER NOT NULL,"
        " since_ms INTEGER NOT NULL, opens_ms INTEGER NOT NULL, probe_until_ms INTEGER NOT NULL)"
        " WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE credits (account TEXT PRIMARY KEY, balance INTEGER NOT NULL) WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE credit_moves (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL,"
        " account TEXT NOT NULL, amount INTEGER NOT NULL, balance INTEGER NOT NULL,"
        " task INTEGER, reason TEXT NOT NULL)"
    )
    db.execute(
        "CREATE TABLE violations (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL,"
        " task INTEGER NOT NULL, guard TEXT NOT NULL, name TEXT NOT NULL, used INTEGER NOT NULL,"
        " cap INTEGER NOT NULL, need INTEGER NOT NULL, unit TEXT NOT NULL, tool TEXT NOT NULL)"
    )
    # Few calls leave something out, so what that saved stands apart from the sums of all.
    db.execute(
        "CREATE TABLE pruned (call INTEGER PRIMARY KEY, quarter INTEGER NOT NULL,"
        " task INTEGER NOT NULL, offer INTEGER NOT NULL, saved_micros INTEGER NOT NULL)"
    )
    db.execute(
        "CREATE TABLE answers (request TEXT PRIMARY KEY, pos INTEGER NOT NULL) WITHOUT ROWID"
    )
    _learned(db)
    # Where a result that may be given again stands in the log; the newest has the highest id.
    db.execute(
        "CREATE TABLE lookups (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,"
        " pos INTEGER NOT NULL, at_ms INTEGER NOT NULL, proof TEXT NOT NULL,"
        " bytes INTEGER NOT NULL)"
    )


def _learned(db: Database) -> None:
    """Keep how many bytes of each model's input make a token."""
    db.execute(
        "CREATE TABLE calibration (provider TEXT, model TEXT, bytes INTEGER NOT NULL,"
        " tokens INTEGER NOT NULL, PRIMARY KEY (provider, model)) WITHOUT ROWID"
    )


def m003_permissions(db: Database) -> None:
    """Add the rules of "always" answers."""
    db.execute(
        "CREATE TABLE permissions (id INTEGER PRIMARY KEY, cwd TEXT NOT NULL, rule TEXT NOT NULL,"
        " at_ms INTEGER NOT NULL, task INTEGER NOT NULL, UNIQUE (cwd, rule))"
    )


def m004_where_tasks_come_from(db: Database) -> None:
    """Add what a task is a fork, a child or an item of, and the batches."""
    for column, kind in (
        ("origin", "TEXT"), ("parent", "TEXT"), ("item", "INTEGER"), ("batch", "TEXT"),
    ):  # fmt: skip
        usual = "0" if kind == "INTEGER" else "''"
        db.execute(f"ALTER TABLE tasks ADD COLUMN {column} {kind} NOT NULL DEFAULT {usual}")
    db.execute("CREATE INDEX tasks_parent ON tasks (parent, item) WHERE parent <> ''")
    # With the cost: what a batch has spent is summed before each of its calls.
    db.execute("CREATE INDEX tasks_batch ON tasks (batch, cost_micros) WHERE batch <> ''")
    db.execute(
        "CREATE TABLE batches (no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
        " created_ms INTEGER NOT NULL, source TEXT NOT NULL, cwd TEXT NOT NULL,"
        " goals TEXT NOT NULL, options TEXT NOT NULL, cap_micros INTEGER)"
    )


def _spend_by_hour(db: Database) -> None:
    """Sum the spend by hours too."""
    # A day is 24 of these and the minutes of one hour, not 1,440 minutes. Kept by triggers, so that
    # whatever writes a minute keeps its hour too.
    db.execute("CREATE TABLE spend_hours (hour INTEGER PRIMARY KEY, micros INTEGER NOT NULL)")
    db.execute("INSERT INTO spend_hours SELECT minute / 60, sum(micros) FROM spend GROUP BY 1")
    for moment, hour, change in (
        ("INSERT", "NEW.minute", "NEW.micros"),
        ("UPDATE", "NEW.minute", "NEW.micros - OLD.micros"),
        ("DELETE", "OLD.minute", "-OLD.micros"),
    ):
        db.execute(
            f"CREATE TRIGGER spend_{moment.lower()} AFTER {moment} ON spend BEGIN"  # noqa: S608 - words from above
            f" INSERT INTO spend_hours VALUES ({hour} / 60, {change})"
            " ON CONFLICT (hour) DO UPDATE SET micros = micros + excluded.micros; END"
        )


REBUILD_SUMS = (
    "INSERT INTO sums SELECT at_ms / 900000, task, offer, count(*), sum(cost_micros IS NULL),"
    " sum(input), sum(cache_read), sum(cache_write), sum(output),"
    " sum(CASE WHEN state = 'unsettled' THEN 0 ELSE coalesce(cost_micros, 0) END),"
    " sum(state = 'estimated'),"
    " sum(CASE WHEN state = 'unsettled' THEN coalesce(cost_micros, 0) ELSE 0 END)"
    " FROM usage WHERE state <> 'open' GROUP BY 1, 2, 3"
)
"""What `sums` holds, computed from all calls: one row per quarter of an hour, task and offer."""

SUM_WHEN_SETTLED = (
    "CREATE TRIGGER usage_settled AFTER UPDATE ON usage"
    " WHEN OLD.state = 'open' AND NEW.state <> 'open' BEGIN"
    " INSERT INTO sums VALUES (NEW.at_ms / 900000, NEW.task, NEW.offer, 1,"
    " NEW.cost_micros IS NULL, NEW.input, NEW.cache_read, NEW.cache_write, NEW.output,"
    " CASE WHEN NEW.state = 'unsettled' THEN 0 ELSE coalesce(NEW.cost_micros, 0) END,"
    " NEW.state = 'estimated',"
    " CASE WHEN NEW.state = 'unsettled' THEN coalesce(NEW.cost_micros, 0) ELSE 0 END)"
    " ON CONFLICT DO UPDATE SET calls = calls + 1, unpriced = unpriced + excluded.unpriced,"
    " input = input + excluded.input, cache_read = cache_read + excluded.cache_read,"
    " cache_write = cache_write + excluded.cache_write, output = output + excluded.output,"
    " cost_micros = cost_micros + excluded.cost_micros, estimated = estimated + excluded.estimated,"
    " unsettled_micros = unsettled_micros + excluded.unsettled_micros; END"
)
"""By a trigger, so that a process of the version before, still running, keeps them too."""

MIGRATIONS: tuple[Callable[[Database], None], ...] = (
    m001_first_tables,
    m002_shared_limits_and_sums,
    m003_permissions,
    m004_where_tasks_come_from,
)


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
