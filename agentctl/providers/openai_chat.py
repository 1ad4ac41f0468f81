"""OpenAI's chat completions as JSON: the format that compatible servers speak.

The answer counts as whole when its `finish_reason` has come and the stream ends by itself: some
servers leave out the closing "[DONE]".
"""

from __future__ import annotations

from agentctl.core.values import Message, Stop, Usage
from agentctl.ports import Request
from agentctl.providers._answer import (
    Draft,
    functions,
    in_call_order,
    sent_arguments,
    usage_of,
    wire_id,
    wire_name,
)
from agentctl.providers._faults import Border
from agentctl.providers._json import Json, obj, slot, text_of

PATH = "/chat/completions"
WIRE = "openai-chat"

STOPS: dict[str, Stop] = {
    "tool_calls": "tools",
    "function_call": "tools",
    "length": "length",
    "content_filter": "refusal",
}
"""Finish reasons; every other one is an ordinary end."""


def body(request: Request, model: str, *, cap_name: str) -> Json:
    """The request as JSON. `cap_name`: OpenAI and other servers name the output cap differently."""
    messages = [_message(message) for message in in_call_order(request.messages)]
    if request.system:
        messages.insert(0, {"role": "system", "content": request.system})
    made: Json = {
        "model": model,
        cap_name: request.max_output,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": messages,
    }
    if request.tools:
        made["tools"] = functions(request.tools)
    return made


def _message(message: Message) -> Json:
    if message.role == "tool":
        call_id = wire_id(message.call_id)
        return {"role": "tool", "tool_call_id": call_id, "content": message.text}
    made: Json = {"role": message.role, "content": message.text}
    if message.calls:
        made["tool_calls"] = [
            {
                "id": wire_id(call.id),
                "type": "function",
                "function": {"name": wire_name(call.name), "arguments": sent_arguments(call)},
            }
            for call in message.calls
        ]
    return made


class Reader:
    """Reads chat completion chunks into a draft."""

    def __init__(self, draft: Draft, border: Border) -> None:
        """Start reading one answer."""
        self._draft = draft
        self._border = border
        self._refused = False
        self.finished = False
        """The finish reason has come: the message is whole."""

    def take(self, event: Json) -> bool:
        """Take one chunk; True when it was the last."""
        draft = self._draft
        if event.get("error"):
            raise self._border.reported(event["error"])
        if event.get("type") == "[DONE]":
            return self.finished
        draft.response_id = text_of(event.get("id")) or draft.response_id
        draft.model = text_of(event.get("model")) or draft.model
        if event.get("usage"):
            # Some servers send running totals: the last ones count.
            draft.usage = _usage(obj(event["usage"]))
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            self._choice(obj(choice))
        return False

    def _choice(self, choice: Json) -> None:
        draft = self._draft
        delta = obj(choice.get("delta"))
        draft.say(text_of(delta.get("content")))
        draft.think(text_of(delta.get("reasoning_content")) or text_of(delta.get("reasoning")))
        if refusal := text_of(delta.get("refusal")):
            self._refused = True
            draft.say(refusal)
        calls = delta.get("tool_calls")
        for position, piece in enumerate(calls if isinstance(calls, list) else []):
            self._call(position, obj(piece))
        if reason := text_of(choice.get("finish_reason")):
            self.finished = True
            draft.stop = "refusal" if self._refused else STOPS.get(reason, "end")

    def _call(self, position: int, piece: Json) -> None:
        index = slot(piece.get("index", position))
        function, given = obj(piece.get("function")), text_of(piece.get("id"))
        call = self._draft.call(index)
        if given and call.id not in ("", given):
            # Some servers give every parallel call the same index.
            call = self._draft.call(f"{index} {given}")
        call.id = call.id or given
        call.name = call.name or text_of(function.get("name"))
        call.pieces.append(text_of(function.get("arguments")))


def _usage(usage: Json) -> Usage | None:
    details = obj(usage.get("prompt_tokens_details"))
    return usage_of(
        total_input=usage.get("prompt_tokens"),
        output=usage.get("completion_tokens"),
        cache_read=details.get("cached_tokens"),
        cache_write=details.get("cache_write_tokens"),
        reasoning=obj(usage.get("completion_tokens_details")).get("reasoning_tokens"),
    )
