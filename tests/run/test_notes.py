"""How far a call is: heard and kept now and then, what it said last in any case, and no secrets."""

from __future__ import annotations

import asyncio

from agentctl.core import events as e
from agentctl.core.live import ToolProgress
from agentctl.core.redact import Redactor
from agentctl.ports import ToolContext
from tests.run.belts import tool
from tests.run.parts import Life, Listen, Play, call, says

KEY = "sk-canary-0123456789"


def counts(times: int, gap_s: float, text: str = "at {}") -> object:
    async def work(context: ToolContext) -> str:
        for number in range(times):
            context.progress(text.format(number))
            await asyncio.sleep(gap_s)
        return "done"

    return work


def lived(times: int, gap_s: float, text: str = "at {}") -> tuple[Life, Listen]:
    life, hears = Life(), Listen(live=True)
    made = tool("slow", counts(times, gap_s, text))
    redactor = Redactor({"KEY": KEY})
    life.drive(
        Play(says("", call("slow")), says("x")), [made], listeners=[hears], redactor=redactor
    )
    return life, hears


def test_slow_progress_is_all_in_the_log_with_its_call() -> None:
    life, _ = lived(3, 1.5)
    assert life.events(e.ToolNote) == [
        e.ToolNote("slow", f"at {number}", "slow-1") for number in range(3)
    ]


def test_of_fast_progress_one_a_second_is_kept_and_the_last() -> None:
    life, hears = lived(101, 0.05)
    told = [note.text for note in life.events(e.ToolNote)]
    assert len(told) <= 7
    assert (told[0], told[-1]) == ("at 0", "at 100")
    shown = [item.text for item in hears.heard if isinstance(item, ToolProgress)]
    assert shown == told


def test_it_is_on_disk_while_the_call_runs_and_before_its_end() -> None:
    life, hears = lived(2, 1.5)
    kinds = [type(r.event).__name__ for r in life.store.read("t1")]
    begun, end = kinds.index("ToolStarted"), kinds.index("ToolEnded")
    assert kinds[begun + 1 : end] == ["ToolNote", "ToolNote"]
    heard = [item.event for item in hears.heard if isinstance(item, e.Recorded)]
    moments = {r.event.text: r.at_ms for r in life.store.read("t1") if kinds[r.seq] == "ToolNote"}
    assert moments["at 1"] - moments["at 0"] >= 1_500
    assert e.ToolNote("slow", "at 0", "slow-1") in heard


def test_a_secret_in_it_is_neither_heard_nor_kept() -> None:
    life, hears = lived(1, 0.1, f"using {KEY}")
    assert KEY not in str(hears.heard)
    assert KEY not in str(life.events(e.ToolNote))
    assert "using" in life.events(e.ToolNote)[0].text


def test_a_call_that_is_cut_takes_its_progress_along() -> None:
    life = Life()
    made = tool("slow", counts(1_000, 0.1))
    state = life.drive(
        Play(says("", call("slow"))), [made], at={2: life.tell(e.PauseRequested(now=True))}
    )
    assert state.status == "paused"
    assert 2 <= len(life.events(e.ToolNote)) <= 4
