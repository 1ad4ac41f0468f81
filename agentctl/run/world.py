"""Everything a run touches outside the core, joined by `app` and replaced whole in simulations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from agentctl.core.values import Millis
from agentctl.ports import Ask, Clock, Counter, Listener, Pricer, Provider, Store
from agentctl.run.toolbelt import Toolbelt


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
