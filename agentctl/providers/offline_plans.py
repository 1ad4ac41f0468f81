"""What the offline planner does for each kind of goal: find out, write if asked for, tell.

A plan is a generator: it yields what it says and which tools it calls, and is sent their outputs.
It has no other input, so playing it again over the same outputs leads to the same place; that is
how a run goes on after a crash.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import groupby

from msgspec import Struct

from agentctl.providers import offline_text as text
from agentctl.providers.offline_goals import Goal, is_file
from agentctl.providers.offline_steps import (
    BlockedError,
    Reading,
    Step,
    Steps,
    Use,
    check,
    counted,
    find,
    named,
    noun,
    read,
    read_rest,
    search,
    where,
)

SUMMARIES_MAX = 12
LINE_COUNTS_MAX = 400
LINE_COUNT_BATCH = 20
TOLD_LINES_MAX = 200
TOLD_LINES_WRITTEN = 40
"""How many lines of the findings are told when a file has them all."""
EMPTY = "(the file is empty)"


class End(Struct, frozen=True):
    """The last words, and whether the goal was reached."""

    text: str
    reached: bool


class Report(Struct, frozen=True):
    """Findings before they are told or written. An incomplete one does not reach its goal."""

    title: str
    headline: str
    lines: tuple[str, ...] = ()
    complete: bool = True
    notes: tuple[str, ...] = ()
    """What the tools left out."""


def plan(goal: Goal) -> Steps[End]:
    """Carry out a goal."""
    try:
        report = yield from _REPORTS[goal.kind](goal)
    except BlockedError as error:
        return End(f"The goal was not reached: {error}", reached=False)
    if goal.output:
        return (yield from _write(goal.output, report))
    return End(_told(report, TOLD_LINES_MAX), report.complete)


def _write(path: str, report: Report) -> Steps[End]:
    parts = [f"# {report.title}", report.headline, "\n".join(report.lines), *report.notes]
    whole = "\n\n".join(part for part in parts if part) + "\n"
    use = Use("write_file", {"path": path, "text": whole})
    (output,) = yield Step(f"Writing the findings to {path}.", (use,))
    if output.startswith("Interrupted: "):
        # The same text again does no harm, whatever became of the first attempt.
        (output,) = yield Step(f"Writing to {path} was interrupted: once more.", (use,))
    if output.startswith("Wrote "):
        return End(f"{_told(report, TOLD_LINES_WRITTEN)}\n\nWritten to {path}.", report.complete)
    hint = ""
    if output.startswith("Denied"):
        hint = " To allow it, resume the task with --approve auto."
    why = f"The findings were not written to {path}: {output}{hint}"
    return End(f"{why}\n\nHere they are.\n\n{_told(report, TOLD_LINES_MAX)}", reached=False)


def _told(report: Report, most: int) -> str:
    left = len(report.lines) - most
    parts = [
        report.headline,
        "\n".join(report.lines[:most]),
        f"… and {left:,} more lines." if left > 0 else "",
        *report.notes,
        "" if report.complete else "This is incomplete, so the goal was not reached.",
    ]
    return "\n\n".join(part for part in parts if part)


def _spread(files: int, goal: Goal) -> str:
    """`in 3 files in notes`, or only the name when the goal is about one file."""
    if not goal.scope.globs and is_file(goal.scope.place):
        return where(goal)
    return f"in {counted(files, 'file')} {where(goal)}"


def _list(goal: Goal) -> Steps[Report]:
    found = yield from find(goal)
    at_least = "" if found.whole else "At least "
    headline = f"{at_least}{counted(len(found.paths), noun(goal))} {where(goal)}."
    lines = tuple(f"- {path}" for path in found.paths)
    title = f"List of {noun(goal, 2)} {where(goal)}"
    return Report(title, headline, lines, found.whole, found.notes)


def _count_files(goal: Goal) -> Steps[Report]:
    report = yield from _list(goal)
    title = f"Number of {noun(goal, 2)} {where(goal)}"
    return Report(title, report.headline, (), report.complete, report.notes)


def _dir(goal: Goal) -> Steps[Report]:
    place = goal.scope.place
    use = Use("list_dir", {"path": place})
    (output,) = yield Step(f"Listing {named(place)}.", (use,))
    check([use], [output])
    output, whole = yield from read_rest(output, TOLD_LINES_MAX * 300)
    entries = [] if output == "(the folder is empty)" else output.splitlines()
    headline = f"{'' if whole else 'Over '}{counted(len(entries), 'entry')} {where(goal)}."
    lines = tuple(f"- {entry}" for entry in entries)
    return Report(f"Contents of {named(place)}", headline, lines, whole)


def _search(goal: Goal) -> Steps[Report]:
    found = yield from search(goal)
    at_least = "" if found.whole else "At least "
    files = len({hit.path for hit in found.hits})
    headline = f"{at_least}{counted(len(found.hits), 'line')} {_spread(files, goal)}."
    if not found.hits:
        headline = f"No {goal.title} were found {where(goal)}."
    lines: list[str] = []
    for path, group in groupby(found.hits, key=lambda hit: hit.path):
        lines += ["", f"## {path}", "", *map(_hit_line, group)]
    title = f"{goal.title[:1].upper()}{goal.title[1:]} {where(goal)}"
    return Report(title, headline, tuple(lines[1:]), found.whole, found.notes)


def _hit_line(hit: text.Hit) -> str:
    plain = re.sub(r"\A\s*[-*+]\s+", "", hit.text).strip()  # a list item is an item of our list
    return f"- line {hit.line}: {plain}"


def _occurrences(goal: Goal) -> Steps[Report]:
    found = yield from search(goal)
    # A user's own pattern may run for ever here, and a shortened line may hide some: count lines.
    per_line = goal.ours and not any(hit.text.startswith("…") for hit in found.hits)
    needle = re.compile(goal.needle if per_line else "^")
    files: dict[str, int] = {}
    for hit in found.hits:
        files[hit.path] = files.get(hit.path, 0) + len(needle.findall(hit.text))
    at_least = "" if found.whole else "At least "
    total = counted(sum(files.values()), "occurrence" if per_line else "matching line")
    headline = f"{at_least}{total} {_spread(len(files), goal)}."
    lines = tuple(f"- {path}: {number:,}" for path, number in files.items())
    title = f"Count of {goal.title} {where(goal)}"
    return Report(title, headline, lines, found.whole, found.notes)


def _lines(goal: Goal) -> Steps[Report]:
    found = yield from find(goal)
    paths = found.paths[:LINE_COUNTS_MAX]
    counts: dict[str, int | str] = {}
    for first in range(0, len(paths), LINE_COUNT_BATCH):
        counts.update((yield from _line_counts(paths[first : first + LINE_COUNT_BATCH])))
    left = len(found.paths) - len(paths)
    return _counts(goal, "line", counts, found.notes, left, found.whole)


def _line_counts(paths: tuple[str, ...]) -> Steps[dict[str, int | str]]:
    """Count lines without reading them all: a range of a file says how many lines there are."""
    uses = tuple(Use("read_file", {"path": path, "start_line": 1, "lines": 1}) for path in paths)
    outputs = yield Step(f"Counting the lines of {counted(len(paths), 'file')}.", uses)
    counts: dict[str, int | str] = {}
    short: list[str] = []
    for path, output in zip(paths, outputs, strict=True):
        _, _, total = text.without_range(output)
        counts[path] = text.failure(output, path) or (0 if output == EMPTY else total)
        if counts[path] == 0 and output != EMPTY:
            short.append(path)
    if short:
        # One line, or a file so large that a range of it does not say: ask for a second line.
        uses = tuple(Use("read_file", {"path": p, "start_line": 2, "lines": 1}) for p in short)
        outputs = yield Step(f"Looking for a second line in {counted(len(short), 'file')}.", uses)
        for path, output in zip(short, outputs, strict=True):
            counts[path] = 1 if output.startswith("There is no line 2") else "too large to count"
    return counts


def _words(goal: Goal) -> Steps[Report]:
    found = yield from find(goal)
    readings = yield from read(found.paths, whole=True)
    counts: dict[str, int | str] = {}
    for each in readings:
        too_large = "" if each.whole else "too large to count here"
        counts[each.path] = each.problem or too_large or text.words_in(each.text)
    return _counts(goal, "word", counts, found.notes, 0, found.whole)


def _counts(
    goal: Goal,
    unit: str,
    counts: dict[str, int | str],
    notes: tuple[str, ...],
    left: int,
    whole: bool,
) -> Report:
    """Report numbers by file; a text in place of a number says why there is none."""
    numbers = {path: number for path, number in counts.items() if isinstance(number, int)}
    problems = {path: why for path, why in counts.items() if isinstance(why, str)}
    if problems and not numbers:
        path, why = next(iter(problems.items()))
        raise BlockedError(f"no file could be read, e.g. {path}: {why}")
    # Binary files have no lines or words, so leaving them out of all files is no gap.
    complete = whole and not left and all(" is a binary file " in why for why in problems.values())
    at_least = "" if complete else "At least "
    headline = f"{at_least}{counted(sum(numbers.values()), unit)} {_spread(len(numbers), goal)}."
    lines = [f"- {path}: {number:,}" for path, number in numbers.items()]
    lines += [f"- {path} was not counted: {why}" for path, why in problems.items()]
    if left:
        lines.append(f"- {counted(left, 'more file')} not counted")
    return Report(f"Count of {unit}s {where(goal)}", headline, tuple(lines), complete, notes)


def _summarise(goal: Goal) -> Steps[Report]:
    found = yield from find(goal)
    if not found.paths:
        raise BlockedError(f"there are no {noun(goal, 2)} {where(goal)}.")
    paths = found.paths[:SUMMARIES_MAX]
    readings = yield from read(paths, whole=False)
    good = [each for each in readings if not each.problem]
    if not good:
        raise BlockedError(f"nothing could be read: {readings[0].problem}")
    most = 5 if len(good) == 1 else 3
    lines: list[str] = []
    for each in readings:
        lines += ["", f"## {each.path}", "", *_summary_lines(each, most)]
    left = found.paths[SUMMARIES_MAX:]
    if left:
        lines += ["", f"Not read, {SUMMARIES_MAX} files is the most: {', '.join(left)}"]
    subject = good[0].path if len(found.paths) == 1 else f"{noun(goal, 2)} {where(goal)}"
    headline = f"{counted(len(good), 'file')} in sentences picked from the text by word frequency."
    complete = found.whole and not left and len(good) == len(readings)
    return Report(f"Summary of {subject}", headline, tuple(lines[1:]), complete, found.notes)


def _summary_lines(reading: Reading, most: int) -> list[str]:
    if reading.problem:
        return [f"Not read: {reading.problem}"]
    lines = [f"- {sentence}" for sentence in text.summary(reading.text, most)]
    if not reading.whole:
        lines.append("- (from the beginning and the end only: the file is long)")
    return lines or ["- (no sentences)"]


_REPORTS: dict[str, Callable[[Goal], Steps[Report]]] = {
    "list": _list,
    "files": _count_files,
    "dir": _dir,
    "search": _search,
    "occurrences": _occurrences,
    "lines": _lines,
    "words": _words,
    "summarise": _summarise,
}
