"""A task as a file: one JSON document a line, a header first, then its events, then its outputs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from agentctl.core import events as e
from agentctl.core.rows import StoredOutput
from agentctl.core.values import Millis

_Kind = TypeVar("_Kind")
FORMAT = "agentctl-task"
VERSION = 1
BEGINS = b'{"format":"agentctl-task"'
LINE_BYTES_MAX = 32_000_000
EVENTS_MAX = 1_000_000
NUMBER_MAX = 1 << 53
"""Larger numbers are none that we wrote, and do not fit everywhere."""


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    """The first line."""

    format: str
    version: int
    agentctl: str
    """The version that wrote it."""
    task_id: str
    events: int
    outputs: int
    """How many lines of each follow."""


class _Event(Struct, frozen=True, forbid_unknown_fields=True):
    task_id: str
    seq: int
    at_ms: Millis
    kind: str
    event: msgspec.Raw


class _Output(Struct, frozen=True, forbid_unknown_fields=True):
    output: str
    text: str


class Transfer(Struct, frozen=True):
    """What a file holds."""

    header: Header
    log: tuple[e.Recorded, ...]
    outputs: tuple[StoredOutput, ...]


class BadLine(ValueError):
    """A line that cannot be what an export wrote."""

    def __init__(self, number: int, why: str) -> None:
        """Lines are numbered from 1."""
        super().__init__(f"line {number}: {why}")
        self.number, self.why = number, why


def ref_of(text: str) -> str:
    """The hash under which an output is stored."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def written(
    task_id: str,
    log: Sequence[e.Recorded],
    output: Callable[[str], str | None],
    version: str,
    redact: Callable[[str], str],
) -> Iterator[bytes]:
    """The lines of a file, without line ends. The same task gives the same bytes."""
    outputs: dict[str, str] = {}
    renamed: dict[str, str] = {}
    for ref in _refs(log):
        text = output(ref)
        if text is not None:
            shown = redact(text)
            renamed[ref] = ref_of(shown)
            outputs[renamed[ref]] = shown
    header = Header(FORMAT, VERSION, version, task_id, len(log), len(outputs))
    yield msgspec.json.encode(header)

    def clean(text: str) -> str:
        text = redact(text)
        for old, new in renamed.items():
            if old != new and old in text:
                text = text.replace(old, new)
        return text

    for record in log:
        kind, body = e.to_json(record.event)
        fields = msgspec.json.encode(_cleaned(msgspec.json.decode(body), clean))
        line = _Event(task_id, record.seq, record.at_ms, kind, msgspec.Raw(fields))
        yield msgspec.json.encode(line)
    for ref, text in sorted(outputs.items()):
        yield msgspec.json.encode(_Output(ref, text))


def _refs(log: Sequence[e.Recorded]) -> Iterator[str]:
    """The stored texts that events refer to: large outputs, and what files held."""
    for record in log:
        if isinstance(record.event, e.ToolEnded):
            changes = record.event.changes
            held = (ref for change in changes for ref in (change.before, change.after))
            yield from filter(None, (record.event.output_ref, *held))


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """The same with every text of it cleaned."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(each, clean) for each in value]
    if isinstance(value, dict):
        return {clean(name): _cleaned(each, clean) for name, each in value.items()}
    return value


def read(lines: Iterable[bytes]) -> Transfer:
    """Read a file strictly. Raises BadLine for the first line that is not as it must be."""
    numbered = enumerate(lines, 1)
    header = _header(*next(numbered, (1, b"")))
    log: list[e.Recorded] = []
    outputs: list[StoredOutput] = []
    number = 1
    for number, line in numbered:
        if len(line) > LINE_BYTES_MAX:
            raise BadLine(number, f"it has more than {LINE_BYTES_MAX:,} bytes")
        if len(log) < header.events:
            log.append(_record(number, line, header, len(log)))
        elif len(outputs) < header.outputs:
            outputs.append(_stored(number, line))
        else:
            raise BadLine(number, "the header speaks of fewer lines")
    if len(log) < header.events or len(outputs) < header.outputs:
        raise BadLine(number + 1, "the file ends before all that the header speaks of")
    return Transfer(header, tuple(log), tuple(outputs))


def _header(number: int, line: bytes) -> Header:
    header = _decoded(number, line[:LINE_BYTES_MAX], Header)
    if header.format != FORMAT:
        raise BadLine(number, "this is no exported task")
    if header.version != VERSION:
        raise BadLine(number, f"it is of version {header.version} of the format, not {VERSION}")
    if not 1 <= header.events <= EVENTS_MAX or not 0 <= header.outputs <= EVENTS_MAX:
        raise BadLine(number, "it speaks of an impossible number of lines")
    name = header.task_id
    if not 1 <= len(name) <= 64 or not name.isascii() or not name.isalnum():
        raise BadLine(number, "`task_id` is none")
    return header


def _record(number: int, line: bytes, header: Header, seq: int) -> e.Recorded:
    found = _decoded(number, line, _Event)
    if found.task_id != header.task_id or found.seq != seq:
        raise BadLine(number, f"it is not event {seq} of task {header.task_id}")
    if not 0 <= found.at_ms <= NUMBER_MAX:
        raise BadLine(number, "`at_ms` is no moment")
    if (found.kind == "TaskCreated") != (seq == 0):
        raise BadLine(number, "TaskCreated is the first event, and no other is")
    body = bytes(found.event)
    if not _fits(_decoded(number, body, object)):
        raise BadLine(number, "a number in it is too large, or below 0")
    try:
        event = e.from_json(found.kind, body)
    except KeyError:
        raise BadLine(number, f"there is no kind of event {found.kind[:80]!r}") from None
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise BadLine(number, f"{found.kind}: {error}") from error
    if isinstance(event, e.LogRemoved):
        raise BadLine(number, "the texts of this task were taken out before it was exported")
    return e.Recorded(seq, found.at_ms, event)


def _stored(number: int, line: bytes) -> StoredOutput:
    found = _decoded(number, line, _Output)
    if found.output != ref_of(found.text):
        raise BadLine(number, "the output is not the one that its hash names")
    return StoredOutput(found.output, found.text)


def _decoded(number: int, line: bytes, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(line, type=kind)
    except (ValueError, RecursionError) as error:
        raise BadLine(number, str(error) or type(error).__name__) from error


def _fits(value: object, name: str = "") -> bool:
    """Whether every number can be stored and added up, and none makes a use less than it was."""
    if isinstance(value, dict):
        return all(_fits(each, key) for key, each in value.items())
    if isinstance(value, list):
        return all(_fits(each) for each in value)
    least = -NUMBER_MAX if name == "pruned_micros" else 0  # to shorten a request may not have paid
    return not isinstance(value, int | float) or least <= value <= NUMBER_MAX
