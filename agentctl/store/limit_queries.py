"""Limits as the database knows them: violations, waiting tasks, paces, credits.

Of what `limits` and `credits` show or change, this is all the SQL; everything but `change_credits`
only reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agentctl.core import events as e
from agentctl.core.values import Millis
from agentctl.store import gate

if TYPE_CHECKING:
    import sqlite3

SEQ_BITS = 32
SEQ_MAX = (1 << SEQ_BITS) - 1

Violation = tuple[str, str, str, str, str, int, int, int, int, Millis]
"""Guard, limit, unit, tool, account; how often; use, cap and need of the last one; its moment."""


def violations(
    db: sqlite3.Connection, since_ms: Millis, account: str = "", task_id: str = ""
) -> list[Violation]:
    """Refusals since a moment by guard, limit, tool and account, the most frequent first."""
    # With a single max(), SQLite takes the bare columns from the row that has it.
    rows = db.execute(
        "SELECT guard, violations.name, unit, tool, account, count(*), used, cap, need, at_ms,"
        " max(violations.id)"
        " FROM violations JOIN tasks ON tasks.no = task"
        " WHERE at_ms >= ? AND (? = '' OR account = ?) AND (? = '' OR tasks.id = ?)"
        " GROUP BY guard, violations.name, tool, account"
        " ORDER BY count(*) DESC, max(violations.id) DESC",
        (since_ms, account, account, task_id, task_id),
    )
    return [row[:-1] for row in rows]


def waiting(
    db: sqlite3.Connection, account: str = ""
) -> list[tuple[str, str, str, Millis, e.Stopped]]:
    """Id, name, account, wake time and last stop of each waiting task; the first to wake first."""
    rows = db.execute(
        "SELECT id, name, account, wake_ms, (SELECT body FROM events WHERE kind = 'Stopped'"
        " AND pos BETWEEN no << 32 AND (no << 32) + 4294967295 ORDER BY pos DESC LIMIT 1)"
        " FROM tasks WHERE status = 'waiting' AND (? = '' OR account = ?) ORDER BY wake_ms, no",
        (account, account),
    )
    found = []
    for task_id, name, owner, wake_ms, body in rows:
        stopped = e.from_json("Stopped", body)
        if isinstance(stopped, e.Stopped):
            found.append((task_id, name, owner, wake_ms, stopped))
    return found


def categories(db: sqlite3.Connection, account: str) -> list[str]:
    """Categories that the account has called lately."""
    rows = db.execute("SELECT DISTINCT category FROM paces WHERE account = ?", (account,))
    return [category for (category,) in rows]


def balances(db: sqlite3.Connection, account: str = "") -> list[tuple[str, int, int, Millis]]:
    """Name, balance, number of moves and moment of the last, of each account that has credits."""
    return db.execute(
        "SELECT credits.account, credits.balance, count(id), coalesce(max(at_ms), 0)"
        " FROM credits LEFT JOIN credit_moves ON credit_moves.account = credits.account"
        " WHERE ? = '' OR credits.account = ? GROUP BY credits.account ORDER BY credits.account",
        (account, account),
    ).fetchall()


def credit_moves(
    db: sqlite3.Connection, account: str = "", limit: int = -1
) -> list[tuple[Millis, str, int, int, str, str]]:
    """Moment, account, amount, balance after it, task id (or "") and reason; the newest first."""
    return db.execute(
        "SELECT at_ms, credit_moves.account, amount, balance, coalesce(tasks.id, ''), reason"
        " FROM credit_moves LEFT JOIN tasks ON tasks.no = task"
        " WHERE ? = '' OR credit_moves.account = ? ORDER BY credit_moves.id DESC LIMIT ?",
        (account, account, limit),
    ).fetchall()


def change_credits(
    db: sqlite3.Connection,
    account: str,
    amount: Callable[[int], int],
    at_ms: Millis,
    reason: str,
    *,
    dry_run: bool = False,
) -> tuple[int, int]:
    """Change a balance in one transaction and return what it was and what it is.

    With `dry_run` what it would be: the transaction is taken back.

    `amount` is told the balance and returns what to add to it; where it raises, nothing changes.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        before = gate.balance(db, account)
        after = gate.move_credits(db, account, amount(before), at_ms, None, reason)
        db.execute("ROLLBACK" if dry_run else "COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return before, after
