"""An answer while it is being streamed, and the bytes of a request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any
from uuid import uuid4

import msgspec

from agentctl.core.values import Message, Stop, ToolCall, ToolSpec, Usage
from agentctl.ports import Answer, Emit, Request
from agentctl.providers._json import Json, clean, obj

_BYTES_PER_TOKEN = 3
TOKENS_MAX = 10**12
"""No real call has so many; a larger number is a fault of the server."""
_encoder = msgspec.json.Encoder(order="sorted")
ID_CHARS = 40
_DIGEST_CHARS = 16
_ODD = re.compile(r"[^a-zA-Z0-9_-]")


def encode(value: object) -> bytes:
    """JSON with sorted keys: the same value always gives the same bytes."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(_clean_tree(value))


def _clean_tree(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(key)): _clean_tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean_tree(item) for item in value]
    return value


def wire_name(name: str) -> str:
    """A tool's name as every provider accepts it; a model may have invented an odd one."""
    return _ODD.sub("_", name)[:64] or "unknown"


def wire_id(given: str) -> str:
    """A call's id as every provider accepts it, whoever made it: the same for call and result.

    Anthropic takes letters, digits, _ and -; OpenAI at most 64 characters, in chat completions 40.
    What does not fit keeps its beginning and gets a hash of the whole, so that two ids stay two.
    """
    if 0 < len(given) <= ID_CHARS and not _ODD.search(given):
        return given
    digest = hashlib.sha256(clean(given).encode()).hexdigest()[:_DIGEST_CHARS]
    return f"{_ODD.sub('_', given)[: ID_CHARS - _DIGEST_CHARS - 1]}_{digest}"


def breakpoints(request: Request) -> list[int]:
    """Indexes of the messages after which a cached beginning should end, the first one first.

    Only what a user or a tool said can carry a breakpoint, and only if it is not empty.
    """
    messages = request.messages
    can = (
        next((i for i in range(count - 1, -1, -1) if _takes_breakpoint(messages[i])), None)
        for count in (min(count, len(messages)) for count in request.steady)
    )
    return sorted({index for index in can if index is not None})


def _takes_breakpoint(message: Message) -> bool:
    return message.role != "assistant" and bool(message.text.strip())


def in_call_order(messages: Sequence[Message]) -> list[Message]:
    """Put the results of parallel calls in the order of the calls, not that in which they ended.

    The templates of local models show neither ids nor, some of them, names: the order is all.
    """
    place = {
        call.id: number
        for number, call in enumerate(call for message in messages for call in message.calls)
    }
    ordered: list[Message] = []
    for is_result, group in groupby(messages, lambda message: message.role == "tool"):
        results = list(group)
        if is_result:
            results.sort(key=lambda message: place.get(message.call_id, -1))
        ordered += results
    return ordered


def functions(tools: Iterable[ToolSpec]) -> list[Json]:
    """Tools as chat completions describe them, and Ollama too."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": parse_arguments(tool.parameters)[0],
            },
        }
        for tool in tools
    ]


def parse_arguments(arguments: str) -> tuple[Json, str]:
    """Return the arguments as an object and, if they are none, why; an empty text is no problem."""
    if not arguments.strip():
        return {}, ""
    try:
        return msgspec.json.decode(arguments, type=dict[str, Any]), ""
    except msgspec.ValidationError as error:
        return {}, f"arguments are not a JSON object: {error}"
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        return {}, f"arguments are not valid JSON: {error}"


def sent_arguments(call: ToolCall) -> str:
    """Arguments of a past call as every server accepts them: "{}" for what is no object."""
    return "{}" if parse_arguments(call.arguments)[1] else call.arguments.strip() or "{}"


def unpack(message: Message, wire: str, model: str, server: str = "") -> list[Json]:
    """Items that the same wire, model and server gave with this message, returned verbatim.

    `server` matters where only those who sealed the reasoning can open it. What was kept before
    it was noted names none and is taken to be from the same.
    """
    if not message.native:
        return []
    try:
        kept = obj(msgspec.json.decode(message.native))
    except msgspec.DecodeError:
        return []
    if kept.get("wire") != wire or kept.get("model") != model:
        return []
    if kept.get("server", server) != server:
        return []
    items = kept.get("items")
    return [obj(item) for item in items] if isinstance(items, list) else []


def usage_of(
    *,
    total_input: object,
    output: object,
    cache_read: object = None,
    cache_write: object = None,
    reasoning: object = None,
) -> Usage | None:
    """Usage from a provider's numbers; None when they are missing or cannot be counts."""
    if total_input is None or output is None:
        return None
    given = [total_input, output, cache_read or 0, cache_write or 0, reasoning or 0]
    counts = [
        n for n in given if isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= TOKENS_MAX
    ]
    if len(counts) < len(given) or counts[2] > counts[0]:
        return None
    whole, out, read, write, thought = counts
    return Usage(
        input=whole,
        cache_read=read,
        cache_write=min(write, whole - read),
        output=out,
        reasoning=min(thought, out),
    )


