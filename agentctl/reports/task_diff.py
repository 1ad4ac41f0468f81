"""What a task changed in files: as a patch that git takes, in figures, and as JSON."""

from __future__ import annotations

from difflib import unified_diff
from typing import Any

from msgspec import Struct
from rich.text import Text

from agentctl.core.changes import Doubt, File
from agentctl.core.rows import TaskRow
from agentctl.reports.columns import Column, table
from agentctl.reports.text import count, visible

NO_END = "\\ No newline at end of file\n"
STYLES = {"@": "cyan", "+": "green", "-": "red"}
NOTES = {
    "large": "its contents are too large to be kept",
    "binary": "its contents are binary and not kept",
    "unreadable": "what it held before could not be read",
    "redacted": "secrets were taken out of its contents, so the patch does not fit the file",
}


class FileDiff(Struct, frozen=True):
    """A file with its contents before the task and after."""

    file: File
    before: str | None
    """None: not kept."""
    after: str | None
    now: str
    """same, different, gone or unknown: the file on disk, as against `after`."""

    @property
    def is_known(self) -> bool:
        """Both contents are kept."""
        return self.before is not None and self.after is not None and not self.unknown

    @property
    def unknown(self) -> str:
        """Why they are not compared."""
        return next((NOTES[note] for note in NOTES if note in self.file.notes - {"redacted"}), "")

    @property
    def is_same(self) -> bool:
        """In the end nothing of it was changed."""
        return self.file.before == self.file.after and not self.file.notes


class Diff(Struct, frozen=True):
    """What a task changed, and the calls of which nobody knows what they did."""

    row: TaskRow
    files: tuple[FileDiff, ...]
    doubts: tuple[Doubt, ...]
    is_removed: bool = False
    """Its log was taken out: what it changed is not known any more."""

    @property
    def nothing(self) -> str:
        """What to say where no file is known to have been changed."""
        if self.is_removed:
            return "The log was taken out by gc: what this task changed is not known any more."
        return "No file was changed by a tool that says what it changes."


def patch(diff: Diff) -> str:
    """A patch of all that is known, to be read or given to git; empty if that is nothing."""
    return "".join(line for file in diff.files for line in _lines(file))


def coloured(diff: Diff) -> Text:
    """The same for a terminal."""
    text = Text(no_wrap=True, overflow="ignore")
    for file in diff.files:
        head, body = _parts(file)
        for line in head:
            text.append(visible(line.removesuffix("\n")) + "\n", "bold")
        for line in body:
            shown = "\n".join(visible(part) for part in line.removesuffix("\n").split("\n"))
            text.append(f"{shown}\n", STYLES.get(line[0], ""))
    text.right_crop(1)
    return text


def stat(diff: Diff, width: int, plain: bool) -> str:
    """A line for each file with the lines that came and went, and their sums."""
    sums = [_sums(file) for file in diff.files]
    kinds = [_kind(file) for file in diff.files]
    keys = [visible(file.file.path) for file in diff.files]
    columns = [
        Column("Added", [count(added) if added else "" for added, _ in sums]),
        Column("Removed", [count(removed) if removed else "" for _, removed in sums]),
        Column("Calls", [count(file.file.calls) for file in diff.files], rank=1),
        Column("", kinds, left=True, rank=2),
        Column("Now", [_now(file) for file in diff.files], left=True, rank=3),
    ]
    columns = [column for column in columns if any(column.cells)]
    lines = table("File", keys, columns, width, plain=plain)
    added, removed = (sum(each) for each in zip(*sums, strict=True))
    files = f"{count(len(sums))} file{'s' if len(sums) > 1 else ''}"
    came = f"{count(added)} line{'' if added == 1 else 's'} added"
    return "\n".join([*lines, "", f"{files}, {came}, {count(removed)} removed"])


def _kind(file: FileDiff) -> str:
    if not file.is_known:
        return "not kept"
    return "unchanged" if file.is_same else "" if file.file.before else "new"


