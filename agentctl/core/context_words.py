"""What messages speak of: names and lines of code, and the note on what was left out.

No meaning is guessed at. A name is a word that is not plain prose: it has a capital inside, a
digit, an underscore, a dot or a slash. What an output and a later message share, and few others
have, shows that the output was used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from agentctl.core.context import turns
from agentctl.core.values import Message, ToolCall

NAME_CHARS = (5, 120)
LINE_CHARS = (25, 200)
RARE = 8
"""Names and lines in more messages than this say nothing of where they were taken from."""
LOOKED_AT_CHARS = 20_000
"""Of each message: enough for what the door lets in, and a bound for all else."""
FAILURES_BYTES = 2_400
NAMES_BYTES = 4_800
"""Room of the note's two lists."""
FAILURE_CHARS = 160

_SPLIT = str.maketrans(dict.fromkeys("\"'`()[]{}<>=,:;!?*&|#@$%^~\\\t\n\r", " "))


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


class Words:
    """What each message says, found once. A memory of what follows from the messages alone."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._names: dict[int, frozenset[str]] = {}
        self._lines: dict[int, frozenset[str]] = {}

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
) -> str:
    """What stands in place of dropped turns: what was tried and failed, and what it was about."""
    gone = [
        index
        for begin, end in turns(messages, 0, drop_before)
        if begin not in kept
        for index in range(begin, end)
    ]
    if not gone:
        return ""
    parts = [
        f"[{len(gone)} earlier messages of this task were left out to save room. "
        "read_output(id=…) shows the result of any call again.",
    ]
    failures = [_failure(messages[i], calls) for i in gone if i in failed]
    told = _fitting(reversed(failures), FAILURES_BYTES)
    if told:
        older = len(failures) - len(told)
        more = f" (and {older} before)" if older else ""
        parts += [f"Tried in them and failed{more}:", *reversed(told)]
    about = _fitting(_missing_names(messages, gone, words), NAMES_BYTES)
    if about:
        parts.append("They were about: " + ", ".join(about))
    return "\n".join(parts) + "]"


def _failure(message: Message, calls: Mapping[str, ToolCall]) -> str:
    call = calls.get(message.call_id)
    what = f"{call.name} {' '.join(argument_texts(call))}" if call is not None else "?"
    first = next((line.strip() for line in message.text.splitlines() if line.strip()), "")
    return f"- {_cut(' '.join(what.split()))}: {_cut(first)} (id {message.call_id})"


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
