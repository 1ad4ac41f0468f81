"""What to do next: a pure function from state and view to one action.

The order of `_RULES` is the order of precedence: what is in doubt is settled first, an end
before a pause, a pause before anything new, open tool calls before the next model call.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from agentctl.core import aside
from agentctl.core import events as e
from agentctl.core.answer_check import judged
from agentctl.core.answers import CACHED, STUMBLES_MAX
from agentctl.core.approval import DENIED_BY_USER, permission
from agentctl.core.carve import carved
from agentctl.core.context import request_key
from agentctl.core.context_auto import due
from agentctl.core.context_custom import PolicyBroke
from agentctl.core.guards import Deny, model_verdict, tool_verdict
from agentctl.core.guards.balance import price_of_model, price_of_tool
from agentctl.core.guards.cost import reserve_micros
from agentctl.core.guards.timeout import late
from agentctl.core.guards.verdict import strictest
from agentctl.core.limits import level, uses
from agentctl.core.state import ENDS, State
from agentctl.core.values import Millis, ToolCall, ToolSpec, View


class CallModel(Struct, frozen=True):
    """Write the intent, then make one model call."""

    intent: e.ModelAsked


class RunTools(Struct, frozen=True):
    """Write the intents, then run these calls side by side."""

    calls: tuple[ToolCall, ...]
    intents: tuple[e.ToolStarted, ...]


class AskUser(Struct, frozen=True):
    """Ask whether a call may run; `in_doubt` when it may have run already."""

    call: ToolCall
    in_doubt: bool = False
    rule: str = ""
    """What an "always" would store; empty: it would have no effect."""


class Record(Struct, frozen=True):
    """Facts that follow from the state alone."""

    facts: tuple[e.Event, ...]


class Sleep(Struct, frozen=True):
    """Nothing can be done before this moment."""

    until_ms: Millis
    why: str


class Halt(Struct, frozen=True):
    """The run is over; the state says how."""


Action = CallModel | RunTools | AskUser | Record | Sleep | Halt

UNKNOWN = (
    "Interrupted: the program was stopped while this call ran. Its outcome is unknown; it may have "
    "happened fully, partly or not at all. Check before repeating it."
)
CUT = (
    "Stopped by the user while it ran. What it had done by then stays done; check before repeating."
)
SKIPPED = "Interrupted, outcome unknown; the user chose not to run it again."
UNAVAILABLE = (
    "Not available now: {reason}. It will be tried again in a while; find another way until then."
)
OUTAGES = frozenset({"quota", "context"})
"""Permanent failures that another model may not have: its purse may be full or its window larger.
Every other one is told to the user at once."""
OVERFLOWS_MAX = 4
"""Requests in a row that are too long for the model before the task stops."""


def decide(state: State, view: View) -> Action:
    """Return the next action. Call it only when no model call and no tool is running."""
    if state.status in ENDS:
        return Halt()
    for rule in _RULES:
        action = rule(state, view)
        if action is not None:
            return action
    return _ask_model(state, view)


def in_doubt(asked: e.ModelAsked) -> e.ModelFailed:
    """The fact of a call whose process died: it may have been billed, so it costs its reserve."""
    return e.ModelFailed(
        "interrupted",
        "the program ended before the answer came; charged at its reserve",
        retriable=True,
        charged_micros=asked.reserve_micros,
        charged_tokens=asked.reserve_tokens,
    )


def answered(call: ToolCall, answer: str, rule: str) -> e.Event:
    """The fact of what the user said about a call, in the words of `ports.Ask`."""
    if answer in ("once", "task", "always"):
        kept = rule if answer == "always" else ""
        return e.ToolApproved(call.id, call.name, answer == "task", kept)
    if answer == "skip":
        return e.ToolEnded(call.id, call.name, SKIPPED, "skipped")
    if answer == "tell":
        return e.ToolEnded(call.id, call.name, UNKNOWN, "unknown")
    return e.ToolEnded(call.id, call.name, DENIED_BY_USER, "denied")


def _settle_model(state: State, view: View) -> Action | None:
    return None if state.asked is None else Record((in_doubt(state.asked),))


def _end(state: State, view: View) -> Action | None:
    if state.final and not state.unheard:
        return Record(judged(state, view.misfit))
    if state.cancel_wanted:
        return Record((e.Finished("cancelled", state.answer),))
    if state.pause_wanted is not None:
        wanted = state.pause_wanted
        return Record((e.Stopped("paused", wanted.reason or f"by {wanted.by}"),))
    return None


def _answer_calls(state: State, view: View) -> Action | None:
    """Answer, without running them, the calls that must not run."""
    facts: list[e.Event] = []
    for call in state.pending.values():
        spec = view.specs.get(call.name)
        if call.id in state.started:  # first: it may have happened, whatever else is said of it
            policy = _unknown_policy(state, call, view)
            if policy == "tell":
                facts.append(e.ToolEnded(call.id, call.name, UNKNOWN, "unknown"))
            elif policy == "skip":
                facts.append(e.ToolEnded(call.id, call.name, SKIPPED, "skipped"))
        elif call.problem or spec is None:
            text = call.problem or f"There is no tool named {call.name!r}."
            facts.append(e.ToolEnded(call.id, call.name, text, "invalid"))
        else:
            found = permission(state, view, call, spec)
            if found.effect == "deny":
                rule = found.rule
                facts.append(e.ToolEnded(call.id, call.name, found.why, "denied", permit=rule))
    return Record(tuple(facts)) if facts else None


def _ask_user(state: State, view: View) -> Action | None:
    question = _question(state, view)
    if question is None:
        return None
    up = late(state, view)  # else the question is cut and put again, for ever
    return question if up is None else _held_up(state, view, up, question.call.name)


def _question(state: State, view: View) -> AskUser | None:
    for call in state.pending.values():
        spec = view.specs[call.name]
        if call.id in state.started:
            if _unknown_policy(state, call, view) == "ask":
                return AskUser(call, in_doubt=True)
        else:
            found = permission(state, view, call, spec)
            if found.effect == "ask":
                return AskUser(call, rule=found.always)
    return None


def _run_tools(state: State, view: View) -> Action | None:
    """Start the open calls that the guards let through; the others wait for the next decision."""
    planned: list[ToolCall] = []
    specs: list[ToolSpec] = []
    held: list[tuple[Deny, str]] = []
    for call in sorted(state.pending.values(), key=lambda call: -view.specs[call.name].priority):
        spec = view.specs[call.name]
        deny = tool_verdict(state, view, spec, specs)
        if deny is None:
            planned.append(call)
            specs.append(spec)
        elif deny.guard == "circuit":
            text = UNAVAILABLE.format(reason=deny.reason)
            ended = e.ToolEnded(call.id, call.name, text, "unavailable")
            return Record((*_told(state, deny, call.name), ended))
        else:
            held.append((deny, call.name))
    if planned:
        limits = state.limits
        intents = (
            e.ToolStarted(
                call.id,
                call.name,
                spec.repeat,
                spec.category,
                price_of_tool(limits, spec),
                permit=permission(state, view, call, spec).rule,
            )
            for call, spec in zip(planned, specs, strict=True)
        )
        return RunTools(tuple(planned), carved(state, tuple(intents), specs))
    worst = strictest(deny for deny, _ in held)
    if worst is None:
        return None
    return _held_up(state, view, worst, next(tool for deny, tool in held if deny is worst))


def _hear(state: State, view: View) -> Action | None:
    """Take what users have said into the conversation, now that no call waits for its answer."""
    return Record((e.UserHeard(len(state.unheard)),)) if state.unheard else None


def _told(state: State, deny: Deny, tool: str) -> tuple[e.Event, ...]:
    """The event of a refusal, unless it has been told since the last call went out."""
    if (deny.limit, deny.cap) in state.blocked:
        return ()
    return (
        e.LimitReached(
            deny.guard,
            deny.limit,
            deny.used,
            deny.cap,
            deny.need,
            deny.unit,
            tool,
            deny.wake_ms,
        ),
    )


def _held_up(state: State, view: View, deny: Deny, tool: str = "") -> Action:
    """Sleep, park, pause or fail: what a refusal means under the user's --on-limit."""
    limits = state.limits
    told = () if deny.brief else _told(state, deny, tool)
    if deny.wake_ms and (deny.patient or limits.on_limit == "wait"):
        if told:
            return Record(told)
        if deny.wake_ms - view.now_ms <= limits.wait_in_place_ms:
            return Sleep(deny.wake_ms, deny.reason)
        outcome = "waiting"
    else:
        outcome = "failed" if limits.on_limit == "fail" else "limit"
    stopped = e.Stopped(
        outcome, deny.reason, deny.limit, deny.used, deny.cap, deny.need, deny.wake_ms
    )
    return Record((*told, stopped))


