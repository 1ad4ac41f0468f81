"""Carving out of a task's limits what another task may use that works on its behalf.

What is carved out counts as used until the call has ended, and then what was really used: so all
that works for a task stays within its limits together, at every moment.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.state import State
from agentctl.core.values import Micros, ToolSpec


class Errand(Struct, frozen=True):
    """What a task wants another one to do on its behalf."""

    goal: str
    agent: str = ""
    """The definition that it works by; empty: none."""
    max_cost_micros: Micros | None = None
    max_steps: int | None = None
    """At most this, and no more than what is carved out for it."""


class Work(Struct, frozen=True):
    """A task that worked for a call, and what it used, those included that worked for it."""

    task_id: str
    cost_micros: Micros = 0
    tokens: int = 0


def carved(
    state: State, intents: Sequence[e.ToolStarted], specs: Sequence[ToolSpec]
) -> tuple[e.ToolStarted, ...]:
    """The intents, each of a call that delegates with its share.

    Those that begin together share half of what is left: the other half is the task's own, to make
    use of the results. A call that is begun again keeps what it had.
    """
    begun = [spec.delegates and intent.call_id not in state.started
             for intent, spec in zip(intents, specs, strict=True)]  # fmt: skip
    count, limits = sum(begun), state.limits
    made = []
    for intent, spec, is_new in zip(intents, specs, begun, strict=True):
        if is_new:
            micros = share(limits.task_cost_micros, state.used_micros, count)
            tokens = share(limits.task_tokens, state.used_tokens, count)
            made.append(replace(intent, carved_micros=micros, carved_tokens=tokens))
        elif spec.delegates:
            before = state.started[intent.call_id]
            micros, tokens = before.carved_micros, before.carved_tokens
            made.append(replace(intent, carved_micros=micros, carved_tokens=tokens))
        else:
            made.append(intent)
    return tuple(made)


def share(cap: int | None, used: int, count: int) -> int | None:
    """What one of `count` may use; None: there is no limit."""
    return None if cap is None else max(cap - used, 0) // 2 // count
