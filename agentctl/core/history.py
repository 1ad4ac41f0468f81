"""What a task has of another one: a history that it did not live and does not pay for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from agentctl.core import events as e

if TYPE_CHECKING:
    from agentctl.core.state import State


def own_from(log: Sequence[e.Recorded]) -> int:
    """The number of the first event that is the task's own: 0, or that after its history."""
    for record in reversed(log):
        if isinstance(record.event, (e.Forked, e.Imported)):
            return record.seq + 1
    return 0


def forked(state: State, event: e.Forked) -> None:
    """The task begins, on its own account, with what it was created with."""
    _begin(state, event.created)
    state.final = False
    state.status, state.stopped, state.finished = "paused", None, None


def imported(state: State, event: e.Imported) -> None:
    """The task goes on here as it stood there; what was paid there was paid there."""
    _begin(state, event.created)
    state.anchor_tokens = 0  # a file's word: what the next call may cost is not reckoned from it
    if state.status == "running":
        state.status = "paused"


def _begin(state: State, created: e.TaskCreated) -> None:
    if (created.provider, created.model) != (state.provider, state.model):
        state.anchor_tokens = 0  # another model counts otherwise
    state.created = created
    state.limits, state.policy, state.sandbox = created.limits, created.context, created.sandbox
    state.provider, state.model, state.approve = created.provider, created.model, created.approve
    state.home, state.fallbacks = (created.provider, created.model), created.fallbacks
    state.on_unknown, state.warm_ms = "tell", 0
    state.spent_micros = state.spared_micros = state.unpriced = 0
    state.tokens_processed = state.tokens_total = 0
    state.children_micros = state.children_tokens = 0
    state.credits_spent = state.step_credits = 0
    state.started = {
        call_id: replace(start, carved_micros=0, carved_tokens=0, credits=0)
        for call_id, start in state.started.items()
    }
    state.active_ms = state.ran_ms = 0
    state.warned, state.blocked = {}, set()
    state.switches, state.tried = [], set()
    state.asked = state.failure = None
    state.failures = state.stumbles = state.misfits = 0
    state.refused = False
    # What was allowed was allowed to the other task.
    state.approved, state.always, state.allowed = set(), set(), []
    state.pause_wanted, state.cancel_wanted = None, False
