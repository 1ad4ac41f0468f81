"""What the tool belt costs: CPU of a call above calling the tool, and how well it fills its places.

Both are measured in one run: calls through the belt and bare calls in turn, each one's best round;
and the time of many calls that only wait beside the least time that so many places allow.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time

from agentctl.core.values import MAX_CONCURRENT, Limits, ToolCall, ToolSpec
from agentctl.ports import ToolContext, ToolResult
from agentctl.run.toolbelt import Toolbelt

TARGET_MS = 0.3
TARGET_RATIO = 1.1
CALLS, WAIT_S = 100, 0.05
LIMITS = Limits()


class Wait:
    """A tool that waits, or does nothing at all."""

    def __init__(self, name: str, wait_s: float, parts: tuple[str, ...] = ()) -> None:
        self.spec = ToolSpec(name, "", "{}", repeat="safe", changes=False, parts=parts)
        self._wait_s, self._parts = wait_s, parts

    def check(self, arguments: str) -> str:
        return ""

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        if self._wait_s:
            await asyncio.sleep(self._wait_s)
        for part in self._parts:
            assert context.call is not None
            await context.call(part, "{}")
        return ToolResult("done")

    async def close(self) -> None:
        return None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _through(belt: Toolbelt, calls: list[ToolCall]) -> None:
    await belt.run(calls, lambda *_: None, lambda _: None, lambda _: None, _now_ms, LIMITS)


async def _overhead_ms(rounds: int, calls: int) -> dict[str, float]:
    """CPU of one call above calling the tool: alone, with others, and made by another tool."""
    tool = Wait("bare", 0)
    belt = Toolbelt([tool, Wait("outer", 0, ("bare",))], "/")
    context = ToolContext("/", "c1", lambda _: None, lambda _: None)
    one = [ToolCall("c1", "bare")]
    ten = [ToolCall(f"c{n}", "bare") for n in range(10)]
    outer = [ToolCall("c1", "outer")]
    best: dict[str, float] = {}

    def note(name: str, cpu_s: float, count: int) -> None:
        best[name] = min(cpu_s / count * 1e3, best.get(name, 1e9))

    for _ in range(rounds):
        gc.collect()
        began = time.process_time()
        for _ in range(calls):
            await tool.run("{}", context)
        note("bare", time.process_time() - began, calls)
        began = time.process_time()
        for _ in range(calls):
            await _through(belt, one)
        note("alone", time.process_time() - began, calls)
        began = time.process_time()
        for _ in range(calls // 10):
            await _through(belt, ten)
        note("of ten", time.process_time() - began, calls)
        began = time.process_time()
        for _ in range(calls):
            await _through(belt, outer)
        note("inner", time.process_time() - began, calls)
    bare = best["bare"]
    return {
        "alone": best["alone"] - bare,
        "of ten": best["of ten"] - bare,
        "inner": best["inner"] - best["alone"] - bare,
    }


async def _filled_s(calls: int) -> float:
    belt = Toolbelt([Wait("wait", WAIT_S)], "/")
    began = time.perf_counter()
    await _through(belt, [ToolCall(f"c{n}", "wait") for n in range(calls)])
    return time.perf_counter() - began


def main(arguments: list[str]) -> int:
    """Print both figures beside their targets."""
    parser = argparse.ArgumentParser(prog="python -m bench tools")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=1_000)
    chosen = parser.parse_args(arguments)
    overhead = asyncio.run(_overhead_ms(chosen.rounds, chosen.calls))
    print(f"CPU of a call above calling the tool; best of {chosen.rounds}; target {TARGET_MS} ms")
    for name, ms in overhead.items():
        print(f"  {name:8s} {ms:6.3f} ms")
    ideal_s = CALLS * WAIT_S / MAX_CONCURRENT
    took_s = min(asyncio.run(_filled_s(CALLS)) for _ in range(3))
    print(
        f"{CALLS} calls of {WAIT_S * 1e3:g} ms, {MAX_CONCURRENT} at once: {took_s:.3f} s, "
        f"ideal {ideal_s:.3f} s, ratio {took_s / ideal_s:.3f} (target {TARGET_RATIO})"
    )
    return 0
