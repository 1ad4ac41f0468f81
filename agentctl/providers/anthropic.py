"""Anthropic's Messages API through its SDK.

Caching: the request-level `cache_control` marks the last block of every request, so a growing
conversation is read from the cache up to where the request before it ended. What is found is what
was written at a mark, and at most 20 blocks before a mark of this request. Therefore three more:
after tools and system prompt; where the next prune will begin; and where the last one began or,
after a long turn, where the request before ended. Four is the most that the server takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentctl.core.values import Message, Rates, Stop
from agentctl.ports import Answer, Emit, Request
from agentctl.providers._answer import (
    Draft,
    breakpoints,
    encode,
    parse_arguments,
    unpack,
    usage_of,
    wire_id,
    wire_name,
)
from agentctl.providers._faults import COMMON, Border, Fault, Faults
from agentctl.providers._http import connecting, read_key, sse, stream
from agentctl.providers._json import Json, obj, slot, text_of

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic

_KEY_STEP = (
    "Type `export ANTHROPIC_API_KEY=...` with a key from console.anthropic.com, "
    "or use `--provider ollama` or `--provider offline`."
)
_MAY_NOT_STEP = "This key may not do that: use another key, or another `--model`."
_MODEL_STEP = "No such model: choose another with `--model`."
_BILLING_STEP = "Add credit or raise the spend limit at console.anthropic.com, then resume."

FAULTS: Faults = {
    **COMMON,
    401: Fault("auth", False, _KEY_STEP),
    403: Fault("auth", False, _MAY_NOT_STEP),
    404: Fault("not_found", False, _MODEL_STEP),
    402: Fault("quota", False, _BILLING_STEP),
    "billing_error": Fault("quota", False, _BILLING_STEP),
    "contract_spend_limit_reached": Fault("quota", False, _BILLING_STEP),
    "enforced_spend_limit_reached": Fault("quota", False, _BILLING_STEP),
    "overloaded_error": Fault("overloaded", True),
    "rate_limit_error": Fault("rate", True),
    "api_error": Fault("server", True),
    "timeout_error": Fault("server", True),
    "invalid_request_error": COMMON[400],
    "request_too_large": COMMON[413],
    "not_found_error": Fault("not_found", False, _MODEL_STEP),
    "authentication_error": Fault("auth", False, _KEY_STEP),
    "permission_error": Fault("auth", False, _MAY_NOT_STEP),
}

STOPS: dict[str, Stop] = {
    "tool_use": "tools",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}
"""Anthropic's stop reasons; every other one is an ordinary end."""

_WIRE = "anthropic"
_MARK: Json = {"type": "ephemeral"}
_MARKS_MAX = 2
"""Among the messages: two more are those of the system prompt and of the request itself."""
_LOOK_BACK_BLOCKS = 18
"""The server looks through 20, the marked one included; one is kept in hand."""


