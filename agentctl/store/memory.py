"""The store's reference: the same contract in plain lists, for simulations and tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from agentctl.core import breaker
from agentctl.core import events as e
from agentctl.core.history import own_from
from agentctl.core.lookups import Lookup
from agentctl.core.rows import Appended, Gate, StoredOutput
from agentctl.core.values import Circuit, Micros, Millis, Pace, Shared

NO_GATE = Gate()
_OF_CALLS = (e.ModelAsked, e.ModelAnswered, e.ModelFailed)
UNDER_WAY_MS = 300_000
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000


class MemoryStore:
    """Keeps every task's log in memory."""

    def __init__(self) -> None:
        """Begin empty."""
        self.logs: dict[str, list[e.Recorded]] = {}
        self.outputs: dict[str, str] = {}
        self.credits: dict[str, int] = {}
        self.batch_caps: dict[str, Micros] = {}
        self.circuits: dict[str, Circuit] = {}
        self._own_from: dict[str, int] = {}
        self._paced: dict[str, bool] = {}
        self._paces: dict[tuple[str, str], list[Millis]] = {}
        self._changes = 0

    def create(
        self, task_id: str, event: e.Event, at_ms: Millis, more: Sequence[e.Event] = ()
    ) -> bool:
        """Write the first event of a new task, and more; False when the id is taken."""
        if task_id in self.logs:
            return False
        events = (event, *more)
        self.logs[task_id] = [e.Recorded(seq, at_ms, each) for seq, each in enumerate(events)]
        self._changes += 1
        return True

    def take_over(
        self, task_id: str, log: Sequence[e.Recorded], texts: Sequence[StoredOutput] = ()
    ) -> bool:
        """Write a new task with a history that is not its own: see ports.Store."""
        if task_id in self.logs:
            return False
        self.logs[task_id] = list(log)
        self._own_from[task_id] = own_from(log)
        self.outputs |= {output.ref: output.text for output in texts}
        self._changes += 1
        return True

    def _own(self) -> Iterator[tuple[str, Sequence[e.Recorded]]]:
        """Each task with what it has lived itself."""
        for task_id, log in self.logs.items():
            first = self._own_from.get(task_id, 0)
            yield task_id, log[first:] if first else log

    def append(
        self,
        task_id: str,
        expected: int | None,
        facts: Sequence[e.Event],
        at_ms: Millis,
        *,
        intents: Sequence[e.Event] = (),
        gate: Gate = NO_GATE,
        outputs: Sequence[StoredOutput] = (),
        clock_ms: Millis | None = None,
    ) -> Appended:
        """Write facts, then intents: see ports.Store."""
        log = self.logs[task_id]
        start = len(log) if expected is None else expected
        news = log[start:]
        refused = "news" if news and intents else ""
        for output in outputs:
            self.outputs[output.ref] = output.text
        for fact in facts:
            self._follow(task_id, fact, gate, at_ms)
            log.append(e.Recorded(len(log), at_ms, fact))
        refused = refused or self._refusal(gate, intents, at_ms, clock_ms, self._batch(task_id))
        for intent in () if refused else intents:
            self._enter(gate, intent, at_ms)
            if isinstance(intent, e.ModelAsked):
                self._paced[task_id] = gate.paced
            log.append(e.Recorded(len(log), at_ms, intent))
        self._changes += 1
        return Appended(tuple(log[start:]), refused)

    def read(self, task_id: str, after: int = 0) -> list[e.Recorded]:
        """Events numbered `after` and later."""
        return self.logs[task_id][after:]

    def version(self) -> int:
        """Another value once anything was written."""
        return self._changes

    def shared(
        self,
        account: str,
        categories: Iterable[str],
        now_ms: Millis,
        clock_ms: Millis | None = None,
        task_id: str = "",
    ) -> Shared:
        """What all tasks share, with the pace of these categories: see ports.Store."""
        begin_ms = now_ms if clock_ms is None else min(now_ms, clock_ms)
        hour, hour_opens_ms = self._spent(begin_ms, HOUR_MS)
        day, day_opens_ms = self._spent(begin_ms, DAY_MS)
        ahead_ms = now_ms - begin_ms
        return Shared(
            hour,
            hour_opens_ms and hour_opens_ms + ahead_ms,
            day,
            day_opens_ms and day_opens_ms + ahead_ms,
            {category: self._pace(account, category, now_ms) for category in categories},
            self.credits.get(account, 0),
            dict(self.circuits),
            sum(self._under_way(now_ms)),
            *self._batch_money(self._batch(task_id), now_ms),
        )

    def _batch(self, task_id: str) -> str:
        """The batch that a task spends for; "" if it is of none."""
        while task_id in self.logs:
            created = self._created(task_id)
            if not isinstance(created, e.TaskCreated) or created.origin not in ("child", "batch"):
                break
            if created.origin == "batch":
                return created.parent
            task_id = created.parent
        return ""

    def _created(self, task_id: str) -> e.Event:
        """What the task was begun with, in place of what its history was."""
        mark = self.logs[task_id][max(self._own_from.get(task_id, 0) - 1, 0)].event
        return mark.created if isinstance(mark, e.Forked | e.Imported) else mark

    def _batch_money(self, batch: str, now_ms: Millis) -> tuple[Micros, Micros, Micros | None]:
        cap = self.batch_caps.get(batch)
        if cap is None:
            return 0, 0, None
        ids = [task_id for task_id in self.logs if self._batch(task_id) == batch]
        busy = sum(self._under_way(now_ms, ids))
        own = dict(self._own())
        return sum(sum(_by_minute(own[each]).values()) for each in ids), busy, cap

    def _under_way(self, now_ms: Millis, ids: Iterable[str] | None = None) -> Iterator[Micros]:
        for log in (log for each, log in self._own() if ids is None or each in ids):
            calls = (r for r in reversed(log) if isinstance(r.event, _OF_CALLS))
            last = next(calls, None)
            if last is None or last.at_ms <= now_ms - UNDER_WAY_MS:
                continue
            if isinstance(last.event, e.ModelAsked):
                yield last.event.reserve_micros or 0

    def _spent(self, now_ms: Millis, window_ms: Millis) -> tuple[Micros, Millis]:
        minutes: dict[int, Micros] = {}
        for _, log in self._own():
            for minute, micros in _by_minute(log).items():
                minutes[minute] = minutes.get(minute, 0) + micros
        first = (now_ms - window_ms) // MINUTE_MS
        counted = {m: micros for m, micros in minutes.items() if m >= first and micros > 0}
        opens = (min(counted) + 1) * MINUTE_MS + window_ms if counted else 0
        return sum(counted.values()), opens

    def _pace(self, account: str, category: str, now_ms: Millis) -> Pace:
        calls = self._paces.get((account, category), [])
        counted = [at for at in calls if now_ms - MINUTE_MS < at <= now_ms + MINUTE_MS]
        return Pace(len(counted), min(counted) + MINUTE_MS if counted else 0)

    def _refusal(
        self,
        gate: Gate,
        intents: Sequence[e.Event],
        at_ms: Millis,
        clock_ms: Millis | None,
        batch: str,
    ) -> str:
        begin_ms = at_ms if clock_ms is None else min(at_ms, clock_ms)
        due = sum(i.reserve_micros or 0 for i in intents if isinstance(i, e.ModelAsked))
        for cap, window_ms in ((gate.hour_cap_micros, HOUR_MS), (gate.day_cap_micros, DAY_MS)):
            if due and cap is not None and self._spent(begin_ms, window_ms)[0] + due > cap:
                return "cost"
        used, _, batch_cap = self._batch_money(batch, at_ms)
        if due and batch_cap is not None and used + due > batch_cap:
            return "cost"
        wanted = [category for i in intents if (category := _category(gate, i))]
        for category in set(wanted):
            cap = gate.limits.per_minute(category) if gate.limits else None
            used = self._pace(gate.account, category, at_ms).used
            if cap is not None and used + wanted.count(category) > cap:
                return "rate"
        if sum(map(_price, intents)) > max(self.credits.get(gate.account, 0), 0):
            return "credits"
        names = {_circuit(gate, intent) for intent in intents}
        shut = (breaker.closed_until(c, at_ms) for n, c in self.circuits.items() if n in names)
        return "circuit" if any(shut) else ""

    def _enter(self, gate: Gate, intent: e.Event, at_ms: Millis) -> None:
        category = _category(gate, intent)
        if category:
            self._paces.setdefault((gate.account, category), []).append(at_ms)
        if _price(intent):
            self.credits[gate.account] = self.credits.get(gate.account, 0) - _price(intent)
        name = _circuit(gate, intent)
        if name in self.circuits:
            self.circuits[name] = breaker.asked(self.circuits[name], at_ms)

    def _follow(self, task_id: str, fact: e.Event, gate: Gate, at_ms: Millis) -> None:
        name, asked_ms = "", None
        if isinstance(fact, e.ToolEnded):
            name = breaker.tool(fact.tool)
        elif isinstance(fact, (e.ModelAnswered, e.ModelFailed)):
            if isinstance(fact, e.ModelFailed) and fact.credits_back:
                self.credits[gate.account] = self.credits.get(gate.account, 0) + fact.credits_back
            if not self._paced.get(task_id, True):
                return
            for record in self.logs[task_id]:
                if isinstance(record.event, e.ModelAsked):
                    name, asked_ms = breaker.provider(record.event.provider), record.at_ms
        else:
            return
        before = self.circuits.get(name, Circuit())
        after = breaker.after(before, fact, gate.breaker, at_ms, asked_ms)
        self.circuits[name] = after
        if after == Circuit():
            del self.circuits[name]

    def answered(self, request: str) -> e.ModelAnswered | None:
        """An earlier answer to the same request, if one is kept under this hash."""
        found = None
        for _, log in self._own():
            asked = None
            for record in log:
                if isinstance(record.event, e.ModelAsked):
                    asked = record.event
                elif isinstance(record.event, e.ModelAnswered) and asked is not None:
                    same = asked.request == request and asked.provider != "cached"
                    found = record.event if same else found
        return found

    def looked_up(self, key: str) -> Lookup | None:
        """The last result of a look-up under this hash, if it is still kept."""
        found = [
            (record.at_ms, task_id, event)
            for task_id, log in self._own()
            for record in log
            if isinstance(event := record.event, e.ToolEnded) and event.lookup == key
        ]
        if not found or not key:
            return None
        at_ms, task_id, event = max(reversed(found), key=lambda each: each[0])
        text = self.outputs.get(event.output_ref) if event.output_ref else event.text
        return (
            None
            if text is None
            else Lookup(task_id, event.call_id, at_ms, event.text, text, event.proof)
        )

    def output(self, ref: str) -> str | None:
        """A stored output."""
        return self.outputs.get(ref)


