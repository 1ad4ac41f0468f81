"""OpenAI's Responses API as JSON, with nothing stored on their side.

Reasoning comes back encrypted and is returned verbatim with the message it led to, so that the
model goes on from its own thoughts after each tool call.

Caching: OpenAI itself puts a breakpoint near the end of each request. From GPT-5.6 on a cached
beginning is found only at a breakpoint, so up to three more are set, as many as are kept: at the
goal, where the last prune began and where the next one will.
"""

from __future__ import annotations

import hashlib
import re

from agentctl.core.values import Message, Stop, Usage
from agentctl.ports import Request
from agentctl.providers._answer import (
    Draft,
    breakpoints,
    parse_arguments,
    sent_arguments,
    unpack,
    usage_of,
    wire_id,
    wire_name,
)
from agentctl.providers._faults import Border
from agentctl.providers._json import Json, clean, obj, slot, text_of

PATH = "/responses"
WIRE = "openai-responses"

_BREAKPOINT: Json = {"mode": "explicit"}
_VERSION = re.compile(r"gpt-(\d+)(?:\.(\d+))?(?![\d.])")
_WITH_BREAKPOINTS = (5, 6)
"""The first version that knows them; the ones before refuse the field."""
OFFICIAL = "api.openai.com"

_LAST: dict[str, Stop] = {"max_output_tokens": "length", "content_filter": "refusal"}
"""Why a response is incomplete."""


def body(request: Request, model: str, server: str) -> Json:
    """The request as JSON. `server` is the host it goes to."""
    made: Json = {
        "model": model,
        "max_output_tokens": request.max_output,
        "stream": True,
        "store": False,
        # Requests of one conversation should meet the same cache.
        "prompt_cache_key": _cache_key(request),
        "input": _input(request, model, server),
    }
    if request.system:
        made["instructions"] = request.system
    if request.tools:
        made["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": parse_arguments(tool.parameters)[0],
                # Strict schemas must list every property as required; ours need not.
                "strict": False,
            }
            for tool in request.tools
        ]
    return made


def _cache_key(request: Request) -> str:
    first = request.messages[0].text if request.messages else ""
    seed = clean(f"{request.system}\n{first}").encode()
    return hashlib.sha256(seed).hexdigest()[:32]


def _input(request: Request, model: str, server: str) -> list[Json]:
    pairs = [(each, _items(each, model, server)) for each in request.messages]
    if takes_breakpoints(model, server):
        marked = {0, *breakpoints(request)}
        for index, (message, items) in enumerate(pairs):
            if message.role != "assistant" and message.text:
                _as_block(items[0], marked=index in marked)
    return [item for _, items in pairs for item in items]


def takes_breakpoints(model: str, server: str) -> bool:
    """Whether this server finds a cached beginning only at breakpoints."""
    found = _VERSION.match(model)
    if found is None or not (server == OFFICIAL or server.endswith("." + OFFICIAL)):
        return False
    return (int(found[1]), int(found[2] or 0)) >= _WITH_BREAKPOINTS


def _as_block(item: Json, *, marked: bool) -> None:
    """Say the item's text as a block, which can end a cached beginning.

    All are said so, marked or not: whether the server takes a bare text for the same is not known.
    """
    field = "output" if "output" in item else "content"
    block: Json = {"type": "input_text", "text": item[field]}
    if marked:
        block["prompt_cache_breakpoint"] = _BREAKPOINT
    item[field] = [block]


def _items(message: Message, model: str, server: str) -> list[Json]:
    if message.role == "tool":
        call_id = wire_id(message.call_id)
        return [{"type": "function_call_output", "call_id": call_id, "output": message.text}]
    if message.role == "user":
        return [{"role": "user", "content": message.text}]
    calls = {
        call.id: {
            "type": "function_call",
            "call_id": wire_id(call.id),
            "name": wire_name(call.name),
            "arguments": sent_arguments(call),
        }
        for call in message.calls
    }
    kept = unpack(message, WIRE, model, server)
    if "".join(_said(item) for item in kept) != message.text:
        # Reasoning belongs to the text it led to; somebody has changed that.
        kept = []
    if not kept and message.text:
        kept = [{"role": "assistant", "content": message.text}]
    items = []
    for item in kept:
        if item.get("type") != "function_call":
            items.append(item)
        elif item.get("call_id") in calls:
            items.append(calls.pop(str(item["call_id"])))
    return items + list(calls.values())


