"""What a task's events say about its model calls: the usage rows and sums that should follow.

Written apart from the code that keeps the tables, so that one can be checked by the other.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from agentctl.core import events as e
from agentctl.core.values import Micros, Millis

KINDS = (
    "TaskCreated", "ModelAsked", "ModelAnswered", "ModelFailed", "Switched", "Forked", "Imported",
)  # fmt: skip
"""The only events that matter here."""


class Call(Struct, gc=False):
    """One model call, with the fields of its usage row."""

    call: int
    at_ms: Millis
    provider: str
    model: str
    prices: str
    purpose: str
    state: str
    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int
    reserve_micros: Micros | None
    cost_micros: Micros | None
    response_id: str
    settled_ms: Millis = 0
    """When its answer or failure was written; 0 while it is open. In no table."""
    pruned_micros: Micros = 0
    """In a table of its own."""

    @property
    def pending(self) -> bool:
        """Its cost is only the most that it can be."""
        return self.state in ("open", "unsettled")


FIELDS = Call.__struct_fields__[:-2]
"""What a usage row has too."""


class Count(Struct):
    """A task's calls, by number, and their sums as the list of tasks has them."""

    calls: dict[int, Call] = {}
    steps: int = 0
    cost_micros: Micros = 0
    unpriced: int = 0
    tokens_processed: int = 0
    tokens_total: int = 0
    account: str = "default"
    problems: list[str] = []
    """What cannot be: answers without a call."""


TOTALS = Count.__struct_fields__[1:-1]
"""What the list of tasks has too."""


def recount(events: Iterable[tuple[Millis, e.Event]]) -> Count:
    """Count the calls of one task from its events, in their order."""
    count = Count()
    waiting: Call | None = None
    prices = ""  # told with the first answer of a process, and meant until told anew
    for at_ms, event in events:
        if isinstance(event, e.ModelAsked):
            waiting = count.calls[event.call] = _asked(event, at_ms)
        elif isinstance(event, e.Switched):
            prices = ""
        elif isinstance(event, e.TaskCreated):
            count.account = event.account
        elif isinstance(event, (e.Forked, e.Imported)):
            # What came before was another task's, or elsewhere: of it only the steps count on.
            count = Count(steps=count.steps, account=event.created.account)
            waiting, prices = None, ""
        elif waiting is None:
            count.problems.append(f"{type(event).__name__} without a call that waits for it")
        elif isinstance(event, e.ModelAnswered):
            _answer(count, waiting, event, event.prices or prices, at_ms)
            if waiting.purpose != "embedding":
                prices = waiting.prices
            waiting = None
        elif isinstance(event, e.ModelFailed):
            _fail(count, waiting, event, at_ms)
            waiting = None
    return count


def _asked(event: e.ModelAsked, at_ms: Millis) -> Call:
    reserve = event.reserve_micros
    return Call(
        event.call, at_ms, event.provider, event.model, "", event.purpose, "open",
        0, 0, 0, 0, 0, reserve, reserve, "",
    )  # fmt: skip


def _answer(count: Count, call: Call, event: e.ModelAnswered, prices: str, at_ms: Millis) -> None:
    usage = event.usage
    call.state = "settled" if usage.reported else "estimated"
    call.model = event.model or call.model
    call.prices = prices
    call.input, call.output, call.reasoning = usage.input, usage.output, usage.reasoning
    call.cache_read, call.cache_write = usage.cache_read, usage.cache_write
    call.response_id, call.pruned_micros = event.response_id, event.pruned_micros
    count.steps += call.purpose == "step"
    _charge(count, call, event.cost_micros, at_ms)
    count.tokens_processed += usage.processed
    count.tokens_total += usage.input + usage.output


def _fail(count: Count, call: Call, event: e.ModelFailed, at_ms: Millis) -> None:
    # An unpriced call that may have been billed is not free: its tokens tell the two apart.
    billed = event.charged_micros != 0 or event.charged_tokens
    call.state = "unsettled" if billed else "free"
    _charge(count, call, event.charged_micros, at_ms)
    count.tokens_processed += event.charged_tokens
    count.tokens_total += event.charged_tokens


def _charge(count: Count, call: Call, cost_micros: Micros | None, at_ms: Millis) -> None:
    call.cost_micros, call.settled_ms = cost_micros, at_ms
    count.cost_micros += cost_micros or 0
    count.unpriced += cost_micros is None