def _by_minute(log: Sequence[e.Recorded]) -> dict[int, Micros]:
    """What a task has spent and reserved, by the minute in which it asked."""
    minutes: dict[int, Micros] = {}
    minute, reserve = 0, 0
    for record in log:
        event = record.event
        if isinstance(event, e.ModelAsked):
            minute, reserve = record.at_ms // MINUTE_MS, event.reserve_micros or 0
            minutes[minute] = minutes.get(minute, 0) + reserve
        elif isinstance(event, e.ModelAnswered):
            minutes[minute] += (event.cost_micros or 0) - reserve
        elif isinstance(event, e.ModelFailed):
            minutes[minute] += (event.charged_micros or 0) - reserve
    return minutes


def _category(gate: Gate, intent: e.Event) -> str:
    if isinstance(intent, e.ToolStarted):
        return intent.category
    return "ai" if gate.paced and isinstance(intent, e.ModelAsked) else ""


def _price(intent: e.Event) -> int:
    return intent.credits if isinstance(intent, (e.ModelAsked, e.ToolStarted)) else 0


def _circuit(gate: Gate, intent: e.Event) -> str:
    if gate.paced and isinstance(intent, e.ModelAsked):
        return breaker.provider(intent.provider)
    return breaker.tool(intent.tool) if isinstance(intent, e.ToolStarted) else ""
