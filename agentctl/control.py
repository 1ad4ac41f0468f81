"""Finding tasks and stopping them from outside. Light: `pause` must be quick to start."""

from __future__ import annotations

import os
import time
from pathlib import Path

from agentctl.core import events as e
from agentctl.core.rows import TaskRow
from agentctl.core.values import Millis
from agentctl.errors import NotResumable, TaskBusy, UnknownTask
from agentctl.paths import state_home
from agentctl.store import lease, queries
from agentctl.store.opening import translated
from agentctl.store.sqlite import SqliteStore

ENDED = ("done", "cancelled")


class Desk:
    """The state home, opened: its store and its locks."""

    def __init__(self) -> None:
        """Open the state home of this environment. Raises StoreError."""
        self.home = Path(state_home(os.environ))
        self.locks = self.home / "locks"
        self.store = SqliteStore(self.home / "agentctl.db")
        self.leases: dict[str, lease.Lease] = {}
        """Of tasks created here and not driven yet: nobody else may take them up."""

    def close(self) -> None:
        """Close the database and let go of tasks that were not driven after all."""
        for held in self.leases.values():
            held.release()
        self.leases.clear()
        self.store.close()

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, text: str) -> TaskRow:
        """The task of that id, unique prefix or name; "@last" is the newest. Raises UnknownTask."""
        with translated(self.store.path):
            rows = queries.matching(self.store.connection, text)
        if len(rows) == 1:
            return self.seen(rows[0])
        if not rows:
            what = "There is no task yet." if text == "@last" else f"There is no task {text!r}."
            raise UnknownTask(what, next_step="See them with: agentctl list --all")
        ids = ", ".join(row.id for row in rows)
        raise UnknownTask(
            f"{text!r} could be any of: {ids}.", next_step="Type more of the id, or @last."
        )

    def children(self, task_id: str) -> list[TaskRow]:
        """The tasks that work for this one or have done so, in the order of their beginning."""
        with translated(self.store.path):
            rows = queries.children(self.store.connection, task_id)
        return [self.seen(row) for row in rows]

    def tasks(self, *, limit: int = -1, ended: bool = True) -> list[TaskRow]:
        """The newest tasks first, with the status that is really theirs."""
        with translated(self.store.path):
            rows = queries.tasks(self.store.connection, limit=limit, ended=ended)
        return [self.seen(row) for row in rows]

    def seen(self, row: TaskRow) -> TaskRow:
        """The row, with "interrupted" for a task that runs in no live process.

        It is "paused" if a pause was asked for and its process died before it could obey.
        """
        if row.status != "running":
            return row
        pid = lease.owner(self.locks, row.id)
        changes = {"pid": pid} if pid else {"status": self._left_as(row.id)}
        return TaskRow(**{name: getattr(row, name) for name in row.__struct_fields__} | changes)

    def _left_as(self, task_id: str) -> str:
        with translated(self.store.path):
            due = queries.pause_is_due(self.store.connection, self.store.number(task_id))
        return "paused" if due else "interrupted"

    def pause(self, row: TaskRow, *, now: bool, reason: str, dry_run: bool = False) -> str:
        """Stop a task before its next step; return what comes of it. Idempotent."""
        _refuse_ended(row)
        if row.status not in ("running", "interrupted", "waiting"):
            return f"Task {row.id} is already stopped ({row.status})."
        if not dry_run:
            self._request(row, e.PauseRequested(now=now, reason=reason))
            for child in self.children(row.id):  # its driver would tell them too, but later
                if child.status == "running":
                    self.pause(child, now=now, reason=f"task {row.id} was paused")
        if row.status == "running":
            when = "now" if now else "before its next step"
            return f"Task {row.id} pauses {when} (process {row.pid})."
        was = "waiting" if row.status == "waiting" else "interrupted"
        return f"Task {row.id} was {was}; it is paused now."

    def send(self, row: TaskRow, text: str) -> str:
        """Say something to the model of a task that has not ended; return what came of it.

        Each call is one more message. Raises NotResumable.
        """
        while True:
            with translated(self.store.path):
                number = self.store.number(row.id)
                status, seen = queries.standing(self.store.connection, number)
            _refuse_said(row.id, status)
            # An intent: refused if anything was written since, as that the task has ended.
            said = e.UserSaid(text)
            if not self.store.append(row.id, seen, [], now_ms(), intents=[said]).refused:
                break
        row = self.find(row.id)
        if row.status == "running":
            return f"Task {row.id} reads it before its next step (process {row.pid})."
        return f"Task {row.id} is {row.status}: the message is kept and read when it goes on."

    def last_of(self, cwd: str) -> TaskRow | None:
        """The newest task that somebody began in this workspace, forks and imports included."""
        with translated(self.store.path):
            row = queries.newest_in(self.store.connection, cwd)
        return None if row is None else self.seen(row)

    def cancel(self, row: TaskRow, *, reason: str, dry_run: bool = False) -> str:
        """End a task for good; return what comes of it. Idempotent."""
        if row.status == "cancelled":
            return f"Task {row.id} is already cancelled."
        _refuse_ended(row)
        if not dry_run:
            self._request(row, e.CancelRequested(reason=reason))
            for child in self.children(row.id):  # they work for nobody any more
                if child.status not in ENDED:
                    self.cancel(child, reason=f"task {row.id} was cancelled")
        if row.status == "running":
            return f"Task {row.id} is being cancelled (process {row.pid} stops at once)."
        return f"Task {row.id} is cancelled."

    def _request(self, row: TaskRow, event: e.Event) -> None:
        if row.status == "running":
            self.store.append(row.id, None, [event], self.moment_ms(row.id))
            if lease.owner(self.locks, row.id):
                return
            # Its process has just stopped, perhaps without hearing it.
        held = lease.Lease(self.locks, row.id)
        try:
            if row.status != "running":
                self.store.append(row.id, None, [event], self.moment_ms(row.id))
            self._settle(row.id)
        finally:
            held.release()

    def moment_ms(self, task_id: str) -> Millis:
        """The time, but never before what the task's log says already: clocks are set back."""
        with translated(self.store.path):
            last_ms = queries.last_ms(self.store.connection, self.store.number(task_id))
        return max(now_ms(), last_ms)

    def settle_dead(self) -> None:
        """Charge the open calls of processes that have died at their reserves.

        Until then they only weigh on the hour and the day; a task that is driven is left alone.
        """
        with translated(self.store.path):
            ids = queries.tasks_with_open_calls(self.store.connection)
        for task_id in ids:
            if task_id in self.leases or lease.owner(self.locks, task_id):
                continue
            try:
                held = lease.Lease(self.locks, task_id)
            except TaskBusy:
                continue  # somebody took it up just now, and settles it himself
            try:
                self._settle_call(task_id)
            finally:
                held.release()

    def _settle_call(self, task_id: str) -> None:
        from agentctl.core.decide import in_doubt  # here, because `pause` must start quickly
        from agentctl.core.state import fold

        state = fold(self.store.read(task_id))
        if state.asked is not None:
            moment_ms = max(now_ms(), state.last_ms)
            self.store.append(task_id, None, [in_doubt(state.asked)], moment_ms)

    def _settle(self, task_id: str) -> None:
        """Write what follows from the log of a task that nobody drives."""
        # Here, because only tasks without a process need it and `pause` must start quickly.
        from agentctl.core.decide import Record, decide
        from agentctl.core.state import apply_all, fold
        from agentctl.core.values import Quote, View

        state = fold(self.store.read(task_id))
        view = View(max(now_ms(), state.last_ms), Quote(0, 0, 0, 0))
        while isinstance(action := decide(state, view), Record):
            # Like intents: what somebody has said meanwhile is not passed over.
            result = self.store.append(task_id, state.seq, [], view.now_ms, intents=action.facts)
            apply_all(state, result.recorded)


def now_ms() -> Millis:
    """The time, UTC."""
    return time.time_ns() // 1_000_000


def _refuse_ended(row: TaskRow) -> None:
    if row.status in ENDED:
        raise NotResumable(
            f"Task {row.id} has ended ({row.status}).",
            kept="Its answer and costs are kept.",
            next_step=f"See them with: agentctl show {row.id}",
        )


def _refuse_said(task_id: str, status: str) -> None:
    if status in ENDED:
        raise NotResumable(
            f"Task {task_id} has ended ({status}): it reads no more messages.",
            kept="Nothing was sent; its answer and costs are kept.",
            next_step="Go on from its end, in a task that knows what it knew: "
            f'agentctl fork {task_id} --run --goal "…"',
        )
