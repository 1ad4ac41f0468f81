"""What a tool says it changed, made fit to be kept beside its result."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from msgspec.structs import replace

from agentctl.core.change import Change
from agentctl.core.events import ToolEnded
from agentctl.core.files import CHANGE_BYTES_MAX, FileChange
from agentctl.core.redact import Redactor
from agentctl.core.rows import StoredOutput
from agentctl.core.sanitize import storable

ORDER = ("unreadable", "large", "binary", "redacted")
"""Of several notes the first is the one to tell."""


def told(
    ended: ToolEnded, changes: Sequence[FileChange], redactor: Redactor
) -> tuple[ToolEnded, list[StoredOutput]]:
    """The fact with its changes, and the contents that they refer to, each under its hash."""
    outputs: dict[str, str] = {}
    kept = tuple(_kept(change, redactor, outputs) for change in changes)
    stored = [StoredOutput(ref, text) for ref, text in outputs.items()]
    return replace(ended, changes=kept), stored


def _kept(change: FileChange, redactor: Redactor, outputs: dict[str, str]) -> Change:
    path = redactor.text(storable(change.path))
    notes: list[str] = []
    found: dict[str, str] = {}
    before = _ref(change.before, redactor, notes, found)
    after = _ref(change.after, redactor, notes, found)
    if not change.is_known:
        notes.append("unreadable")
    note = next((note for note in ORDER if note in notes), "")
    if note in ("", "redacted"):  # with one half alone there is nothing to compare
        outputs |= found
    return Change(path, before, after, note)


def _ref(data: bytes | None, redactor: Redactor, notes: list[str], found: dict[str, str]) -> str:
    if data is None:
        return ""
    ref = hashlib.sha256(data).hexdigest()[:16]
    if len(data) > CHANGE_BYTES_MAX:
        notes.append("large")
        return ref  # of its beginning alone: nobody asks for it
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        notes.append("binary")
        return ref
    clean = redactor.text(text)
    if clean != text:
        notes.append("redacted")
        ref = hashlib.sha256(clean.encode()).hexdigest()[:16]
    found[ref] = clean
    return ref
