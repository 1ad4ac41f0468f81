"""What a task's events add up to.

Here: every way a task can change. Never here: files, clocks, networks, names of providers.
`apply` changes the state in place (5,000 steps fold in well under 150 ms that way) and is the only
code that does; events of other processes commute with the driver's own facts, so the order in
which the two arrive within one commit does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct, field

from agentctl.core import answers, context, history
from agentctl.core import events as e
from agentctl.core.answers import say
from agentctl.core.context_words import Words
from agentctl.core.values import (
    Approve,
    ContextPolicy,
    Limits,
    Message,
    Micros,
    Millis,
    Sandbox,
    ToolCall,
)

FINAL = frozenset({"done", "cancelled"})
RESUMABLE = frozenset({"paused", "limit", "waiting", "failed"})
ENDS = FINAL | RESUMABLE


class State(Struct):
    """A task as it stands after `seq` events."""

    created: e.TaskCreated
    seq: int = 0
    last_ms: Millis = 0
    status: str = "running"
    limits: Limits = Limits()
    policy: ContextPolicy = ContextPolicy()
    provider: str = ""
    model: str = ""
    approve: Approve = "ask"
    on_unknown: str = "tell"
    sandbox: Sandbox = Sandbox()
    home: tuple[str, str] = ("", "")
    """Provider and model that the user chose; others answer only in their place."""
    fallbacks: tuple[str, ...] = ()
    switches: list[e.Switched] = []
    tried: set[str] = set()
    """"provider/model" that were given up since the last answer."""

    messages: list[Message] = []
    sizes_bytes: list[int] = []
    sent: list[Message] = []
    """What requests contain: `messages`, shortened as the last ContextPruned says."""
    sent_bytes: int = 0
    mask_before: int = 0
    drop_before: int = 0
    args_before: int = 0
    kept: frozenset[int] = frozenset()
    note: str = ""
    """As the last ContextPruned has them."""
    summary: str = ""
    """What the model last wrote of what was left out, or is about to be."""
    summary_asked: bool = False
    """Since the last prune."""
    steady: tuple[int, ...] = (1,)
    """After so many of `sent` cache breakpoints are well placed."""
    failed: list[int] = []
    """Of `messages` those that are results of calls that failed."""
    words: Words = field(default_factory=Words)
    warm_ms: Millis = 0
    """When the model last answered: its cache is as old as that. 0: it never did."""
    said_bytes: int = 0
    """Size of `messages`."""
    left_out_tokens: int = 0
    """Of the last call that was answered."""
    anchor_tokens: int = 0
    """Input and output of the last answer as the provider reported them; 0 before the first."""
    anchor_bytes: int = 0
    """`sent_bytes` at that moment."""

    spent_micros: Micros = 0
    spared_micros: Micros = 0
    """Cost of earlier answers that were taken instead of asking again."""
    children_micros: Micros = 0
    children_tokens: int = 0
    """What tasks have cost that worked for this one and have ended: part of its limits, not of
    what it spent itself."""
    unpriced: int = 0
    tokens_processed: int = 0
    tokens_total: int = 0
    calls: int = 0
    steps: int = 0
    active_ms: Millis = 0
    ran_ms: Millis = 0
    """Until when running time is in `active_ms`: the last sign of life of who drives the task."""
    credits_spent: int = 0
    step_credits: int = 0
    """By the last model call and the tools it asked for."""
    warned: dict[str, tuple[str, int]] = {}
    """Level and cap that the user was last warned of, by limit."""
    blocked: set[tuple[str, int]] = set()
    """Limits, with their caps, that were told to be in the way of the next call."""

    asked: e.ModelAsked | None = None
    failure: e.ModelFailed | None = None
    failures: int = 0
    stumbles: int = 0
    misfits: int = 0
    """Final answers that did not fit the schema, since the task was last taken up."""
    refused: bool = False
    final: bool = False
    answer_parts: list[str] = []
    pending: dict[str, ToolCall] = {}
    """Calls without an answer yet, in the model's order."""
    started: dict[str, e.ToolStarted] = {}
    """Intents without a fact: running, or in doubt after a crash."""
    approved: set[str] = set()
    always: set[str] = set()
    """Tools that may run unasked in this task."""
    allowed: list[str] = []
    """Rules of "always" answers since the task was last taken up; older ones are stored."""

    unheard: list[str] = []
    """What users have said and the model has not been told yet, in its order."""
    pause_wanted: e.PauseRequested | None = None
    cancel_wanted: bool = False
    stopped: e.Stopped | None = None
    finished: e.Finished | None = None
    removed: e.LogRemoved | None = None
    """Set: the texts of this task are gone, only its costs are left."""

    def __repr__(self) -> str:
        """Short: asyncio writes out a task's result more than once, and messages can be many."""
        return f"State({self.status}, {self.seq} events, {self.steps} steps)"

    @property
    def answer(self) -> str:
        """The model's last words, joined where the output limit cut them."""
        return "".join(self.answer_parts)

    @property
    def used_micros(self) -> Micros:
        """Of the limit: spent, by itself and for it, and carved out for what works for it now."""
        open_micros = sum(start.carved_micros or 0 for start in self.started.values())
        return self.spent_micros + self.children_micros + open_micros

    @property
    def used_tokens(self) -> int:
        """The same in tokens processed."""
        open_tokens = sum(start.carved_tokens or 0 for start in self.started.values())
        return self.tokens_processed + self.children_tokens + open_tokens

    @property
    def ready_to_ask(self) -> bool:
        """Nothing is open: the next action may be a model call."""
        return self.asked is None and not self.pending and not self.final


