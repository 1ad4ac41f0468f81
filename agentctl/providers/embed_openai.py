"""Embeddings of OpenAI, and of servers that speak its format, through OpenAI's SDK."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentctl.core.values import Rates
from agentctl.ports import Embedded
from agentctl.providers._answer import encode
from agentctl.providers._embed import ANSWER_MS, usage_told, vectors_of, whole_answer
from agentctl.providers._faults import Fault, Faults
from agentctl.providers._http import connecting
from agentctl.providers._json import clean, obj, slot, text_of
from agentctl.providers._openai import door
from agentctl.providers.openai import FAULTS as CHAT_FAULTS

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

_KEY_STEP = (
    "Type `export OPENAI_API_KEY=...` with a key from platform.openai.com, "
    'or set embedder = "ollama/nomic-embed-text", or none at all.'
)
_MODEL_STEP = "There is no such model: choose another with the setting embedder."

FAULTS: Faults = {
    **CHAT_FAULTS,
    401: Fault("auth", False, _KEY_STEP),
    404: Fault("not_found", False, _MODEL_STEP),
    "invalid_api_key": Fault("auth", False, _KEY_STEP),
    "model_not_found": Fault("not_found", False, _MODEL_STEP),
}


class OpenAIEmbedder:
    """OpenAI's embeddings, or those of a compatible server. Option: `base_url`."""

    name = "openai"
    default_model = "text-embedding-3-small"

    def __init__(self, model: str, options: Mapping[str, str]) -> None:
        """Check the key; nothing is sent yet. Raises ProviderError ("auth")."""
        self.model = model or self.default_model
        self.rates: Rates | None = None
        place = door(options, FAULTS, _KEY_STEP)
        self._base_url, self._key = place.base_url, place.key
        self.paced, self._border = place.paced, place.border
        self._client: AsyncOpenAI | None = None

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Make one call. Raises ProviderError only."""
        # Heavy, so not at the top.
        from openai import OpenAIError

        wanted = {"model": self.model, "input": list(texts), "encoding_format": "float"}
        content = encode(wanted)

        async def send() -> httpx2.Response:
            return await self._send(content)

        answer = await whole_answer(self._border, send, (OpenAIError,))
        return Embedded(
            vectors_of(self._border, self._in_order(answer.get("data")), len(texts)),
            usage_told(obj(answer.get("usage")).get("prompt_tokens"), texts),
            clean(text_of(answer.get("model"))),
        )

    async def close(self) -> None:
        """Free connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _in_order(self, data: object) -> list[object]:
        """The vectors in the order of the texts: each says to which it belongs."""
        items = [obj(item) for item in data] if isinstance(data, list) else []
        places = [slot(item.get("index", at)) for at, item in enumerate(items)]
        vectors = {place: item.get("embedding") for place, item in zip(places, items, strict=True)}
        if set(vectors) != set(range(len(items))):
            raise self._border.malformed("vectors that do not say which text is theirs")
        return [vectors[at] for at in range(len(items))]

    async def _send(self, content: bytes) -> httpx2.Response:
        # Heavy, so not at the top.
        import httpx2
        from openai import AsyncOpenAI, AsyncStream

        if self._client is None:
            # Every attempt must be seen by the ledger: the SDK never retries.
            self._client = AsyncOpenAI(api_key=self._key, base_url=self._base_url, max_retries=0)
        # With this cast the SDK hands over the open response.
        response: Any = await self._client.post(
            "/embeddings",
            cast_to=httpx2.Response,
            content=content,
            options={"timeout": connecting(ANSWER_MS), "follow_redirects": False},
            stream=True,
            stream_cls=AsyncStream[object],
        )
        got: httpx2.Response = response
        return got
