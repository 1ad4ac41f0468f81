"""The closed list of what can have happened to a task, and its JSON.

An *intent* is written before its effect and can be refused; a *fact* is always accepted.
`docs/events.md` describes each for users; `KINDS` is the list that everything else is checked by.
Values cannot form cycles, so the garbage collector is kept off them (gc=False): with thousands of
messages its passes would make late steps slower than early ones.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from agentctl.core.change import Change
from agentctl.core.event import Event as Event
from agentctl.core.event import TaskCreated as TaskCreated
from agentctl.core.events_of_users import CancelRequested as CancelRequested
from agentctl.core.events_of_users import Forked as Forked
from agentctl.core.events_of_users import Imported as Imported
from agentctl.core.events_of_users import LimitChanged as LimitChanged
from agentctl.core.events_of_users import LogRemoved as LogRemoved
from agentctl.core.events_of_users import PauseRequested as PauseRequested
from agentctl.core.events_of_users import UserHeard as UserHeard
from agentctl.core.events_of_users import UserSaid as UserSaid
from agentctl.core.values import (
    Approve,
    ContextPolicy,
    Message,
    Micros,
    Millis,
    OnUnknown,
    Repeat,
    Sandbox,
    Stop,
    Usage,
)


class ModelAsked(Event, frozen=True, gc=False):
    """Intent: a model call is about to be sent, with its worst case reserved."""

    call: int
    """Number of this attempt within the task, from 1: the key of its usage row."""
    provider: str
    model: str
    reserve_micros: Micros | None
    """None: the model has no known price."""
    reserve_tokens: int
    output_cap: int
    purpose: str = "step"
    """step; summary: of what is about to be left out; embedding: for relevance. Only the first is
    part of the conversation, and only the last is another model's, with prices of its own."""
    credits: int = 0
    """Taken from the account's balance."""
    left_out_tokens: int = 0
    """About so many tokens of the conversation were left out of the request."""
    request: str = ""
    """Hash of the whole request, kept where fallbacks may want its answer again."""


class ModelAnswered(Event, frozen=True, gc=False):
    """Fact: the model answered; the real cost replaces the reserve."""

    message: Message
    usage: Usage
    stop: Stop
    cost_micros: Micros | None
    duration_ms: Millis = 0
    prices: str = ""
    """Unit prices and their source, as stable JSON text. Empty: those of the answer before, told
    by the same process."""
    response_id: str = ""
    model: str = ""
    """The model that really answered, when the provider names another."""
    pruned_micros: int = 0
    """What leaving out old text saved on this call, about; negative when it cost more."""
    spared_micros: Micros = 0
    """What this answer had cost when it was first given, if it is an earlier one."""


class ModelFailed(Event, frozen=True, gc=False):
    """Fact: a model call brought no answer."""

    reason: str
    detail: str
    retriable: bool
    charged_micros: Micros | None = 0
    """0 when certainly not billed, else the reserve; None when unpriced."""
    charged_tokens: int = 0
    retry_at_ms: Millis = 0
    credits_back: int = 0
    """Credits of the intent, given back because the call was certainly not billed."""


class ToolApproved(Event, frozen=True, gc=False):
    """Fact: somebody allowed a call."""

    call_id: str
    tool: str
    always: bool = False
    """Also later calls of this tool in this task."""
    rule: str = ""
    """Also later calls that this rule matches, of any task in this workspace: "TOOL: PATTERN"."""


class ToolStarted(Event, frozen=True, gc=False):
    """Intent: a tool is about to run."""

    call_id: str
    tool: str
    repeat: Repeat
    category: str = "default"
    credits: int = 0
    """Taken from the account's balance."""
    parent: str = ""
    """The call on whose behalf another tool made this one; empty for the model's own."""
    permit: str = ""
    """The rule that allowed it, if one had to."""
    arguments: str = ""
    """With a parent: its arguments. Those of a model's own call are in its message."""
    carved_micros: Micros | None = 0
    carved_tokens: int | None = 0
    """What the task that works for this call may use of this one's limits; None: without one."""


class ToolEnded(Event, frozen=True, gc=False):
    """Fact: a call has its answer for the model."""

    call_id: str
    tool: str
    text: str
    status: str = "ok"
    """ok, error, invalid, denied, timeout, broken, unavailable, cut, unknown, skipped."""
    duration_ms: Millis = 0
    output_ref: str = ""
    """Content hash of the whole output when `text` is only its head and tail."""
    output_bytes: int = 0
    reused: str = ""
    """The call whose result this is, given again: its id, or "TASK:CALL" of another task."""
    spared_bytes: int = 0
    """So much less than the whole result is `text`, which only refers to it."""
    lookup: str = ""
    """Hash of what was looked up: under it the result may be given again."""
    proof: str = ""
    """What must still hold then, in the tool's own words."""
    parent: str = ""
    """As in ToolStarted: such a result is not part of the conversation."""
    attempts: int = 1
    """So often it was tried."""
    permit: str = ""
    """The rule that denied it."""
    arguments: str = ""
    """Of a call with a parent that was refused, so that it has no ToolStarted."""
    changes: tuple[Change, ...] = ()
    """Files that it changed, as far as the tool says."""
    child: str = ""
    child_cost_micros: Micros = 0
    child_tokens: int = 0
    """The task that worked for this call, and what it used: this counts now, not the carve."""


