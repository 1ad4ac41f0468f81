"""Looking the same thing up twice: when an earlier result stands for a new one.

A tool whose result can be told from what it reads gives a *proof* with it: a file's place, size
and times, a page's validators. The next call with the same arguments is given that result again
if its proof still holds. In the same conversation it is not even repeated: a line refers to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from agentctl.core.values import Message, Millis, ToolCall

LOOKUP_TTL_MS: Millis = 900_000
"""So long another task may be given a result; within its own task it is good until it changes."""
SPARED_MIN_BYTES = 400
"""A result is referred to only where that saves as much; a short one is simply repeated."""

_POINTER = "[cached: the result is the same as that of your earlier"
_NOTE = "\n[cached: the same as"


class Lookup(Struct, frozen=True):
    """A tool's result that may be given again."""

    task_id: str
    call_id: str
    at_ms: Millis
    """When it was got."""
    shown: str
    """What the model was given: of a large output its head and tail."""
    text: str
    """All of it."""
    proof: str
    """What it was got from, as its tool wrote it."""


def canonical(arguments: str) -> str:
    """Arguments as they are compared: without blanks, keys sorted."""
    try:
        data = msgspec.json.decode(arguments.strip() or "{}")
    except (msgspec.DecodeError, RecursionError):
        return arguments
    return msgspec.json.encode(data, order="sorted").decode()


def key(tool: str, arguments: str, cwd: str, account: str) -> str:
    """Hash under which a result is kept: what one folder and account saw, no other is given."""
    import hashlib  # here, because `show` does without and it is slow to load

    parts = msgspec.json.encode((tool, canonical(arguments), cwd, account))
    return hashlib.sha256(parts).hexdigest()[:32]


def usable(found: Lookup, task_id: str, now_ms: Millis, ttl_ms: Millis) -> bool:
    """Whether this task may be given the result, if its proof holds."""
    return found.task_id == task_id or 0 <= now_ms - found.at_ms < ttl_ms


def reference(found: Lookup, task_id: str) -> str:
    """Where a result comes from: a call of this task, or "TASK:CALL" of another one."""
    return found.call_id if found.task_id == task_id else f"{found.task_id}:{found.call_id}"


def pointer(tool: str, call_id: str) -> str:
    """What the model is told in place of a result that it already has.

    A later prune may leave that out and this line in: so it says how to read it then.
    """
    return (
        f"{_POINTER} {tool} call {call_id} above, which still holds; "
        "read_output with that id shows it if it was left out]"
    )


def note(age_ms: Millis) -> str:
    """The line after a result that is given again in full."""
    seconds = max(age_ms, 0) // 1000
    age = f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
    return f"{_NOTE} {age} ago]"


def without_note(text: str) -> str:
    """The result alone, where `note` follows it."""
    result, found, rest = text.rpartition(_NOTE)
    return result if found and "\n" not in rest else text


def standing(found: Lookup, call: ToolCall, sent: Sequence[Message]) -> str:
    """Id of the call whose result, the same, the model has before it; empty if there is none.

    There is none either when it was referred to it last: whoever asks once more has not found it,
    and is given the whole.
    """
    wanted, same, standing_id = canonical(call.arguments), set[str](), ""
    for message in sent:
        if message.role == "assistant":
            named = [each for each in message.calls if each.name == call.name]
            same.update(each.id for each in named if canonical(each.arguments) == wanted)
        elif message.call_id in same:
            rest = message.text.removeprefix(found.shown)
            is_whole = rest != message.text or not found.shown
            is_it = is_whole and (not rest or rest.startswith(_NOTE))
            standing_id = message.call_id if is_it else ""
    return standing_id
