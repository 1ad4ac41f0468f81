"""One task with all that is known of it, and what it changed in files."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from agentctl.control import Desk
from agentctl.core import changes
from agentctl.core.events import LogRemoved
from agentctl.core.files import CHANGE_BYTES_MAX
from agentctl.core.redact import Redactor
from agentctl.core.state import fold
from agentctl.core.steps import steps
from agentctl.reports.task_diff import Diff, FileDiff
from agentctl.reports.task_look import Look
from agentctl.store import task_queries
from agentctl.store.opening import translated


def look(desk: Desk, text: str, redactor: Redactor | None = None) -> Look:
    """The task of that id, prefix or name. Raises UnknownTask and StoreError.

    With a `redactor` its texts leave this machine.
    """
    row = desk.find(text)
    log = desk.store.read(row.id)
    with translated(desk.store.path):
        related = task_queries.from_it(desk.store.connection, row.id)
    clean = redactor.text if redactor is not None else str
    related = [desk.seen(each) for each in related]
    return Look(row, fold(log), steps(log), len(log), clean, related)


def diff(desk: Desk, text: str, paths: Sequence[str], here: Path) -> Diff:
    """What the task changed in its workspace, of these files and folders or of all.

    `paths` are meant from `here`, or from the workspace. Raises UnknownTask and StoreError.
    """
    row = desk.find(text)
    log = desk.store.read(row.id)
    done = steps(log)
    wanted = [part for path in paths for part in _below(path, here, row.cwd)]
    found = []
    for file in changes.files(done):
        inside = any(path in ("", file.path) or file.path.startswith(f"{path}/") for path in wanted)
        if paths and not inside:
            continue
        texts = [desk.store.output(ref) if ref else "" for ref in (file.before, file.after)]
        before, after = texts
        found.append(FileDiff(file, before, after, _now(Path(row.cwd, file.path), file)))
    is_removed = any(isinstance(record.event, LogRemoved) for record in log)
    return Diff(row, tuple(found), tuple(changes.doubts(done)), is_removed)


def _below(path: str, here: Path, cwd: str) -> list[str]:
    """What a path that was typed may mean below the workspace; "" is all of it."""
    meant = []
    for base in (here, Path(cwd)):
        place = os.path.normpath(base / path)
        if place == cwd:
            meant.append("")
        elif place.startswith(f"{cwd.rstrip('/')}/"):
            meant.append(place[len(cwd.rstrip("/")) + 1 :])
    return meant


def _now(path: Path, file: changes.File) -> str:
    """Whether the file is still as the task left it: same, different, gone or unknown."""
    if file.notes:
        return "unknown"
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                return "different"
            ref = hashlib.sha256(handle.read(CHANGE_BYTES_MAX + 1)).hexdigest()[:16]
    except FileNotFoundError:
        return "gone"
    except OSError:
        return "unknown"
    return "same" if ref == file.after else "different"
