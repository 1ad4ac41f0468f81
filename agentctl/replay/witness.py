"""What a decision must have seen, told by what was decided.

Prices, counts of tokens, what other tasks spent, which tools there were and whether anybody could
be asked are not in the log; what came of them is. From that the view is made under which the real
`decide` must come to what was recorded, and to nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from msgspec.structs import replace

from agentctl.core import breaker
from agentctl.core import events as e
from agentctl.core.answers import CACHED
from agentctl.core.approval import DENIED_BY_USER
from agentctl.core.decide import SKIPPED, UNKNOWN
from agentctl.core.guards.balance import price_of_tool
from agentctl.core.guards.cost import LOOK_MS
from agentctl.core.limits import level
from agentctl.core.permissions import parse_rule
from agentctl.core.state import State
from agentctl.core.values import (
    Circuit,
    ContextPolicy,
    Effect,
    Millis,
    Pace,
    Quote,
    Rule,
    Shared,
    ToolCall,
    ToolSpec,
    View,
)

PLENTY = 1 << 60
NEVER_SHORTENED = ContextPolicy(name="none")
"""When a request is shortened depends on prices and windows: that it was is taken as recorded."""
OF_ALL = ("hour_cost_micros", "day_cost_micros", "batch_cost_micros")
"""Limits of money that other tasks fill too."""
SOURCES = ("", "user", "project", "flag", "always")
"""Of rules, as the model was told; "" leaves out those that an answer was still to store."""
FREE = Quote(0, 0, 0, 1 << 30)


class Witness:
    """Knows the whole recording, and so what each decision must have seen."""

    def __init__(self, log: Sequence[e.Recorded], known: Mapping[str, ToolSpec]) -> None:
        """`known` are tools whose real specs are at hand."""
        self.known = dict(known)
        self._outcomes: dict[str, e.ToolStarted | e.ToolEnded] = {}
        self._approved: set[str] = set()
        self._granted: set[str] = set()
        """Rules that answers stored: from the next process on they are in force from the start."""
        for record in log:
            event = record.event
            if isinstance(event, e.ToolStarted):
                if not event.parent:
                    self._outcomes.setdefault(event.call_id, event)
                spec = ToolSpec(
                    event.tool, "", "{}", event.category, event.repeat, credits=event.credits
                )
                self.known.setdefault(event.tool, spec)
            elif isinstance(event, e.ToolApproved):
                self._approved.add(event.call_id)
                self._granted.add(event.rule)
                self.known.setdefault(event.tool, ToolSpec(event.tool, "", "{}"))
            elif isinstance(event, e.ToolEnded) and not event.parent:
                self._outcomes.setdefault(event.call_id, event)
                if event.status == "denied":
                    self.known.setdefault(event.tool, ToolSpec(event.tool, "", "{}"))

    def views(
        self, state: State, next_: Sequence[e.Event], at_ms: Millis
    ) -> list[tuple[State, View]]:
        """Pairs of a state and a view, the likeliest first, before the driver wrote `next_`."""
        due = next_[0]
        now_ms = max(at_ms, state.last_ms)
        lean = replace(state, policy=NEVER_SHORTENED)
        if isinstance(due, e.Switched | e.Stopped | e.LimitReached):
            # Nothing more could be left out, else that would have been done.
            lean = replace(lean, messages=[], sizes_bytes=[], sent=[], sent_bytes=0)
        made: list[tuple[State, View]] = []
        for interactive in (True, False) if state.pending else (False,):
            for source in SOURCES:
                rules = (*state.created.rules, *self._rules(state, source))
                specs = self.specs(state, next_, changes=interactive)
                view = View(
                    now_ms, _quote(state, due), _shared(state, next_, now_ms, specs), specs=specs,
                    bytes_per_ktoken=_ratio(state, due),
                    interactive=interactive, rules=rules, custom=lambda _request: None,
                    misfit=_misfit(state, due),
                )  # fmt: skip
                made.append((lean, view))
                if not state.pending:
                    break
        return [timed for each, view in made for timed in _timed(each, view, next_)]

    def lax(self, state: State) -> View:
        """A view that lets everything pass, for calls that other calls make."""
        return View(state.ran_ms, FREE, Shared(credits_left=PLENTY), specs=self.known)

    def _rules(self, state: State, source: str) -> list[Rule]:
        """The rules that are known to have decided about calls that are open now."""
        found: list[Rule] = []
        for call in state.pending.values():
            outcome = self._outcomes.get(call.id)
            if outcome is None or not outcome.permit:
                continue
            effect: Effect = "allow"
            if isinstance(outcome, e.ToolEnded):
                effect = "ask" if "nobody can be asked" in outcome.text else "deny"
            if not source and effect == "allow" and outcome.permit in self._granted:
                continue
            with suppress(ValueError):  # a log that was changed may say anything
                found.append(parse_rule(outcome.permit, effect, source or "user"))
        return found

    def specs(
        self, state: State, next_: Sequence[e.Event], *, changes: bool
    ) -> dict[str, ToolSpec]:
        """What was known of the tools; those that began first had the highest priority."""
        specs = dict(self.known)
        for call in state.pending.values():
            outcome = self._outcomes.get(call.id)
            if call.problem:
                continue
            if isinstance(outcome, e.ToolEnded) and outcome.status == "invalid":
                specs.pop(call.name, None)
            elif isinstance(outcome, e.ToolStarted):
                spec = specs[call.name]
                asked = call.id in self._approved
                specs[call.name] = replace(
                    spec, category=outcome.category, repeat=outcome.repeat, credits=outcome.credits,
                    changes=asked or (spec.changes and (state.approve == "auto" or changes)),
                )  # fmt: skip
        begun = _begun(next_)
        order = {each.call_id for each in begun}
        alike = [each.call_id for each in begun] == [id_ for id_ in state.pending if id_ in order]
        for place, name in enumerate(dict.fromkeys(each.tool for each in begun)):
            specs[name] = replace(specs[name], priority=0 if alike else PLENTY - place)
        return specs

    def answer(self, call: ToolCall, due: e.Event | None) -> str | None:
        """What the user said about a call; None: nothing."""
        if isinstance(due, e.ToolApproved) and due.call_id == call.id:
            return "task" if due.always else "always" if due.rule else "once"
        if isinstance(due, e.ToolEnded) and due.call_id == call.id:
            texts = {SKIPPED: "skip", UNKNOWN: "tell", DENIED_BY_USER: "no"}
            return texts.get(due.text)
        return None


def _misfit(state: State, due: e.Event) -> Callable[[str], str] | None:
    """What the schema had to say of the answer."""
    if not state.created.schema:
        return None
    problem = due.problem if isinstance(due, e.AnswerRefused) else ""
    return lambda _text: problem


def _quote(state: State, due: e.Event) -> Quote:
    """With a price of input alone the reserve is what it was, and limits are tested with it."""
    if isinstance(due, e.ModelAsked):
        tokens = due.reserve_tokens - due.output_cap
        if due.provider == CACHED != state.provider:
            tokens = 0  # an answer was at hand, whatever was to be asked
        return Quote(tokens, due.reserve_micros, 0, due.output_cap, expected_tokens=1)
    limit, need = getattr(due, "limit", ""), getattr(due, "need", 0)
    if limit == "task_tokens":
        return Quote(max(need - 256, 0), 0, 0, PLENTY, expected_tokens=1)
    if limit.endswith("cost_micros"):
        return Quote(0, need or None, 0, PLENTY, expected_tokens=1)
    return FREE


def _shared(
    state: State, next_: Sequence[e.Event], now_ms: Millis, specs: Mapping[str, ToolSpec]
) -> Shared:
    """What other tasks used, where a limit that all share was told or was in the way."""
    shared = Shared(credits_left=PLENTY)
    for event in _warnings(next_):
        if event.limit in OF_ALL:
            shared = _spent(shared, event.limit, event.used, 0)
    due = next_[0]
    if isinstance(due, e.Switched) and due.why.endswith(" times in a row"):
        circuit = Circuit(_failures(due.why), 0, now_ms + 1)
        return replace(shared, circuits={breaker.provider(state.provider): circuit})
    if isinstance(due, e.ToolEnded) and due.status == "unavailable":
        opens_ms = now_ms if _is_second(state, due) else now_ms + 1
        circuit = Circuit(_failures(due.text), 0, opens_ms)
        return replace(shared, circuits={breaker.tool(due.tool): circuit})
    if not isinstance(due, e.LimitReached | e.Stopped):
        return _places(state, next_, shared, specs)
    opens_ms = due.opens_ms if isinstance(due, e.LimitReached) else due.wake_ms
    limit, used, cap = due.limit, due.used, due.cap
    if limit in OF_ALL:
        shared = replace(_spent(shared, limit, used, opens_ms), batch_cap_micros=_batch_cap(due))
        if isinstance(due, e.Stopped) and "under way" in due.reason:
            busy = due.need - (cap - used)
            shared = replace(shared, under_way_micros=busy, batch_under_way_micros=busy)
    elif limit.endswith("_calls_per_minute"):
        category = limit.removesuffix("_calls_per_minute")
        return replace(shared, paces={category: Pace(used, opens_ms)})
    elif limit == "account_credits":
        shared = replace(shared, credits_left=cap)
    elif ":" in limit:
        if opens_ms == now_ms + breaker.PROBE_MS:
            opens_ms = now_ms  # one call may try, and this is another one
        shared = replace(shared, circuits={limit: Circuit(used, 0, opens_ms)})
    return shared


def _failures(text: str) -> int:
    """How often it is said to have failed in a row."""
    word = text.partition(" failed ")[2].partition(" ")[0]
    return int(word) if word.isascii() and word.isdigit() and len(word) < 10 else 1


def _is_second(state: State, ended: e.ToolEnded) -> bool:
    """Whether another call of the same tool was to go first."""
    same = [call.id for call in state.pending.values() if call.name == ended.tool]
    return bool(same) and same[0] != ended.call_id


def _warnings(next_: Sequence[e.Event]) -> list[e.LimitWarned]:
    """The warnings that come first."""
    found: list[e.LimitWarned] = []
    for event in next_:
        if not isinstance(event, e.LimitWarned):
            break
        found.append(event)
    return found


def _spent(shared: Shared, limit: str, used: int, opens_ms: Millis) -> Shared:
    if limit == "hour_cost_micros":
        return replace(shared, hour_spent_micros=used, hour_opens_ms=opens_ms)
    if limit == "day_cost_micros":
        return replace(shared, day_spent_micros=used, day_opens_ms=opens_ms)
    return replace(shared, batch_spent_micros=used)


def _batch_cap(due: e.LimitReached | e.Stopped) -> int | None:
    return due.cap if due.limit == "batch_cost_micros" else None


def _places(
    state: State, next_: Sequence[e.Event], shared: Shared, specs: Mapping[str, ToolSpec]
) -> Shared:
    """Where only some of the open calls began, there was room for no more."""
    begun = _begun(next_)
    names = {each.call_id for each in begun}
    left = [
        specs[call.name]
        for call in state.pending.values()
        if call.id not in names and call.name in specs
    ]
    if not begun or not left:
        return shared
    paces = {}
    for category in {spec.category for spec in left}:
        cap = state.limits.per_minute(category)
        if cap is not None:
            paces[category] = Pace(cap - sum(each.category == category for each in begun), 1)
    priced = any(price_of_tool(state.limits, spec) for spec in left)
    credits_left = sum(each.credits for each in begun) if priced else PLENTY
    return replace(shared, paces=paces, credits_left=credits_left)


def _begun(next_: Sequence[e.Event]) -> list[e.ToolStarted]:
    """The calls of the model that began together."""
    found: list[e.ToolStarted] = []
    for event in next_:
        if not isinstance(event, e.ToolStarted) or event.parent:
            break
        found.append(event)
    return found


def _ratio(state: State, due: e.Event) -> int:
    """Bytes of a thousand tokens, by what was told of the text that was left out."""
    if not isinstance(due, e.ModelAsked):
        return 1
    left_bytes = (state.said_bytes - state.sent_bytes) * 1000
    if not due.left_out_tokens:
        return max(left_bytes, 0) + 1
    return max(left_bytes // due.left_out_tokens, 1)


def _timed(state: State, view: View, next_: Sequence[e.Event]) -> list[tuple[State, View]]:
    """As it was decided: a little before it was written, which matters for running time alone."""
    due, cap_ms = next_[0], state.limits.wall_ms
    if isinstance(due, e.Stopped) and "under way" in due.reason:
        view = replace(view, now_ms=due.wake_ms - LOOK_MS)
    if cap_ms is None:
        return [(state, view)]
    if isinstance(due, e.LimitReached | e.Stopped) and due.limit == "wall_ms":
        return [(replace(state, active_ms=0), replace(view, now_ms=state.ran_ms + due.used))]
    # It was not so far yet, else that would have been told first.
    early = replace(state, active_ms=0, ran_ms=max(state.ran_ms, view.now_ms)), view
    told = [event for event in _warnings(next_) if event.limit == "wall_ms"]
    if told:
        late = replace(state, active_ms=told[0].used), replace(view, now_ms=state.ran_ms)
        return [late, early]
    elapsed_ms = max(view.now_ms - state.ran_ms, 0)
    is_far = level(state.active_ms, cap_ms) != "ok" or state.active_ms + elapsed_ms >= cap_ms
    return [early] if is_far else [(state, view)]
