"""SQL for checking and rebuilding the tables that follow from the log, and for looking ahead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agentctl.core.recount import FIELDS, KINDS, TOTALS
from agentctl.core.values import Micros, Millis

if TYPE_CHECKING:
    import sqlite3

SEQ_BITS = 32
MINUTE_MS = 60_000
SUMS = (
    "calls", "unpriced", "input", "cache_read", "cache_write", "output", "cost_micros",
    "estimated", "unsettled_micros",
)  # fmt: skip
"""What `sums` holds for each quarter of an hour, task and offer."""
_HOME = {"provider": "offers.provider", "model": "offers.model", "prices": "offers.prices"}
_USED = ", ".join(_HOME.get(name, f"usage.{name}") for name in FIELDS)


@contextmanager
def reading(db: sqlite3.Connection) -> Iterator[None]:
    """One moment for all reads of the block, whatever others write meanwhile."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


@contextmanager
def writing(db: sqlite3.Connection) -> Iterator[None]:
    """One transaction, begun at once: nobody else writes from the first read to the last write."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def torn(db: sqlite3.Connection) -> list[int]:
    """Numbers of the tasks whose log lacks an event before its last one."""
    sql = (
        f"SELECT pos >> {SEQ_BITS} FROM events GROUP BY 1"  # noqa: S608 - a constant of this file
        f" HAVING count(*) <> 1 + (max(pos) & {(1 << SEQ_BITS) - 1})"
    )
    return [row[0] for row in db.execute(sql)]


def logged(db: sqlite3.Connection) -> Iterator[tuple[int, int, Millis, str, str]]:
    """Task, number, time, kind and body of each event about a model call, task by task."""
    marks = ", ".join("?" * len(KINDS))
    sql = (
        f"SELECT pos >> {SEQ_BITS}, pos & {(1 << SEQ_BITS) - 1}, at_ms, kind, body FROM events"  # noqa: S608 - constants of this file
        f" WHERE kind IN ({marks}) ORDER BY pos"
    )
    return db.execute(sql, KINDS)


def used(db: sqlite3.Connection, task: int) -> list[tuple[Any, ...]]:
    """The usage rows of a task: id, then recount.FIELDS."""
    sql = f"SELECT usage.id, {_USED} FROM usage LEFT JOIN offers ON offers.id = offer WHERE task = ? ORDER BY usage.id"  # noqa: S608, E501 - constants of this file
    return db.execute(sql, (task,)).fetchall()


def users(db: sqlite3.Connection) -> list[int]:
    """Numbers of the tasks that have usage rows."""
    return [row[0] for row in db.execute("SELECT DISTINCT task FROM usage")]


def totals(db: sqlite3.Connection) -> dict[int, tuple[str, tuple[object, ...]]]:
    """Id and sums (recount.TOTALS) of each task by its number."""
    rows = db.execute(f"SELECT no, id, {', '.join(TOTALS)} FROM tasks")  # noqa: S608 - constants
    return {number: (task_id, tuple(sums)) for number, task_id, *sums in rows}


def pruned(db: sqlite3.Connection) -> dict[int, Micros]:
    """What leaving out old text saved, by task."""
    return dict(db.execute("SELECT task, sum(saved_micros) FROM pruned GROUP BY 1").fetchall())


def sums(db: sqlite3.Connection) -> Iterator[tuple[tuple[Any, ...], tuple[int, ...]]]:
    """Each row of `sums`: (quarter, task, provider, model, prices) and SUMS."""
    rows = db.execute(
        f"SELECT quarter, task, provider, model, prices, {', '.join(SUMS)}"  # noqa: S608 - constants
        " FROM sums LEFT JOIN offers ON offers.id = offer"
    )
    return ((row[:5], row[5:]) for row in rows)


def spend(db: sqlite3.Connection, since_ms: Millis = 0) -> list[tuple[int, Micros]]:
    """Minutes since the epoch with what was spent or reserved in them, where that is not 0."""
    return db.execute(
        "SELECT minute, micros FROM spend WHERE minute >= ? AND micros <> 0 ORDER BY minute",
        (since_ms // MINUTE_MS,),
    ).fetchall()


def spend_hours(db: sqlite3.Connection) -> list[tuple[int, Micros]]:
    """Hours since the epoch with the sum of their minutes, where that is not 0."""
    return db.execute("SELECT hour, micros FROM spend_hours WHERE micros <> 0").fetchall()


def reserved(db: sqlite3.Connection, since_ms: Millis) -> Micros:
    """What calls that are open now have set aside, of those asked since then."""
    row = db.execute(
        "SELECT coalesce(sum(cost_micros), 0) FROM usage WHERE state = 'open' AND at_ms >= ?",
        (since_ms,),
    ).fetchone()
    total: Micros = row[0]
    return total


def first_call(db: sqlite3.Connection) -> Millis | None:
    """About when the first call was made, to a quarter of an hour; None if there was none."""
    row = db.execute("SELECT min(quarter) * 900000 FROM sums").fetchone()
    first: Millis | None = row[0]
    return first


def running(db: sqlite3.Connection) -> list[str]:
    """Ids of the tasks that a process drives, or drove when it died."""
    return [row[0] for row in db.execute("SELECT id FROM tasks WHERE status = 'running'")]


def finished(
    db: sqlite3.Connection, provider: str, model: str
) -> list[tuple[Micros, int, int, Millis]]:
    """Cost, unpriced calls, steps and running time of the tasks of a model that were done."""
    return db.execute(
        "SELECT cost_micros, unpriced, steps, active_ms FROM tasks"
        " WHERE status = 'done' AND provider = ? AND model = ? ORDER BY no DESC LIMIT 1000",
        (provider, model),
    ).fetchall()


def last_model(db: sqlite3.Connection, provider: str) -> str:
    """The model of this provider's newest task; empty if there is none."""
    row = db.execute(
        "SELECT model FROM tasks WHERE provider = ? ORDER BY no DESC LIMIT 1", (provider,)
    ).fetchone()
    return row[0] if row else ""


