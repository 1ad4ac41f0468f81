"""Look-ups in a run: what the model is told of a result that it was given before."""

from __future__ import annotations

from typing import Any

from agentctl.core import events as e
from agentctl.core.lookups import pointer
from agentctl.core.state import State
from agentctl.core.values import ContextPolicy, Limits, ToolSpec
from agentctl.ports import ToolContext, ToolResult
from agentctl.store.memory import MemoryStore
from tests.run.parts import Life, Play, call, says
from tests.sim.life import START_MS

TTL_MS = 900_000
LONG = "a line of text\n" * 60
POINTER = pointer("look", "c1")


class Look:
    """A tool that looks at one thing, which a test may change."""

    def __init__(self, text: str = LONG, *, lookup: bool = True, ok: bool = True) -> None:
        self.spec = ToolSpec("look", "", "{}", repeat="safe", changes=False, lookup=lookup)
        self.text, self.ok = text, ok
        self.made = 0

    def check(self, arguments: str) -> str:
        return ""

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        earlier = context.earlier
        if earlier is not None and earlier.proof == self.text:
            return ToolResult(earlier.text, proof=earlier.proof, again=True)
        self.made += 1
        return ToolResult(self.text, self.ok, proof=self.text)

    async def close(self) -> None:
        return None


def look(life: Life, tool: Look, *ids: str, ttl_ms: int | None = TTL_MS, **more: Any) -> State:
    """One turn for each call, then the end."""
    turns = [says("", call("look", one)) for one in ids]
    return life.drive(Play(*turns, says("done")), [tool], lookup_ttl_ms=ttl_ms, **more)


def ends(life: Life) -> list[e.ToolEnded]:
    return life.events(e.ToolEnded)


def test_the_second_time_the_model_is_referred_to_the_first() -> None:
    life, tool = Life(), Look()
    look(life, tool, "c1", "c2")
    first, second = ends(life)
    assert (first.text, first.reused, first.proof) == (LONG, "", LONG)
    assert (second.text, second.reused) == (POINTER, "c1")
    assert second.spared_bytes == len(LONG) - len(POINTER)
    assert tool.made == 1


def test_a_call_that_is_answered_so_is_recorded_like_any_other() -> None:
    life = Life()
    look(life, Look(), "c1", "c2")
    assert [start.call_id for start in life.events(e.ToolStarted)] == ["c1", "c2"]


def test_who_asks_a_third_time_is_given_the_whole_again() -> None:
    life, tool = Life(), Look()
    look(life, tool, "c1", "c2", "c3")
    third = ends(life)[2]
    assert (third.text, third.reused, third.spared_bytes) == (
        f"{LONG}\n[cached: the same as 0 s ago]", "c1", 0,
    )  # fmt: skip
    assert tool.made == 1


def test_what_has_changed_is_looked_up_anew() -> None:
    life, tool = Life(), Look()

    async def changed() -> Any:
        tool.text = LONG + "more"
        return says("", call("look", "c2"))

    turns = [says("", call("look", "c1")), changed, says("", call("look", "c3")), says("done")]
    life.drive(Play(*turns), [tool], lookup_ttl_ms=TTL_MS)
    assert [end.reused for end in ends(life)] == ["", "", "c2"]


def test_a_short_result_is_simply_repeated() -> None:
    life = Life()
    look(life, Look("short"), "c1", "c2")
    assert ends(life)[1].text == "short\n[cached: the same as 0 s ago]"


def test_what_was_left_out_of_requests_is_given_whole() -> None:
    life, tool = Life(context=ContextPolicy(max_tokens=10**6)), Look()

    async def pruned() -> Any:
        life.tell(e.ContextPruned(mask_before=3))()
        return says("", call("look", "c2"))

    life.drive(Play(says("", call("look", "c1")), pruned, says("done")), [tool], lookup_ttl_ms=1)
    assert ends(life)[1].text.startswith(LONG)


def test_a_large_result_is_referred_to_and_kept_once() -> None:
    life = Life()
    look(life, Look("x" * 50_000), "c1", "c2")
    first, second = ends(life)
    assert (bool(first.output_ref), second.text, second.output_ref) == (True, POINTER, "")
    assert second.spared_bytes == len(first.text.encode()) - len(POINTER)


def test_errors_are_never_given_again() -> None:
    life, tool = Life(), Look(ok=False)
    look(life, tool, "c1", "c2")
    assert tool.made == 2
    assert [(end.reused, end.lookup) for end in ends(life)] == [("", ""), ("", "")]


def test_other_tools_are_not_asked() -> None:
    life, tool = Life(), Look(lookup=False)
    look(life, tool, "c1", "c2")
    assert tool.made == 2


def test_without_a_cache_everything_is_looked_up_and_nothing_kept() -> None:
    life, tool = Life(), Look()
    look(life, tool, "c1", "c2", ttl_ms=None)
    assert tool.made == 2
    assert not any(end.lookup or end.reused for end in ends(life))


def test_after_a_resume_it_is_still_known() -> None:
    life, tool = Life(limits=Limits(steps=1)), Look()
    look(life, tool, "c1")
    life.tell(e.LimitChanged(Limits()))()
    life.resume()
    life.now_s += 10**6
    look(life, tool, "c2")
    assert (tool.made, ends(life)[1].text) == (1, POINTER)


# --- other tasks --------------------------------------------------------------------------------


def another(life: Life, after_s: float = 60, **created: Any) -> Life:
    """A later task in the same store."""
    later = Life(**created)
    log = later.store.logs["t1"]
    later.store.logs = {"t0": life.store.logs["t1"], "t1": log}
    later.now_s = life.now_s + after_s
    return later


def test_another_task_is_given_the_whole_and_told_how_old_it_is() -> None:
    life, tool = Life(), Look()
    look(life, tool, "c1")
    later = another(life)
    look(later, tool, "c9")
    (end,) = ends(later)
    assert (end.text, end.reused) == (f"{LONG}\n[cached: the same as 1 min ago]", "t0:c1")
    assert tool.made == 1


def test_and_from_then_on_is_referred_to_what_it_was_given() -> None:
    life, tool = Life(), Look()
    look(life, tool, "c1")
    later = another(life)
    look(later, tool, "c8", "c9")
    assert (ends(later)[1].text, tool.made) == (pointer("look", "c8"), 1)


def test_but_only_for_a_while() -> None:
    life, tool = Life(), Look()
    look(life, tool, "c1")
    look(another(life, TTL_MS / 1000 + 1), tool, "c9")
    assert tool.made == 2


def test_and_never_with_another_account() -> None:
    life, tool = Life(), Look()
    look(life, tool, "c1")
    look(another(life, account="other"), tool, "c9")
    assert tool.made == 2


def test_nor_in_another_workspace() -> None:
    life, tool = Life(), Look()
    look(life, tool, "c1")
    later = another(life)
    created = e.TaskCreated("goal", "", "sim", "sim-1", "/tmp", Limits(), approve="auto")
    later.store.logs["t1"] = [e.Recorded(0, START_MS, created)]
    look(later, tool, "c9")
    assert tool.made == 2


def test_a_store_that_forgot_costs_only_the_look_up() -> None:
    class Forgets(MemoryStore):
        def looked_up(self, key: str) -> None:
            return None

    life, tool = Life(), Look()
    store = Forgets()
    store.logs = life.store.logs
    life.store = store  # type: ignore[assignment]  # it need not count commits here
    look(life, tool, "c1", "c2")
    assert tool.made == 2
