"""A file of goals: JSON lines, CSV or one goal a line. All that is wrong is told at once."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from agentctl import settings
from agentctl.core.sanitize import goal_problem
from agentctl.core.values import PRIORITIES
from agentctl.errors import UsageError

FORMATS = ("jsonl", "csv", "lines")
SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".txt": "lines"}
SETTINGS = (
    "provider", "model", "fallback", "max_cost", "max_cost_step", "max_tokens", "max_steps",
    "timeout", "max_credits", "max_credits_step", "on_limit", "wait_in_place", "allow_unpriced",
    "account", "tier", "profile", "context", "system", "approve", "sandbox", "delegate", "no_cache",
    "reuse",
)  # fmt: skip
"""Settings that a goal may have of its own, by the names of flags."""
LIMITS = (
    "max_cost", "max_cost_hour", "max_cost_day", "max_cost_step", "max_tokens", "max_steps",
    "timeout", "max_credits", "max_credits_step", "on_limit", "wait_in_place", "allow_unpriced",
)  # fmt: skip
"""Settings that a resume gives a goal anew."""
LISTS = ("tools", "mcp", "allow", "deny")
"""May be a text or a list of texts; in CSV one text."""
TEXTS = ("cwd", "script", "agent", "schema")
OPTIONS = (*SETTINGS, *LISTS, *TEXTS)
FIELDS = ("goal", "name", "id", "priority", *OPTIONS)
TOLD_MAX = 10


class Goal(Struct, frozen=True, kw_only=True):
    """One goal of a batch."""

    number: int
    """From 1, without blank lines and comments."""
    line: int
    text: str
    name: str = ""
    priority: int = 0
    """Higher begins first."""
    options: Mapping[str, Any] = {}
    """Those of its own, by the names in OPTIONS."""

    @property
    def digest(self) -> str:
        """By this it is known again when the batch goes on."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def format_of(name: str, data: bytes, chosen: str | None = None) -> str:
    """How the goals are written: as chosen, by the file's name, or by how it begins."""
    if chosen is not None:
        if chosen not in FORMATS:
            raise UsageError(
                f"--format: {chosen!r} is none of its words.",
                next_step=f"Write {', '.join(FORMATS)}.",
            )
        return chosen
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    return SUFFIXES.get(suffix) or ("jsonl" if data.lstrip()[:1] == b"{" else "lines")


def read(name: str, data: bytes, form: str) -> list[Goal]:
    """Read the goals. Raises UsageError that names every line that is wrong, up to ten."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{name}, line {line}: this is not UTF-8 text.", next_step="Save it as UTF-8."
        ) from error
    rows: Callable[[str], Iterator[tuple[int, Any]]]
    rows = {"jsonl": _json_rows, "csv": _csv_rows, "lines": _plain_rows}[form]
    goals: list[Goal] = []
    problems: list[str] = []
    for line, row in rows(text):
        try:
            goals.append(_goal(len(goals) + 1, line, row))
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    if problems:
        raise bad(name, problems)
    if not goals:
        raise UsageError(f"There is no goal in {name}.", next_step="Write one goal a line.")
    return goals


def bad(name: str, problems: list[str]) -> UsageError:
    """What to say of lines that cannot be used."""
    more = len(problems) - TOLD_MAX
    told = [*problems[:TOLD_MAX], *([f"… and {more} more"] if more > 0 else [])]
    return UsageError(
        f"{name} cannot be used:\n" + "\n".join(told),
        kept="Nothing was started.",
        next_step="Mend these lines, then type the same again. What a line may hold is in "
        "docs/batch.md.",
    )


def _json_rows(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            yield number, ValueError(f"this is not JSON ({error})")


def _csv_rows(text: str) -> Iterator[tuple[int, Any]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    head: list[str] | None = None
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield begins, ValueError(f"this is not CSV ({error})")
            return
        if not any(cell.strip() for cell in cells):
            continue
        if head is None:
            head = [cell.strip().lower().replace("-", "_") for cell in cells]
            problem = _head_problem(head)
            if problem:
                yield begins, ValueError(problem)
                return
        elif len(cells) > len(head):
            yield begins, ValueError(f"it has {len(cells)} cells, and the header {len(head)}")
        else:
            pairs = zip(head, cells, strict=False)  # cells that are missing at the end are empty
            yield begins, {name: cell for name, cell in pairs if cell.strip()}


def _head_problem(head: list[str]) -> str:
    unknown = [name for name in head if name not in FIELDS]
    if unknown:
        return f"{unknown[0]!r} is no column; there are: {', '.join(FIELDS)}"
    if len(set(head)) < len(head):
        return "two columns have the same name"
    return "" if "goal" in head else "no column is named goal"


def _plain_rows(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        goal = line.strip()
        if goal and not goal.startswith("#"):
            yield number, {"goal": goal}


def _goal(number: int, line: int, row: object) -> Goal:
    """Check one row. Raises ValueError with what is wrong."""
    if isinstance(row, ValueError):
        raise row
    if isinstance(row, str):
        row = {"goal": row}
    if not isinstance(row, dict):
        raise ValueError('write an object with a "goal", or a text')
    unknown = [name for name in row if name not in FIELDS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no option; there are: {', '.join(FIELDS)}")
    given = {name: value for name, value in row.items() if value is not None}
    text = _text(given.pop("goal", ""), "goal")
    problem = goal_problem(text)
    if problem:
        raise ValueError(problem.rstrip("."))
    known_by = given.pop("id", "")
    name = given.pop("name", known_by)
    priority = given.pop("priority", "normal")
    if priority not in PRIORITIES:
        raise ValueError(f"priority: write {', '.join(PRIORITIES)}")
    return Goal(
        number=number,
        line=line,
        text=text,
        name=str(name) if isinstance(name, int) else _text(name, "name"),
        priority=PRIORITIES[priority],
        options={name: _option(name, value) for name, value in given.items()},
    )


def _option(name: str, value: object) -> object:
    if name in LISTS:
        texts = value if isinstance(value, list) else [value]
        return tuple(_text(each, name) for each in texts)
    if name not in SETTINGS:
        return _text(value, name)
    try:
        settings.read_flag(name, value)
    except UsageError as error:
        what = error.what.removeprefix("--").rstrip(".")
        raise ValueError(f"{what}. {error.next_step}") from None
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name}: {value!r} is not text")
    return value