def fold(records: Sequence[e.Recorded]) -> State:
    """Build the state from the whole log. Raises ValueError if the log has holes."""
    first = records[0].event if records else None
    if not isinstance(first, e.TaskCreated):
        raise ValueError("a log begins with TaskCreated")
    return apply_all(State(created=first), records)


def apply_all(state: State, records: Iterable[e.Recorded]) -> State:
    """Apply records in order; each must be the next one."""
    for record in records:
        if record.seq != state.seq:
            raise ValueError(f"event {record.seq} where {state.seq} is due")
        apply(state, record.event, record.at_ms)
    return state


def apply(state: State, event: e.Event, at_ms: Millis) -> None:
    """Change the state by one event."""
    kind = type(event)
    if at_ms > state.last_ms:
        state.last_ms = at_ms
    if state.status != "running" or not _is_from_outside(kind, event):
        gone_ms = at_ms - state.ran_ms
        if gone_ms > 0:
            # The gap before Resumed is a pause or a crash, not running time.
            if state.ran_ms and state.status == "running" and kind is not e.Resumed:
                state.active_ms += gone_ms
            state.ran_ms = at_ms
    is_read = isinstance(event, e.ModelAnswered) and event.usage.input  # no earlier answer
    if is_read and (state.asked is None or state.asked.purpose != "embedding"):
        state.warm_ms = at_ms
    _APPLY[kind](state, event)
    state.seq += 1


_OUTSIDE = frozenset({e.LimitChanged, e.PauseRequested, e.CancelRequested, e.UserSaid})


def _is_from_outside(kind: type[e.Event], event: e.Event) -> bool:
    """Whether it may be written while no process drives the task, perhaps long after the last."""
    return kind in _OUTSIDE or (isinstance(event, e.ModelFailed) and event.reason == "interrupted")


def _task_created(state: State, event: e.TaskCreated) -> None:
    state.limits, state.policy = event.limits, event.context
    state.provider, state.model, state.approve = event.provider, event.model, event.approve
    state.sandbox = event.sandbox
    state.home, state.fallbacks = (event.provider, event.model), event.fallbacks
    say(state, Message("user", event.goal))


def _tool_approved(state: State, event: e.ToolApproved) -> None:
    state.approved.add(event.call_id)
    state.started.pop(event.call_id, None)  # a call in doubt may run again: the user said so
    if event.always:
        state.always.add(event.tool)
    if event.rule:
        state.allowed.append(event.rule)


def _tool_started(state: State, event: e.ToolStarted) -> None:
    if not event.parent:  # else it is in doubt together with the call that made it
        state.started[event.call_id] = event
    state.credits_spent += event.credits
    state.step_credits += event.credits
    state.blocked = set()


def _tool_ended(state: State, event: e.ToolEnded) -> None:
    if event.parent:  # a model may have named a call of its own like this one
        return
    start = state.started.pop(event.call_id, None)
    if start is not None:
        _take_child(state, start, event)
    state.approved.discard(event.call_id)
    if state.pending.pop(event.call_id, None) is not None:
        if event.status != "ok":
            state.failed.append(len(state.messages))
        say(state, Message("tool", event.text, call_id=event.call_id))


def _take_child(state: State, start: e.ToolStarted, event: e.ToolEnded) -> None:
    """Count what was used on behalf of this call; where nobody knows, all that was carved out."""
    is_told = event.child or event.status in ("ok", "error")
    state.children_micros += event.child_cost_micros if is_told else start.carved_micros or 0
    state.children_tokens += event.child_tokens if is_told else start.carved_tokens or 0


def _tool_note(state: State, event: e.ToolNote) -> None:
    """Nothing: it is for whoever reads the log."""


