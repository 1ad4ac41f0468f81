"""What each provider's server refuses in a request, from its documented rules.

Each check returns the first complaint, or an empty string for a request that is fine.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

ID = re.compile(r"[a-zA-Z0-9_-]+")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

Item = dict[str, Any]


def unknown(made: Item, allowed: str) -> str:
    extra = set(made) - set(allowed.split())
    return f"{', '.join(sorted(extra))}: extra inputs are not permitted" if extra else ""


def is_object(text: object) -> bool:
    try:
        return isinstance(json.loads(str(text)), dict)
    except ValueError:
        return False


def anthropic(request: Item) -> Iterator[str]:
    """Blocks, alternating turns, results in the turn after their calls and before any text."""
    yield unknown(request, "model max_tokens stream cache_control messages system tools")
    blocks = [*request["system"], *(b for m in request["messages"] for b in m["content"])]
    marks = [each["cache_control"] for each in (request, *blocks) if "cache_control" in each]
    if len(marks) > 4 or any(mark != {"type": "ephemeral"} for mark in marks):
        yield "a maximum of 4 blocks with cache_control may be provided"
    seen: set[str] = set()
    open_ids: set[str] = set()
    role = "assistant"
    for message in request["messages"]:
        yield unknown(message, "role content")
        if message["role"] not in ("user", "assistant") or message["role"] == role:
            yield "roles must alternate and begin with user"
        role = message["role"]
        if not message["content"]:
            yield "content must not be empty"
        calls, results, texts = set(), set(), 0
        for block in message["content"]:
            yield anthropic_block(block, role)
            if block["type"] == "tool_use":
                if block["id"] in seen:
                    yield "`tool_use` ids must be unique"
                calls.add(block["id"])
            elif block["type"] == "tool_result":
                if texts:
                    yield "tool_result blocks must come first"
                results.add(block["tool_use_id"])
            elif block["type"] == "text":
                texts += 1
            elif texts or calls:
                yield "thinking must come first"
        if results != open_ids:
            yield "`tool_use` ids and `tool_result` blocks of the next message must match"
        seen |= calls
        open_ids = calls
    if role == "assistant":
        yield "this model does not support assistant message prefill"


def anthropic_block(block: Item, role: str) -> str:
    kinds = {
        "text": ("type text", "user assistant"),
        "tool_use": ("type id name input", "assistant"),
        "tool_result": ("type tool_use_id content", "user"),
        "thinking": ("type thinking signature", "assistant"),
    }
    fields, roles = kinds[block["type"]]
    may_be_marked = {"cache_control"} if block["type"] != "thinking" else set()
    if role not in roles or set(block) - may_be_marked != set(fields.split()):
        return f"a {block['type']} block of {role} with {sorted(block)}"
    if block["type"] == "text" and not block["text"].strip():
        return "text content blocks must be non-empty"
    if block["type"] == "tool_use":
        if not ID.fullmatch(block["id"]):
            return "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
        if not NAME.fullmatch(block["name"]) or not isinstance(block["input"], dict):
            return "tool_use: name or input"
    return ""


def chat(request: Item) -> Iterator[str]:
    """Every call is answered right after its turn; ids have at most 40 characters."""
    yield unknown(request, "model max_tokens stream stream_options messages tools")
    waiting: list[str] = []
    for message in request["messages"]:
        fields = {"assistant": "role content tool_calls", "tool": "role content tool_call_id"}
        yield unknown(message, fields.get(message["role"], "role content"))
        if not isinstance(message["content"], str):
            yield "content must be a string"
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                yield "a tool message must follow the tool_calls it answers"
                continue
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            yield f"no tool messages for tool_call_ids {waiting}"
        for call in message.get("tool_calls", ()):
            if not 0 < len(call["id"]) <= 40 or call["id"] in waiting:
                yield "tool_calls.id: too long or not unique"
            waiting.append(call["id"])
            function = call["function"]
            if not NAME.fullmatch(function["name"]) or not is_object(function["arguments"]):
                yield "tool_calls.function: name or arguments"
    if waiting:
        yield f"no tool messages for tool_call_ids {waiting}"


def responses(request: Item) -> Iterator[str]:
    """Items: call and output by call_id of at most 64 characters; reasoning never stands alone."""
    allowed = "model max_output_tokens stream store prompt_cache_key input instructions tools"
    yield unknown(request, allowed)
    calls: set[str] = set()
    outputs: set[str] = set()
    items = request["input"]
    newest = request["model"].startswith("gpt-6")
    for item, following in zip(items, [*items[1:], {}], strict=True):
        match item.get("type", "message"):
            case "message":
                yield unknown(item, "type id role content status")
                if item["role"] != "assistant":
                    yield input_text(item["content"], newest)
            case "function_call":
                yield unknown(item, "type call_id name arguments")
                if not 0 < len(item["call_id"]) <= 64 or item["call_id"] in calls:
                    yield "call_id: too long or not unique"
                if not NAME.fullmatch(item["name"]) or not is_object(item["arguments"]):
                    yield "function_call: name or arguments"
                calls.add(item["call_id"])
            case "function_call_output":
                yield unknown(item, "type call_id output")
                if item["call_id"] not in calls:
                    yield f"no tool call found for function call output {item['call_id']}"
                yield input_text(item["output"], newest)
                outputs.add(item["call_id"])
            case "reasoning":
                yield unknown(item, "type id summary encrypted_content")
                if following.get("type") not in ("function_call", "message", "reasoning"):
                    yield "reasoning was provided without its required following item"
                if not item.get("encrypted_content"):
                    yield "items are not persisted when store is false"
            case kind:
                yield f"an item of type {kind}"
    if calls != outputs:
        yield f"no tool output found for function calls {calls - outputs}"


def input_text(content: object, newest: bool) -> str:
    """What a user or a tool says: text, or blocks of text, of which one may end a cached part."""
    if isinstance(content, str):
        return ""
    for block in content if isinstance(content, list) else [{}]:
        extra = set(block) - {"type", "text"}
        if block.get("type") != "input_text" or not isinstance(block.get("text"), str):
            return "content: not an input_text"
        if extra and not (newest and block.get("prompt_cache_breakpoint") == {"mode": "explicit"}):
            return f"unknown parameter {extra}"
    return ""


def ollama(request: Item) -> Iterator[str]:
    """Results follow their calls in the same order, each with the name of its tool."""
    yield unknown(request, "model stream truncate options messages tools")
    waiting: list[tuple[str, str]] = []
    for message in request["messages"]:
        fields = {
            "assistant": "role content tool_calls thinking",
            "tool": "role content tool_name tool_call_id",
        }
        yield unknown(message, fields.get(message["role"], "role content"))
        if not isinstance(message["content"], str):
            yield "content must be a string"
        if message["role"] == "tool":
            got = (message["tool_call_id"], message["tool_name"])
            if not waiting or waiting.pop(0) != got:
                yield f"a result out of order: {got}"
            continue
        if waiting:
            yield f"no results for {waiting}"
        for call in message.get("tool_calls", ()):
            function = call["function"]
            if not isinstance(function["arguments"], dict):
                yield "arguments must be an object"
            waiting.append((call["id"], function["name"]))
    if waiting:
        yield f"no results for {waiting}"


RULES: dict[str, Callable[[Item], Iterator[str]]] = {
    "anthropic": anthropic,
    "openai-chat": chat,
    "openai-responses": responses,
    "ollama": ollama,
}


def complaint(wire: str, body: bytes) -> str:
    """Return why this server would refuse the request, or an empty string."""
    return next((why for why in RULES[wire](json.loads(body)) if why), "")
