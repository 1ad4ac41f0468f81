"""Plain text work of the offline planner: reading what tools printed, picking sentences."""

from __future__ import annotations

import re
from collections import Counter

from msgspec import Struct

_NOTE = re.compile(r"\[(?:skipped: .*|stopped after .*)\]")
_HIT = re.compile(r"(?P<path>.+?):(?P<line>\d+): (?P<text>.*)")
_CUT = re.compile(
    r"\n\[… [\d,]+ of (?P<total>[\d,]+) bytes left out; "
    r"read_output\(id=\"(?P<id>\w+)\"\)[^\]\n]*\]\n"
)
_RANGE = re.compile(r"\n\[lines \d+-(?P<end>\d+) of (?P<total>\d+)\]\Z")
_MASKED = "[output left out to save room"

# Tool messages carry no status, so failures are known by how agentctl words them.
_FAILURES = re.compile(
    r"Denied\b.*|Interrupted\b.*|Stopped after [\d.]+ s: the time limit of .*"
    r"|\w+ broke: .*|The arguments do not fit .*|The pattern is not a regular expression: .*"
    r"|The search broke off\.|There is no (?:tool|line) .*|No stored output has .*"
    r"|.* is outside the workspace .*|.* has [\d,]+ bytes, more than .*"
    r"|.* is (?:a binary file of [\d,]+ bytes|a directory, not a file|read-only)\."
    r"|.* is a pipe, socket or device, not a file\."
    # A link is told by what it points to, so the path that was asked for does not stand there.
    r"|.+: (?:no such file or directory|permission denied|not a directory|is a directory"
    r"|too many levels of symbolic links|operation not permitted|input/output error)\.",
)


class Hit(Struct, frozen=True):
    """A line in which something was found."""

    path: str
    line: int
    text: str


def failure(output: str, path: str) -> str:
    """Return why a call on `path` failed, or an empty string. An error is one line."""
    if "\n" in output:
        return ""
    if _FAILURES.fullmatch(output) or re.fullmatch(re.escape(path) + r": [a-z].*\.", output):
        return output
    return ""


def masked(output: str) -> bool:
    """Whether the output was left out of the request to save room."""
    return output.startswith(_MASKED)


def paths_in(output: str) -> list[str]:
    """Paths that find_files printed."""
    return [line for line in output.splitlines() if line != "(no files)" and not _is_note(line)]


def hits_in(output: str) -> list[Hit]:
    """Hits that search_text printed."""
    found = (_HIT.fullmatch(line) for line in output.splitlines())
    return [Hit(fit["path"], int(fit["line"]), fit["text"]) for fit in found if fit]


def notes_in(output: str) -> list[str]:
    """What a tool says it left out, e.g. `[skipped: .git]`."""
    return [line for line in output.splitlines() if _is_note(line)]


def stopped_early(output: str) -> bool:
    """Whether there is more than the tool printed."""
    return any(note.startswith("[stopped") for note in notes_in(output))


def _is_note(line: str) -> bool:
    return line.startswith("[") and _NOTE.fullmatch(line) is not None


class Cut(Struct, frozen=True):
    """A large output of which only head and tail are shown."""

    id: str
    head: str
    tail: str
    total_bytes: int


def cut_in(output: str) -> Cut | None:
    """Describe what the run left out of a large output; None when it is whole."""
    fit = _CUT.search(output)
    if fit is None:
        return None
    total_bytes = int(fit["total"].replace(",", ""))
    return Cut(fit["id"], output[: fit.start()], output[fit.end() :], total_bytes)


def without_range(output: str) -> tuple[str, int, int]:
    """Split `[lines 1-80 of 300]` off: the text, its last line and all lines; 0, 0 when whole."""
    fit = _RANGE.search(output)
    if fit is None:
        return output, 0, 0
    return output[: fit.start()], int(fit["end"]), int(fit["total"])


_STOP_WORDS = frozenset(
    """a about after all also an and any are as at be been before but by can could did do does each
    for from had has have he her his how if in into is it its just may more most must no not of on
    one only or other our out over s she should so some such than that the their them then there
    these they this those to up us was we were what when where which while who will with would you
    your""".split()  # noqa: SIM905 - a hundred quoted words are harder to read
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_BLOCKS = re.compile(
    r"^(```|~~~).*?^\1[^\n]*$|<!--.*?-->|\A---\n.*?\n---$", re.MULTILINE | re.DOTALL
)
_MARKUP = ((r"!\[[^\]]*\]\([^)]*\)", ""), (r"\[([^\]]*)\]\([^)]*\)", r"\1"), (r"[*_`]{1,3}", ""))
_ITEM = re.compile(r"\s*(?:[-*+•]|\d+[.)])\s+(?:\[[ xX]\]\s+)?(?P<text>.*)")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'“(]?[A-Z0-9])")
SENTENCE_CHARS_MAX = 300


def words_in(text: str) -> int:
    """Count words as `wc -w` does."""
    return len(text.split())


def sentences(text: str) -> list[str]:
    """Split prose and list items into sentences; headings, tables and code blocks are left out."""
    for pattern, instead in _MARKUP[:2]:
        text = re.sub(pattern, instead, text)
    blocks: list[list[str]] = [[]]
    for line in _BLOCKS.sub("", text).splitlines():
        item = _ITEM.fullmatch(line)
        if item:
            blocks.append([item["text"]])
        elif re.match(r"\s*(?:TODO|FIXME)\b", line):
            blocks.append([line.strip()])
        elif not line.strip() or re.match(r"\s*(?:#{1,6}\s|\||[-=*_~]{3,}\s*$|>\s*$)", line):
            blocks.append([])
        else:
            blocks[-1].append(line.strip().lstrip("> "))
    found: list[str] = []
    for block in blocks:
        plain = re.sub(*_MARKUP[2], " ".join(block)).strip()
        found += [part for part in _SENTENCE_END.split(plain) if part]
    return found


def summary(text: str, most: int) -> list[str]:
    """Pick up to `most` sentences whose words are frequent in the text, in their own order."""
    every = list(dict.fromkeys(sentences(text)))
    terms = [[word.lower() for word in _WORD.findall(sentence)] for sentence in every]
    terms = [[word for word in each if word not in _STOP_WORDS] for each in terms]
    weight = Counter(word for each in terms for word in each)

    def score(index: int) -> tuple[float, int]:
        each = set(terms[index])
        # The constant keeps a sentence of two frequent words from beating a full one, and the
        # opening of a text usually says what it is about.
        mean = sum(weight[word] for word in sorted(each)) / (len(each) + 4)
        return (-mean * (1.3 if index == 0 else 1.0), index)

    usable = [index for index in range(len(every)) if len(terms[index]) >= 2] or range(len(every))
    chosen = sorted(sorted(usable, key=score)[:most])
    return [_short(every[index]) for index in chosen]


def _short(sentence: str) -> str:
    if len(sentence) <= SENTENCE_CHARS_MAX:
        return sentence
    return sentence[: SENTENCE_CHARS_MAX - 1].rsplit(" ", 1)[0] + "…"
