"""One border for the errors of all network providers: what happened, and whether to try again."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from agentctl.errors import ProviderError
from agentctl.providers._json import clean, obj, slot, text_of

if TYPE_CHECKING:
    import httpx2

MAX_TEXT = 500
"""Most characters of a provider's own words in an error message."""
WAIT_MS_MAX = 366 * 86_400_000
"""The longest wait that is passed on; whoever demands more means "never"."""


class Fault(NamedTuple):
    """A row of a provider's error table."""

    reason: str
    retriable: bool
    next_step: str = ""


Faults = Mapping[int | str, Fault]
"""Error table: by the provider's own error code or type, or else by HTTP status."""

_OTHER_STEP = "The same request would be refused again: resume with another `--model`."
_SHORTER_STEP = "Lower MAX_CONTEXT_TOKENS or choose a model with a larger window, then resume."
_KEY_STEP = "Check the key and what it may use, then resume."
_ADDRESS_STEP = "Check the address and the model's name, then resume."

COMMON: Faults = {
    400: Fault("request", False, _OTHER_STEP),
    401: Fault("auth", False, _KEY_STEP),
    402: Fault("quota", False, "Add credit there, then resume."),
    403: Fault("auth", False, _KEY_STEP),
    404: Fault("not_found", False, _ADDRESS_STEP),
    408: Fault("server", True),
    # Both SDKs take it for a lock that somebody else holds for a moment.
    409: Fault("server", True),
    410: Fault("not_found", False, _ADDRESS_STEP),
    413: Fault("context", False, _SHORTER_STEP),
    422: Fault("request", False, _OTHER_STEP),
    425: Fault("server", True),
    429: Fault("rate", True),
    500: Fault("server", True),
    501: Fault("request", False, _OTHER_STEP),
    502: Fault("server", True),
    503: Fault("server", True),
    504: Fault("server", True),
    529: Fault("overloaded", True),
}
_SERVER = Fault("server", True)
_REDIRECT = Fault("request", False, "Set the base URL to the address that really answers.")

_CONTEXT = re.compile(
    r"context[ _-]?(length|window|size|limit)|maximum context|prompt is too long|too many tokens"
    r"|exceeds? (the )?(available )?context|input length",
    re.IGNORECASE,
)
# One request that is larger than a whole minute's allowance: waiting does not help it.
_LARGER_THAN_RATE = re.compile(r"request too large for|tokens must be reduced", re.IGNORECASE)
# Said with status 400 and no code of its own.
_CREDIT = re.compile(r"credit balance is too low|reached your specified .*limits", re.IGNORECASE)
_MEMORY = re.compile(r"requires more (system |gpu )?memory", re.IGNORECASE)


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
        # Both SDKs obey this header before they look at the status.
        word = headers.get("x-should-retry", "")
        retriable = word == "true" if word in ("true", "false") else fault.retriable
        return ProviderError(
            self._tidy(f"{self.name} answered HTTP {status}", said),
            reason=fault.reason,
            retriable=retriable,
            may_be_billed=False,
            retry_after_ms=retry_after_ms(headers) if retriable else None,
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

    def late(self, waited_s: float, *, begun: bool) -> ProviderError:
        """Nothing came for so long, before or after the answer had begun."""
        when = "said nothing for" if begun else "did not begin to answer within"
        setting = "silence_timeout" if begun else "ai below [timeouts]"
        step = f"If it needs longer, raise {setting} in your configuration, then resume."
        return self._lost("timeout", f"{self.name} {when} {waited_s:g} s", "", step)

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
        # Some servers stream a status of their own in the place of a code.
        status = next((n for n in codes if isinstance(n, int) and 400 <= n <= 599), status)
        fault = fault or self._faults.get(status) or self._by_class(status)
        if fault.reason in ("request", "server") and _CONTEXT.search(said):
            return Fault("context", False, _SHORTER_STEP)
        if fault.reason == "rate" and _LARGER_THAN_RATE.search(said):
            return Fault("context", False, _SHORTER_STEP)
        if fault.reason == "request" and _CREDIT.search(said):
            return self._faults[402]
        if fault.reason == "server" and _MEMORY.search(said):
            return Fault("request", False, "Choose a smaller model with `--model`.")
        return fault

    def _by_class(self, status: int) -> Fault:
        if status >= 500:
            return _SERVER
        return self._faults[400] if status >= 400 else _REDIRECT

    def _lost(self, reason: str, what: str, why: str, next_step: str = "") -> ProviderError:
        return ProviderError(
            self._tidy(what, why),
            reason=reason,
            retriable=True,
            may_be_billed=True,
            next_step=next_step,
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
    """Wait that the provider demands, in milliseconds; None when it names none that can be.

    Taken from `retry-after-ms`, else from `retry-after` as seconds, whole or not, or as a date.
    A date that has passed is 0. Numbers below 0, "inf" and "nan" are no demand.
    """
    for name, factor in (("retry-after-ms", 1), ("retry-after", 1000)):
        with suppress(ValueError):
            wait = float(headers.get(name, ""))
            if wait >= 0 and (math.isfinite(wait) or "inf" not in headers[name].lower()):
                return _bounded_ms(wait * factor)
    due_s = _moment_s(headers.get("retry-after", ""))
    if due_s is None:
        return None
    # The server's own clock, when it tells it, is the one its date was made with.
    now_s = _moment_s(headers.get("date", ""))
    return _bounded_ms((due_s - (time.time() if now_s is None else now_s)) * 1000)


def _moment_s(text: str) -> float | None:
    """Seconds since the epoch of an HTTP date in any of its three forms; None for anything else."""
    # The parser trips over some malformed dates in ways of its own.
    with suppress(ValueError, OverflowError, TypeError, IndexError):
        moment = parsedate_to_datetime(text)
        # The oldest form has no zone; all of them mean GMT.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None


def _bounded_ms(wait_ms: float) -> int:
    """Obeyed exactly, but for what is no date any more: a year is as good as never."""
    # Rounded first: 16.1 s are not 16,101 ms because of how floats are kept.
    return math.ceil(round(min(max(0.0, wait_ms), WAIT_MS_MAX), 3))
