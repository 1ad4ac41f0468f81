"""What a driver sees besides the state: prices, pace, what all tasks share, the model to ask."""

from __future__ import annotations

from collections.abc import Mapping

from agentctl.core.rows import Gate
from agentctl.core.state import State
from agentctl.core.values import Millis, Quote, Shared, SideCall, View
from agentctl.ports import NO_GATE
from agentctl.run import perform
from agentctl.run.world import Mind, World

NO_QUOTE = Quote(0, 0, 0, 0)
NOTHING_NEAR: Mapping[int, float] = {}


class Viewer:
    """Looks at the world for one task, and remembers what seldom changes."""

    def __init__(self, world: World, state: State) -> None:
        """Nothing is looked at yet."""
        self._world = world
        self._account = state.created.account
        specs = world.belt.specs.values()
        self._categories = sorted({"ai", *(spec.category for spec in specs)})
        told = "".join(spec.description + spec.parameters for spec in specs)
        self._overhead = state.created.system + told
        self._overhead_tokens: dict[int, int] = {}
        # May be a little old: the append looks again, and a refusal has it read anew.
        self._shared: Shared | None = None
        self._mind_name = ("", "")
        self._known_mind = world.mind("", "")
        self._known_gate = NO_GATE

    def look_anew(self) -> None:
        """Others may have spent: read what is shared again before the next decision."""
        self._shared = None

    def view(self, state: State, now_ms: Millis) -> View:
        """What `decide` must know besides the state."""
        world, mind = self._world, self.mind(state)
        if self._shared is None:
            self._shared = world.store.shared(
                self._account, self._categories, now_ms, world.clock.now_ms()
            )
        quote, near = NO_QUOTE, NOTHING_NEAR
        embedding: SideCall | None = None
        if state.ready_to_ask:
            quote = perform.quote(state, mind, self._overhead_of(mind))
            if world.relevance is not None:
                near, embedding = world.relevance.look(state, quote)
        return View(
            now_ms,
            quote,
            self._shared,
            mind.provider.paced,
            world.belt.specs,
            mind.counter.bytes_per_ktoken,
            world.ask is not None,
            mind.shape,
            near,
            embedding,
            world.custom,
        )

    def mind(self, state: State) -> Mind:
        """The model to ask, looked up anew only when the state names another."""
        name = state.provider, state.model
        if name != self._mind_name:
            self._mind_name, self._known_mind = name, self._world.mind(*name)
        return self._known_mind

    def gate(self, state: State, *, paced: bool | None = None) -> Gate:
        """What the store tests when an intent is written; `paced` if another model is asked."""
        limits = state.limits
        if paced is None:
            paced = self.mind(state).provider.paced
        if limits is not self._known_gate.limits or paced != self._known_gate.paced:
            self._known_gate = Gate(
                self._account,
                limits.hour_cost_micros,
                limits.day_cost_micros,
                limits,
                paced,
                limits.breaker,
            )
        return self._known_gate

    def _overhead_of(self, mind: Mind) -> int:
        """Tokens of the system prompt and the tools, as this model counts them."""
        found = self._overhead_tokens.get(mind.counter.bytes_per_ktoken)
        if found is None:
            found = mind.counter.count(self._overhead)
            self._overhead_tokens[mind.counter.bytes_per_ktoken] = found
        return found