def _give_up(state: State, view: View) -> Action | None:
    failure = state.failure
    if state.refused:
        return Record((e.Stopped("failed", "the model declined; its answer is kept"),))
    if state.stumbles >= STUMBLES_MAX:
        reason = f"the model gave {state.stumbles} empty or cut replies in a row"
        return Record((e.Stopped("failed", reason),))
    if failure is None or _is_overflow(state):
        return None
    if state.provider == CACHED:
        return Record((e.Stopped("failed", f"{state.switches[-1].why}; {failure.detail}"),))
    if not failure.retriable:
        switched = _switch(state, failure.detail) if failure.reason in OUTAGES else None
        return switched or Record((e.Stopped("failed", failure.detail),))
    if state.failures >= state.limits.attempts:
        reason = f"{failure.detail} (after {state.failures} tries)"
        return _switch(state, reason) or Record((e.Stopped("failed", reason),))
    if failure.retry_at_ms <= view.now_ms:
        return None
    up = late(state, view)  # the wait would be cut and begun again, until it is over
    if up is not None:
        return _held_up(state, view, up)
    why = f"{failure.reason}: {failure.detail}"
    if failure.retry_at_ms - view.now_ms > state.limits.wait_in_place_ms:
        return Record((e.Stopped("waiting", why, wake_ms=failure.retry_at_ms),))
    return Sleep(failure.retry_at_ms, why)


