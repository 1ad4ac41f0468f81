"""Small real parts of a world: a provider with prepared turns, tools that are functions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.live import Signal
from agentctl.core.state import State
from agentctl.core.values import Limits, Message, Rates, Repeat, ToolCall, ToolSpec, Usage
from agentctl.errors import ProviderError
from agentctl.ports import Answer, Appended, Emit, Request, ToolContext, ToolResult
from agentctl.run.driver import Driver
from agentctl.run.toolbelt import Toolbelt
from agentctl.run.world import World
from agentctl.store.memory import MemoryStore
from tests.sim import loop
from tests.sim.life import START_MS, SimClock, SimCounter
from tests.sim.rules import SimPricer

Turn = Answer | Exception | Callable[[], Awaitable[Answer]]


def says(text: str = "", *calls: ToolCall, stop: str = "") -> Answer:
    usage = Usage(input=300, output=10)
    named = stop or ("tools" if calls else "end")
    return Answer(Message("assistant", text, calls), usage, named)  # type: ignore[arg-type]  # one of Stop's words


def call(name: str = "look", call_id: str = "", arguments: str = "{}") -> ToolCall:
    return ToolCall(call_id or f"{name}-1", name, arguments)


def busy(retry_after_ms: int | None = None, **changes: Any) -> ProviderError:
    told = {"reason": "rate", "retriable": True, "may_be_billed": False, **changes}
    return ProviderError("too many requests", retry_after_ms=retry_after_ms, **told)


async def forever() -> Answer:
    await loop.asyncio.sleep(10**9)
    raise AssertionError("nobody waits so long")


class Play:
    """A provider that gives prepared turns, one after the other."""

    name, model, rates, paced, max_output = "sim", "sim-1", Rates(), True, 4_000

    def __init__(self, *turns: Turn) -> None:
        self.turns = list(turns)
        self.requests: list[Request] = []
        self.at_ms: list[int] = []
        self.closed = 0

    async def ask(self, request: Request, emit: Emit) -> Answer:
        self.requests.append(replace(request, messages=list(request.messages)))
        self.at_ms.append(now_ms())
        turn = self.turns.pop(0)
        if isinstance(turn, Exception):
            raise turn
        answer = turn if isinstance(turn, Answer) else await turn()
        emit(answer.message.text)
        return answer

    async def close(self) -> None:
        self.closed += 1


class Do:
    """A tool that is a function."""

    def __init__(
        self,
        name: str,
        run: Callable[[ToolContext], Any] = lambda _context: "done",
        *,
        repeat: Repeat = "safe",
        changes: bool = False,
        timeout_ms: int = 30_000,
    ) -> None:
        self.spec = ToolSpec(name, "", "{}", repeat=repeat, changes=changes, timeout_ms=timeout_ms)
        self._run = run
        self.closed = 0

    def check(self, arguments: str) -> str:
        return "" if arguments == "{}" else "a field is wrong"

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        result = self._run(context)
        if hasattr(result, "__await__"):
            result = await result
        return result if isinstance(result, ToolResult) else ToolResult(result)

    async def close(self) -> None:
        self.closed += 1


class Listen:
    """Keeps what it hears."""

    def __init__(self, *, live: bool = False) -> None:
        self.live = live
        self.heard: list[e.Recorded | Signal] = []
        self.closed = 0

    def hear(self, task_id: str, item: e.Recorded | Signal) -> None:
        self.heard.append(item)

    def close(self) -> None:
        self.closed += 1


class Counted(MemoryStore):
    """Counts commits."""

    commits = 0

    def append(self, *arguments: Any, **more: Any) -> Appended:
        self.commits += 1
        return super().append(*arguments, **more)


def now_ms() -> int:
    return SimClock(0).now_ms()


class Life:
    """A task "t1" in a store, driven as often as one likes in virtual time."""

    def __init__(self, **created: Any) -> None:
        self.store = Counted()
        fields = {"limits": Limits(), "approve": "auto", **created}
        self.store.create("t1", e.TaskCreated("goal", "", "sim", "sim-1", "/", **fields), START_MS)
        self.complaints: list[str] = []
        self.now_s = 1.0
        self.driver: Driver | None = None

    def drive(
        self,
        provider: Any,
        tools: Sequence[Any] = (),
        *,
        at: dict[float, Callable[[], object]] | None = None,
        belt: Toolbelt | None = None,
        **world: Any,
    ) -> State:
        """Run to the end; `at` does things after so many virtual seconds."""

        async def process() -> State:
            made = World(
                self.store, provider, SimPricer(), SimCounter(),
                belt or Toolbelt(tools, "/"), SimClock(0),
                complain=self.complaints.append, **world,
            )  # fmt: skip
            self.driver = Driver("t1", made)
            for after_s, thing in (at or {}).items():
                loop.asyncio.get_running_loop().call_later(after_s, thing)
            return await self.driver.drive()

        state, self.now_s = loop.run(process(), self.now_s)
        return state

    def tell(self, *events: e.Event) -> Callable[[], object]:
        """What another process does: append facts."""
        return lambda: self.store.append("t1", None, events, START_MS + int(self.now_s * 1000))

    def resume(self, **changes: Any) -> None:
        self.tell(e.Resumed(1, **changes))()

    def events(self, kind: type[e.Event]) -> list[Any]:
        return [r.event for r in self.store.read("t1") if isinstance(r.event, kind)]
