"""Everything a run touches outside the core, joined by `app` and replaced whole in simulations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from agentctl.core.values import Millis
from agentctl.ports import Ask, Clock, Counter, Listener, Pricer, Provider, Store
from agentctl.run.toolbelt import Toolbelt


class Mind(Struct, frozen=True):
    """One model: who answers, at what price, and how its tokens are counted."""

    provider: Provider
    pricer: Pricer
    counter: Counter


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

    def mind(self, provider: str, model: str) -> Mind:
        """The model by its name; the run's own for any that is no fallback."""
        other = self.others.get(f"{provider}/{model}")
        return other or Mind(self.provider, self.pricer, self.counter)
