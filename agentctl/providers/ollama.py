"""Ollama through its own chat API.

Its OpenAI-compatible endpoint cannot set the context window and silently drops the start of a
longer conversation; here the window is set to what is sent.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from agentctl.core.values import Message, Millis, Rates
from agentctl.errors import ProviderError
from agentctl.ports import Answer, Emit, Request
from agentctl.providers._answer import (
    Draft,
    encode,
    functions,
    in_call_order,
    parse_arguments,
    unpack,
    usage_of,
    wire_id,
    wire_name,
)
from agentctl.providers._faults import COMMON, Border, Fault, Faults
from agentctl.providers._http import connecting, ndjson, on_this_machine, stream
from agentctl.providers._json import Json, obj, text_of

if TYPE_CHECKING:
    import httpx2

MAX_OUTPUT = 4_096
WINDOW_STEP = 2048
"""The window grows in such steps: the server loads the model anew each time it changes."""

_WIRE = "ollama"


def _faults(model: str) -> Faults:
    return {
        **COMMON,
        401: Fault("auth", False, "Type `ollama signin`, then resume."),
        404: Fault("not_found", False, f"Type `ollama pull {model}`."),
    }


class Ollama:
    """Local models. Options: `base_url`; otherwise OLLAMA_HOST, otherwise the usual local port."""

    name = "ollama"
    default_model = ""
    """Empty: the first model that the server lists."""

    def __init__(self, model: str, options: Mapping[str, str]) -> None:
        """Note where the server is; nothing is sent yet."""
        self.model = model
        self.max_output = MAX_OUTPUT
        self.rates: Rates | None = Rates(source="local")
        given = options.get("base_url") or os.environ.get("OLLAMA_HOST", "")
        self.base_url = base_url(given)
        self._local = on_this_machine(self.base_url)
        self.paced = not self._local or _hosted(model)
        self._client: httpx2.AsyncClient | None = None

    def warm(self) -> None:
        """Import the HTTP library; may be called in a thread."""
        # Heavy, so not at the top.
        import httpx2  # noqa: F401  # imported for its effect only

    async def resolve(self, timeout_ms: Millis = 5_000) -> str:
        """Return the model's name, asking the server for its first one when none was chosen.

        Raises ProviderError: no server ("network"), or no model there ("not_found").
        """
        if not self.model:
            self.model = await self._first_model(timeout_ms)
            self.paced = not self._local or _hosted(self.model)
        return self.model

    async def ask(self, request: Request, emit: Emit) -> Answer:
        """Make one call. Raises ProviderError only."""
        model = await self.resolve(request.first_byte_ms)
        draft = Draft(emit)
        reader = _Reader(draft, self._border())
        content = encode(body(request, model))

        async def send() -> httpx2.Response:
            return await self._send("POST", "/api/chat", content, request.first_byte_ms)

        await stream(self._border(), request, send, ndjson, reader.take)
        return draft.finish(request, _WIRE, model)

    async def close(self) -> None:
        """Free connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _border(self) -> Border:
        offline = "Type `ollama serve` in another terminal, then resume."
        return Border(self.name, _faults(self.model), offline=offline)

    async def models(self, timeout_ms: Millis = 5_000) -> tuple[str, ...]:
        """Names of the server's models. Raises ProviderError only."""
        # Heavy, so not at the top.
        import httpx2

        try:
            async with asyncio.timeout(timeout_ms / 1000):
                response = await self._send("GET", "/api/tags", None, timeout_ms)
                try:
                    listed = obj(json.loads(await response.aread())).get("models")
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise self._border().late(timeout_ms / 1000, begun=False) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise self._border().broken(error, answering=False) from error
        models = listed if isinstance(listed, list) else []
        return tuple(filter(None, (text_of(obj(model).get("name")) for model in models)))

    async def _first_model(self, timeout_ms: Millis) -> str:
        # Models that only make embeddings cannot chat.
        names = [name for name in await self.models(timeout_ms) if "embed" not in name]
        if not names:
            raise ProviderError(
                "ollama runs but has no model.",
                reason="not_found",
                retriable=False,
                may_be_billed=False,
                next_step="Type `ollama pull qwen3`, or choose another with `--model`.",
            )
        return names[0]

    async def _send(
        self, method: str, path: str, content: bytes | None, first_byte_ms: Millis
    ) -> httpx2.Response:
        # Heavy, so not at the top.
        import httpx2

        if self._client is None:
            # Certificates take 20 ms to load, which plain HTTP has no use for.
            secure = self.base_url.startswith("https")
            # A proxy set for the internet has no way to this machine's own ports.
            self._client = httpx2.AsyncClient(
                base_url=self.base_url, trust_env=not self._local, verify=secure
            )
        message = self._client.build_request(
            method,
            path,
            content=content,
            headers={"content-type": "application/json"},
            timeout=connecting(first_byte_ms),
        )
        response = await self._client.send(message, stream=True)
        if not response.is_success:
            try:
                said = (await response.aread()).decode(errors="replace")
            finally:
                await response.aclose()
            raise self._border().refused(response.status_code, response.headers, said)
        return response


