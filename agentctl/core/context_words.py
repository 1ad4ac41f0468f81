"""What messages speak of: names and lines of code, and the note on what was left out.

No meaning is guessed at. A name is a word that is not plain prose: it has a capital inside, a
digit, an underscore, a dot or a slash. What an output and a later message share, and few others
have, shows that the output was used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agentctl.core.context import left_out
from agentctl.core.values import Message, ToolCall

NAME_CHARS = (5, 120)
LINE_CHARS = (25, 200)
RARE = 8
"""Names and lines in more messages than this say nothing of where they were taken from."""
LOOKED_AT_CHARS = 20_000
"""Of each message: enough for what the door lets in, and a bound for all else."""
NOTE_BYTES = 12_000
"""Room of the note's two lists: a third for what failed, the rest for names."""
FAILURE_CHARS = 160
BRIEF_CHARS = 40
"""Of a call whose error still stands, where there is no room for more."""
SUMMARY_HEAD = "What you wrote of them:"

_SPLIT = str.maketrans(dict.fromkeys("\"'`()[]{}<>=,:;!?*&|#@$%^~\\\t\n\r", " "))
_PARTS = str.maketrans(dict.fromkeys("./-_+", " "))


def text_of(message: Message) -> str:
    """All that a message says, with the arguments of its calls as they would read."""
    if not message.calls:
        return message.text[:LOOKED_AT_CHARS]
    parts = [message.text]
    for call in message.calls:
        parts += (call.name, *argument_texts(call))
    return "\n".join(parts)[:LOOKED_AT_CHARS]


