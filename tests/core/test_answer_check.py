"""A final answer is held against the schema of its task."""

import pytest

from agentctl.core import events as e
from agentctl.core.answer_check import MISFITS_MAX, json_part
from agentctl.core.decide import CallModel, Record, decide
from agentctl.core.state import State, apply
from agentctl.core.values import Message
from tests.core.parts import START_MS, answered, asked, call, ended, started, state_of, view


def misfit(text: str) -> str:
    return "" if text == "1" else "- at $: it is not 1"


def step(state: State) -> tuple[e.Event, ...]:
    """What is decided, applied."""
    action = decide(state, view(misfit=misfit))
    assert isinstance(action, Record), action
    for fact in action.facts:
        apply(state, fact, START_MS)
    return action.facts


def says(state: State, text: str, stop: str = "end") -> None:
    apply(state, asked(state.calls + 1), START_MS)
    apply(state, answered(text, stop=stop), START_MS)


@pytest.mark.parametrize("text", ["1", " 1\n", "```json\n1\n```", "```\n1\n```\n"])
def test_an_answer_that_fits_ends_the_task_as_json(text: str) -> None:
    state = state_of(asked(), answered(text), schema="{}")
    assert step(state) == (e.Finished("done", "1"),)


def test_without_a_schema_any_text_ends_the_task() -> None:
    assert step(state_of(asked(), answered("so"))) == (e.Finished("done", "so"),)


@pytest.mark.parametrize(
    "text",
    ["Here: 1", "Here:\n```json\n1\n```", "```json\n1\n```\nThat is all.", "```yaml\n1\n```"],
)
def test_words_around_the_json_are_not_guessed_away(text: str) -> None:
    assert json_part(text) == text


def test_the_model_is_told_what_does_not_fit_and_asked_again() -> None:
    state = state_of(asked(), answered("2"), schema="{}")
    assert step(state) == (e.AnswerRefused("- at $: it is not 1", 1),)
    assert state.messages[-1].role == "user"
    assert "- at $: it is not 1" in state.messages[-1].text
    assert isinstance(decide(state, view(misfit=misfit)), CallModel)
    says(state, "1")
    assert step(state) == (e.Finished("done", "1"),)


def test_after_the_last_try_the_task_stops_and_can_be_resumed() -> None:
    state = state_of(asked(), answered("2"), schema="{}")
    for _ in range(MISFITS_MAX - 1):
        step(state)
        says(state, "2")
    refused, stopped = step(state)
    assert refused == e.AnswerRefused("- at $: it is not 1", MISFITS_MAX)
    assert isinstance(stopped, e.Stopped)
    assert (state.status, state.answer) == ("failed", "2")
    apply(state, e.Resumed(1), START_MS)
    assert isinstance(decide(state, view(misfit=misfit)), CallModel)
    says(state, "2")
    assert step(state) == (e.AnswerRefused("- at $: it is not 1", 1),)


def test_an_answer_after_one_that_was_cut_and_refused_begins_anew() -> None:
    state = state_of(asked(), answered("[1,", stop="length"), schema="{}")
    says(state, "2]")
    assert step(state) == (e.AnswerRefused("- at $: it is not 1", 1),)
    says(state, "1")
    assert step(state) == (e.Finished("done", "1"),)


def test_a_pause_comes_before_the_next_try() -> None:
    state = state_of(asked(), answered("2"), e.PauseRequested(), schema="{}")
    step(state)
    assert isinstance(step(state)[-1], e.Stopped)


def test_tools_may_be_called_between_tries() -> None:
    state = state_of(asked(), answered("2"), schema="{}")
    step(state)
    for event in (asked(2), answered("", call()), started(), ended()):
        apply(state, event, START_MS)
    assert state.messages[-1] == Message("tool", "out", call_id="look-1")
    says(state, "1")
    assert step(state) == (e.Finished("done", "1"),)