class Anthropic:
    """Claude models. Options: `base_url`."""

    name = "anthropic"
    default_model = "claude-sonnet-5-5"

    def __init__(self, model: str, options: Mapping[str, str]) -> None:
        """Check the key. Raises ProviderError ("auth") when there is none."""
        self.model = model or self.default_model
        self.max_output = 32_000
        self.rates: Rates | None = None
        self.paced = True
        self._base_url = options.get("base_url") or None
        variables = "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"
        self._key, self._token = read_key(self.name, *variables, next_step=_KEY_STEP)
        self._client: AsyncAnthropic | None = None
        self._border = Border(
            self.name,
            FAULTS,
            secret=self._key or self._token,
            offline="Check the network, then resume; or use `--provider ollama`.",
        )

    def warm(self) -> None:
        """Import the SDK, which takes about a second; may be called in a thread."""
        # Heavy, so not at the top.
        import anthropic  # noqa: F401  # imported for its effect only

    async def ask(self, request: Request, emit: Emit) -> Answer:
        """Make one call. Raises ProviderError only."""
        # Heavy, so not at the top.
        from anthropic import AnthropicError

        draft = Draft(emit)
        reader = _Reader(draft, self._border)
        content = encode(body(request, self.model))

        async def send() -> httpx2.Response:
            return await self._send(content, request.first_byte_ms)

        await stream(self._border, request, send, sse, reader.take, (AnthropicError,))
        return draft.finish(request, _WIRE, self.model)

    async def models(self) -> tuple[str, ...]:
        """Names of the models that this key may use; costs nothing. Raises ProviderError only."""
        # Heavy, so not at the top.
        from anthropic import AnthropicError

        try:
            return tuple([each.id async for each in self._sdk().models.list(limit=100)])
        except (AnthropicError, OSError, ValueError) as error:
            raise self._border.broken(error, answering=False) from error

    async def close(self) -> None:
        """Free connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _send(self, content: bytes, first_byte_ms: int) -> httpx2.Response:
        # Heavy, so not at the top.
        import httpx2
        from anthropic import AsyncStream

        # With this cast the SDK hands over the open response in place of its own stream.
        response: Any = await self._sdk().post(
            "/v1/messages",
            cast_to=httpx2.Response,
            content=content,
            options={"timeout": connecting(first_byte_ms), "follow_redirects": False},
            stream=True,
            stream_cls=AsyncStream[object],
        )
        got: httpx2.Response = response
        return got

    def _sdk(self) -> AsyncAnthropic:
        # Heavy, so not at the top.
        from anthropic import AsyncAnthropic

        if self._client is None:
            # Every attempt must be seen by the ledger: the SDK never retries.
            self._client = AsyncAnthropic(
                api_key=self._key or None,
                auth_token=self._token or None,
                base_url=self._base_url,
                max_retries=0,
            )
        return self._client


def body(request: Request, model: str) -> Json:
    """The request as Anthropic's JSON."""
    made: Json = {
        "model": model,
        "max_tokens": request.max_output,
        "stream": True,
        "cache_control": _MARK,
        "messages": _messages(request, model),
    }
    if request.system:
        made["system"] = [{"type": "text", "text": request.system, "cache_control": _MARK}]
    if request.tools:
        made["tools"] = [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": parse_arguments(tool.parameters)[0],
            }
            for tool in request.tools
        ]
    return made


def _messages(request: Request, model: str) -> list[Json]:
    """Turns alternate: tool results and what the user says after them are one user turn."""
    turns: list[Json] = []
    steady: list[Json] = []
    marked = breakpoints(request)
    for index, message in enumerate(request.messages):
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _assistant(message, model) if role == "assistant" else [_user(message)]
        if index in marked:
            steady.append(blocks[-1])
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    for block in [*_before_long_turn(turns), *reversed(steady)][:_MARKS_MAX]:
        block["cache_control"] = _MARK
    return turns


def _before_long_turn(turns: list[Json]) -> list[Json]:
    """The block that ended the request before, if the end of this one is too far from it."""
    if len(turns) < 3 or len(turns[-1]["content"]) + len(turns[-2]["content"]) <= _LOOK_BACK_BLOCKS:
        return []
    blocks = reversed(turns[-3]["content"])
    # Empty ones are not cached.
    return [b for b in blocks if text_of(b.get("text")) or text_of(b.get("content"))][:1]


def _user(message: Message) -> Json:
    if message.role == "tool":
        call_id = wire_id(message.call_id)
        return {"type": "tool_result", "tool_use_id": call_id, "content": message.text}
    # Blank text blocks are refused.
    return {"type": "text", "text": message.text if message.text.strip() else "(empty)"}


def _assistant(message: Message, model: str) -> list[Json]:
    uses = {
        call.id: {
            "type": "tool_use",
            "id": wire_id(call.id),
            "name": wire_name(call.name),
            "input": parse_arguments(call.arguments)[0],
        }
        for call in message.calls
    }
    items = unpack(message, _WIRE, model)
    if "".join(text_of(item.get("text")) for item in items) != message.text:
        # Signed reasoning belongs to the text it came with; somebody has changed that.
        items = []
    if not items and message.text.strip():
        items = [{"type": "text", "text": message.text}]
    blocks = []
    for item in items:
        if item.get("type") != "tool_use":
            blocks.append(item)
        elif item.get("id") in uses:
            blocks.append(uses.pop(str(item["id"])))
    return blocks + list(uses.values())


