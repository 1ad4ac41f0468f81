"""Tools that answer as a test says: prepared answers, delays and failures, the same for a seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agentctl.core.lookups import canonical
from agentctl.core.values import Millis, ToolSpec
from agentctl.errors import ToolError
from agentctl.ports import ToolContext, ToolResult

Arguments = dict[str, Any]
Answer = str | ToolResult | Exception | dict[str, Any] | list[Any]
"""A text, a result, something to raise, or a value that becomes JSON text."""
Answering = Answer | Callable[[Arguments], Answer]
Responses = (
    Mapping[Any, Answering] | Sequence[Answering] | Callable[[Arguments], Answer | None] | None
)
LATENCY_MS_MAX = 3_600_000


class Asked(Struct, frozen=True):
    """Exactly these arguments, as a key of prepared answers. Made by `asked`."""

    text: str


def asked(**arguments: Any) -> Asked:
    """Name the arguments that an answer is for: {asked(path="a.txt"): "text of a"}."""
    return Asked(_text(arguments))


class Invocation(Struct, frozen=True):
    """One call as it was made."""

    arguments: Arguments
    answer: ToolResult | Exception
    """What it was given, or what was raised."""
    key: str
    """`ToolContext.key`: the same for every attempt of one call."""


class Simulated:
    """A tool with another's spec that only pretends. Made by `simulated`."""

    def __init__(
        self,
        tool: object,
        responses: Responses,
        default: Answering | None,
        latency: Millis | tuple[Millis, Millis],
        error_rate: float,
        seed: int,
        record: bool,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """As `simulated` describes. Raises ValueError and TypeError."""
        self.spec = _spec_of(tool)
        self._real_check = None if isinstance(tool, Simulated) else getattr(tool, "check", None)
        low, high = latency if isinstance(latency, tuple) else (latency, latency)
        if not 0 <= low <= high <= LATENCY_MS_MAX:
            raise ValueError(f"latency: from 0 to {LATENCY_MS_MAX:,} ms, the lower first")
        if not 0 <= error_rate <= 1:
            raise ValueError("error_rate: from 0 to 1")
        self._latency_ms = (low, high)
        self._error_rate, self._seed, self._record, self._sleep = error_rate, seed, record, sleep
        is_list = isinstance(responses, Sequence) and not isinstance(responses, str)
        self._in_order = list(responses) if isinstance(responses, Sequence) and is_list else None
        self._by_call = responses if callable(responses) else None
        self._by_key = list(responses.items()) if isinstance(responses, Mapping) else []
        if isinstance(responses, str):
            raise TypeError("responses: one answer for every call is `default`")
        self._default = default
        self._times: dict[str, int] = {}
        self._used = 0
        self.invocations: list[Invocation] = []
        """The calls so far, in the order in which they were answered."""

    def check(self, arguments: str) -> str:
        """Return why this JSON text does not fit the tool that it stands for."""
        if self._real_check is not None:
            return str(self._real_check(arguments))
        try:
            found = msgspec.json.decode(arguments.strip() or "{}")
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
            return str(error)
        return "" if isinstance(found, dict) else "they must be a JSON object"

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        """Wait, then answer or fail as prepared. Raises what it was told to raise."""
        text = canonical(arguments)
        given: Arguments = msgspec.json.decode(text)
        self._times[text] = nth = self._times.get(text, 0) + 1
        # From the call itself, so that calls side by side do not change each other's fate.
        chance = random.Random(f"{self._seed}:{nth}:{text}")  # noqa: S311 - a test is no secret
        fails = chance.random() < self._error_rate
        latency_ms = chance.randint(*self._latency_ms)
        answer = self._failure(nth) if fails else self._answer(given, text)
        if latency_ms:
            await self._sleep(latency_ms / 1000)
        result = answer if isinstance(answer, Exception | ToolResult) else ToolResult(_told(answer))
        if self._record:
            self.invocations.append(Invocation(given, result, context.key))
        if isinstance(result, Exception):
            raise result
        return result

    async def close(self) -> None:
        """There is nothing to end."""

    # --- what a test asks ----------------------------------------------------------------------

    def calls(self, **arguments: Any) -> list[Invocation]:
        """The calls that had at least these arguments."""
        wanted = arguments.items()
        missing = object()
        return [
            each
            for each in self.invocations
            if all(each.arguments.get(name, missing) == value for name, value in wanted)
        ]

    def assert_called(self, times: int | None = None, **arguments: Any) -> None:
        """Raise AssertionError unless it was called with these, so often if `times` says so."""
        count = len(self.calls(**arguments))
        if count != times if times is not None else not count:
            wanted = "at least once" if times is None else f"{times} times"
            what = f"{self.spec.name} was to be called {wanted}"
            raise AssertionError(
                f"{what} with {_text(arguments)}; it was {count} times. {self._history()}"
            )

    def assert_not_called(self, **arguments: Any) -> None:
        """Raise AssertionError if it was called with these."""
        self.assert_called(0, **arguments)

    def _history(self) -> str:
        every = "\n".join(f"  {_text(each.arguments)}" for each in self.invocations)
        return f"All calls:\n{every}" if every else "It was not called at all."

    # --- what it answers -----------------------------------------------------------------------

    def _failure(self, nth: int) -> ToolError:
        return ToolError(f"{self.spec.name} failed: simulated (attempt {nth}).", retriable=True)

    def _answer(self, given: Arguments, text: str) -> Answer:
        found = self._prepared(given, text)
        if found is None:
            found = self._default
        if callable(found) and not isinstance(found, Exception):
            found = found(dict(given))
        if found is None:
            return ToolError(f"{self.spec.name} has no prepared answer for {text}.")
        answer: Answer = found
        return answer

    def _prepared(self, given: Arguments, text: str) -> Any:
        if self._by_call is not None:
            return self._by_call(dict(given))
        if self._in_order is not None:
            self._used += 1
            return self._in_order[self._used - 1] if self._used <= len(self._in_order) else None
        return next((answer for key, answer in self._by_key if _fits(key, given, text)), None)


def simulated(
    tool: object,
    *,
    responses: Responses = None,
    default: Answering | None = None,
    latency: Millis | tuple[Millis, Millis] = 0,
    error_rate: float = 0.0,
    seed: int = 0,
    record: bool = True,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Simulated:
    """Make a tool with the spec of `tool` (a tool, a ToolSpec or a name) that only pretends.

    `responses`: answers by arguments, {asked(path="a"): "text"}, where a key may also be JSON text
    or a function of the arguments that says whether it fits; or answers in order; or a function of
    the arguments. `default` is for all other calls; without it they fail. An answer may be a text,
    a ToolResult, an exception to raise, a value to be told as JSON, or a function of the arguments.

    `latency` are milliseconds, or the least and the most; `error_rate`, from 0 to 1, is how many
    calls fail with a ToolError that may pass. Both follow from `seed` and the call alone.
    """
    return Simulated(tool, responses, default, latency, error_rate, seed, record, sleep)


def _fits(key: object, given: Arguments, text: str) -> bool:
    if isinstance(key, Asked):
        return key.text == text
    if isinstance(key, str):
        return canonical(key) == text
    if not callable(key):
        raise TypeError(f"{key!r} is no key of prepared answers: use asked(name=value)")
    return bool(key(dict(given)))


def _spec_of(tool: object) -> ToolSpec:
    if isinstance(tool, str):
        return ToolSpec(tool, "", '{"type":"object"}')
    spec = tool if isinstance(tool, ToolSpec) else getattr(tool, "spec", None)
    if not isinstance(spec, ToolSpec):
        raise TypeError(f"{tool!r} is neither a tool, nor a ToolSpec, nor the name of a tool")
    return spec


def _text(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def _told(answer: object) -> str:
    return answer if isinstance(answer, str) else _text(answer)
