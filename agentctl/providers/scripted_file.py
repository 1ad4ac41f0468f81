"""The file that the scripted provider plays: its format, read and checked in one place.

An exported task is such a file too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from agentctl.core import transfer
from agentctl.core.events import ModelAnswered, ModelAsked
from agentctl.core.values import Rates, Stop
from agentctl.errors import ConfigError

Count = Annotated[int, Meta(ge=0)]
Tokens = Annotated[int, Meta(ge=0, le=10**12)]
"""As much as a real provider is believed: sums of more would not fit into the database."""
Dollars = Annotated[float, Meta(ge=0, le=1_000_000)]
FaultWord = Literal[
    "auth",
    "context",
    "cut",
    "malformed",
    "network",
    "not_found",
    "overloaded",
    "rate",
    "request",
    "server",
    "timeout",
]


class StatusFault(Struct, frozen=True, forbid_unknown_fields=True):
    """The provider answers with an HTTP error status and does no work."""

    status: Annotated[int, Meta(ge=400, le=599)]
    retry_after_ms: Count | None = None


class CallSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """One tool call of a turn. `arguments` as raw text may be anything, also broken JSON."""

    name: str
    arguments: dict[str, Any] | str = {}
    id: str = ""


class UsageSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Tokens that the turn reports. `input` includes what the cache served and took."""

    input: Tokens = 0
    cache_read: Tokens = 0
    cache_write: Tokens = 0
    output: Tokens = 0
    reasoning: Tokens = 0

    def __post_init__(self) -> None:
        """Refuse parts that are larger than their whole."""
        if self.cache_read + self.cache_write > self.input:
            raise ValueError("cache_read + cache_write is more than input, which includes both")
        if self.reasoning > self.output:
            raise ValueError("reasoning is more than output, which includes it")


class RateSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Prices in US dollars per million tokens. Cache prices default to that of input."""

    input: Dollars
    output: Dollars
    cache_read: Dollars | None = None
    cache_write: Dollars | None = None


class Turn(Struct, frozen=True, forbid_unknown_fields=True):
    """One answer, or with `fault` one failure that comes before the next answer."""

    text: str = ""
    calls: tuple[CallSpec, ...] = ()
    usage: UsageSpec | None = None
    delay_ms: Count = 0
    stop: Stop | None = None
    fault: FaultWord | StatusFault | None = None


class Script(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file."""

    turns: tuple[Turn, ...]
    rates: RateSpec | None = None
    repeat: bool = False
    max_output: Annotated[int, Meta(ge=1)] = 4096


def load(path: str) -> Script:
    """Read a script. Raises ConfigError that names the file and the place in it."""
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        why = error.strerror or error
        raise _bad(path, f"it cannot be read ({why})") from error
    if raw.startswith(transfer.BEGINS):
        return _recorded(path, raw)
    try:
        tree = msgspec.json.decode(raw) if path.lower().endswith(".json") else _yaml(path, raw)
        script = msgspec.convert(tree, Script)
    except msgspec.ValidationError as error:
        raise _bad(path, str(error)) from error
    except msgspec.DecodeError as error:
        raise _bad(path, f"it is not valid JSON: {error}") from error
    except RecursionError as error:
        raise _bad(path, "it is nested too deeply") from error
    if script.repeat and all(turn.fault for turn in script.turns):
        raise _bad(path, "`repeat` needs at least one turn that answers - at `$.turns`")
    return script


def _recorded(path: str, raw: bytes) -> Script:
    """The answers of an exported task, as its turns. They cost nothing."""
    try:
        found = transfer.read(raw.splitlines())
    except transfer.BadLine as error:
        raise _bad(path, str(error)) from error
    turns: list[Turn] = []
    purpose, longest = "step", 4096
    for record in found.log:
        event = record.event
        if isinstance(event, ModelAsked):
            purpose = event.purpose
        elif isinstance(event, ModelAnswered) and purpose == "step":
            message, usage = event.message, event.usage
            calls = tuple(CallSpec(call.name, call.arguments, call.id) for call in message.calls)
            spec = UsageSpec(
                usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning
            )
            turns.append(Turn(message.text, calls, spec, stop=event.stop))
            longest = max(longest, usage.output)
    return Script(tuple(turns), max_output=longest)


def _yaml(path: str, raw: bytes) -> object:
    import yaml  # imported here: it is not needed for JSON scripts and slows start-up

    try:
        return yaml.safe_load(raw)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _bad(path, f"it is not valid YAML{place}: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise _bad(path, f"it is not valid YAML: {error}") from error


def _bad(path: str, why: str) -> ConfigError:
    return ConfigError(
        f"The script {path} cannot be used: {why}.",
        next_step="The format is described in docs/providers.md under “scripted”.",
    )


def rates(script: Script) -> Rates:
    """Prices in whole micro-dollars per million tokens; all zero when the script gives none."""
    spec = script.rates
    if spec is None:
        return Rates(source="script")
    cache_read = spec.input if spec.cache_read is None else spec.cache_read
    cache_write = spec.input if spec.cache_write is None else spec.cache_write
    return Rates(
        input=_micros(spec.input),
        cache_read=_micros(cache_read),
        cache_write=_micros(cache_write),
        output=_micros(spec.output),
        source="script",
    )


def _micros(dollars: float) -> int:
    return round(dollars * 1_000_000)
