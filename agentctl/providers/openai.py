"""OpenAI and compatible servers through OpenAI's SDK.

Two formats. api.openai.com is asked through the Responses API: only there are a reasoning model's
thoughts kept across tool calls (encrypted, nothing stored), which OpenAI's migration guide says
gives better answers and 40 to 80 % better use of the cache. Any other base URL gets chat
completions, the format that vLLM, LM Studio, OpenRouter and llama.cpp all speak. The option
`api` = "chat" or "responses" decides otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentctl.core.values import Rates
from agentctl.errors import ConfigError
from agentctl.ports import Answer, Emit, Request
from agentctl.providers import openai_chat, openai_responses
from agentctl.providers._answer import Draft, encode
from agentctl.providers._faults import COMMON, Fault, Faults
from agentctl.providers._http import connecting, sse, stream
from agentctl.providers._openai import door

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

_KEY_STEP = (
    "Type `export OPENAI_API_KEY=...` with a key from platform.openai.com, "
    "or use `--provider ollama` or `--provider offline`."
)
_MAY_NOT_STEP = "This key may not do that: use another key, or another `--model`."
_MODEL_STEP = "No such model: choose another with `--model`."
_QUOTA_STEP = "Add credit where the key comes from (platform.openai.com), then resume."
_SEALED_STEP = (
    "Thoughts of this task were sealed for another account: resume with the key that it began "
    "with, or with another `--model`."
)

FAULTS: Faults = {
    **COMMON,
    401: Fault("auth", False, _KEY_STEP),
    402: Fault("quota", False, _QUOTA_STEP),
    403: Fault("auth", False, _MAY_NOT_STEP),
    404: Fault("not_found", False, _MODEL_STEP),
    "context_length_exceeded": COMMON[413],
    "invalid_api_key": Fault("auth", False, _KEY_STEP),
    "insufficient_quota": Fault("quota", False, _QUOTA_STEP),
    "billing_hard_limit_reached": Fault("quota", False, _QUOTA_STEP),
    "billing_not_active": Fault("quota", False, _QUOTA_STEP),
    "invalid_encrypted_content": Fault("request", False, _SEALED_STEP),
    "model_not_found": Fault("not_found", False, _MODEL_STEP),
    "rate_limit_exceeded": Fault("rate", True),
    "server_error": Fault("server", True),
    "invalid_prompt": COMMON[400],
    "bio_policy": COMMON[400],
    "misalignment_policy_violation": COMMON[400],
    "data_residency_mismatch": COMMON[400],
}


class OpenAI:
    """OpenAI's models, or whatever a compatible server offers. Options: `base_url`, `api`."""

    name = "openai"
    default_model = "gpt-6.1-terra"

    def __init__(self, model: str, options: Mapping[str, str]) -> None:
        """Check key and options. Raises ProviderError ("auth") or ConfigError."""
        self.model = model or self.default_model
        self.rates: Rates | None = None
        place = door(options, FAULTS, _KEY_STEP)
        self._base_url, self._host, self._key = place.base_url, place.host, place.key
        self.paced, self._border, official = place.paced, place.border, place.official
        self.api = options.get("api") or ("responses" if official else "chat")
        if self.api not in ("chat", "responses"):
            raise ConfigError(
                f'The option api of provider openai is "{self.api}".',
                next_step='Set it to "chat" or "responses".',
            )
        self.max_output = 32_000 if official else 8_192
        # Current OpenAI models refuse the old name; other servers may not know the new one.
        renamed = official or place.host.endswith(".azure.com")
        self._cap_name = "max_completion_tokens" if renamed else "max_tokens"
        self._client: AsyncOpenAI | None = None

    def warm(self) -> None:
        """Import the SDK, which takes about half a second; may be called in a thread."""
        # Heavy, so not at the top.
        import openai  # noqa: F401  # imported for its effect only

    async def ask(self, request: Request, emit: Emit) -> Answer:
        """Make one call. Raises ProviderError only."""
        # Heavy, so not at the top.
        from openai import OpenAIError

        draft = Draft(emit)
        reader: openai_chat.Reader | openai_responses.Reader
        if self.api == "chat":
            wire, path = openai_chat.WIRE, openai_chat.PATH
            made = openai_chat.body(request, self.model, cap_name=self._cap_name)
            reader = openai_chat.Reader(draft, self._border)
        else:
            wire, path = openai_responses.WIRE, openai_responses.PATH
            made = openai_responses.body(request, self.model, self._host)
            reader = openai_responses.Reader(draft, self._border)
        content = encode(made)

        async def send() -> httpx2.Response:
            return await self._send(path, content, request.first_byte_ms)

        await stream(
            self._border,
            request,
            send,
            sse,
            reader.take,
            (OpenAIError,),
            whole=lambda: reader.finished,
        )
        return draft.finish(request, wire, self.model, self._host)

    async def models(self) -> tuple[str, ...]:
        """Names of the models that this key may use; costs nothing. Raises ProviderError only."""
        # Heavy, so not at the top.
        from openai import OpenAIError

        try:
            return tuple([each.id async for each in self._sdk().models.list()])
        except (OpenAIError, OSError, ValueError) as error:
            raise self._border.broken(error, answering=False) from error

    async def close(self) -> None:
        """Free connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _send(self, path: str, content: bytes, first_byte_ms: int) -> httpx2.Response:
        # Heavy, so not at the top.
        import httpx2
        from openai import AsyncStream

        # With this cast the SDK hands over the open response in place of its own stream.
        response: Any = await self._sdk().post(
            path,
            cast_to=httpx2.Response,
            content=content,
            options={"timeout": connecting(first_byte_ms), "follow_redirects": False},
            stream=True,
            stream_cls=AsyncStream[object],
        )
        got: httpx2.Response = response
        return got

    def _sdk(self) -> AsyncOpenAI:
        # Heavy, so not at the top.
        from openai import AsyncOpenAI

        if self._client is None:
            # Every attempt must be seen by the ledger: the SDK never retries.
            self._client = AsyncOpenAI(api_key=self._key, base_url=self._base_url, max_retries=0)
        return self._client
