"""What the network providers share: one border for errors, streams of JSON, growing answers.

The providers send their own bytes and read the raw stream themselves, because the SDKs' readers
take a stream without its last event for a whole one and let malformed data through.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from agentctl.errors import ProviderError

if TYPE_CHECKING:
    import httpx2

MAX_TEXT = 500
"""Most characters of a provider's own words in an error message."""
MAX_LINE_BYTES = 64 * 1024 * 1024
"""A longer line of a stream is not an answer of a model."""
DRAIN_S = 0.2
"""Longest wait for the end of a stream whose last event has come."""
WAIT_MS_MAX = 366 * 86_400_000
CONNECT_S = 10.0
"""Longest wait for a connection; without a network nobody should wait in doubt."""

Json = dict[str, Any]
_CONTEXT = re.compile(
    r"context[ _-]?(length|window|size|limit)|maximum context|prompt is too long|too many tokens"
    r"|exceeds? (the )?(available )?context|input length",
    re.IGNORECASE,
)


class Fault(NamedTuple):
    """A row of a provider's error table."""

    reason: str
    retriable: bool
    next_step: str = ""


Faults = Mapping[int | str, Fault]
"""Error table: by the provider's own error code or type, or else by HTTP status."""

COMMON: Faults = {
    400: Fault("request", False),
    401: Fault("auth", False),
    402: Fault("quota", False),
    403: Fault("auth", False),
    404: Fault("not_found", False),
    408: Fault("server", True),
    409: Fault("server", True),
    413: Fault("request", False),
    422: Fault("request", False),
    429: Fault("rate", True),
    500: Fault("server", True),
    502: Fault("server", True),
    503: Fault("server", True),
    504: Fault("server", True),
    529: Fault("overloaded", True),
}


def obj(value: object) -> Json:
    """Return a JSON object as it is and anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def text_of(value: object) -> str:
    """Return a text as it is and anything else as an empty one."""
    return value if isinstance(value, str) else ""


def slot(value: object) -> int | str:
    """Return the number by which a stream tells its parts apart; -1 for what is none."""
    return value if isinstance(value, int | str) else -1


def clean(text: str) -> str:
    """Join halves of surrogate pairs; what remains alone becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


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


class Border:
    """Turns whatever goes wrong on one provider's wire into a ProviderError."""

    def __init__(self, name: str, faults: Faults, *, secret: str = "", offline: str = "") -> None:
        """`secret` is kept out of every message; `offline` is the step for no connection."""
        self.name = name
        self._faults = faults
        self._secret = secret
        self._offline = offline

    def refused(self, status: int, headers: Mapping[str, str], body: str) -> ProviderError:
        """Error for an HTTP error status: certainly not billed."""
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        error = obj(answer).get("error", answer)
        said = _words(error) or body
        fault = self._fault(error, status, said)
        return ProviderError(
            self._tidy(f"{self.name} answered HTTP {status}", said),
            reason=fault.reason,
            retriable=fault.retriable,
            may_be_billed=False,
            retry_after_ms=retry_after_ms(headers) if fault.retriable else None,
            next_step=fault.next_step,
        )

    def reported(self, error: object) -> ProviderError:
        """Error that came inside a stream, after the model may have worked."""
        said = _words(error)
        fault = self._fault(error, 500, said)
        return ProviderError(
            self._tidy(f"{self.name} broke off its answer", said),
            reason=fault.reason,
            retriable=fault.retriable,
            may_be_billed=True,
            next_step=fault.next_step,
        )

    def cut(self, why: str) -> ProviderError:
        """The connection or the stream ended before the answer did."""
        return self._lost("cut", f"The answer of {self.name} was cut off", why)

    def malformed(self, why: str) -> ProviderError:
        """What came is not an answer in this provider's format."""
        return self._lost("malformed", f"{self.name} sent an unreadable answer", why)

    def broken(self, error: Exception, *, answering: bool) -> ProviderError:
        """Translate an exception of an SDK, of the HTTP library or of JSON.

        `answering`: the response had begun.
        """
        # Heavy; loaded already by the caller, who has used it.
        import httpx2

        response = getattr(error, "response", None)
        if isinstance(response, httpx2.Response) and response.is_error | response.is_redirect:
            return self.refused(response.status_code, response.headers, _body(response))
        known = isinstance(error, httpx2.HTTPError | httpx2.InvalidURL | ValueError)
        root = error if known else error.__cause__ or error
        why = str(root) or type(root).__name__
        unsent = httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError
        if isinstance(root, unsent):
            return ProviderError(
                self._tidy(f"{self.name} cannot be reached", why),
                reason="network",
                retriable=True,
                may_be_billed=False,
                next_step=self._offline,
            )
        if isinstance(root, httpx2.TimeoutException):
            return self._lost("timeout", f"{self.name} said nothing for too long", "")
        if isinstance(root, httpx2.DecodingError) or (
            answering and isinstance(root, ValueError | ArithmeticError | RecursionError)
        ):
            return self.malformed(why)
        if answering or (
            isinstance(root, httpx2.NetworkError | httpx2.RemoteProtocolError | OSError)
        ):
            return self.cut(why)
        return ProviderError(
            self._tidy(f"The request to {self.name} could not be sent", why),
            reason="request",
            retriable=False,
            may_be_billed=False,
            next_step="Check the base URL and the key for stray characters.",
        )

    def _fault(self, error: object, status: int, said: str) -> Fault:
        codes = [slot(obj(error).get(key)) for key in ("code", "type")]
        fault = next((self._faults[code] for code in codes if code in self._faults), None)
        fault = fault or self._faults.get(status)
        if fault is None:
            fault = Fault("server", True) if status >= 500 else Fault("request", False)
        if fault.reason in ("request", "server") and _CONTEXT.search(said):
            return Fault("context", False)
        return fault

    def _lost(self, reason: str, what: str, why: str) -> ProviderError:
        return ProviderError(
            self._tidy(what, why), reason=reason, retriable=True, may_be_billed=True
        )

    def _tidy(self, what: str, said: str) -> str:
        # Hide the key before cutting, or half of it could stay.
        said = clean(said)
        if self._secret:
            said = said.replace(self._secret, "[key]")
        said = " ".join(said[: 4 * MAX_TEXT].split())[:MAX_TEXT].rstrip(".")
        return f"{what}: {said}." if said else f"{what}."


