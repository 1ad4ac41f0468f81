"""Recorded conversations: read, cut as at the door, stitched, and what their messages mention.

One folder of JSONL files, one message a line: `role`, `content`, `tool_calls` in OpenAI's shape,
`tool_call_id`, and on answers `usage` where it was reported. What counts as a mention is written
apart from the policy's own idea of it, so that the one can be measured by the other.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from agentctl.core.context_words import argument_texts
from agentctl.core.values import Message, ToolCall, Usage
from agentctl.run.toolbelt import HEAD_BYTES, SHOWN_BYTES_MAX, TAIL_BYTES

_ENDINGS = "py|js|ts|java|c|h|rst|md|txt|json|ya?ml|toml|cfg|html|sh"
PATH = re.compile(rf"(?:[\w.+-]+/)+[\w.+-]*\w|\b[\w-]+\.(?:{_ENDINGS})\b")
IDENTIFIER = re.compile(
    r"\b(?:[A-Za-z]+_[A-Za-z0-9_]{3,}|[a-z]+[A-Z][A-Za-z0-9]{3,}"
    r"|[A-Z][a-z]+[A-Z][A-Za-z0-9]{2,}|[A-Z0-9]{6,})\b"
)
NUMBERED = re.compile(r"^\s*\d+[\t:| -]\s?")
FAILED = re.compile(r"<returncode>(?!0<)|\s*(?:Error|error|ERROR|Traceback)\b")
"""How a tool output begins that reports an error, where the recording does not say `is_error`."""
LINE_CHARS = (25, 200)
NOT_CODE = ("THOUGHT", "echo ", "cd ", "cat ", "#!")


class Line(Struct, frozen=True):
    """One recorded message."""

    message: Message
    failed: bool
    names: frozenset[object]
    lines: frozenset[object]
    usage: Usage | None = None


class Recording(Struct, frozen=True):
    """One conversation, up to its last answer."""

    name: str
    system: str
    said: tuple[Line, ...]

    @property
    def steps(self) -> int:
        """Answers of the model."""
        return sum(line.message.role == "assistant" for line in self.said)

    def door(self, is_cut: bool) -> Sequence[Line]:
        """The messages, large outputs cut on arrival as every run of agentctl does."""
        return [_cut(line) for line in self.said] if is_cut else self.said

    def closed(self) -> list[Line]:
        """The messages, with results for the last answer's calls: a conversation can follow."""
        ends = (
            Message("tool", "(the recording ends here)", call_id=call.id)
            for call in self.said[-1].message.calls
        )
        nothing = frozenset[object]()
        return [*self.said, *(Line(end, False, nothing, nothing) for end in ends)]


def load(folder: Path) -> list[Recording]:
    """Every conversation below a folder, by name; what follows the last answer is left out.

    Raises ValueError with file and line for what is no message.
    """
    read = (_read(path) for path in sorted(folder.rglob("*.jsonl")))
    return [recording for recording in read if recording.said]


def _read(path: Path) -> Recording:
    system, said = "", list[Line]()
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not text.strip():
            continue
        try:
            given = json.loads(text)
            if given["role"] in ("system", "developer"):
                system = f"{system}\n{given['content']}".strip()
            elif given["role"] in ("user", "assistant", "tool"):
                said.append(_line(given, f"{path.stem[-24:]}-{number}"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}:{number} is not a message: {error!r}") from error
    while said and said[-1].message.role != "assistant":
        said.pop()
    if said and said[0].message.role != "user":  # every task of agentctl begins with its goal
        said.insert(0, _line({"role": "user", "content": "(no goal was recorded)"}, ""))
    return Recording(path.stem, system, tuple(_matched(said, path.stem)))


def _line(given: dict[str, Any], name: str) -> Line:
    content = given.get("content") or ""
    if not isinstance(content, str):
        content = json.dumps(content)
    calls = tuple(
        ToolCall(call.get("id") or f"{name}-{n}", call["function"]["name"],
                 call["function"]["arguments"])
        for n, call in enumerate(given.get("tool_calls") or ())
    )  # fmt: skip
    role = given["role"]
    message = Message(role, content, calls, given.get("tool_call_id") or "")
    failed = role == "tool" and bool(given.get("is_error", FAILED.match(content)))
    return Line(message, failed, mentions(message), lines_of(message), _usage(given.get("usage")))


def _matched(said: Sequence[Line], name: str) -> Iterator[Line]:
    """Ids that are the only ones of their kind, so that sessions can be joined."""
    for line in said:
        message = line.message
        calls = tuple(ToolCall(f"{name}:{c.id}", c.name, c.arguments) for c in message.calls)
        call_id = f"{name}:{message.call_id}" if message.call_id else ""
        whole = Message(message.role, message.text, calls, call_id)
        yield Line(whole, line.failed, line.names, line.lines, line.usage)


def _usage(given: dict[str, Any] | None) -> Usage | None:
    if not given or not given.get("prompt_tokens"):
        return None
    read, output = given.get("cached_tokens") or 0, given.get("completion_tokens") or 0
    reasoning = given.get("reasoning_tokens") or 0
    return Usage(given["prompt_tokens"], read, 0, output, reasoning)


def _cut(line: Line) -> Line:
    raw = line.message.text.encode()
    if line.message.role != "tool" or len(raw) <= SHOWN_BYTES_MAX:
        return line
    head, tail = (part.decode(errors="ignore") for part in (raw[:HEAD_BYTES], raw[-TAIL_BYTES:]))
    text = f"{head}\n[… {len(raw) - HEAD_BYTES - TAIL_BYTES:,} bytes left out …]\n{tail}"
    message = Message("tool", text, call_id=line.message.call_id)
    # What it mentions stays: the cut must be found out too.
    return Line(message, line.failed, line.names, line.lines, line.usage)


def stitched(recordings: Sequence[Recording], steps: int) -> list[Recording]:
    """Sessions of exactly so many answers: recordings of one system prompt, one after another.

    Each begins with the goal of a recording. What is too short for a session is not used.
    """
    groups: dict[str, list[Recording]] = {}
    for recording in recordings:
        groups.setdefault(recording.system, []).append(recording)
    made: list[Recording] = []
    for system, group in groups.items():
        said: list[Line] = []
        answers = 0
        for recording in group:
            said += recording.closed()
            answers += recording.steps
            if answers >= steps:
                made.append(Recording(f"stitched-{len(made)}", system, _first(said, steps)))
                said, answers = [], 0
    return made


def _first(said: Sequence[Line], steps: int) -> tuple[Line, ...]:
    """Up to and including so many answers."""
    places = [n for n, line in enumerate(said) if line.message.role == "assistant"]
    return tuple(said[: places[steps - 1] + 1])


@functools.lru_cache(maxsize=200_000)
def mentions(message: Message) -> frozenset[object]:
    """Paths and identifiers in a message, arguments included."""
    text = _whole(message)
    return frozenset(PATH.findall(text)) | frozenset(IDENTIFIER.findall(text))


@functools.lru_cache(maxsize=200_000)
def lines_of(message: Message) -> frozenset[object]:
    """Lines long enough to be told apart: code that must have been seen to be repeated."""
    least, most = LINE_CHARS
    bare = (NUMBERED.sub("", line).strip() for line in _whole(message).split("\n"))
    return frozenset(
        line for line in bare if least <= len(line) <= most and not line.startswith(NOT_CODE)
    )


def _whole(message: Message) -> str:
    parts = [message.text]
    parts += [f"{call.name} " + "\n".join(argument_texts(call)) for call in message.calls]
    return "\n".join(parts)
