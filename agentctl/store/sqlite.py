"""The log in one SQLite file: WAL, synchronous=FULL, explicit BEGIN IMMEDIATE.

An append is one transaction and one fsync. The tables `tasks`, `usage` and `spend` follow from
the events and are written in the same transaction, so that they can never disagree with the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agentctl.core import events as e
from agentctl.core.rows import Appended, Gate, StoredOutput
from agentctl.core.values import Millis, Shared
from agentctl.errors import StoreError
from agentctl.store import gate as gates
from agentctl.store import opening
from agentctl.store.opening import sqlite_module, translated, translation
from agentctl.store.project import Projection, follow_history, insert_task

if TYPE_CHECKING:
    import sqlite3

    from agentctl.core.calibrate import Calibration
    from agentctl.core.lookups import Lookup

NO_GATE = Gate()
SEQ_BITS = 32
SEQ_MAX = (1 << SEQ_BITS) - 1
INSERT_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?)"


class SqliteStore:
    """A connection to the state home's database. Not for sharing between threads."""

    def __init__(self, path: Path) -> None:
        """Open, create or migrate the database. Raises StoreError and its kinds."""
        self.path = path
        self._db: sqlite3.Connection = opening.connect(path)
        # One cursor for all writes: a new one for each statement costs a twelfth of a step.
        self._cursor = self._db.cursor()
        self._tables = Projection(self._cursor)
        self._numbers: dict[str, int] = {}
        self._batches: dict[int, str] = {}
        """By number, of the tasks that have one: they share its limit of money."""
        self._writes = 0
        self._taken: type[Exception] = sqlite_module().IntegrityError

    def close(self) -> None:
        """Close the connection; the last one out also removes the WAL."""
        self._db.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """For the read-only queries of `store.queries`."""
        return self._db

    def number(self, task_id: str) -> int:
        """The row number of a task. Raises KeyError if there is none."""
        number = self._numbers.get(task_id)
        if number is None:
            found = self._db.execute("SELECT no, batch FROM tasks WHERE id = ?", (task_id,))
            row = found.fetchone()
            if row is None:
                raise KeyError(task_id)
            number = self._numbers[task_id] = row[0]
            if row[1]:
                self._batches[number] = row[1]
        return number

    def has(self, task_id: str) -> bool:
        """Whether there is a task with this id."""
        with translated(self.path), suppress(KeyError):
            return self.number(task_id) > 0
        return False

    def create(
        self, task_id: str, event: e.Event, at_ms: Millis, more: Sequence[e.Event] = ()
    ) -> bool:
        """Write the first event of a new task, and more; False when the id is taken."""
        if not isinstance(event, e.TaskCreated):
            raise TypeError("a log begins with TaskCreated")
        with self._transaction() as db:
            if db.execute("SELECT 1 FROM tasks WHERE id = ?", (task_id,)).fetchone():
                return False
            number = insert_task(db, task_id, event, at_ms)
            self._write(number, 0, [event, *more], at_ms)
        return True

    def take_over(
        self, task_id: str, log: Sequence[e.Recorded], texts: Sequence[StoredOutput] = ()
    ) -> bool:
        """Write a new task with a history that is not its own: see ports.Store."""
        from agentctl.core.state import fold  # here, because `pause` must start quickly

        state = fold(log)
        with self._transaction() as db:
            if db.execute("SELECT 1 FROM tasks WHERE id = ?", (task_id,)).fetchone():
                return False
            number = insert_task(db, task_id, state.created, log[-1].at_ms)
            follow_history(db, number, state)
            db.executemany(
                "INSERT OR IGNORE INTO outputs VALUES (?, ?)", ((o.ref, o.text) for o in texts)
            )
            rows = ((number << SEQ_BITS | r.seq, r.at_ms, *e.to_json(r.event)) for r in log)
            db.executemany(
                INSERT_EVENT, ((pos, kind, at, body.decode()) for pos, at, kind, body in rows)
            )
        return True

    def append(
        self,
        task_id: str,
        expected: int | None,
        facts: Sequence[e.Event],
        at_ms: Millis,
        *,
        intents: Sequence[e.Event] = (),
        gate: Gate = NO_GATE,
        outputs: Sequence[StoredOutput] = (),
        clock_ms: Millis | None = None,
    ) -> Appended:
        """Write facts, then intents, in one durable transaction: see ports.Store."""
        more = (facts, intents, at_ms, gate, outputs, clock_ms)
        try:
            task = self.number(task_id)
            if expected is not None:
                try:
                    return self._append(task, expected, expected, *more)
                except self._taken:
                    pass  # others have written since: the key of our first row is theirs
            return self._append(task, None, expected, *more)
        except Exception as error:
            ours = translation(self.path, error)
            if ours is None:
                raise
            raise ours from error

    def _append(
        self,
        task: int,
        seq: int | None,
        expected: int | None,
        facts: Sequence[e.Event],
        intents: Sequence[e.Event],
        at_ms: Millis,
        gate: Gate,
        outputs: Sequence[StoredOutput],
        clock_ms: Millis | None,
    ) -> Appended:
        """Write at `seq`, or where the log ends if that is None."""
        db, base = self._cursor, task << SEQ_BITS
        db.execute("BEGIN IMMEDIATE")
        try:
            news: list[e.Recorded] = []
            if seq is None:
                seq = self._count(db, base)
                news = [] if expected is None else self._read(db, base, expected)
            refused = "news" if news and intents else ""
            for output in outputs:
                db.execute("INSERT OR IGNORE INTO outputs VALUES (?, ?)", (output.ref, output.text))
            self._tables.breaker, self._tables.paced = gate.breaker, gate.paced
            recorded = self._write(task, seq, facts, at_ms)
            if intents and not refused:
                known = gates.circuits(db)
                self._tables.troubled = known.keys()
                batch = self._batches.get(task, "")
                refused = gates.admit(db, gate, task, intents, at_ms, known, clock_ms, batch)
                if refused and expected is not None and not facts:
                    news = self._read(db, base, expected)  # no key was there to meet them
            if intents and not refused:
                recorded += self._write(task, seq + len(facts), intents, at_ms)
            db.execute("COMMIT")
            self._writes += 1
        except BaseException:
            self._tables.forget()
            if self._db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return Appended((*news, *recorded), refused)

    def read(self, task_id: str, after: int = 0) -> list[e.Recorded]:
        """Events numbered `after` and later."""
        with translated(self.path):
            return self._read(self._db, self.number(task_id) << SEQ_BITS, after)

    def version(self) -> tuple[int, int]:
        """Another value once anything was written, here or by another connection.

        Each who asks compares with what he was told last, so that several drivers can share this
        connection.
        """
        with translated(self.path):  # what the database counts are the commits of others only
            return self._db.execute("PRAGMA data_version").fetchone()[0], self._writes

    def shared(
        self,
        account: str,
        categories: Iterable[str],
        now_ms: Millis,
        clock_ms: Millis | None = None,
        task_id: str = "",
    ) -> Shared:
        """What all tasks share, with the pace of these categories: see ports.Store."""
        with translated(self.path):
            batch = self._batches.get(self.number(task_id), "") if task_id else ""
            return gates.shared(self._db, account, categories, now_ms, clock_ms, batch)

    def output(self, ref: str) -> str | None:
        """A stored output."""
        with translated(self.path):
            row = self._db.execute("SELECT text FROM outputs WHERE ref = ?", (ref,)).fetchone()
        return row[0] if row else None

    def answered(self, request: str) -> e.ModelAnswered | None:
        """An earlier answer to the same request, if one is kept under this hash."""
        with translated(self.path):
            row = self._db.execute(
                "SELECT kind, body FROM answers JOIN events ON events.pos = answers.pos"
                " WHERE request = ?",
                (request,),
            ).fetchone()
        event = e.from_json(*row) if row else None
        return event if isinstance(event, e.ModelAnswered) else None

    def looked_up(self, key: str) -> Lookup | None:
        """The last result of a look-up under this hash, if it is still kept."""
        with translated(self.path):
            from agentctl.store import lookups  # here, because `pause` must start quickly

            return lookups.find(self._db, key)

    def learned(self, provider: str, model: str) -> Calibration:
        """What earlier runs have learned of a model; nothing for a new one."""
        with translated(self.path):
            from agentctl.store import calibration  # as above

            return calibration.learned(self._db, provider, model)

    def learn(self, provider: str, model: str, news: Calibration) -> None:
        """Add what a run has learned of a model."""
        with self._transaction() as db:
            from agentctl.store import calibration  # as above

            calibration.learn(db, provider, model, news)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
                self._writes += 1
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _count(self, db: sqlite3.Cursor, base: int) -> int:
        row = db.execute(
            "SELECT max(pos) FROM events WHERE pos BETWEEN ? AND ?", (base, base | SEQ_MAX)
        ).fetchone()
        last: int = row[0]
        return (last & SEQ_MAX) + 1

    def _read(
        self, db: sqlite3.Cursor | sqlite3.Connection, base: int, after: int
    ) -> list[e.Recorded]:
        rows = db.execute(
            "SELECT pos, kind, at_ms, body FROM events WHERE pos BETWEEN ? AND ? ORDER BY pos",
            (base + after, base | SEQ_MAX),
        )
        try:
            return [
                e.Recorded(pos & SEQ_MAX, at_ms, e.from_json(kind, body))
                for pos, kind, at_ms, body in rows
            ]
        except (KeyError, ValueError) as error:  # msgspec's errors are ValueErrors
            raise StoreError(
                f"The log in {self.path} holds an event that this version cannot read ({error}).",
                kept="Nothing was changed.",
                next_step="Update agentctl, or report this with the output of: agentctl info",
            ) from error

    def _write(
        self, task: int, seq: int, events: Sequence[e.Event], at_ms: Millis
    ) -> list[e.Recorded]:
        recorded = []
        base, execute, follow = task << SEQ_BITS, self._cursor.execute, self._tables.follow
        for event in events:
            kind, body = e.to_json(event)
            execute(INSERT_EVENT, (base + seq, kind, at_ms, body.decode()))
            follow(task, event, at_ms, base + seq)
            recorded.append(e.Recorded(seq, at_ms, event))
            seq += 1
        return recorded
