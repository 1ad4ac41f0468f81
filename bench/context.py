"""What each context policy would have cost on recorded conversations, and what it would have lost.

`python -m bench context [--data DIR] [--quick]`. Every recorded call is made again on paper: the
policy chooses the request, which is priced with the provider's cache and without, and what the
recorded answer then mentioned is looked for in it. Nothing is called, and nothing recorded is run.
`docs/context.md` says how to read the table and how a recording is written.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from agentctl import counting
from agentctl.core import events as e
from agentctl.core.answers import say
from agentctl.core.aside import SUMMARY_REQUEST
from agentctl.core.calibrate import Learner
from agentctl.core.context import expected_tokens, same, size_bytes
from agentctl.core.context_replay import SUMMARY_BYTES, shorten, usage_of
from agentctl.core.state import State
from agentctl.core.values import ContextPolicy, Limits, Message, Quote, Rates, Shape, Usage, View
from agentctl.pricing import cost_of
from bench.recordings import Line, Recording, lines_of, load, mentions, stitched

POLICIES = {
    "none": ContextPolicy(name="none"),
    "window": ContextPolicy(8_000, 3, 3, "window"),
    "auto": ContextPolicy(),
}

# Prices of November 2026 in micro-dollars per million tokens: input, cache read, cache write, out.
SONNET = Rates(2_000_000, 100_000, 2_500_000, 10_000_000, "Sonnet 5.5")
HAIKU = Rates(100_000, 10_000, 125_000, 500_000, "Haiku 5.5")
UNCACHED = Rates(2_000_000, 2_000_000, 2_000_000, 10_000_000, "Sonnet 5.5, no cache")
CLIFFS = {"Haiku 5.5": (100_000, 5)}
"""Above so many tokens the whole request costs so many times more."""
WINDOW_TOKENS = 1_000_000
BYTES_PER_KTOKEN = counting.CLAUDE
OVERHEAD_TOKENS = 1_500
"""System prompt and tools."""
MESSAGE_TOKENS = 4
"""What wraps a message."""
STEP_MS = 20_000
PAUSE_MS = 600_000
START_MS = 1_800_000_000_000
TARGETS = (
    ("single", "Sonnet 5.5", "cost", 1.0), ("stitched", "Sonnet 5.5", "cost", -36.0),
    ("stitched", "Haiku 5.5", "cost", -85.0), ("stitched", "Sonnet 5.5", "names", 99.0),
    ("stitched", "Sonnet 5.5", "lines", 97.0), ("single", "Sonnet 5.5", "names", 99.0),
    ("single", "Sonnet 5.5", "lines", 97.0),
)  # fmt: skip


class Sums(Struct):
    """What one policy came to."""

    calls: int = 0
    tokens: int = 0
    read: int = 0
    cost: int = 0
    prunes: int = 0
    summaries: int = 0
    largest: int = 0
    orphans: int = 0
    unstable: int = 0
    """Requests between two prunes that did not begin with the one before."""
    seconds: float = 0.0
    """CPU time of the policy and of keeping the state."""
    found: Counter[str] = field(default_factory=Counter)
    """By what was looked for: names or lines, that stood in outputs or anywhere."""
    wanted: Counter[str] = field(default_factory=Counter)

    def add(self, other: Sums) -> None:
        """Take another's sums in."""
        counts = ("calls", "tokens", "read", "cost", "prunes", "summaries", "orphans", "unstable")
        for name in (*counts, "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.largest = max(self.largest, other.largest)
        self.found, self.wanted = self.found + other.found, self.wanted + other.wanted

    def recall(self, what: str) -> float:
        """Percent of what was wanted."""
        return 100 * self.found[what] / max(self.wanted[what], 1)


def shape_of(rates: Rates) -> Shape:
    """What the policy is told of a model with these prices."""
    cliff = CLIFFS.get(rates.source, (0, 1))[0]
    read, write = (1000 * price // rates.input for price in (rates.cache_read, rates.cache_write))
    return Shape(WINDOW_TOKENS, cliff, read, write, read < 1000)


class Replay:
    """One recording through one policy at one price."""

    def __init__(
        self, recording: Recording, policy: ContextPolicy, rates: Rates, pause: int
    ) -> None:
        """`pause`: before every so many calls the cache is lost; 0: never."""
        self.sums = Sums()
        self._rates, self._pause = rates, pause
        created = e.TaskCreated(
            "", recording.system, "", "", "", Limits(steps=None), context=policy
        )
        self._state = State(created, policy=policy, limits=created.limits)
        self._view = View(START_MS, Quote(0, 0, 0, 0), bytes_per_ktoken=BYTES_PER_KTOKEN,
                          shape=shape_of(rates))  # fmt: skip
        self._overhead = OVERHEAD_TOKENS + _tokens(len(recording.system.encode()))
        self._now_ms = START_MS
        self._request: list[Message] = []
        self._have: dict[str, Counter[object]] = {"names": Counter(), "lines": Counter()}
        self._stood: dict[str, set[object]] = {
            f"{what} {where}": set() for what in ("names", "lines") for where in ("output", "said")
        }

    def run(self, said: Sequence[Line]) -> Sums:
        """Make every call of the recording again."""
        for line in said:
            if line.message.role == "assistant":
                self._call(line)
            self._take(line)
        return self.sums

    def _call(self, line: Line) -> None:
        self._now_ms += STEP_MS
        is_cold = bool(self._pause and self.sums.calls and self.sums.calls % self._pause == 0)
        self._now_ms += PAUSE_MS if is_cold else 0
        prunes = self.sums.prunes
        self._decide()
        sent, before = self._state.sent, self._request
        alike = same(before, sent)
        if alike < len(before) and self.sums.prunes == prunes:
            self.sums.unstable += 1
        self._note_request(before, sent, alike)
        total = self._overhead + _total(sent)
        prefix = self._overhead + _total(sent[:alike])
        self._price(line, total, prefix, warm=bool(before) and not is_cold)
        self.sums.orphans += _orphans(sent)
        self._look_for(line)
        self._request = list(sent)

    def _decide(self) -> None:
        """Let the policy shorten the request, as the loop of a run does."""
        began = time.process_time()
        view = replace(self._view, now_ms=self._now_ms)
        self.sums.prunes += shorten(self._state, view, self._overhead, self._summary)
        self.sums.seconds += time.process_time() - began

    def _summary(self) -> Usage:
        """Pay for a summary: the request of this moment from the cache, and some words."""
        sent = self._state.sent
        prefix = self._overhead + _total(sent[: same(self._request, sent)])
        total = self._overhead + _total(sent) + _tokens(len(SUMMARY_REQUEST))
        usage = usage_of(total, prefix, _tokens(SUMMARY_BYTES), warm=True)
        self._pay(usage)
        self.sums.summaries += 1
        return usage

    def _pay(self, usage: Usage) -> None:
        cliff, times = CLIFFS.get(self._rates.source, (usage.input, 1))
        self.sums.cost += cost_of(self._rates, usage) * (times if usage.input > cliff else 1)

    def _price(self, line: Line, total: int, prefix: int, *, warm: bool) -> None:
        sums = self.sums
        output = _tokens(size_bytes(line.message)) + MESSAGE_TOKENS
        usage = usage_of(total, prefix, output, warm=warm)
        self._pay(usage)
        sums.calls += 1
        sums.tokens += total
        sums.read += usage.cache_read
        sums.largest = max(sums.largest, total)
        self._state.anchor_tokens = total + output

    def _take(self, line: Line) -> None:
        state, began = self._state, time.process_time()
        if line.failed:
            state.failed.append(len(state.messages))
        say(state, line.message)
        if line.message.role == "assistant":
            state.steps += 1
            state.warm_ms = self._now_ms
            state.anchor_bytes = state.sent_bytes
        self.sums.seconds += time.process_time() - began
        for what, found in (("names", line.names), ("lines", line.lines)):
            self._stood[f"{what} said"] |= found
            if line.message.role == "tool":
                self._stood[f"{what} output"] |= found

    def _note_request(self, before: list[Message], sent: list[Message], same: int) -> None:
        """Keep count of what stands in the request, from what changed."""
        for message in before[same:]:
            self._have["names"].subtract(mentions(message))
            self._have["lines"].subtract(lines_of(message))
        for message in sent[same:]:
            self._have["names"].update(mentions(message))
            self._have["lines"].update(lines_of(message))

    def _look_for(self, line: Line) -> None:
        for key, stood in self._stood.items():
            what = key.split()[0]
            wanted = (line.names if what == "names" else line.lines) & stood
            have = self._have[what]
            self.sums.wanted[key] += len(wanted)
            self.sums.found[key] += sum(1 for each in wanted if have[each] > 0)


def _tokens(size: int) -> int:
    return size * 1000 // BYTES_PER_KTOKEN


def _total(messages: Sequence[Message]) -> int:
    return sum(_tokens(size_bytes(message)) + MESSAGE_TOKENS for message in messages)


def _orphans(messages: Sequence[Message]) -> int:
    """Results without their call just before them, and calls without their results."""
    open_calls: set[str] = set()
    orphans = 0
    for message in messages:
        if message.role == "tool":
            orphans += message.call_id not in open_calls
            open_calls.discard(message.call_id)
        else:
            orphans += len(open_calls)
            open_calls = {call.id for call in message.calls}
    return orphans + len(open_calls)


def estimate_errors(recordings: Sequence[Recording]) -> list[float]:
    """How far each expected input was from the reported one, in percent, the least first."""
    errors = []
    for recording in recordings:
        learner = Learner(counting.OTHERS)
        ratio, sent, anchor, anchor_bytes = counting.OTHERS, 0, 0, 0
        for line in recording.said:
            size = size_bytes(line.message)
            if line.usage is not None:
                reported = line.usage.input
                if anchor:
                    expected = expected_tokens(sent, anchor, anchor_bytes, 0, ratio)
                    errors.append(100 * abs(expected - reported) / reported)
                ratio = learner.hear(sent, 0, size, line.usage, sealed=False)
                anchor, anchor_bytes = reported + line.usage.output, sent + size
            sent += size
    return sorted(errors)


def main(arguments: list[str]) -> int:
    """Print a table for each price and each kind of session, then the targets."""
    parser = argparse.ArgumentParser(prog="python -m bench context", description=__doc__)
    usual = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=usual, help="a folder of JSONL conversations")
    parser.add_argument("--steps", type=int, default=400, help="answers of a stitched session")
    parser.add_argument("--pause", type=int, default=0, metavar="N",
                        help="the cache is lost before every N-th call")  # fmt: skip
    parser.add_argument("--orders", type=int, default=0, metavar="N",
                        help="stitch in N other orders too: one order says little")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a sample of the recordings")
    chosen = parser.parse_args(arguments)
    try:
        recordings = load(chosen.data)
    except ValueError as error:
        sys.exit(str(error))
    if not recordings:
        sys.exit(f"No conversations (*.jsonl) in {chosen.data}: name a folder with --data.")
    if chosen.quick:
        recordings = recordings[:: max(len(recordings) // 6, 1)]
    sessions = stitched(recordings, chosen.steps)
    for seed in range(chosen.orders):
        shuffled = random.Random(seed).sample(recordings, len(recordings))
        sessions += stitched(shuffled, chosen.steps)
    figures: dict[tuple[str, str, str], float] = {}
    for kind, group in (("single", recordings), ("stitched", sessions)):
        for rates in (SONNET, HAIKU, UNCACHED):
            figures |= _table(kind, group, rates, chosen.pause)
    _targets(figures, sessions)
    _times(recordings)
    errors = estimate_errors(recordings)
    if errors:
        p50, p95 = (errors[len(errors) * part // 100] for part in (50, 95))
        print(f"expected input, {len(errors)} reported calls: error {p50:.2f} % median, "
              f"{p95:.2f} % p95 (target 3)")  # fmt: skip
    return 0


def _table(
    kind: str, group: Sequence[Recording], rates: Rates, pause: int
) -> dict[tuple[str, str, str], float]:
    calls = sum(recording.steps for recording in group)
    print(f"\n{kind}: {len(group)} sessions, {calls} calls, {rates.source}")
    print(f"{'policy':9} {'cost $':>8} {'vs none':>8} {'Mtok':>7} {'read':>5} {'largest':>8} "
          f"{'prunes':>6} {'sums':>4} {'names':>6} {'lines':>6} {'(said':>6} {'lines)':>6} "
          f"{'orphans':>7} "
          f"{'unstable':>8} {'ms/call':>7}")  # fmt: skip
    base = 0
    for name, policy in POLICIES.items():
        sums = Sums()
        for recording in group:
            sums.add(Replay(recording, policy, rates, pause).run(recording.door(name != "none")))
        base = base or sums.cost
        against = 100 * (sums.cost / max(base, 1) - 1)
        recalls = [sums.recall(key) for key in
                   ("names output", "lines output", "names said", "lines said")]  # fmt: skip
        print(f"{name:9} {sums.cost / 1e6:8.2f} {against:+7.1f}% {sums.tokens / 1e6:7.1f} "
              f"{100 * sums.read / max(sums.tokens, 1):4.0f}% {sums.largest:8} {sums.prunes:6} "
              f"{sums.summaries:4} "
              + " ".join(f"{recall:6.1f}" for recall in recalls)
              + f" {sums.orphans:7} {sums.unstable:8} "
              f"{1000 * sums.seconds / max(sums.calls, 1):7.3f}", flush=True)  # fmt: skip
    auto = {"cost": against, "names": recalls[0], "lines": recalls[1], "orphans": sums.orphans}
    return {(kind, rates.source, what): value for what, value in auto.items()}


def _targets(figures: dict[tuple[str, str, str], float], sessions: Sequence[Recording]) -> None:
    print("\ntargets of auto")
    for kind, source, what, target in TARGETS:
        if kind == "stitched" and not sessions:
            continue
        value = figures[kind, source, what]
        reached = value <= target if what == "cost" else value >= target
        print(f"  {kind:9} {source:11} {what:6} {value:6.1f} "
              f"{'<=' if what == 'cost' else '>='} {target:5.1f}  "
              f"{'yes' if reached else 'NO'}")  # fmt: skip
    orphans = sum(value for (_, _, what), value in figures.items() if what == "orphans")
    print(f"  orphaned tool messages {orphans:.0f} (0)")


def _times(recordings: Sequence[Recording], messages: int = 2_000) -> None:
    """What the policy takes in one session of so many messages."""
    for long in _endless(recordings, messages):
        sums = Replay(long, POLICIES["auto"], SONNET, 0).run(long.said)
        print(f"CPU at {len(long.said)} messages: {1000 * sums.seconds / sums.calls:.3f} ms a call "
              f"amortised over {sums.calls} calls and {sums.prunes} prunes (target 1)")  # fmt: skip


def _endless(recordings: Sequence[Recording], messages: int) -> Iterator[Recording]:
    """All recordings after one another, again and again, up to so many messages."""
    said: list[Line] = []
    while len(said) < messages + 100:
        for recording in recordings:
            said += recording.closed()
    while said[messages - 1].message.role != "assistant":
        messages += 1
    yield Recording("endless", recordings[0].system, tuple(said[:messages]))
