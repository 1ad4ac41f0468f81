"""What must hold at every moment of every life. Each rule names the promise it stands for."""

from __future__ import annotations

from agentctl.core import events as e
from agentctl.core.limits import ceil_div
from agentctl.core.lookups import Lookup
from agentctl.core.values import Limits, Rates, ToolSpec, Usage
from agentctl.ports import Request

IN_PRICE, OUT_PRICE = 3_000_000, 15_000_000
FITTING = "1"
"""The only answer that fits the schema of a task that has one."""


class Broken(AssertionError):
    """A rule does not hold."""


class SimPricer:
    """Cache reads are free here, so that billed and reserved differ widely."""

    def cost(self, usage: Usage) -> int:
        tokens_in = usage.input - usage.cache_read
        return ceil_div(tokens_in * IN_PRICE + usage.output * OUT_PRICE, 1_000_000)

    def rates(self, usage: Usage) -> Rates:
        return Rates(IN_PRICE, 0, IN_PRICE, OUT_PRICE, "sim")

    def note(self, usage: Usage) -> str:
        return ""


class Watcher:
    """Sees the log after each commit, and every effect in the world outside."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.broken = ""
        self.bill_micros = 0
        self.excess_micros = self.excess_tokens = 0
        """Reported beyond what was reserved."""
        self.bills: list[tuple[float, int]] = []
        self.calls: list[float] = []
        self.tokens = 0
        self.effects: dict[str, int] = {}
        self.children: dict[str, int] = {}
        """What each task that works for a call has cost so far, by the call's key."""
        self.log: list[e.Recorded] = []
        self._calls = 0
        self._said: list[str] = []
        """By users, and not yet part of the conversation."""
        self._heard: list[str] = []
        self._is_news = False
        """The last of that has not been told to the model yet."""
        self._open: dict[str, e.ToolStarted] = {}
        """Calls of tools that have begun and not ended, those that calls make too."""
        self._doubt: set[str] = set()
        """Of those that a process left open when it died, the unsafe ones."""

    def next_call(self) -> int:
        self._calls += 1
        return self._calls

    def require(self, holds: bool, rule: str) -> None:
        if not holds:
            self.broken = self.broken or rule  # the tool belt swallows what a tool raises
            raise Broken(rule)

    # --- the world outside ---

    def before_call(self, now_s: float) -> None:
        """Of a model or of what helps it."""
        self.calls.append(now_s)
        lately = sum(1 for at_s in self.calls if at_s > now_s - 59.99)  # a clock counts whole ms
        most_calls = self.limits.per_minute("ai") or 0
        self.require(lately <= most_calls, "3: no more calls a minute than allowed")
        last = self._last_of(e.ModelAsked, e.ModelAnswered, e.ModelFailed)
        self.require(isinstance(last, e.ModelAsked), "2: no model call without its intent on disk")
        covered, due = self._covered()
        fits = not due or covered + due <= (self.limits.task_cost_micros or 0)
        self.require(fits, "3: after an overrun the next call is refused")

    def before_model(self, request: Request, now_s: float) -> None:
        self.before_call(now_s)
        answered = {m.call_id for m in request.messages if m.role == "tool"}
        asked = {c.id for m in request.messages for c in m.calls}
        self.require(asked == answered, "1: no model call while a tool call has no answer")
        self.require(not self._said, "1: what was said is heard before the next model call")
        last = self._last_of(e.ModelAsked)
        if self._heard and isinstance(last, e.ModelAsked) and last.purpose == "step":
            told = [m.text for m in request.messages if m.role == "user"]
            times = {text: told.count(text) for text in self._heard}
            self.require(max(times.values()) <= 1, "1: what was said is told once, not twice")
            told_now = not self._is_news or times[self._heard[-1]] == 1
            self.require(told_now, "1: what was said is told at the next step")
            self._is_news = False  # later a prune may leave it out

    def billed(self, usage: Usage, now_s: float) -> None:
        cost_micros = SimPricer().cost(usage)
        asked = self._last_of(e.ModelAsked)
        reserve = asked.reserve_micros or 0 if isinstance(asked, e.ModelAsked) else 0
        self.bill_micros += cost_micros
        # What a provider reports beyond its own window's estimate can be refused only afterwards.
        self.excess_micros += max(cost_micros - reserve, 0)
        cap = self.limits.task_cost_micros or 0
        kept = self.bill_micros - self.excess_micros <= cap
        self.require(kept, "3: billed never passes the task's limit")
        self.excess_tokens += max(usage.processed - asked.reserve_tokens, 0)
        self.tokens += usage.processed
        bill_micros = min(cost_micros, reserve)
        self.bills.append((now_s, bill_micros))
        hour_micros = sum(micros for when_s, micros in self.bills if when_s > now_s - 3600)
        hour_cap = self.limits.hour_cost_micros or 0
        self.require(hour_micros <= hour_cap, "3: billed in an hour never passes the hour's limit")
        day_micros = sum(micros for when_s, micros in self.bills if when_s > now_s - 86_400)
        day_cap = self.limits.day_cost_micros or 0
        self.require(day_micros <= day_cap, "3: billed in a day never passes the day's limit")
        step_cap = self.limits.step_cost_micros
        dear = step_cap is not None and bill_micros > step_cap
        self.require(not dear, "3: a step never costs more than its limit")
        most = self.limits.task_tokens or 0
        kept = self.tokens - self.excess_tokens <= most
        self.require(kept, "3: tokens never pass the task's limit")
        self._books()

    def before_tool(self, call_id: str) -> None:
        last = [r.event for r in self.log if getattr(r.event, "call_id", "") == call_id]
        started = bool(last) and isinstance(last[-1], e.ToolStarted)
        self.require(started, "2: no tool runs without its intent on disk")

    def share_left(self, key: str, call_id: str) -> int:
        """What the task that works for a call may still spend."""
        return (self._open[call_id].carved_micros or 0) - self.children.get(key, 0)

    def billed_child(self, key: str, call_id: str, cost_micros: int) -> None:
        """A task that works for a call has spent something."""
        self.children[key] = self.children.get(key, 0) + cost_micros
        self.bill_micros += cost_micros
        carved = self._open[call_id].carved_micros or 0
        self.require(self.children[key] <= carved, "3: a child stays within its share")
        cap = self.limits.task_cost_micros or 0
        kept = self.bill_micros - self.excess_micros <= cap
        self.require(kept, "3: billed by it and for it never passes the task's limit")
        self._books()

    def effect(self, call_id: str, spec: ToolSpec) -> None:
        self.effects[call_id] = self.effects.get(call_id, 0) + 1
        once = spec.repeat != "unsafe" or self.effects[call_id] == 1
        self.require(once, "2: no unsafe effect happens twice")

    def given_again(self, earlier: Lookup) -> None:
        ends = [r.event for r in self.log if isinstance(r.event, e.ToolEnded)]
        found = [end for end in ends if end.call_id == earlier.call_id and end.lookup]
        self.require(bool(found), "1: only a result on disk is given again")
        whole = len(earlier.text) == int(found[0].proof)
        self.require(whole and found[0].status == "ok", "1: a result is given again whole")

    # --- the log ---

    def after_commit(self, log: list[e.Recorded]) -> None:
        new = log[len(self.log) :]
        self.require(log[: len(self.log)] == self.log, "1: what is written stays")
        self.require([r.seq for r in log] == list(range(len(log))), "1: no holes in the log")
        for record in new:
            self.log.append(record)
            self._event(record.event)
        self._books()

    def _event(self, event: e.Event) -> None:
        if isinstance(event, e.LimitChanged):
            self.limits = event.limits
        if isinstance(event, e.UserSaid):
            ended = isinstance(self.log[-2].event, e.Finished)
            self.require(not ended, "1: nothing is said to a task that has ended")
            self._said.append(event.text)
        elif isinstance(event, e.UserHeard):
            self._heard += self._said[: event.messages]
            self._is_news = True
            del self._said[: event.messages]
        elif isinstance(event, e.Finished) and event.outcome == "done":
            self.require(not self._said, "1: a task does not end with something unheard")
            created = self.log[0].event
            fits = not created.schema or event.text == FITTING
            self.require(fits, "a task with a schema ends only with an answer that fits it")
        if isinstance(event, e.ModelAsked | e.ToolStarted):
            wanted = (e.PauseRequested, e.CancelRequested, e.Resumed, e.TaskCreated)
            last = self._last_of(*wanted)
            free = isinstance(last, e.Resumed | e.TaskCreated)
            self.require(free, "6: nothing starts after a pause or cancel was asked for")

        if isinstance(event, e.Resumed):
            whole = {name: start for name, start in self._open.items() if not start.parent}
            self._open = whole
            self._doubt |= {name for name, start in whole.items() if start.repeat == "unsafe"}
        if isinstance(event, e.ToolStarted):
            self._tool_started(event)
        elif isinstance(event, e.ToolEnded):
            self._tool_ended(event)

    def _tool_started(self, event: e.ToolStarted) -> None:
        self.require(event.call_id not in self._doubt, "2: what is in doubt is not begun again")
        if event.parent:
            below = event.parent in self._open and event.call_id.startswith(f"{event.parent}/")
            self.require(below, "2: a call of a call is made while that one runs")
        self._open[event.call_id] = event

    def _tool_ended(self, event: e.ToolEnded) -> None:
        if event.call_id in self._doubt:
            self.require(event.status in ("unknown", "skipped"), "2: what is in doubt is told so")
            self._doubt.discard(event.call_id)
        left = [start.call_id for start in self._open.values() if start.parent == event.call_id]
        cut = event.status in ("cut", "unknown", "skipped")
        self.require(cut or not left, "2: a call has ended when those that it made have")
        self._open.pop(event.call_id, None)

    def _books(self) -> None:
        """Recorded spend and open reserves cover the provider's bill at every moment.

        But for what an answer that was lost had cost beyond its reserve: nobody was told of it.
        """
        covered, open_reserve = self._covered()
        billed = self.bill_micros - self.excess_micros
        self.require(billed <= covered + open_reserve, "5: the books cover the bill")

    def _covered(self) -> tuple[int, int]:
        """Recorded spend, and the reserve of the open call."""
        covered = 0
        open_reserve = 0
        carved: dict[str, int] = {}
        for record in self.log:
            match record.event:
                case e.ModelAsked(reserve_micros=reserve):
                    open_reserve = reserve or 0
                case e.ModelAnswered(cost_micros=cost):
                    covered, open_reserve = covered + (cost or 0), 0
                case e.ModelFailed(charged_micros=charged):
                    covered, open_reserve = covered + (charged or 0), 0
                case e.ToolStarted(call_id=call_id, carved_micros=micros) if micros:
                    carved[call_id] = micros
                case e.ToolEnded(call_id=call_id) as ended:
                    micros = carved.pop(call_id, 0)
                    known = ended.child or ended.status in ("ok", "error")
                    covered += ended.child_cost_micros if known else micros
        return covered, open_reserve + sum(carved.values())

    def _last_of(self, *kinds: type[e.Event]) -> e.Event | None:
        return next((r.event for r in reversed(self.log) if isinstance(r.event, kinds)), None)