def _words(error: object) -> str:
    """Return the human part of an error in any of the usual shapes."""
    return text_of(obj(error).get("message")) or text_of(error)


def _body(response: httpx2.Response) -> str:
    # An error status may come with a body that broke off; its status is enough then.
    return response.text if response.is_stream_consumed else ""


def retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """Wait that the provider demands, in milliseconds; None when it names none."""
    for name, factor in (("retry-after-ms", 1.0), ("retry-after", 1000.0)):
        with suppress(ValueError, OverflowError):
            return _bounded_ms(float(headers.get(name, "")) * factor)
    with suppress(ValueError, OverflowError):
        due = parsedate_to_datetime(headers.get("retry-after", "")).timestamp()
        # The server's own clock, when it tells it, is the one its date was made with.
        now = time.time()
        with suppress(ValueError):
            now = parsedate_to_datetime(headers.get("date", "")).timestamp()
        return _bounded_ms((due - now) * 1000)
    return None


def _bounded_ms(wait_ms: float) -> int:
    """Obeyed exactly, but for what is no date any more: a year is as good as never."""
    return min(max(0, math.ceil(wait_ms)), WAIT_MS_MAX)


def patience(silence_ms: int) -> httpx2.Timeout:
    """Time-outs of one call: a server that is there accepts a connection at once."""
    # Heavy, so not at the top.
    import httpx2

    silence_s = silence_ms / 1000
    return httpx2.Timeout(silence_s, connect=min(silence_s, CONNECT_S))


async def _lines(response: httpx2.Response) -> AsyncGenerator[bytes]:
    """Yield whole lines. What follows the last line end is a fragment and is left out."""
    pending = bytearray()
    async for chunk in response.aiter_bytes():
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
    send: Callable[[], Awaitable[httpx2.Response]],
    unwrap: Callable[[bytes], bytes],
    take: Callable[[Json], bool],
    foreign: tuple[type[Exception], ...] = (),
    *,
    whole: Callable[[], bool] = lambda: False,
) -> None:
    """Send one request and hand every event of its stream to `take` until that says "ended".

    `foreign` are the SDK's own exceptions; `whole` says whether a stream that just ends may be
    taken as it is. Raises ProviderError only; cancelling closes the connection.
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
    answering = False
    try:
        response = await send()
        answering = True
        try:
            ended = await _read(border, response, unwrap, take)
        finally:
            await response.aclose()
        if not ended and not whole():
            raise border.cut("the stream ended without its last event")
    except handled as error:
        raise border.broken(error, answering=answering) from error


async def _read(
    border: Border,
    response: httpx2.Response,
    unwrap: Callable[[bytes], bytes],
    take: Callable[[Json], bool],
) -> bool:
    """Return whether the last event came."""
    kind = response.headers.get("content-type", "")
    if "html" in kind:
        raise border.malformed(f"a page of type {kind} instead of a stream")
    seen = 0
    async with aclosing(_lines(response)) as lines:
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
            seen += 1
            if take(event):
                await _drain(lines)
                return True
    if not seen and kind and "event-stream" not in kind and "ndjson" not in kind:
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
