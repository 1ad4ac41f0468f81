"""The circuit breaker as arithmetic: closed, open, half-open with exactly one probe.

A circuit that is closed and has no failures is not stored at all. The store applies these
functions within its transactions, so that all processes see one circuit.
"""

from __future__ import annotations

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.values import Breaker, Circuit, Millis

PROBE_MS = 300_000
"""How long a trying call keeps others out: longer than an answer takes, in case its process dies
and nobody is there to settle its call."""
PROBE_LOOK_MS = 5_000
"""How soon whoever waits for another one's probe looks again: most answer long before PROBE_MS."""
AHEAD_MS = 60_000
"""Clocks of processes may differ by so much."""

PROVIDER_FAILURES = frozenset({"server", "overloaded", "network", "timeout", "cut", "malformed"})
"""Reasons that say something of the provider's health; a refusal shows that it is well."""
TOOL_FAILURES = frozenset({"timeout", "broken"})
TOOL_UNTOLD = frozenset({"cut", "unknown", "skipped"})
"""Ends of calls that we cut ourselves: they say nothing."""
TOOL_UNSENT = frozenset({"unavailable", "denied", "invalid"})
"""Answers to calls that never ran: they neither close a circuit nor free the place of its probe."""


def provider(name: str) -> str:
    """The name of a provider's circuit."""
    return f"provider:{name}"


def tool(name: str) -> str:
    """The name of a tool's circuit."""
    return f"tool:{name}"


def closed_until(circuit: Circuit, now_ms: Millis) -> Millis:
    """When to look again before calling; 0: a call may go now."""
    if _is_of_the_future(circuit, now_ms):
        return 0
    if now_ms < circuit.opens_ms:
        return circuit.opens_ms
    if now_ms < circuit.probe_until_ms:
        return min(circuit.probe_until_ms, now_ms + PROBE_LOOK_MS)
    return 0


def asked(circuit: Circuit, now_ms: Millis) -> Circuit:
    """A call goes out; on a circuit that was open it is the probe."""
    return replace(circuit, probe_until_ms=now_ms + PROBE_MS) if circuit.opens_ms else circuit


def failed(circuit: Circuit, breaker: Breaker, now_ms: Millis) -> Circuit:
    """A call failed: count it, and open the circuit at the last one allowed or a failed probe."""
    if _is_of_the_future(circuit, now_ms):
        circuit = Circuit()
    lately = circuit.failures and now_ms - circuit.since_ms <= breaker.window_ms
    failures = circuit.failures + 1 if lately or circuit.opens_ms else 1
    since_ms = circuit.since_ms if failures > 1 else now_ms
    if circuit.opens_ms > now_ms:  # sent before it opened: it opens no later for that
        return replace(circuit, failures=failures)
    if circuit.opens_ms or failures >= breaker.failures:
        return Circuit(failures, since_ms, now_ms + breaker.reset_ms)
    return Circuit(failures, since_ms)


def _is_of_the_future(circuit: Circuit, now_ms: Millis) -> bool:
    """The clock was set back since it failed: else it might stay open for years."""
    return circuit.since_ms > now_ms + AHEAD_MS


def untold(circuit: Circuit, asked_ms: Millis | None = None) -> Circuit:
    """A call ended without a word on the other side's health: another may be the probe.

    Only the probe itself frees its place: with `asked_ms` it is known by the moment it was sent.
    """
    if asked_ms is not None and asked_ms + PROBE_MS != circuit.probe_until_ms:
        return circuit
    return replace(circuit, probe_until_ms=0)


def is_well(event: e.Event) -> bool:
    """Whether a call that ended so leaves a healthy circuit healthy."""
    return isinstance(event, e.ModelAnswered) or (
        isinstance(event, e.ToolEnded) and event.status not in TOOL_FAILURES
    )


def after(
    circuit: Circuit,
    event: e.Event,
    breaker: Breaker,
    now_ms: Millis,
    asked_ms: Millis | None = None,
) -> Circuit:
    """The circuit after a model call or a tool call, sent at `asked_ms`, has ended so."""
    if isinstance(event, e.ModelFailed):
        unknown, bad = event.reason == "interrupted", event.reason in PROVIDER_FAILURES
    elif isinstance(event, e.ToolEnded):
        if event.status in TOOL_UNSENT:
            return circuit
        unknown, bad = event.status in TOOL_UNTOLD, event.status in TOOL_FAILURES
    else:
        unknown = bad = False
    if unknown:
        return untold(circuit, asked_ms)
    return failed(circuit, breaker, now_ms) if bad else Circuit()
