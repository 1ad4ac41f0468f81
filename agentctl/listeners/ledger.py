"""`.cost_history.json`: an export of the usage rows, kept fresh while a run goes on.

The database is the truth; this file can be removed at any time and comes back. Its fields are a
promise, written down in `docs/ledger.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from errno import EINVAL
from pathlib import Path

import msgspec
from msgspec import Struct

from agentctl import atomic
from agentctl.core.events import ModelAnswered, ModelFailed, Recorded
from agentctl.core.live import Signal
from agentctl.core.rows import UsageRow
from agentctl.core.values import Micros, Millis
from agentctl.errors import LockBusy, StoreError, StoreNewer

SCHEMA = 1
MIN_RECORDS = 1_000
HOUR_MS = 3_600_000
EVERY_MS = 30_000
LOCK_NAME = "ledger"
LOCK_TIMEOUT_MS = 1_000
"""An export takes some 20 ms. Waiting holds up the whole run, and a pause must be heard soon."""


class Totals(Struct, frozen=True):
    """Sums over the calls of an hour or a day."""

    calls: int = 0
    unpriced: int = 0
    """Calls without a known price, missing in the costs."""
    cost_micros: Micros = 0
    """Settled and estimated calls."""
    open_micros: Micros = 0
    """At most this much more: calls that may have been billed and whose answer is missing."""
    tokens_processed: int = 0
    """Input not served from a cache, plus output."""
    tokens_total: int = 0
    """All input, plus output."""

    def plus(self, other: Totals) -> Totals:
        """Return the sums of both."""
        return Totals(
            calls=self.calls + other.calls,
            unpriced=self.unpriced + other.unpriced,
            cost_micros=self.cost_micros + other.cost_micros,
            open_micros=self.open_micros + other.open_micros,
            tokens_processed=self.tokens_processed + other.tokens_processed,
            tokens_total=self.tokens_total + other.tokens_total,
        )


class LedgerRecord(Struct, frozen=True):
    """One model call as the file shows it."""

    id: int
    task_id: str
    call: int
    at: str
    provider: str
    model: str
    purpose: str
    state: str
    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int
    cost_micros: Micros | None
    reserve_micros: Micros | None
    prices: str
    response_id: str
    # Added since the first version of the schema: with defaults, since older files lack them.
    account: str = "default"


class LedgerFile(Struct, frozen=True, kw_only=True):
    """The whole file."""

    schema: int = SCHEMA
    generated_at: str
    records: list[LedgerRecord]
    hours: dict[str, Totals]
    days: dict[str, Totals]


class _Head(Struct):
    schema: int


ReadRecent = Callable[[int, Millis], Sequence[UsageRow]]
"""(min_records, since_ms): the newest `min_records` rows by time, and all since; oldest first."""
ReadTotals = Callable[[], Iterable[tuple[Millis, Totals]]]
"""For each UTC hour with calls its first moment and its sums, oldest first."""
TakeLock = Callable[[], AbstractContextManager[None]]
"""Waits for the lock under which the file is written; its block raises LockBusy."""


class Ledger:
    """Writes the file when a run ends and at most every 30 s while calls are answered.

    Errors are StoreError; whoever feeds listeners reports them and goes on.
    """

    def __init__(
        self,
        path: Path,
        read_recent: ReadRecent,
        read_totals: ReadTotals,
        now_ms: Callable[[], Millis],
        lock: TakeLock = nullcontext,
    ) -> None:
        self._path = path
        self._read_recent = read_recent
        self._read_totals = read_totals
        self._now_ms = now_ms
        self._lock = lock
        self._due_ms: Millis | None = None
        # At first, so that every run repairs a file that is missing, damaged or behind.
        self._is_stale = True

    live = False

    def hear(self, task_id: str, item: Recorded | Signal) -> None:
        """Note that a call was answered, and write if the last time is long enough ago."""
        if not isinstance(item, Recorded):
            return
        if self._due_ms is None:
            self._due_ms = item.at_ms + EVERY_MS
        if not isinstance(item.event, (ModelAnswered, ModelFailed)):
            return
        self._is_stale = True
        if item.at_ms >= self._due_ms:
            self._due_ms = item.at_ms + EVERY_MS
            self.export()

    def close(self) -> None:
        """Write what is due. Safe to call twice."""
        if self._is_stale or not self._path.exists():
            self.export()

    def export(self) -> None:
        """Write the file now.

        Raises StoreNewer when a newer agentctl wrote it and StoreError when it cannot be written,
        also because somebody else has been at it for too long; the file is unchanged then. A
        damaged one is kept aside and written anew.
        """
        try:
            # Reading the rows too: whoever writes later must not write what was read earlier.
            with self._lock():
                self._replace()
        except LockBusy as error:
            raise self._unwritten(error.what) from error
        except OSError as error:
            raise self._unwritten(f"{error.strerror or error}.") from error
        self._is_stale = False

    def _replace(self) -> None:
        now_ms = self._now_ms()
        data = render(self._read_recent(MIN_RECORDS, now_ms - HOUR_MS), self._read_totals(), now_ms)
        target = self._target()
        self._keep_damaged(target, now_ms)
        atomic.make_private(target.parent)
        atomic.replace(target, data)

    def _unwritten(self, why: str) -> StoreError:
        return StoreError(
            f"Cannot write the cost history {self._path}: {why}",
            kept="Nothing is lost: the costs are in the database.",
            next_step="agentctl costs report",
        )

    def _target(self) -> Path:
        """Return the file to replace: where a link points, as long as that is a cost history.

        Following any link would let a link in a project overwrite a file of the user. A device
        would be replaced by a file, /dev/null too, and a pipe be read for ever.
        """
        if not self._path.is_symlink():
            path = self._path  # a folder is told by the system
            if path.exists() and not (path.is_file() or path.is_dir()):
                raise OSError(EINVAL, "it is not a file")
            return self._path
        target = self._path.resolve()
        if target.exists() and not (target.is_file() and _is_ours(target.read_bytes())):
            raise StoreError(
                f"{self._path} is a link to {target}, which is not a cost history.",
                kept="Nothing was written.",
                next_step=f"Remove the link: rm {self._path}",
            )
        return target

    def _keep_damaged(self, target: Path, now_ms: Millis) -> None:
        try:
            data = target.read_bytes()
        except FileNotFoundError:
            return
        if not data or _is_ours(data):
            return
        # A copy of what was judged, not a rename: another process may have repaired the file since.
        name = f"{target.name}.corrupt-{_moment(now_ms, '%Y%m%dT%H%M%SZ')}"
        for number in range(1, 100):
            aside = target.with_name(name if number == 1 else f"{name}-{number}")
            try:
                atomic.write_new(aside, data)
            except FileExistsError:
                if aside.read_bytes() == data:
                    return
            else:
                return
        raise StoreError(
            f"{target} is damaged, and there are many damaged copies beside it already.",
            kept="Nothing was written.",
            next_step=f"Look at them and remove them: ls {target}.corrupt-*",
        )


def render(
    rows: Iterable[UsageRow], totals: Iterable[tuple[Millis, Totals]], now_ms: Millis
) -> bytes:
    """Return the file for these rows and hourly sums."""
    hours: dict[str, Totals] = {}
    days: dict[str, Totals] = {}
    for moment_ms, sums in totals:
        hour, day = _moment(moment_ms, "%Y-%m-%dT%H:00Z"), _moment(moment_ms, "%Y-%m-%d")
        hours[hour] = hours.get(hour, _NOTHING).plus(sums)
        days[day] = days.get(day, _NOTHING).plus(sums)
    file = LedgerFile(
        generated_at=_iso(now_ms),
        records=[_record(row) for row in rows],
        hours=hours,
        days=days,
    )
    return msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"


_NOTHING = Totals()


def _record(row: UsageRow) -> LedgerRecord:
    return LedgerRecord(
        id=row.id,
        task_id=row.task_id,
        call=row.call,
        at=_iso(row.at_ms),
        provider=row.provider,
        model=row.model,
        purpose=row.purpose,
        state=row.state,
        input=row.input,
        cache_read=row.cache_read,
        cache_write=row.cache_write,
        output=row.output,
        reasoning=row.reasoning,
        cost_micros=row.cost_micros,
        reserve_micros=row.reserve_micros,
        prices=row.prices,
        response_id=row.response_id,
        account=row.account,
    )


def _is_ours(data: bytes) -> bool:
    """Return whether this is a cost history of our schema. Raises StoreNewer for a later one."""
    try:
        schema = msgspec.json.decode(data, type=_Head).schema
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    if schema > SCHEMA:
        raise StoreNewer(
            f"The cost history was written by a newer agentctl (schema {schema}; this version "
            f"knows {SCHEMA}).",
            kept="It was left as it is; the costs are in the database.",
            next_step="Use the newer agentctl, or set another path with the setting ledger.",
        )
    try:
        msgspec.json.decode(data, type=LedgerFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return schema == SCHEMA


def _moment(moment_ms: Millis, form: str) -> str:
    return datetime.fromtimestamp(moment_ms // 1000, UTC).strftime(form)


def _iso(moment_ms: Millis) -> str:
    return f"{_moment(moment_ms, '%Y-%m-%dT%H:%M:%S')}.{moment_ms % 1000:03d}Z"
