"""What a driver sees besides the state: prices, pace, what all tasks share, the model to ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agentctl.core.rows import Gate
from agentctl.core.state import State
from agentctl.core.values import Millis, Quote, Shared, SideCall, ToolSpec, View
from agentctl.ports import NO_GATE
from agentctl.run import perform
from agentctl.run.world import Mind, World

NO_QUOTE = Quote(0, 0, 0, 0)
NOTHING_NEAR: Mapping[int, float] = {}


class Viewer:
    """Looks at the world for one task, and remembers what seldom changes."""

    def __init__(self, world: World, state: State, task_id: str) -> None:
        """Nothing is looked at yet."""
        self._world = world
        self._task_id = task_id
        self._account = state.created.account
        self._system = state.created.system
        self._specs: dict[str, ToolSpec] = {}
        self._categories = ["ai"]
        self._overhead = self._system
        self._overhead_tokens: dict[int, int] = {}
        # What the last answer was given to, as far as is known: tools of other processes are not.
        self._anchor = _anchor(state)
        self._anchor_bytes: int | None = None
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
        if world.belt.specs is not self._specs:
            self._learn_tools(state)
        if self._shared is None:
            self._shared = world.store.shared(
                self._account, self._categories, now_ms, world.clock.now_ms(), self._task_id
            )
        quote, near = NO_QUOTE, NOTHING_NEAR
        embedding: SideCall | None = None
        if state.ready_to_ask:
            quote = perform.quote(state, mind, self._overhead_of(mind), self._grown_bytes(state))
            if world.relevance is not None:
                near, embedding = world.relevance.look(state, quote)
        return View(
            now_ms,
            quote,
            self._shared,
            mind.provider.paced,
            self._specs,
            mind.counter.bytes_per_ktoken,
            world.ask is not None,
            mind.shape,
            near,
            embedding,
            world.custom,
            rules=world.rules,
            misfit=world.misfit,
        )

    def _learn_tools(self, state: State) -> None:
        """The tools are others than before, or seen for the first time."""
        if self._anchor_bytes is None:  # the built-in ones were there before
            known = [spec for spec in self._world.belt.specs.values() if not spec.origin]
            self._anchor_bytes = _told_bytes(known)
        elif _anchor(state) != self._anchor:
            self._anchor, self._anchor_bytes = _anchor(state), _told_bytes(self._specs.values())
        self._specs = self._world.belt.specs
        specs = self._specs.values()
        self._categories = sorted({"ai", *(spec.category for spec in specs)})
        self._overhead = self._system + "".join(
            spec.description + spec.parameters for spec in specs
        )
        self._overhead_tokens = {}
        self._shared = None  # it must tell of all categories

    def _grown_bytes(self, state: State) -> int:
        """By how much the tools take more room than those the last answer was given to."""
        if self._anchor_bytes is None or not state.anchor_tokens:
            return 0
        if _anchor(state) != self._anchor:  # it was given to those of today
            return 0
        return max(_told_bytes(self._specs.values()) - self._anchor_bytes, 0)

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


def _anchor(state: State) -> tuple[int, int]:
    return state.anchor_tokens, state.anchor_bytes


def _told_bytes(specs: Iterable[ToolSpec]) -> int:
    """How much the model is told of these tools."""
    return sum(len((spec.description + spec.parameters).encode()) for spec in specs)