@dataclass(slots=True)
class CallDraft:
    """A tool call while its arguments arrive in pieces."""

    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Draft:
    """An answer while it arrives. A wire fills it in, event by event."""

    emit: Emit
    texts: list[str] = field(default_factory=list)
    calls: dict[int | str, CallDraft] = field(default_factory=dict)
    items: list[Json] = field(default_factory=list)
    """What the provider wants back verbatim."""
    usage: Usage | None = None
    stop: Stop = "end"
    response_id: str = ""
    model: str = ""
    hidden_bytes: int = 0
    """UTF-8 bytes of reasoning that is not part of the text."""

    def say(self, text: str) -> None:
        """Add streamed text."""
        if text:
            self.texts.append(text)
            self.emit(clean(text))

    def think(self, text: str) -> None:
        """Count reasoning that is not shown."""
        self.hidden_bytes += len(text.encode(errors="replace"))

    def call(self, key: int | str) -> CallDraft:
        """Return the call that the provider numbers so."""
        return self.calls.setdefault(key, CallDraft())

    def finish(self, request: Request, wire: str, model: str, server: str = "") -> Answer:
        """Close the answer of a stream that ended properly. `server`: see `unpack`."""
        text = clean("".join(self.texts))
        calls = tuple(self._calls(request))
        stop = self.stop
        if stop in ("end", "tools"):
            stop = "tools" if calls else "end"
        native = ""
        if self.items:
            kept: Json = {"wire": wire, "model": model, "items": self.items}
            native = encode({**kept, "server": server} if server else kept).decode()
        message = Message(role="assistant", text=text, calls=calls, native=native)
        usage = self.usage or self._guess(request, text, calls)
        return Answer(
            message=message,
            usage=usage,
            stop=stop,
            response_id=clean(self.response_id),
            model=clean(self.model),
        )

    def _calls(self, request: Request) -> Iterator[ToolCall]:
        # Some servers send no id, or the same ones each turn; results are matched by id.
        taken = {call.id for message in request.messages for call in message.calls}
        for draft in self.calls.values():
            arguments = clean("".join(draft.pieces)).strip()
            problem = parse_arguments(arguments)[1]
            if self.stop == "length" and not arguments:
                problem = "arguments are missing: the answer was cut off by its length limit"
            elif self.stop == "length" and problem:
                problem += " (the answer was cut off by its length limit)"
            name, given = clean(draft.name), clean(draft.id)
            if not given or given in taken:
                given = f"call_{uuid4().hex}"
            taken.add(given)
            yield ToolCall(id=given, name=name, arguments=arguments or "{}", problem=problem)

    def _guess(self, request: Request, text: str, calls: tuple[ToolCall, ...]) -> Usage:
        said = len(text.encode()) + sum(len((c.name + c.arguments).encode()) for c in calls)
        return Usage(
            input=request.input_tokens,
            output=-(-(said + self.hidden_bytes) // _BYTES_PER_TOKEN),
            reasoning=-(-self.hidden_bytes // _BYTES_PER_TOKEN),
            reported=False,
        )