class _Reader:
    """Reads Anthropic's events into a draft."""

    def __init__(self, draft: Draft, border: Border) -> None:
        self._draft = draft
        self._border = border
        self._blocks: dict[int | str, Json] = {}
        self._counts: Json = {}
        self._explained = ""

    def take(self, event: Json) -> bool:
        """Take one event; True when it was the last."""
        draft = self._draft
        match event.get("type"):
            case "message_start":
                message = obj(event.get("message"))
                draft.response_id = text_of(message.get("id"))
                draft.model = text_of(message.get("model"))
                self._counts.update(obj(message.get("usage")))
            case "content_block_start":
                self._start(slot(event.get("index")), obj(event.get("content_block")))
            case "content_block_delta":
                self._delta(slot(event.get("index")), obj(event.get("delta")))
            case "message_delta":
                delta = obj(event.get("delta"))
                draft.stop = STOPS.get(text_of(delta.get("stop_reason")), "end")
                self._explained = text_of(obj(delta.get("stop_details")).get("explanation"))
                self._usage(obj(event.get("usage")))
            case "message_stop":
                self._close()
                return True
            case "error":
                raise self._border.reported(event.get("error"))
        return False

    def _start(self, index: int | str, block: Json) -> None:
        self._blocks[index] = dict(block)
        if block.get("type") == "tool_use":
            call = self._draft.call(index)
            call.id, call.name = text_of(block.get("id")), text_of(block.get("name"))
            if block.get("input"):
                # A server that does not stream arguments sends them here.
                call.pieces.append(encode(block["input"]).decode())
        elif block.get("type") == "text":
            self._draft.say(text_of(block.get("text")))

    def _delta(self, index: int | str, delta: Json) -> None:
        block = self._blocks.setdefault(index, {"type": "text", "text": ""})
        match delta.get("type"):
            case "text_delta":
                self._draft.say(text_of(delta.get("text")))
                _extend(block, "text", delta)
            case "input_json_delta":
                self._draft.call(index).pieces.append(text_of(delta.get("partial_json")))
            case "thinking_delta":
                self._draft.think(text_of(delta.get("thinking")))
                _extend(block, "thinking", delta)
            case "signature_delta":
                _extend(block, "signature", delta)

    def _usage(self, usage: Json) -> None:
        """Numbers are running totals: the last ones count. Input leaves out the cached part."""
        if "output_tokens" not in usage:
            return
        counts = self._counts
        counts.update({key: value for key, value in usage.items() if value is not None})
        fresh = counts.get("input_tokens")
        read = counts.get("cache_read_input_tokens") or 0
        write = counts.get("cache_creation_input_tokens") or 0
        total = None
        parts = [part for part in (fresh, read, write) if isinstance(part, int) and part >= 0]
        if len(parts) == len((fresh, read, write)):
            total = sum(parts)
        self._draft.usage = usage_of(
            total_input=total,
            output=counts.get("output_tokens"),
            cache_read=read,
            cache_write=write,
            reasoning=obj(counts.get("output_tokens_details")).get("thinking_tokens"),
        )

    def _close(self) -> None:
        if self._draft.stop == "refusal" and not self._draft.texts:
            self._draft.say(self._explained)
            return
        kept = [item for block in self._blocks.values() if (item := _kept(block))]
        if any(item["type"] not in ("text", "tool_use") for item in kept):
            self._draft.items = kept


def _extend(block: Json, key: str, delta: Json) -> None:
    block[key] = text_of(block.get(key)) + text_of(delta.get(key))


def _kept(block: Json) -> Json:
    """A block as it must come back; an empty object for one that must not."""
    match block.get("type"):
        case "tool_use":
            return {"type": "tool_use", "id": block.get("id")}
        case "text":
            return block if text_of(block.get("text")).strip() else {}
        case "thinking":
            # Reasoning that was cut off has no signature and would be refused.
            return block if block.get("signature") else {}
        case "redacted_thinking":
            return block
    return {}