def models(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Provider and model of everything called here, with the unit prices applied last."""
    rows = db.execute(
        "SELECT provider, model, prices FROM offers"
        " LEFT JOIN (SELECT offer, max(quarter) AS last FROM sums GROUP BY offer) ON offer = id"
        " ORDER BY provider, model, prices = '', last DESC"
    )
    found: dict[tuple[str, str], str] = {}
    for provider, model, prices in rows:
        found.setdefault((provider, model), prices)
    return [(*names, prices) for names, prices in found.items()]


def offer(db: sqlite3.Connection, provider: str, model: str, prices: str) -> int:
    """The number of a model at a price, written if it is new."""
    key = (provider, model, prices)
    db.execute("INSERT OR IGNORE INTO offers VALUES (NULL, ?, ?, ?)", key)
    number: int = db.execute(
        "SELECT id FROM offers WHERE provider = ? AND model = ? AND prices = ?", key
    ).fetchone()[0]
    return number


def rewrite_usage(db: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Replace every usage row: id, task, call, at_ms, offer and the rest, as the table has them."""
    db.execute("DELETE FROM usage")
    db.executemany(f"INSERT INTO usage VALUES ({', '.join('?' * 15)})", rows)  # noqa: S608 - marks


def rewrite_pruned(db: sqlite3.Connection, rows: Iterable[tuple[int, ...]]) -> None:
    """Replace every row of what pruning saved: usage id, quarter, task, offer, micros."""
    db.execute("DELETE FROM pruned")
    db.executemany("INSERT INTO pruned VALUES (?, ?, ?, ?, ?)", rows)


def rewrite_sums(db: sqlite3.Connection) -> None:
    """Compute the sums per quarter and the spend per minute anew from the usage rows."""
    from agentctl.store.migrations import REBUILD_SUMS  # here, because its imports are heavy

    db.execute("DELETE FROM sums")
    db.execute(REBUILD_SUMS)
    db.execute("DELETE FROM spend")
    db.execute("DELETE FROM spend_hours")  # its triggers write it again, from nothing
    db.execute(
        f"INSERT INTO spend SELECT at_ms / {MINUTE_MS}, sum(coalesce(cost_micros, 0)) AS micros"  # noqa: S608 - a constant
        " FROM usage GROUP BY 1 HAVING micros <> 0"
    )


def rewrite_totals(db: sqlite3.Connection, rows: Iterable[tuple[object, ...]]) -> None:
    """Set the sums of tasks: recount.TOTALS, then the task's number."""
    places = ", ".join(f"{name} = ?" for name in TOTALS)
    db.executemany(f"UPDATE tasks SET {places} WHERE no = ?", rows)  # noqa: S608 - constants