def _said(item: Json) -> str:
    content = item.get("content") if item.get("type") == "message" else None
    parts = [obj(part) for part in content] if isinstance(content, list) else []
    return "".join(text_of(part.get("text")) or text_of(part.get("refusal")) for part in parts)


class Reader:
    """Reads Responses events into a draft."""

    finished = False
    """A stream of this wire is whole only with its last event."""

    def __init__(self, draft: Draft, border: Border) -> None:
        """Start reading one answer."""
        self._draft = draft
        self._border = border
        self._items: dict[int | str, Json] = {}
        self._refused = False

    def take(self, event: Json) -> bool:
        """Take one event; True when it was the last."""
        kind = text_of(event.get("type"))
        index = slot(event.get("output_index"))
        match kind:
            case "response.output_text.delta":
                self._draft.say(text_of(event.get("delta")))
            case "response.refusal.delta":
                self._refused = True
                self._draft.say(text_of(event.get("delta")))
            case "response.function_call_arguments.delta":
                self._draft.call(index).pieces.append(text_of(event.get("delta")))
            case "response.output_item.added" | "response.output_item.done":
                self._item(index, obj(event.get("item")), done=kind.endswith("done"))
            case "response.completed" | "response.incomplete":
                self._close(obj(event.get("response")))
                return True
            case "response.failed":
                raise self._border.reported(obj(event.get("response")).get("error"))
            case "error":
                raise self._border.reported(event.get("error") or event)
        if not kind and event.get("error"):
            raise self._border.reported(event["error"])
        return False

    def _item(self, index: int | str, item: Json, *, done: bool) -> None:
        if item.get("type") == "function_call":
            call = self._draft.call(index)
            call.id, call.name = text_of(item.get("call_id")), text_of(item.get("name"))
            if done and item.get("arguments"):
                call.pieces = [text_of(item.get("arguments"))]
        if done:
            self._items[index] = item

    def _close(self, response: Json) -> None:
        draft = self._draft
        draft.response_id = text_of(response.get("id"))
        draft.model = text_of(response.get("model"))
        draft.usage = _usage(obj(response.get("usage")))
        if not draft.texts:
            draft.say("".join(_said(item) for item in self._items.values()))
        why = text_of(obj(response.get("incomplete_details")).get("reason"))
        if response.get("status") == "incomplete" or why:
            draft.stop = _LAST.get(why, "length")
        if self._refused or any(_refusal(item) for item in self._items.values()):
            draft.stop = "refusal"
        kept = [item for value in self._items.values() if (item := _kept(value))]
        while kept and kept[-1]["type"] == "reasoning":
            # Reasoning that led to nothing would be refused without what it led to.
            kept.pop()
        if any(item["type"] == "reasoning" for item in kept):
            draft.items = kept


def _refusal(item: Json) -> bool:
    content = item.get("content")
    parts = content if isinstance(content, list) else []
    return any(obj(part).get("type") == "refusal" for part in parts)


def _kept(item: Json) -> Json:
    """An item as it must come back; an empty object for one that must not."""
    match item.get("type"):
        case "function_call":
            return {"type": "function_call", "call_id": item.get("call_id")}
        case "reasoning":
            # Without its encrypted content it could only be found if it had been stored.
            return item if item.get("encrypted_content") else {}
        case "message":
            return item
    return {}


def _usage(usage: Json) -> Usage | None:
    details = obj(usage.get("input_tokens_details"))
    return usage_of(
        total_input=usage.get("input_tokens"),
        output=usage.get("output_tokens"),
        cache_read=details.get("cached_tokens"),
        cache_write=details.get("cache_write_tokens"),
        reasoning=obj(usage.get("output_tokens_details")).get("reasoning_tokens"),
    )
