"""The ledger file, compared with the log. It may be behind; what it says must still be true."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from errno import EINVAL
from pathlib import Path

import msgspec

from agentctl.books.check import Findings, plain
from agentctl.core.recount import Call
from agentctl.core.values import Millis
from agentctl.errors import StoreError
from agentctl.listeners.ledger import MIN_RECORDS, SCHEMA, LedgerFile, LedgerRecord, Totals
from agentctl.reports.books import number_of

FILE_BYTES_MAX = 256_000_000
HOUR_MS = 3_600_000
SLACK_MS = 60_000
"""A call is dated before it is written: the file may lack one that is dated just before it."""
_COMPARED = (
    "provider", "model", "purpose", "state", "input", "cache_read", "cache_write", "output",
    "reasoning", "reserve_micros", "cost_micros", "prices", "response_id",
)  # fmt: skip
_SUMMED = Totals.__struct_fields__


class LedgerBook:
    """A file's records, hours and days."""

    def __init__(self, path: Path) -> None:
        """Read the file; what is wrong with it is said at the end. Raises StoreError."""
        self._path = path
        self._problem = ""
        self._missing = False
        self._file = self._read()
        records = self._file.records if self._file else []
        self._records = {_key(record): record for record in records}
        ids = [record.id for record in records]
        self._last = max(ids, default=0)
        # Fewer than it always holds are all that there were.
        self._first = min(ids) if len(ids) >= MIN_RECORDS else 0
        self._written_ms = self._moment()
        self._behind: dict[str, int] = {}
        self._hours: dict[str, Counter[str]] = {}
        self._changed: set[str] = set()
        self._found: list[tuple[str, str, object, object]] = []
        self._lost: list[str] = []
        self._twice = [key for key, times in Counter(map(_key, records)).items() if times > 1]

    def _read(self) -> LedgerFile | None:
        try:
            if self._path.exists() and not self._path.is_file():
                raise OSError(EINVAL, "it is not a file")  # a pipe would be read for ever
            with self._path.open("rb") as file:
                data = file.read(FILE_BYTES_MAX + 1)
        except FileNotFoundError:
            self._missing = True
            return None
        except OSError as error:
            raise StoreError(
                f"The cost history {self._path} cannot be read: {error.strerror or error}.",
                kept="Nothing was changed.",
                next_step="Mend its rights, or remove it and type: agentctl costs rebuild",
            ) from error
        if len(data) > FILE_BYTES_MAX:
            self._problem = "it is too large to be a cost history"
            return None
        try:
            file_ = msgspec.json.decode(data, type=LedgerFile)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._problem = f"it cannot be read: {error}"
            return None
        if file_.schema != SCHEMA:
            self._problem = f"it has schema {file_.schema}; this version knows {SCHEMA}"
            return None
        return file_

    def _moment(self) -> Millis:
        if self._file is None:
            return 0
        try:
            written = datetime.fromisoformat(self._file.generated_at)
        except ValueError:
            self._problem = f"generated_at is no moment: {self._file.generated_at[:40]}"
            self._file = None
            return 0
        if written.tzinfo is None:
            written = written.replace(tzinfo=UTC)
        return int(written.timestamp() * 1000)

    def take(self, task_id: str, row: int | None, call: Call) -> None:
        """Compare a call with its record, if the file should have one."""
        changed_ms = max(call.at_ms, call.settled_ms)
        is_newer = changed_ms > self._written_ms - SLACK_MS
        self._sum(call, is_newer=is_newer)
        what = f"call {call.call} of task {task_id}"
        record = self._records.pop((task_id, call.call), None)
        if record is not None:
            self._compare(what, record, row, call, is_newer=is_newer)
        elif row is not None and row > self._last and is_newer:
            self._behind["made"] = self._behind.get("made", 0) + 1
        elif row is not None and row >= self._first:
            self._lost.append(what)

    def _compare(
        self, what: str, record: LedgerRecord, row: int | None, call: Call, *, is_newer: bool
    ) -> None:
        differences: list[tuple[str, str, object, object]] = [
            (what, name, getattr(call, name), getattr(record, name))
            for name in _COMPARED
            if getattr(call, name) != getattr(record, name)
        ]
        if record.at != _iso(call.at_ms):
            differences.append((what, "at", _iso(call.at_ms), record.at))
        if row is not None and record.id != row:
            differences.append((what, "id", row, record.id))
        # Only a call that waited for its answer can have changed: other records are final.
        if differences and is_newer and record.state == "open":
            self._behind["changed"] = self._behind.get("changed", 0) + 1
        else:
            self._found += differences

    def _sum(self, call: Call, *, is_newer: bool) -> None:
        hour = _form(call.at_ms // HOUR_MS * HOUR_MS, "%Y-%m-%dT%H:00Z")
        cost = call.cost_micros or 0
        sums = self._hours.setdefault(hour, Counter())
        sums["calls"] += 1
        sums["unpriced"] += call.cost_micros is None
        sums["open_micros" if call.pending else "cost_micros"] += cost
        sums["tokens_processed"] += call.input - call.cache_read + call.output
        sums["tokens_total"] += call.input + call.output
        if is_newer:
            self._changed |= {hour, hour[:10]}

    def close(self, findings: Findings) -> None:
        """Name what differs; say apart what is only behind."""
        name = self._path.name
        if self._missing and self._hours:
            findings.note(f"there is no {name}: the next run, or costs rebuild, writes it")
        if self._problem:
            findings.differ("ledger", name, remark=self._problem)
        if self._file is None:
            return
        for what, field, ours, theirs in self._found:
            findings.differ("ledger", what, field, plain(ours), plain(theirs))
        for task_id, call in self._twice:
            findings.differ("ledger", f"call {call} of task {task_id}", remark="twice in the file")
        for what in self._lost:
            findings.differ("ledger", what, remark="in the log, not in the file")
        for task_id, call in self._records:
            what = f"call {call} of task {task_id}"
            findings.differ("ledger", what, remark="in the file, not in the log")
        self._close_sums(findings, self._file)
        if self._behind:
            parts = [f"{number_of(number, 'call')} {how}" for how, number in self._behind.items()]
            findings.note(
                f"{name} was written at {self._file.generated_at} and is older than the log: "
                f"{' and '.join(parts)} since"
            )

    def _close_sums(self, findings: Findings, file: LedgerFile) -> None:
        days: dict[str, Counter[str]] = {}
        for hour, sums in self._hours.items():
            days.setdefault(hour[:10], Counter()).update(sums)
        for kind, ours, theirs in (("hour", self._hours, file.hours), ("day", days, file.days)):
            for key in sorted(ours.keys() | theirs.keys()):
                if self._behind and key in self._changed:
                    continue  # it may be behind there
                our, their = ours.get(key, Counter()), theirs.get(key, Totals())
                findings.fields(
                    "ledger",
                    f"{kind} {key}",
                    _SUMMED,
                    [our[field] for field in _SUMMED],
                    [getattr(their, field) for field in _SUMMED],
                )


def _key(record: LedgerRecord) -> tuple[str, int]:
    return record.task_id, record.call


def _form(moment_ms: Millis, form: str) -> str:
    return datetime.fromtimestamp(moment_ms // 1000, UTC).strftime(form)


def _iso(moment_ms: Millis) -> str:
    return f"{_form(moment_ms, '%Y-%m-%dT%H:%M:%S')}.{moment_ms % 1000:03d}Z"