def _now(file: FileDiff) -> str:
    return {"different": "changed since", "gone": "gone"}.get(file.now, "")


def remarks(diff: Diff) -> list[str]:
    """What is to be said beside the patch: what it lacks, and what is not so any more."""
    found = []
    for file in diff.files:
        path = file.file.path
        if file.unknown:
            found.append(f"{path}: {file.unknown}.")
        elif "redacted" in file.file.notes:
            found.append(f"{path}: {NOTES['redacted']}.")
        if file.now == "different":
            found.append(
                f"{path} was changed since, by something else than this task's file tools."
            )
        elif file.now == "gone":
            found.append(f"{path} is gone.")
    silent: dict[str, int] = {}
    for doubt in diff.doubts:
        if doubt.why == "silent":
            silent[doubt.tool] = silent.get(doubt.tool, 0) + 1
        elif doubt.why == "cut off":
            found.append(
                f"{doubt.tool} ({doubt.call_id}) was cut off: it may have happened or not."
            )
        else:
            again = "was cut off and run again: what was there before its first try is not known."
            found.append(f"{doubt.tool} ({doubt.call_id}) {again}")
    if silent:
        calls = ", ".join(f"{name} ({count(number)})" for name, number in silent.items())
        found.append(f"Not known is what these calls changed in files: {calls}.")
    return found


def as_json(diff: Diff) -> dict[str, Any]:
    """The files with their patches, and the calls of which nothing is known."""
    return {
        "schema": 1,
        "task_id": diff.row.id,
        "cwd": diff.row.cwd,
        "log_removed": diff.is_removed,
        "files": [_file_json(file) for file in diff.files],
        "doubts": [
            {"id": doubt.call_id, "tool": doubt.tool, "why": doubt.why} for doubt in diff.doubts
        ],
    }


def _file_json(file: FileDiff) -> dict[str, Any]:
    added, removed = _sums(file)
    return {
        "path": file.file.path,
        "created": not file.file.before and "unreadable" not in file.file.notes,
        "notes": sorted(file.file.notes),
        "calls": file.file.calls,
        "added": added,
        "removed": removed,
        "now": file.now,
        "patch": "".join(_lines(file)),
    }


def _sums(file: FileDiff) -> tuple[int, int]:
    _, body = _parts(file)
    return sum(line[0] == "+" for line in body), sum(line[0] == "-" for line in body)


def _lines(file: FileDiff) -> list[str]:
    head, body = _parts(file)
    return head + body


def _parts(file: FileDiff) -> tuple[list[str], list[str]]:
    """The patch of one file, head and hunks; nothing where it cannot be told or is none."""
    if not file.is_known or file.is_same or file.before is None or file.after is None:
        return [], []
    old, new = _quoted(f"a/{file.file.path}"), _quoted(f"b/{file.file.path}")
    head = [f"diff --git {old} {new}\n"]
    if not file.file.before:
        old = "/dev/null"
        head.append("new file mode 100644\n")
    hunks = list(unified_diff(_split(file.before), _split(file.after)))[2:]
    if hunks:
        head += [f"--- {old}\n", f"+++ {new}\n"]
    return head, [line if line.endswith("\n") else f"{line}\n{NO_END}" for line in hunks]


def _split(text: str) -> list[str]:
    r"""Lines with their ends. A line ends at \n alone, as git has it."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _quoted(path: str) -> str:
    """A path as git writes it: in quotes and with escapes where it has unusual signs."""
    if path.isascii() and path.isprintable() and not set(path) & {'"', "\\"}:
        return path
    known = {'"': '\\"', "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
    return '"' + "".join(known.get(sign) or _sign(sign) for sign in path) + '"'


def _sign(sign: str) -> str:
    if sign.isascii() and sign.isprintable():
        return sign
    return "".join(f"\\{byte:03o}" for byte in sign.encode())
