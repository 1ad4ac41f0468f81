"""The steps that the offline planner's plans are made of: find, search, read, read the rest.

Each is a generator that yields steps and is sent the outputs of their tools.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeVar

from msgspec import Struct

from agentctl.providers import offline_text as text
from agentctl.providers.offline_goals import Goal, is_file

HITS_MAX = 500
READ_BYTES_MAX = 120_000
"""The most that one goal reads into the conversation: what does not fit is said to be missing."""
BATCH = 5
CHUNK_BYTES = 8_000


class Use(Struct, frozen=True):
    """One tool call of a plan."""

    tool: str
    arguments: dict[str, str | int]


class Step(Struct, frozen=True):
    """What is said, then done, side by side."""

    say: str
    uses: tuple[Use, ...]


T = TypeVar("T")
Outputs = list[str]
Steps = Generator[Step, Outputs, T]


class BlockedError(Exception):
    """A tool's failure that leaves nothing to go on with. Caught where a plan ends."""


class Reading(Struct, frozen=True):
    """A file as far as it was read; `problem` says why it was not."""

    path: str
    text: str = ""
    problem: str = ""
    whole: bool = True


class Listing(Struct, frozen=True):
    """Files that were found, what the tools left out, and whether the list is whole."""

    paths: tuple[str, ...]
    notes: tuple[str, ...] = ()
    whole: bool = True


class Hits(Struct, frozen=True):
    """Lines that were found."""

    hits: tuple[text.Hit, ...]
    notes: tuple[str, ...] = ()
    whole: bool = True


def find(goal: Goal) -> Steps[Listing]:
    """List the files of a goal, sorted, without the file that it writes."""
    place = goal.scope.place
    if not goal.scope.globs and is_file(place):
        return Listing((place,))
    globs = goal.scope.globs or ("*",)
    uses = tuple(Use("find_files", {"pattern": glob, "path": place}) for glob in globs)
    outputs = yield Step(f"Looking for {noun(goal, 2)} {where(goal)}.", uses)
    if outputs[0].endswith(": not a directory.") and not goal.scope.globs:
        return Listing((place,))
    check(uses, outputs)
    paths: set[str] = set()
    notes: dict[str, None] = {}
    whole = True
    for output in outputs:
        rest, complete = yield from read_rest(output, READ_BYTES_MAX)
        paths.update(text.paths_in(rest))
        notes.update(dict.fromkeys(text.notes_in(rest)))
        whole = whole and complete and not text.stopped_early(rest)
    paths.discard(goal.output)
    return Listing(tuple(sorted(paths)), tuple(notes), whole)


def search(goal: Goal) -> Steps[Hits]:
    """Search the files of a goal, without the file that it writes."""
    place = goal.scope.place
    uses = tuple(
        Use(
            "search_text",
            {"pattern": goal.needle, "path": place, "glob": glob, "max_results": HITS_MAX},
        )
        for glob in goal.scope.globs or ("*",)
    )
    outputs = yield Step(f"Searching for {goal.title} {where(goal)}.", uses)
    check(uses, outputs)
    hits: set[tuple[str, int, str]] = set()
    notes: dict[str, None] = {}
    whole = True
    for output in outputs:
        rest, complete = yield from read_rest(output, READ_BYTES_MAX)
        hits.update((hit.path, hit.line, hit.text) for hit in text.hits_in(rest))
        notes.update(dict.fromkeys(text.notes_in(rest)))
        whole = whole and complete and not text.stopped_early(rest)
    found = (text.Hit(*hit) for hit in sorted(hits) if hit[0] != goal.output)
    return Hits(tuple(found), tuple(notes), whole)


def read_rest(output: str, most_bytes: int) -> Steps[tuple[str, bool]]:
    """Return an output whole, read in parts where the run shows only its head and tail.

    False when it has more than `most_bytes` or a part cannot be read; then head and tail are all.
    """
    cut = text.cut_in(output)
    if cut is None:
        return output, True
    ends = f"{cut.head.rpartition(chr(10))[0]}\n{cut.tail.partition(chr(10))[2]}"
    if cut.total_bytes > most_bytes:
        return ends, False
    # Lines as long as those at the head should fill one part; a part that is cut again ends it.
    lines = max(1, CHUNK_BYTES * (cut.head.count("\n") + 1) // (len(cut.head.encode()) or 1))
    parts: list[str] = []
    end, total = 0, 1
    while end < total:
        starts = range(end + 1, min(total, end + BATCH * lines) + 1, lines)
        uses = tuple(
            Use("read_output", {"id": cut.id, "start_line": start, "lines": lines})
            for start in starts
        )
        outputs = yield Step("Reading the rest of that output.", uses)
        before = end
        for part in outputs:
            if text.failure(part, "") or text.cut_in(part):
                return ends, False
            plain, end, total = text.without_range(part)
            parts.append(plain)
        if total and end <= before:
            return ends, False  # not what we asked for: never ask the same again and again
    return "\n".join(parts), True


def read(paths: Sequence[str], whole: bool) -> Steps[list[Reading]]:
    """Read files until READ_BYTES_MAX is used up; long ones by head and tail unless `whole`."""
    readings: list[Reading] = []
    left = READ_BYTES_MAX
    for first in range(0, len(paths), BATCH):
        batch = paths[first : first + BATCH]
        if left <= 0:
            problem = f"not read: {READ_BYTES_MAX:,} bytes is the most for one goal."
            readings += [Reading(path, problem=problem) for path in batch]
            continue
        uses = tuple(Use("read_file", {"path": path}) for path in batch)
        outputs = yield Step(f"Reading {', '.join(batch)}.", uses)
        for path, output in zip(batch, outputs, strict=True):
            problem = text.failure(output, path)
            if problem:
                readings.append(Reading(path, problem=problem))
                continue
            left -= len(output)
            content, complete = yield from read_rest(output, left if whole else 0)
            left -= max(0, len(content) - len(output))
            content = "" if content == "(the file is empty)" else content
            readings.append(Reading(path, content, whole=complete))
    return readings


def check(uses: Sequence[Use], outputs: Outputs) -> None:
    """Raise BlockedError with the first failure among the outputs."""
    for use, output in zip(uses, outputs, strict=True):
        problem = text.failure(output, str(use.arguments.get("path", "")))
        if problem:
            raise BlockedError(f"{use.tool} failed: {problem}")


def noun(goal: Goal, number: int = 1) -> str:
    """Name the files of a goal."""
    globs = " or ".join(goal.scope.globs)
    plain = "file" if number == 1 else "files"
    return f"{globs} {plain}" if globs else plain


def where(goal: Goal) -> str:
    """Say where the goal looks."""
    return f"in {named(goal.scope.place)}"


def named(place: str) -> str:
    """Name a folder or file in a sentence."""
    return "this folder" if place == "." else place


def counted(number: int, word: str) -> str:
    """`1 line`, `1,200 lines`."""
    if number == 1:
        return f"1 {word}"
    return f"{number:,} {word.removesuffix('y') + 'ie' if word.endswith('ry') else word}s"
