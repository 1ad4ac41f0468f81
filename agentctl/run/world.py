"""Everything a run touches outside the core, joined by `app` and replaced whole in simulations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from agentctl.core.calibrate import Learner
from agentctl.core.carve import Errand
from agentctl.core.events import ModelAnswered, ModelAsked, ModelFailed
from agentctl.core.redact import NO_SECRETS, Redactor
from agentctl.core.state import State
from agentctl.core.values import Millis, Quote, Rule, Shape, SideCall
from agentctl.ports import (
    Ask,
    Clock,
    Counter,
    Listener,
    Pricer,
    Provider,
    Store,
    ToolContext,
    ToolResult,
)
from agentctl.run.reuse import Reuse
from agentctl.run.toolbelt import Toolbelt


class Mind(Struct, frozen=True):
    """One model: who answers, at what price, and how its tokens are counted."""

    provider: Provider
    pricer: Pricer
    counter: Counter
    learner: Learner | None = None
    """Learns from its reports; None where what it reports is made up."""
    shape: Shape = Shape()
    """Its window and prices, as the context policy sees them."""


class Near(Protocol):
    """Knows which parts of a conversation are near in meaning to what is being done."""

    paced: bool
    """Somebody else's model is asked for it."""

    def look(self, state: State, quote: Quote) -> tuple[Mapping[int, float], SideCall | None]:
        """Return what is known where a prune is due, and the call that is missing for more."""
        ...

    async def embed(
        self, state: State, intent: ModelAsked, now_ms: Callable[[], Millis]
    ) -> ModelAnswered | ModelFailed:
        """Make the call that the intent announced. Cancelling it cuts the connection."""
        ...

    async def close(self) -> None:
        """Free connections."""
        ...


class Children(Protocol):
    """The tasks that work for one task while it is driven."""

    async def delegate(self, errand: Errand, context: ToolContext) -> ToolResult:
        """Have a task work for this call until it ends, the same one however often it is begun.

        Raises ToolError where none can be begun. Cancelling it stops that task, which then can be
        taken up again.
        """
        ...

    def heed(self, state: State) -> bool:
        """Stop those that work for it where it is to pause; whether it only waits for that now."""
        ...

    def interrupt(self, by: str) -> None:
        """A signal came: pause all at once."""
        ...


class World(Struct, frozen=True):
    """The concrete parts of one run."""

    store: Store
    provider: Provider
    pricer: Pricer
    counter: Counter
    belt: Toolbelt
    clock: Clock
    listeners: Sequence[Listener] = ()
    ask: Ask | None = None
    """How to ask the user; None when nobody can be asked."""
    jitter: Callable[[], float] = float
    """Draws from 0 to 1 for retry waits."""
    complain: Callable[[str], None] = print
    """Takes one line about a listener that failed."""
    silence_ms: Millis = 60_000
    grace_ms: Millis = 1_200
    """How long running work may go on after a signal: exit must come within two seconds."""
    poll_ms: Millis = 250
    """How often the log is looked at for requests of other processes."""
    others: Mapping[str, Mind] = {}
    """Fallbacks by "provider/model"."""
    sweep: Callable[[], None] | None = None
    """Settles calls of processes that have died. Asked for now and then, while a run goes on."""
    sweep_ms: Millis = 30_000
    learner: Learner | None = None
    """Of the run's own model, as in `Mind`."""
    lookup_ttl_ms: Millis | None = None
    """How long another task may be given the result of a look-up; None: nothing is reused."""
    shape: Shape = Shape()
    """Of the run's own model, as in `Mind`."""
    custom: Callable[..., object] | None = None
    """The installed context policy that the task's policy names."""
    enforced: str = ""
    """What confines commands, as it was found by trying."""
    rules: tuple[Rule, ...] = ()
    """What calls of tools may do."""
    redactor: Redactor = NO_SECRETS
    """Takes secrets out of all text that is stored or shown."""
    misfit: Callable[[str], str] | None = None
    """Says why a JSON text does not fit the task's schema."""
    children: Children | None = None
    """Has other tasks work for this one; None: none may."""
    relevance: Near | None = None
    """Knows by an embedder what is near in meaning."""

    def mind(self, provider: str, model: str) -> Mind:
        """The model by its name; the run's own for any that is no fallback."""
        other = self.others.get(f"{provider}/{model}")
        return other or Mind(self.provider, self.pricer, self.counter, self.learner, self.shape)

    def reuse(self, task_id: str, state: State) -> Reuse | None:
        """What this task may be given again instead of looking it up."""
        if self.lookup_ttl_ms is None:
            return None
        return Reuse(self.store, task_id, state, self.lookup_ttl_ms)