def _context_pruned(state: State, event: e.ContextPruned) -> None:
    state.mask_before, state.drop_before = event.mask_before, event.drop_before
    state.args_before, state.note = event.args_before, event.note
    state.summary_asked = False
    state.kept = frozenset(event.kept)
    before = state.sent
    state.sent, sizes = context.after_sized(
        state.messages, state.sizes_bytes, event, state.policy.keep_user
    )
    whole = len(state.messages) - max(event.mask_before, event.args_before, event.drop_before)
    state.steady = context.steady(before, state.sent, state.steady[-1], whole)
    state.sent_bytes = sum(sizes)
    if state.failure is not None and state.failure.reason == "context":
        state.failure = None  # the request that was too long is shorter now


def _limit_warned(state: State, event: e.LimitWarned) -> None:
    state.warned[event.limit] = (event.level, event.cap)


def _limit_reached(state: State, event: e.LimitReached) -> None:
    state.blocked.add((event.limit, event.cap))


def _switched(state: State, event: e.Switched) -> None:
    state.tried.add(f"{state.provider}/{state.model}")
    state.provider, state.model = event.provider, event.model
    state.switches.append(event)
    state.failure = None
    state.failures = 0
    state.anchor_tokens = 0  # another model counts otherwise
    state.warm_ms = 0


def _limit_changed(state: State, event: e.LimitChanged) -> None:
    state.limits = event.limits


def _pause_requested(state: State, event: e.PauseRequested) -> None:
    if state.status in ("running", "waiting"):  # else it would be woken when its time has come
        state.pause_wanted, state.status = event, "running"


def _cancel_requested(state: State, event: e.CancelRequested) -> None:
    state.cancel_wanted = True
    if state.status in RESUMABLE:  # it stands still: awake, it hears this and ends
        state.status = "running"


def _user_said(state: State, event: e.UserSaid) -> None:
    # Not part of the conversation yet: where that is would depend on who wrote first.
    state.unheard.append(event.text)


def _user_heard(state: State, event: e.UserHeard) -> None:
    for text in state.unheard[: event.messages]:
        say(state, Message("user", text))
    del state.unheard[: event.messages]
    # There is something new to answer, whatever the last words were.
    state.final = state.refused = False
    state.stumbles = 0


def _stopped(state: State, event: e.Stopped) -> None:
    state.status, state.stopped = event.outcome, event
    state.pause_wanted = None


def _resumed(state: State, event: e.Resumed) -> None:
    waited = state.status in ("waiting", "running")  # running: the process died
    retry_at_ms = state.failure.retry_at_ms if waited and state.failure else 0
    state.status, state.stopped, state.pause_wanted = "running", None, None
    state.on_unknown = event.on_unknown
    before = state.provider, state.model
    state.home = event.provider or state.home[0], event.model or state.home[1]
    state.provider, state.model = state.home
    if event.fallbacks is not None:
        state.fallbacks = event.fallbacks
    state.tried, state.blocked, state.allowed = set(), set(), []
    state.sandbox = event.sandbox or state.sandbox
    if state.home != before:
        state.anchor_tokens = 0  # another model counts otherwise
        state.warm_ms = 0
    state.approve = event.approve or state.approve
    state.policy = event.context or state.policy
    state.failures = state.stumbles = state.misfits = 0
    state.refused = False
    if not retry_at_ms or state.home != before:
        # Retry-After outlives the process that was told it, but binds only who said it.
        state.failure = None


def _finished(state: State, event: e.Finished) -> None:
    state.status, state.finished = event.outcome, event
    state.pause_wanted = None


def _log_removed(state: State, event: e.LogRemoved) -> None:
    state.removed = event


_APPLY: dict[type[e.Event], Callable[[State, Any], None]] = {
    e.TaskCreated: _task_created,
    e.ModelAsked: answers.model_asked,
    e.ModelAnswered: answers.model_answered,
    e.ModelFailed: answers.model_failed,
    e.ToolApproved: _tool_approved,
    e.ToolStarted: _tool_started,
    e.ToolEnded: _tool_ended,
    e.ToolNote: _tool_note,
    e.ContextPruned: _context_pruned,
    e.LimitWarned: _limit_warned,
    e.LimitReached: _limit_reached,
    e.Switched: _switched,
    e.LimitChanged: _limit_changed,
    e.PauseRequested: _pause_requested,
    e.CancelRequested: _cancel_requested,
    e.UserSaid: _user_said,
    e.UserHeard: _user_heard,
    e.Forked: history.forked,
    e.Imported: history.imported,
    e.Stopped: _stopped,
    e.Resumed: _resumed,
    e.AnswerRefused: answers.answer_refused,
    e.Finished: _finished,
    e.LogRemoved: _log_removed,
}