def _hosted(model: str) -> bool:
    """Whether a local server only passes the call on to Ollama's own machines."""
    return model.endswith(("-cloud", ":cloud"))


def base_url(given: str) -> str:
    """Complete what OLLAMA_HOST may hold: a name, an address, a port or a whole URL."""
    given = given.strip().rstrip("/")
    scheme, _, rest = given.rpartition("://")
    if not rest or rest.startswith(":"):
        rest = "127.0.0.1" + rest
    host, slash, path = rest.partition("/")
    # What a server listens on is not always what it can be reached at.
    host = host.replace("0.0.0.0", "127.0.0.1")  # noqa: S104  # compared with, not bound to
    if not scheme and ":" not in host.rpartition("]")[2]:
        host += ":11434"
    return f"{scheme or 'http'}://{host}{slash}{path}"


def body(request: Request, model: str) -> Json:
    """The request as Ollama's JSON."""
    # With another window the model would be loaded anew: for a short answer it stays as it is.
    window = request.input_tokens + max(request.max_output, MAX_OUTPUT)
    names = {call.id: call.name for message in request.messages for call in message.calls}
    messages = [_message(each, names, model) for each in in_call_order(request.messages)]
    if request.system:
        messages.insert(0, {"role": "system", "content": request.system})
    made: Json = {
        "model": model,
        "stream": True,
        # An error is better than a conversation whose start is dropped.
        "truncate": False,
        "options": {
            "num_ctx": -(-window // WINDOW_STEP) * WINDOW_STEP,
            "num_predict": request.max_output,
        },
        "messages": messages,
    }
    if request.tools:
        made["tools"] = functions(request.tools)
    return made


def _message(message: Message, names: Mapping[str, str], model: str) -> Json:
    made: Json = {"role": message.role, "content": message.text}
    if message.role == "tool":
        made["tool_name"] = wire_name(names.get(message.call_id, ""))
        made["tool_call_id"] = wire_id(message.call_id)
    if message.calls:
        made["tool_calls"] = [
            {
                "id": wire_id(call.id),
                "function": {
                    "name": wire_name(call.name),
                    "arguments": parse_arguments(call.arguments)[0],
                },
            }
            for call in message.calls
        ]
    for item in unpack(message, _WIRE, model):
        made["thinking"] = text_of(item.get("thinking"))
    return made


class _Reader:
    """Reads Ollama's lines into a draft."""

    def __init__(self, draft: Draft, border: Border) -> None:
        self._draft = draft
        self._border = border
        self._thoughts: list[str] = []

    def take(self, event: Json) -> bool:
        """Take one line; True when it was the last."""
        draft = self._draft
        if event.get("error"):
            raise self._border.reported(event["error"])
        draft.model = text_of(event.get("model")) or draft.model
        message = obj(event.get("message"))
        draft.say(text_of(message.get("content")))
        if thought := text_of(message.get("thinking")):
            draft.think(thought)
            self._thoughts.append(thought)
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            self._call(obj(call))
        if event.get("done") is not True:
            return False
        draft.stop = "length" if event.get("done_reason") == "length" else "end"
        draft.usage = usage_of(
            total_input=event.get("prompt_eval_count"), output=event.get("eval_count")
        )
        if self._thoughts and draft.calls:
            # Templates of thinking models want the thought that led to a tool call.
            draft.items = [{"thinking": "".join(self._thoughts)}]
        return True

    def _call(self, call: Json) -> None:
        function = obj(call.get("function"))
        made = self._draft.call(len(self._draft.calls))
        made.id, made.name = text_of(call.get("id")), text_of(function.get("name"))
        arguments = function.get("arguments", {})
        made.pieces.append(arguments if isinstance(arguments, str) else encode(arguments).decode())