class ToolNote(Event, frozen=True, gc=False):
    """Fact: a server of tools said something of itself: a log line, progress, that it was lost."""

    source: str
    """The server; of progress the tool."""
    text: str
    call_id: str = ""
    """Of progress: the call that is so far."""


class ContextPruned(Event, frozen=True, gc=False):
    """Fact: from now on requests leave out old text; the log keeps it."""

    mask_before: int
    """Tool outputs of messages before this index are replaced by a stub."""
    drop_before: int = 0
    """Messages before this index are left out, but for the goal and pinned ones."""
    why: str = ""
    args_before: int = 0
    """Long arguments of calls in messages before this index are cut."""
    kept: tuple[int, ...] = ()
    """Messages before these indexes that stay whole: turns used lately or with an open error."""
    note: str = ""
    """Stands in place of the messages that are left out; empty: only their number is told."""


class LimitWarned(Event, frozen=True, gc=False):
    """Fact: a limit is nearly used up. Told once per level."""

    limit: str
    level: str
    """warning (80 %) or critical (95 %)."""
    used: int
    cap: int


class LimitReached(Event, frozen=True, gc=False):
    """Fact: a guard did not let the next call go. Told once, until a call goes again."""

    guard: str
    """rate, cost, tokens, steps, credits, circuit or timeout."""
    limit: str
    """Name of the limit, e.g. hour_cost_micros, or of the circuit, e.g. provider:openai."""
    used: int
    cap: int
    need: int
    """What the call would have needed at least."""
    unit: str
    """micros, tokens, steps, ms, credits, calls or failures."""
    tool: str = ""
    """The tool that was to be called; empty for a model call."""
    opens_ms: Millis = 0
    """When the limit will allow more by itself; 0: never."""


class Stopped(Event, frozen=True, gc=False):
    """Fact: the run has stopped and can be resumed."""

    outcome: str
    """paused, limit, waiting or failed."""
    reason: str
    limit: str = ""
    used: int = 0
    cap: int = 0
    need: int = 0
    """What the next step would have needed at least, in the unit of the limit."""
    wake_ms: Millis = 0


class Switched(Event, frozen=True, gc=False):
    """Fact: from now on another provider is asked, because the one before does not answer."""

    provider: str
    """"cached" stands for an earlier answer to the same request."""
    model: str
    why: str


class Resumed(Event, frozen=True, gc=False):
    """Fact: a process took the task up again."""

    pid: int
    on_unknown: OnUnknown = "tell"
    provider: str = ""
    model: str = ""
    approve: Approve | None = None
    fallbacks: tuple[str, ...] | None = None
    """New ones; None: as before."""
    context: ContextPolicy | None = None
    """A new policy; None: as before."""
    sandbox: Sandbox | None = None
    """A new one; None: as before."""
    enforced: str = ""
    """What the sandbox really does on this machine, as it was found by trying."""
    reason: str = ""
    """Why, in the user's words."""


class AnswerRefused(Event, frozen=True, gc=False):
    """Fact: the final answer does not fit the task's schema; the model is told and goes on."""

    problem: str
    tries: int
    """Where and why, for the model; so many did not fit since the task was last taken up."""


class Finished(Event, frozen=True, gc=False):
    """Fact: the task has ended for good."""

    outcome: str
    """done or cancelled."""
    text: str = ""


KINDS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        TaskCreated,
        ModelAsked,
        ModelAnswered,
        ModelFailed,
        ToolApproved,
        ToolStarted,
        ToolEnded,
        ToolNote,
        ContextPruned,
        LimitWarned,
        LimitReached,
        LimitChanged,
        PauseRequested,
        CancelRequested,
        UserSaid,
        UserHeard,
        Forked,
        Imported,
        Stopped,
        Switched,
        Resumed,
        AnswerRefused,
        Finished,
        LogRemoved,
    )
}


class Recorded(Struct, frozen=True, gc=False):
    """An event with its place in the log."""

    seq: int
    at_ms: Millis
    event: Event


_encoder = msgspec.json.Encoder()
_decoders: dict[str, msgspec.json.Decoder[Event]] = {}


def to_json(event: Event) -> tuple[str, bytes]:
    """Return the kind and the body of an event."""
    return type(event).__name__, _encoder.encode(event)


def from_json(kind: str, body: bytes | str) -> Event:
    """Read an event back. Raises msgspec.ValidationError or KeyError on what we never wrote."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(KINDS[kind])
    return decoder.decode(body)
