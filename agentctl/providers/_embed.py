"""What the embedders share: one JSON answer read in time, and vectors that can be relied on."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from agentctl.core.values import Millis, Usage
from agentctl.providers._answer import usage_of
from agentctl.providers._faults import Border
from agentctl.providers._json import Json

if TYPE_CHECKING:
    import httpx2

ANSWER_MS: Millis = 600_000
"""No answer takes longer; whoever asks may have less patience."""
MAX_BYTES = 64 * 1024 * 1024
"""A longer answer does not hold the vectors of a hundred texts."""
_BYTES_PER_TOKEN = 3


async def whole_answer(
    border: Border,
    send: Callable[[], Awaitable[httpx2.Response]],
    foreign: tuple[type[Exception], ...] = (),
) -> Json:
    """Send one request and return the JSON object that answers it.

    `send` returns an open response of a good status; `foreign` are an SDK's own exceptions. Raises
    ProviderError only; cancelling closes the connection.
    """
    # Heavy, so not at the top.
    import httpx2

    handled: tuple[type[Exception], ...] = (
        *foreign,
        httpx2.HTTPError,
        httpx2.InvalidURL,
        httpx2.StreamError,
        OSError,
        ArithmeticError,
        ValueError,
    )
    limit = asyncio.timeout(ANSWER_MS / 1000)
    answering = False
    try:
        async with limit:
            response = await send()
            answering = True
            try:
                data = await _read(border, response)
            finally:
                await response.aclose()
    except handled as error:
        if limit.expired():
            raise border.late(ANSWER_MS / 1000, begun=answering) from error
        raise border.broken(error, answering=answering) from error
    try:
        answer: Json = msgspec.json.decode(data, type=dict)
    except (msgspec.DecodeError, RecursionError) as error:
        raise border.malformed(str(error)) from error
    if answer.get("error"):
        raise border.reported(answer["error"])
    return answer


async def _read(border: Border, response: httpx2.Response) -> bytes:
    kind = response.headers.get("content-type", "")
    if "html" in kind:
        raise border.malformed(f"a page of type {kind} instead of vectors")
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > MAX_BYTES:
            raise border.malformed("more bytes than vectors can have")
    return bytes(data)


def vectors_of(border: Border, found: object, count: int) -> list[list[float]]:
    """Return `count` vectors of one length, all numbers finite. Raises ProviderError."""
    try:
        vectors = msgspec.convert(found, type=list[list[float]])
    except msgspec.ValidationError as error:
        raise border.malformed(f"no list of vectors: {error}") from error
    if len(vectors) != count:
        raise border.malformed(f"{len(vectors)} vectors for {count} texts")
    lengths = {len(vector) for vector in vectors}
    if len(lengths) > 1 or 0 in lengths:
        raise border.malformed("vectors that are not of one length")
    if not all(map(math.isfinite, (number for vector in vectors for number in vector))):
        raise border.malformed("a vector with what is no number")
    return vectors


def usage_told(tokens: object, texts: Sequence[str]) -> Usage:
    """Usage by the tokens that were told, or estimated where they cannot be right."""
    told = usage_of(total_input=tokens, output=0)
    if told is not None:
        return told
    sent_bytes = sum(len(text.encode(errors="replace")) for text in texts)
    return Usage(input=-(-sent_bytes // _BYTES_PER_TOKEN), reported=False)