def _switch(state: State, why: str) -> Record | None:
    """Go on with the next fallback; after the last one an earlier answer may do."""
    if not state.fallbacks or state.provider == CACHED:
        return None
    here = f"{state.provider}/{state.model}"
    for name in ("/".join(state.home), *state.fallbacks):
        if name != here and name not in state.tried:
            provider, _, model = name.partition("/")
            return Record((e.Switched(provider, model, why),))
    return Record((e.Switched(CACHED, "answer", why),))


def _warn(state: State, view: View) -> Action | None:
    facts = []
    for name, used, cap in uses(state, view.shared):
        reached = level(used, cap)
        if reached == "over":
            reached = "critical"
        if reached != "ok" and state.warned.get(name) not in ((reached, cap), ("critical", cap)):
            facts.append(e.LimitWarned(name, reached, used, cap))
    return Record(tuple(facts)) if facts else None


def _ask_model(state: State, view: View) -> Action:
    quote = view.quote
    try:
        prune = due(state, view, overflow=_is_overflow(state))
    except PolicyBroke as error:
        text = f"{error}. To go on without it, resume with --context auto."
        return Record((e.Stopped("failed", text),))
    if prune is not None:
        soon = aside.hold_up(state, view)
        if soon is not None:
            return _held_up(state, view, soon)
        first = aside.embedding(state, view) or aside.summary(state, view, prune)
        return Record((prune,)) if first is None else CallModel(first)
    if state.failure is not None and _is_overflow(state):
        detail = state.failure.detail
        return _switch(state, detail) or Record((e.Stopped("failed", detail),))
    verdict = model_verdict(state, view)
    if isinstance(verdict, Deny):
        if verdict.guard == "circuit":
            switched = _switch(state, verdict.reason)
            if switched is not None:
                return Record((*_told(state, verdict, ""), *switched.facts))
        return _held_up(state, view, verdict)
    return CallModel(
        e.ModelAsked(
            state.calls + 1,
            state.provider,
            state.model,
            reserve_micros(quote, verdict),
            quote.input_tokens + verdict,
            verdict,
            credits=price_of_model(state),
            left_out_tokens=(state.said_bytes - state.sent_bytes) * 1000 // view.bytes_per_ktoken,
            request=_request(state, view),
        )
    )


def _request(state: State, view: View) -> str:
    """The hash under which the answer is kept, where it may be wanted again."""
    if not state.fallbacks and not state.created.reuse:
        return ""
    created = state.created
    name, model = state.home if state.provider == CACHED else (state.provider, state.model)
    options = created.options
    address = options.get(f"{name}:base_url", options.get("base_url", ""))
    # A model's name says little by itself: another server may have another model under it.
    home = (name, model, address, created.account)
    return request_key(home, created.system, state.sent, view.specs)


def _is_overflow(state: State) -> bool:
    """The last request was too long for the model, and shortening it may still help."""
    failure = state.failure
    return failure is not None and failure.reason == "context" and state.failures < OVERFLOWS_MAX


def _unknown_policy(state: State, call: ToolCall, view: View) -> str:
    """What to do with a call that may have run already."""
    spec, wanted = view.specs.get(call.name), state.on_unknown
    if spec is None:  # e.g. resumed as read-only: it cannot run again here
        return "skip" if wanted == "skip" else "tell"
    may_run = permission(state, view, call, spec).effect == "run"
    harmless = spec.repeat != "unsafe" and may_run
    if harmless and wanted != "skip":
        return "rerun"
    return "tell" if wanted == "ask" and not view.interactive else wanted


_RULES: tuple[Callable[[State, View], Action | None], ...] = (
    _settle_model,
    _end,
    _answer_calls,
    _ask_user,
    _run_tools,
    _hear,
    _give_up,
    _warn,
)
