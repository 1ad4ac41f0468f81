"""Circuits: a provider or tool that kept failing is left alone until one call may try."""

from __future__ import annotations

from collections.abc import Sequence

from agentctl.core import breaker
from agentctl.core.guards.verdict import Deny
from agentctl.core.state import State
from agentctl.core.values import Millis, ToolSpec, View


def check(state: State, view: View, output_cap: int) -> int | Deny:
    """Let a model call through if its provider's circuit is closed or waits for a probe.

    A model on this machine has no circuit: there is nobody else to spare.
    """
    if not view.paced:
        return output_cap
    return _open(state, view, breaker.provider(state.provider)) or output_cap


def check_tool(
    state: State, view: View, spec: ToolSpec, planned: Sequence[ToolSpec]
) -> Deny | None:
    """Let a tool call through if the tool's circuit is closed, or if it alone is the probe."""
    name = breaker.tool(spec.name)
    circuit = view.shared.circuits.get(name)
    if circuit is not None and circuit.opens_ms and spec in planned:
        return _deny(state, view, name, view.now_ms + breaker.PROBE_MS)
    return _open(state, view, name)


def _open(state: State, view: View, name: str) -> Deny | None:
    circuit = view.shared.circuits.get(name)
    if circuit is None:
        return None
    until_ms = breaker.closed_until(circuit, view.now_ms)
    return _deny(state, view, name, until_ms) if until_ms else None


def _deny(state: State, view: View, name: str, until_ms: Millis) -> Deny:
    failures = view.shared.circuits[name].failures
    reason = f"{name.partition(':')[2]} failed {failures} times in a row"
    cap = state.limits.breaker.failures
    return Deny("circuit", name, failures, cap, 1, reason, "failures", until_ms, patient=True)
