"""What a store gives and takes besides events: light, where ports and its protocols are not."""

from __future__ import annotations

from msgspec import Struct

from agentctl.core.events import Recorded
from agentctl.core.values import Breaker, Limits, Micros, Millis


class Gate(Struct, frozen=True):
    """Limits that all tasks share: tested in the transaction that writes an intent."""

    account: str = "default"
    hour_cap_micros: Micros | None = None
    day_cap_micros: Micros | None = None
    limits: Limits | None = None
    """For calls a minute; None: as many as one likes."""
    paced: bool = True
    """The model is elsewhere: its calls count as category "ai" and its provider has a circuit."""
    breaker: Breaker = Breaker()


class Appended(Struct, frozen=True):
    """What became of an append."""

    recorded: tuple[Recorded, ...]
    """Everything new to the caller, in order: others' events first, then what was accepted."""
    refused: str = ""
    """Why the intents were not written: "" (they were), "news", or the guard that was in the way:
    cost, rate, credits or circuit."""


class StoredOutput(Struct, frozen=True):
    """A large tool output, stored once under its content hash."""

    ref: str
    text: str


class TaskRow(Struct, frozen=True):
    """A line of the task list: a view of the log that can be rebuilt."""

    id: str
    name: str
    goal: str
    status: str
    cwd: str
    provider: str
    model: str
    created_ms: Millis
    updated_ms: Millis
    steps: int
    cost_micros: Micros
    unpriced: int
    """Calls without a known price, beside the cost."""
    tokens_processed: int
    tokens_total: int
    pid: int
    """The process that drives or last drove it; 0 if none."""
    wake_ms: Millis
    limit_micros: Micros | None = None
    account: str = "default"
    active_ms: Millis = 0
    """Running time, as far as runs came to an end."""
    origin: str = ""
    parent: str = ""
    item: int = 0
    """These three as in TaskCreated."""


class UsageRow(Struct, frozen=True):
    """One model call in the ledger. It never changes once settled."""

    id: int
    task_id: str
    call: int
    at_ms: Millis
    provider: str
    model: str
    purpose: str
    state: str
    """open (sent, no answer yet), settled (reported), estimated (no usage was reported),
    unsettled (may have been billed, at most its reserve) or free (certainly not billed)."""
    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int
    reserve_micros: Micros | None
    cost_micros: Micros | None
    """None: unpriced. For "open" and "unsettled" rows: the reserve."""
    prices: str
    response_id: str
    task_name: str = ""
    cwd: str = ""
    account: str = "default"