def argument_texts(call: ToolCall) -> list[str]:
    """The arguments' values as text; the raw arguments if they are no JSON object."""
    try:
        given = msgspec.json.decode(call.arguments, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return [call.arguments]
    return [
        value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for value in given.values()
    ]


def names(text: str) -> set[str]:
    """Words that are not plain prose: paths, identifiers, numbers with a meaning."""
    least, most = NAME_CHARS
    found = set()
    for word in set(text.translate(_SPLIT).split()):
        if word.isalpha() and (word.islower() or word.istitle()):
            continue
        name = word.strip("./-+")
        if least <= len(name) <= most and not name.isdigit():
            found.add(name)
    return found


def lines(text: str) -> set[str]:
    """Lines long enough to be told apart, without their indentation."""
    least, most = LINE_CHARS
    stripped = (line.strip() for line in text.splitlines())
    return {line for line in stripped if least <= len(line) <= most}


class Terms(Struct, frozen=True):
    """How often each word is said, and how many are said in all."""

    counts: dict[str, int]
    length: int


def terms(text: str) -> dict[str, int]:
    """How often each word is said, in lower case; a path or compound once, and its parts too."""
    most = NAME_CHARS[1]
    text = text.lower().translate(_SPLIT)
    counts: dict[str, int] = {}
    for word in text.translate(_PARTS).split():
        if 1 < len(word) <= most:
            counts[word] = counts.get(word, 0) + 1
    for word in text.split():
        name = word.strip("./-+")
        if name not in counts and 1 < len(name) <= most:
            counts[name] = 1
    return counts


class Words:
    """What each message says, found once. A memory of what follows from the messages alone."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._names: dict[int, frozenset[str]] = {}
        self._lines: dict[int, frozenset[str]] = {}
        self._terms: dict[tuple[int, int], Terms] = {}
        self._spelled: dict[str, str] = {}

    def __eq__(self, other: object) -> bool:
        """What is remembered makes no difference."""
        return isinstance(other, Words)

    __hash__ = None  # type: ignore[assignment] # it changes

    def names(self, messages: Sequence[Message], index: int) -> frozenset[str]:
        """Names in the message at this index."""
        found = self._names.get(index)
        if found is None:
            found = self._names[index] = frozenset(names(text_of(messages[index])))
        return found

    def terms(self, messages: Sequence[Message], begin: int, end: int) -> Terms:
        """Words of the messages from `begin` to before `end`, of which none will change."""
        found = self._terms.get((begin, end))
        if found is None:
            counts = terms("\n".join(text_of(messages[i]) for i in range(begin, end)))
            same = self._spelled  # a word is kept in memory once, however many turns have it
            counts = {same.setdefault(word, word): n for word, n in counts.items()}
            found = self._terms[begin, end] = Terms(counts, sum(counts.values()))
        return found

    def last_uses(self, messages: Sequence[Message], indexes: Sequence[int]) -> dict[int, int]:
        """Of each message that a later answer took something rare from: the last such answer.

        `indexes` are those of the messages to look at, in their order; lines of others are
        forgotten.
        """
        known = self._lines
        self._lines = {
            i: known[i] if i in known else frozenset(lines(text_of(messages[i]))) for i in indexes
        }
        said = {index: self.names(messages, index) | self._lines[index] for index in indexes}
        counts: dict[str, int] = {}
        for words in said.values():
            for word in words:
                counts[word] = counts.get(word, 0) + 1
        holders: dict[str, list[int]] = {}
        used: dict[int, int] = {}
        for index, words in said.items():
            rare = [word for word in words if 2 <= counts[word] <= RARE]
            if messages[index].role == "assistant":
                used.update((holder, index) for word in rare for holder in holders.get(word, ()))
            for word in rare:
                holders.setdefault(word, []).append(index)
        return used


# --- errors -------------------------------------------------------------------------------------


def calls_of(messages: Sequence[Message]) -> dict[str, ToolCall]:
    """Every call by its id."""
    return {call.id: call for message in messages for call in message.calls}


def unresolved(
    messages: Sequence[Message], failed: Collection[int], calls: Mapping[str, ToolCall]
) -> list[int]:
    """Indexes of failed results after which the same was not done with success, oldest first.

    The same is a call of the same tool with the same first argument: a path, a command, an address.
    """
    open_at: dict[tuple[str, str], list[int]] = {}
    for index, message in enumerate(messages):
        call = calls.get(message.call_id) if message.role == "tool" else None
        if call is None:
            continue
        subject = (call.name, next(iter(argument_texts(call)), ""))
        if index in failed:
            open_at.setdefault(subject, []).append(index)
        else:
            open_at.pop(subject, None)
    return sorted(index for found in open_at.values() for index in found)


# --- the note -----------------------------------------------------------------------------------


def note(
    messages: Sequence[Message],
    drop_before: int,
    kept: Collection[int],
    failed: Collection[int],
    calls: Mapping[str, ToolCall],
    words: Words,
    *,
    keep_user: int,
    summary: str = "",
    room_bytes: int = NOTE_BYTES,
) -> str:
    """What stands in place of dropped turns: what was tried and failed, and what it was about.

    An error that still stands is always told, and the model's own summary is never cut; the rest
    has `room_bytes`.
    """
    gone = sorted(left_out(messages, drop_before, kept, keep_user))
    if not gone:
        return ""
    parts = [
        f"[{len(gone)} earlier messages of this task were left out to save room. "
        "read_output(id=…) shows the result of any call again.",
    ]
    if summary:
        parts.append(f"{SUMMARY_HEAD}\n{summary}\n")
    parts += _failures(messages, [i for i in gone if i in failed], failed, calls, room_bytes // 3)
    about = _fitting(_missing_names(messages, gone, words), room_bytes * 2 // 3)
    if about:
        parts.append("They were about: " + ", ".join(about))
    return "\n".join(parts) + "]"


def _failures(
    messages: Sequence[Message],
    gone: Sequence[int],
    failed: Collection[int],
    calls: Mapping[str, ToolCall],
    room_bytes: int,
) -> list[str]:
    """Lines on failed calls, those that still stand first where there is too little room.

    Every one that stands is told, in a few words at least.
    """
    if not gone:
        return []
    standing = set(unresolved(messages, failed, calls))
    last = {_failure(messages[index], calls): index for index in gone}  # of those that are alike
    told = {index: f"{line} (id {messages[index].call_id})" for line, index in last.items()}
    order = sorted(told, key=lambda index: (index in standing, index), reverse=True)
    fit = set(order[: len(_fitting((told[index] for index in order), room_bytes))])
    brief = {index: _brief(messages[index], calls) for index in standing & told.keys() - fit}
    shown = {**{index: told[index] for index in fit}, **brief}
    if not shown:
        return []
    more = f" (and {len(told) - len(shown)} before)" if len(shown) < len(told) else ""
    return [f"Tried in them and failed{more}:", *(shown[index] for index in sorted(shown))]


def _brief(message: Message, calls: Mapping[str, ToolCall]) -> str:
    call = calls.get(message.call_id)
    what = f"{call.name} {' '.join(argument_texts(call))}" if call is not None else "?"
    return f"- {' '.join(what.split())[:BRIEF_CHARS]} (id {message.call_id})"


def _failure(message: Message, calls: Mapping[str, ToolCall]) -> str:
    call = calls.get(message.call_id)
    what = f"{call.name} {' '.join(argument_texts(call))}" if call is not None else "?"
    first = next((line.strip() for line in message.text.splitlines() if line.strip()), "")
    return f"- {_cut(' '.join(what.split()))}: {_cut(first)}"


def _cut(text: str) -> str:
    return text if len(text) <= FAILURE_CHARS else text[:FAILURE_CHARS] + "…"


def _missing_names(messages: Sequence[Message], gone: Sequence[int], words: Words) -> Iterator[str]:
    """Names that the rest of the conversation does not say: those in most messages first."""
    left_out = set(gone)
    said: set[str] = set()
    for index, message in enumerate(messages):
        if index not in left_out and message.role != "tool":
            said |= words.names(messages, index)
    uses: dict[str, int] = {}
    latest: dict[str, int] = {}
    for index in gone:
        for name in words.names(messages, index):
            uses[name] = uses.get(name, 0) + 1
            latest[name] = index
    missing = (name for name in uses if name not in said)
    return iter(sorted(missing, key=lambda name: (-uses[name], -latest[name], name)))


def _fitting(texts: Iterable[str], room_bytes: int) -> list[str]:
    """As many as fit, in their order."""
    found = []
    for text in texts:
        room_bytes -= len(text.encode()) + 2
        if room_bytes < 0:
            break
        found.append(text)
    return found
