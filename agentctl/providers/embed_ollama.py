"""Embeddings of local models through Ollama's own protocol."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from agentctl.core.values import Rates
from agentctl.ports import Embedded
from agentctl.providers._answer import encode
from agentctl.providers._embed import ANSWER_MS, usage_told, vectors_of, whole_answer
from agentctl.providers._faults import COMMON, Border, Fault
from agentctl.providers._http import connecting, on_this_machine
from agentctl.providers._json import clean, text_of
from agentctl.providers.ollama import base_url

if TYPE_CHECKING:
    import httpx2


class OllamaEmbedder:
    """Local models. Options: `base_url`; otherwise OLLAMA_HOST, otherwise the usual local port."""

    name = "ollama"
    default_model = "nomic-embed-text"

    def __init__(self, model: str, options: Mapping[str, str]) -> None:
        """Note where the server is; nothing is sent yet."""
        self.model = model or self.default_model
        self.rates: Rates | None = Rates(source="local")
        self.base_url = base_url(options.get("base_url") or os.environ.get("OLLAMA_HOST", ""))
        self._local = on_this_machine(self.base_url)
        self.paced = not self._local
        faults = {
            **COMMON,
            401: Fault("auth", False, "Type `ollama signin`."),
            404: Fault("not_found", False, f"Type `ollama pull {self.model}`."),
        }
        offline = "Type `ollama serve` in another terminal."
        self._border = Border(self.name, faults, offline=offline)
        self._client: httpx2.AsyncClient | None = None

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Make one call; texts too long for the model are cut. Raises ProviderError only."""
        content = encode({"model": self.model, "input": list(texts), "truncate": True})

        async def send() -> httpx2.Response:
            return await self._send(content)

        answer = await whole_answer(self._border, send)
        return Embedded(
            vectors_of(self._border, answer.get("embeddings"), len(texts)),
            usage_told(answer.get("prompt_eval_count"), texts),
            clean(text_of(answer.get("model"))),
        )

    async def close(self) -> None:
        """Free connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _send(self, content: bytes) -> httpx2.Response:
        # Heavy, so not at the top.
        import httpx2

        if self._client is None:
            # Certificates take 20 ms to load, which plain HTTP has no use for.
            secure = self.base_url.startswith("https")
            # A proxy set for the internet has no way to this machine's own ports.
            self._client = httpx2.AsyncClient(
                base_url=self.base_url, trust_env=not self._local, verify=secure
            )
        request = self._client.build_request(
            "POST",
            "/api/embed",
            content=content,
            headers={"content-type": "application/json"},
            timeout=connecting(ANSWER_MS),
        )
        response = await self._client.send(request, stream=True)
        if not response.is_success:
            try:
                said = (await response.aread()).decode(errors="replace")
            finally:
                await response.aclose()
            raise self._border.refused(response.status_code, response.headers, said)
        return response
