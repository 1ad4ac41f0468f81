"""What the network providers share: the key, the address, and reading a stream of JSON in time.

The providers send their own bytes and read the raw stream themselves, because the SDKs' readers
take a stream without its last event for a whole one and let malformed data through.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agentctl.core.values import Millis
from agentctl.errors import ProviderError
from agentctl.ports import Request
from agentctl.providers._faults import Border
from agentctl.providers._json import Json

if TYPE_CHECKING:
    import httpx2

MAX_LINE_BYTES = 64 * 1024 * 1024
"""A longer line of a stream is not an answer of a model."""
DRAIN_S = 0.2
"""Longest wait for the end of a stream whose last event has come."""
CONNECT_S = 10.0
"""Longest wait for a connection; without a network nobody should wait in doubt."""


def read_key(name: str, *variables: str, next_step: str) -> tuple[str, ...]:
    """Return the values of environment variables of which one must hold a key; others are empty.

    Raises ProviderError ("auth") when there is none, or one that no header can carry: an error of
    the HTTP library would show it.
    """
    values = [os.environ.get(variable, "").strip() for variable in variables]
    key = next((value for value in values if value), "")
    if key and key.isascii() and key.isprintable():
        # The first one counts, as it does for the SDKs.
        place = values.index(key)
        return tuple(value if n == place else "" for n, value in enumerate(values))
    why = "holds characters that no key has" if key else "is not set"
    raise ProviderError(
        f"No key for {name}: {variables[0]} {why}.",
        reason="auth",
        retriable=False,
        may_be_billed=False,
        next_step=next_step,
    )


def on_this_machine(url: str) -> bool:
    """Whether a base URL names this machine by its loopback address."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def connecting(first_byte_ms: Millis) -> httpx2.Timeout:
    """The HTTP library's part: a server that is there accepts a connection at once.

    The rest of the waiting is bounded by `stream`, byte or no byte.
    """
    # Heavy, so not at the top.
    import httpx2

    return httpx2.Timeout(None, connect=min(first_byte_ms / 1000, CONNECT_S))


@dataclass(slots=True)
class _Watch:
    """Moves a time-out along: the first event by its own time, then every chunk by the silence."""

    limit: asyncio.Timeout
    silence_s: float
    begun: bool = False
    """The first event has come."""
    ended: bool = False
    """The last one too."""

    def heard(self) -> None:
        """Some bytes came. Before the first event they are no answer yet."""
        if self.begun and not self.ended:
            self.limit.reschedule(asyncio.get_running_loop().time() + self.silence_s)

    def event(self) -> None:
        """An event came."""
        if not self.begun:
            self.begun = True
            self.heard()

    def stop(self) -> None:
        """The last event came: the answer is whole, whatever happens now."""
        self.ended = True
        self.limit.reschedule(None)


async def _lines(response: httpx2.Response, watch: _Watch) -> AsyncGenerator[bytes]:
    """Yield whole lines. What follows the last line end is a fragment and is left out."""
    pending = bytearray()
    async for chunk in response.aiter_bytes():
        watch.heard()
        pending += chunk
        if b"\n" in chunk:
            *whole, rest = bytes(pending).split(b"\n")
            pending = bytearray(rest)
            for line in whole:
                yield line.rstrip(b"\r")
        if len(pending) > MAX_LINE_BYTES:
            raise ValueError("a line without an end")


def sse(line: bytes) -> bytes:
    """Return the data of a server-sent event; every provider here puts it on one line."""
    return line[5:].strip() if line.startswith(b"data:") else b""


def ndjson(line: bytes) -> bytes:
    """Return the line itself: one JSON value each."""
    return line.strip()


async def stream(
    border: Border,
    request: Request,
    send: Callable[[], Awaitable[httpx2.Response]],
    unwrap: Callable[[bytes], bytes],
    take: Callable[[Json], bool],
    foreign: tuple[type[Exception], ...] = (),
    *,
    whole: Callable[[], bool] = lambda: False,
) -> None:
    """Send one request and hand every event of its stream to `take` until that says "ended".

    The first event must come within `request.first_byte_ms`, connecting and sending included;
    after it no silence may be longer than `request.silence_ms`. `foreign` are the SDK's own
    exceptions; `whole` says whether a stream that just ends may be taken as it is. Raises
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
        RecursionError,
    )
    first_s, silence_s = request.first_byte_ms / 1000, request.silence_ms / 1000
    watch = _Watch(asyncio.timeout(first_s), silence_s)
    answering = False
    try:
        async with watch.limit:
            response = await send()
            answering = True
            try:
                ended = await _read(border, response, unwrap, take, watch)
            finally:
                await response.aclose()
        if not ended and not whole():
            raise border.cut("the stream ended without its last event")
    except handled as error:
        if watch.limit.expired():
            raise border.late(silence_s if watch.begun else first_s, begun=watch.begun) from error
        raise border.broken(error, answering=answering) from error


async def _read(
    border: Border,
    response: httpx2.Response,
    unwrap: Callable[[bytes], bytes],
    take: Callable[[Json], bool],
    watch: _Watch,
) -> bool:
    """Return whether the last event came."""
    kind = response.headers.get("content-type", "")
    if "html" in kind:
        raise border.malformed(f"a page of type {kind} instead of a stream")
    async with aclosing(_lines(response, watch)) as lines:
        async for line in lines:
            data = unwrap(line)
            if not data:
                continue
            if data == b"[DONE]":
                event: Json = {"type": "[DONE]"}
            else:
                event = json.loads(data.decode())
                if not isinstance(event, dict):
                    raise border.malformed("an event that is not a JSON object")
            watch.event()
            if take(event):
                watch.stop()
                await _drain(lines)
                return True
    if not watch.begun and kind and "event-stream" not in kind and "ndjson" not in kind:
        raise border.malformed(f"a document of type {kind} instead of a stream")
    return False


async def _drain(lines: AsyncGenerator[bytes]) -> None:
    """Read to the end, so that the connection can be used again; not for long."""
    # Heavy, so not at the top.
    import httpx2

    # The answer is whole: what breaks after its last event no longer matters.
    with suppress(TimeoutError, ValueError, httpx2.HTTPError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in lines:
                pass
