"""A world made of a seed: store, provider and tools that fail, crash and are interfered with."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.carve import Errand, Work
from agentctl.core.lookups import Lookup
from agentctl.core.rows import Appended
from agentctl.core.state import State
from agentctl.core.values import Message, Rates, Shared, ToolCall, ToolSpec, Usage
from agentctl.errors import ProviderError, ToolError
from agentctl.ports import Answer, Embedded, Emit, Request, ToolContext, ToolResult
from agentctl.store.memory import MemoryStore
from tests.sim.rules import FITTING, Watcher

TASK = "t1"
SPECS = (
    ToolSpec("look", "", "{}", category="file", repeat="safe", changes=False, lookup=True),
    ToolSpec("put", "", "{}", repeat="idempotent", attempts=3),
    ToolSpec("act", "", "{}", repeat="unsafe", timeout_ms=20_000),
    # Those that make others act; what they say of themselves counts for no more than their parts.
    ToolSpec("twice", "", "{}", repeat="idempotent", parts=("look", "put"), attempts=2),
    ToolSpec("both", "", "{}", repeat="safe", timeout_ms=60_000, parts=("put", "act")),
    ToolSpec("deep", "", "{}", repeat="safe", parts=("both", "look", "nope")),
    ToolSpec(
        "hand", "", "{}", repeat="idempotent", changes=False, timeout_ms=400_000, delegates=True
    ),
)


class Crash(BaseException):
    """The process is gone: nothing after this happens."""


class Fate:
    """When this process dies. Every point where a crash can matter is counted."""

    def __init__(self, rng: random.Random, points: int | None) -> None:
        self.rng, self.left, self.dead = rng, points, False

    def point(self) -> None:
        if self.dead:
            raise Crash
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.dead = True
                raise Crash


class ProcessStore:
    """One process's view of the shared store; other processes write in between."""

    def __init__(self, memory: MemoryStore, fate: Fate, watcher: Watcher, meddle: float) -> None:
        self.memory, self.fate, self.watcher, self.meddle = memory, fate, watcher, meddle

    def append(
        self, task_id: str, expected: int | None, facts: Sequence[e.Event], at_ms: int, **more: Any
    ) -> Appended:
        self.fate.point()
        if self.fate.rng.random() < self.meddle:
            self._other_process(at_ms)
        result = self.memory.append(task_id, expected, facts, at_ms, **more)
        self.watcher.after_commit(self.memory.logs[TASK])
        self.watcher.require(self.memory.credits["default"] >= 0, "3: credits are never overdrawn")
        self.fate.point()
        return result

    def _other_process(self, at_ms: int) -> None:
        draw = self.fate.rng.random()
        if draw < 0.4:
            event: e.Event = e.PauseRequested(now=draw < 0.15)
        elif draw < 0.75:
            if isinstance(self.watcher.log[-1].event, e.Finished):
                return  # `send` refuses then
            event = e.UserSaid(f"said {len(self.watcher.log)}")
        elif draw < 0.8:
            event = e.CancelRequested()
        else:
            limits = self.watcher.limits
            more = (limits.task_cost_micros or 0) + self.fate.rng.randint(0, 900)
            event = e.LimitChanged(replace(limits, task_cost_micros=more))
        self.memory.append(TASK, None, [event], at_ms)
        self.watcher.after_commit(self.memory.logs[TASK])

    def read(self, task_id: str, after: int = 0) -> list[e.Recorded]:
        return self.memory.read(task_id, after)

    def create(
        self, task_id: str, event: e.Event, at_ms: int, more: Sequence[e.Event] = ()
    ) -> bool:
        return self.memory.create(task_id, event, at_ms, more)

    def version(self) -> int:
        return self.memory.version()

    def shared(self, *asked: Any) -> Shared:
        return self.memory.shared(*asked)

    def answered(self, request: str) -> e.ModelAnswered | None:
        return self.memory.answered(request)

    def output(self, ref: str) -> str | None:
        return self.memory.output(ref)

    def looked_up(self, key: str) -> Lookup | None:
        return self.memory.looked_up(key)


