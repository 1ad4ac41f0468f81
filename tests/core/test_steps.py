"""A log as steps, and what of the files is known to have been changed."""

from __future__ import annotations

from agentctl.core import changes
from agentctl.core import events as e
from agentctl.core.change import Change
from agentctl.core.steps import Step, steps
from agentctl.core.values import Limits, Message, ToolCall, Usage


def log(*events: e.Event) -> list[e.Recorded]:
    first = e.TaskCreated("goal", "", "p", "m", "/w", Limits())
    return [e.Recorded(seq, seq * 10, event) for seq, event in enumerate((first, *events))]


def asked(number: int, purpose: str = "step") -> e.ModelAsked:
    return e.ModelAsked(number, "p", "m", 100, 100, 10, purpose)


def answered(*calls: str, cost_micros: int = 7, tool: str = "write_file") -> e.ModelAnswered:
    made = tuple(ToolCall(call, tool) for call in calls)
    return e.ModelAnswered(
        Message("assistant", "text", made), Usage(input=5, output=1), "end", cost_micros
    )


def started(call: str, tool: str = "write_file", **more: str) -> e.ToolStarted:
    return e.ToolStarted(call, tool, "idempotent", **more)


def ended(call: str, *changed: tuple[str, str], status: str = "ok", **more: str) -> e.ToolEnded:
    files = tuple(Change("f", before, after) for before, after in changed)
    return e.ToolEnded(call, "write_file", "text", status, changes=files, **more)


def test_a_step_is_an_answer_with_its_tries_and_its_tools() -> None:
    first, second = steps(
        log(
            asked(1), e.ModelFailed("overloaded", "", True, 3), asked(2), answered("a"),
            started("a"), ended("a"), asked(3), answered(),
        )
    )  # fmt: skip
    assert (first.number, second.number) == (1, 2)
    assert [tried.cost_micros for tried in first.tries] == [3, 7]
    assert (first.cost_micros, second.cost_micros) == (10, 7)
    assert [act.call_id for act in first.acts] == ["a"]
    assert (first.begun_ms, first.ended_ms) == (10, 60)


def test_what_is_asked_beside_the_conversation_belongs_to_the_step_it_is_for() -> None:
    pruned = e.ContextPruned(1)
    first, second = steps(
        log(
            asked(1), answered("a"), started("a"), ended("a"),
            asked(2, "summary"), answered(), pruned, asked(3), answered(),
        )
    )  # fmt: skip
    assert len(first.tries) == 1
    assert [tried.asked.purpose for tried in second.tries] == ["summary", "step"]
    assert second.answer is second.tries[1]


def test_an_open_call_stands_with_what_it_may_cost() -> None:
    (step,) = steps(log(asked(1)))
    assert (step.answer, step.cost_micros) == (None, 100)


def test_of_two_calls_with_one_id_each_gets_its_own_result() -> None:
    (step,) = steps(
        log(asked(1), answered("a", "a"), started("a"), ended("a"), started("a"), ended("a"))
    )
    assert [act.ended is not None for act in step.acts] == [True, True]


def test_calls_that_a_tool_made_stand_behind_the_models_own() -> None:
    (step,) = steps(
        log(
            asked(1),
            answered("a"),
            started("a"),
            started("a/1", parent="a"),
            ended("a/1", parent="a"),
            ended("a"),
        )
    )
    assert [(act.call_id, act.parent) for act in step.acts] == [("a", ""), ("a/1", "a")]


def test_a_task_to_which_nothing_happened_has_no_step() -> None:
    assert steps(log()) == []


def one(*events: e.Event) -> list[Step]:
    return steps(log(asked(1), answered("a", "b"), *events))


def test_changes_of_one_file_are_merged_from_the_first_to_the_last() -> None:
    found = one(started("a"), ended("a", ("", "1")), started("b"), ended("b", ("1", "2")))
    (file,) = changes.files(found)
    assert (file.before, file.after, file.calls) == ("", "2", 2)
    assert changes.doubts(found) == []


def test_a_write_that_was_cut_off_and_run_again_is_in_doubt() -> None:
    """Its first try may have written already: what the second found is then its own."""
    found = one(started("a"), e.Resumed(1), started("a"), ended("a", ("1", "1")))
    assert [(doubt.call_id, doubt.why) for doubt in changes.doubts(found)] == [("a", "run again")]


def test_a_write_without_a_certain_end_is_in_doubt() -> None:
    assert [d.why for d in changes.doubts(one(started("a")))] == ["cut off"]
    unknown = one(started("a"), ended("a", status="unknown"))
    assert [d.why for d in changes.doubts(unknown)] == ["cut off"]


def test_a_write_that_failed_changed_nothing() -> None:
    assert changes.doubts(one(started("a"), ended("a", status="error"))) == []


def test_a_write_of_a_version_that_kept_no_changes_is_in_doubt() -> None:
    assert [d.why for d in changes.doubts(one(started("a"), ended("a")))] == ["silent"]