class SimProvider:
    """Answers with a plan drawn from the seed, fails often, and keeps its own bill."""

    name, model, rates, paced = "sim", "sim-1", Rates(), True

    def __init__(
        self, fate: Fate, watcher: Watcher, turns: int, max_output: int, failing: float = 0.02
    ) -> None:
        self.fate, self.watcher, self.turns, self.max_output = fate, watcher, turns, max_output
        self.failing = failing

    async def ask(self, request: Request, emit: Emit) -> Answer:
        rng = self.fate.rng
        self.watcher.before_model(request, asyncio.get_running_loop().time())
        self.fate.point()
        await self._pass_time(rng)
        if rng.random() < 0.1:
            retry_ms = rng.choice((None, 0, 2_000, 90_000))
            raise ProviderError(
                "busy", reason="rate", retriable=True, may_be_billed=False, retry_after_ms=retry_ms
            )
        if rng.random() < self.failing:
            raise ProviderError("down", reason="server", retriable=True, may_be_billed=False)
        if rng.random() < 0.005:
            raise ProviderError("bad key", reason="auth", retriable=False, may_be_billed=False)
        tokens_in = rng.randint(request.input_tokens // 2, request.input_tokens)
        if rng.random() < 0.03:
            tokens_in += rng.randint(1, 9_000)  # it counts otherwise than we do
        tokens_out = rng.randint(0, request.max_output)
        usage = Usage(input=tokens_in, cache_read=rng.randint(0, tokens_in) // 2, output=tokens_out)
        self.watcher.billed(usage, asyncio.get_running_loop().time())
        self.fate.point()
        await self._pass_time(rng)
        if rng.random() < 0.05:
            raise ProviderError("stream cut", reason="cut", retriable=True, may_be_billed=True)
        emit("…")
        return self._answer(rng, request, usage)

    async def _pass_time(self, rng: random.Random) -> None:
        if rng.random() < 0.7:
            await asyncio.sleep(rng.choice((0.01, 0.3, 5, 40)))

    def _answer(self, rng: random.Random, request: Request, usage: Usage) -> Answer:
        done = sum(m.role == "assistant" for m in request.messages)
        if rng.random() < 0.05:
            return Answer(Message("assistant"), usage, "end")
        if rng.random() < 0.03:
            return Answer(Message("assistant", "half a"), usage, "length")
        if rng.random() < 0.01:
            return Answer(Message("assistant", "no"), usage, "refusal")
        if done >= self.turns:
            text = rng.choice(("all done", FITTING, f"```json\n{FITTING}\n```"))
            return Answer(Message("assistant", text), usage, "end")
        calls = tuple(
            ToolCall(
                f"c{self.watcher.next_call()}",
                rng.choice(("look", "put", "act", "nope", "twice", "both", "deep", "hand")),
                rng.choice(("{}", "{}", "{}", '{"bad":1}')),
            )
            for _ in range(rng.randint(1, 4))
        )
        return Answer(Message("assistant", "", calls), usage, "tools")

    async def close(self) -> None:
        return None


class SimEmbedder:
    """Sees nearness in the length of texts, fails now and then, and bills like the model."""

    name, model, rates, paced = "sim", "sim-embed", Rates(), True

    def __init__(self, fate: Fate, watcher: Watcher) -> None:
        self.fate, self.watcher = fate, watcher

    async def embed(self, texts: Sequence[str]) -> Embedded:
        rng = self.fate.rng
        self.watcher.before_call(asyncio.get_running_loop().time())
        self.fate.point()
        if rng.random() < 0.1:
            raise ProviderError("down", reason="server", retriable=True, may_be_billed=False)
        usage = Usage(input=rng.randint(1, max(sum(map(len, texts)) // 8, 1)))
        self.watcher.billed(usage, asyncio.get_running_loop().time())
        self.fate.point()
        if rng.random() < 0.5:
            await asyncio.sleep(rng.choice((0.01, 5)))
        if rng.random() < 0.05:
            raise ProviderError("cut", reason="cut", retriable=True, may_be_billed=True)
        return Embedded([(1.0, float(len(text))) for text in texts], usage)

    async def close(self) -> None:
        return None


class SimChildren:
    """Tasks that work for calls and spend all they may, bit by bit, each as often as it is begun.

    The real ones are tested with real processes: here it is what their parent counts.
    """

    def __init__(self, fate: Fate, watcher: Watcher) -> None:
        self.fate, self.watcher = fate, watcher

    async def delegate(self, errand: Errand, context: ToolContext) -> ToolResult:
        rng, watcher, key = self.fate.rng, self.watcher, context.key
        if key not in watcher.children and rng.random() < 0.1:
            raise ToolError("no such agent")  # one that was begun is found again
        for _ in range(rng.randint(0, 5)):
            self.fate.point()
            left = watcher.share_left(key, context.call_id)
            watcher.billed_child(key, context.call_id, rng.choice((0, left, rng.randint(0, left))))
            self.fate.point()
            if rng.random() < 0.5:
                await asyncio.sleep(rng.choice((0.01, 5, 50)))
        cost_micros = watcher.children.get(key, 0)
        return ToolResult("done", rng.random() < 0.8, work=Work(f"child {key}", cost_micros))

    def heed(self, state: State) -> bool:
        return False  # a pause waits for them here

    def interrupt(self, by: str) -> None:
        return None  # the grace ends, and they are cut


class SimTool:
    """Has an effect in the world outside, counted by the watcher."""

    def __init__(self, spec: ToolSpec, fate: Fate, watcher: Watcher) -> None:
        self.spec, self.fate, self.watcher = spec, fate, watcher

    def check(self, arguments: str) -> str:
        return "unknown field `bad`" if "bad" in arguments else ""

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        rng = self.fate.rng
        self.watcher.before_tool(context.call_id)
        self.fate.point()
        if rng.random() < 0.6:
            await asyncio.sleep(rng.choice((0.01, 0.4, 3, 50)))
        self.fate.point()
        self.watcher.effect(context.call_id, self.spec)
        self.fate.point()
        if rng.random() < 0.1 and not self.spec.delegates:  # that one fails by itself, below
            raise ToolError("it did not work", retriable=rng.random() < 0.5)
        if rng.random() < 0.05:
            raise RuntimeError("a defect in the tool")
        if self.spec.delegates:
            assert context.delegate is not None
            return await context.delegate(Errand("part of it"), context)
        if self.spec.parts:
            return await self._composed(context)
        if context.earlier is not None and rng.random() < 0.7:
            self.watcher.given_again(context.earlier)
            return ToolResult(context.earlier.text, proof=context.earlier.proof, again=True)
        text = "x" * rng.choice((3, 900, 40_000))
        return ToolResult(text, proof=str(len(text)) if self.spec.lookup else "")

    async def _composed(self, context: ToolContext) -> ToolResult:
        """Have others act, one after the other or side by side; sometimes leave them to it."""
        rng = self.fate.rng
        names = [rng.choice(self.spec.parts) for _ in range(rng.randint(1, 4))]
        if rng.random() < 0.5:
            return ToolResult("".join([await self._part(context, name) for name in names]))
        parts = [asyncio.ensure_future(self._part(context, name)) for name in names]
        for part in parts:  # of those that are left, nobody asks what became of them
            part.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        if rng.random() < 0.3:
            return ToolResult(await parts[0])
        try:
            return ToolResult("".join(await asyncio.gather(*parts)))
        finally:
            for part in parts:
                part.cancel()

    async def _part(self, context: ToolContext, name: str) -> str:
        assert context.call is not None
        arguments = self.fate.rng.choice(("{}", "{}", "{}", '{"bad":1}'))
        try:
            return (await context.call(name, arguments)).text[:9]
        except ToolError as error:
            return str(error)

    async def close(self) -> None:
        return None
