"""The policy "auto": when a prune is made, what goes, what stays, and what the log says of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytest
from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.context import size_bytes
from agentctl.core.context_auto import calls_ahead, due, most_tokens, pays_after
from agentctl.core.state import State, apply, fold
from agentctl.core.values import ContextPolicy, Limits, Message, Quote, Shape, ToolCall, Usage
from tests.core.parts import START_MS, asked, created, recorded, view

SONNET = Shape(1_000_000, 0, 50, 1_250)
BYTES_PER_KTOKEN = 2_500
ENDLESS = Limits(steps=None)


def talk(
    turns: int,
    *,
    output: str = "x" * 4_000,
    argument: str = "",
    failing: tuple[int, ...] = (),
    paths: Mapping[int, int] = MappingProxyType({}),
    text: str = "next",
    policy: ContextPolicy = ContextPolicy(),  # noqa: B008 - frozen
) -> State:
    """So many turns with one call each; call n is `cN`."""
    state = fold(recorded(created(goal="the goal", context=policy, limits=ENDLESS)))
    for n in range(1, turns + 1):
        given = f'{{"path":"dir/file_{paths.get(n, n)}.py","text":"{argument}"}}'
        call = ToolCall(f"c{n}", "look", given)
        usage = Usage(input=state.sent_bytes * 1000 // BYTES_PER_KTOKEN, output=40)
        answer = e.ModelAnswered(Message("assistant", text, (call,)), usage, "tools", 0)
        status = "error" if n in failing else "ok"
        for event in (asked(n), answer, e.ToolEnded(call.id, "look", f"{n}: {output}", status)):
            apply(state, event, START_MS + n)
    return state


def pruned(
    state: State, shape: Shape = SONNET, *, now_ms: int = START_MS, overflow: bool = False
) -> e.ContextPruned | None:
    tokens = state.sent_bytes * 1000 // BYTES_PER_KTOKEN
    seen = view(
        now_ms=now_ms,
        quote=Quote(tokens, 0, 0, 0),
        bytes_per_ktoken=BYTES_PER_KTOKEN,
        shape=shape,
    )
    return due(state, seen, overflow=overflow)


def must(state: State, shape: Shape = SONNET, **changes: bool | int) -> State:
    """The state after the prune that is due."""
    found = pruned(state, shape, **changes)
    assert found is not None
    apply(state, found, START_MS)
    return state


@pytest.mark.parametrize(
    ("shape", "most"),
    [
        (SONNET, 150_000),
        (Shape(100_000), 75_000),
        (Shape(1_000_000, 100_000), 90_000),
        (Shape(1_000_000, caches=False), 32_000),
        (Shape(32_768, local=True, caches=False), 24_576),
    ],
)
def test_window_price_and_cache_say_how_much_may_be_sent(shape: Shape, most: int) -> None:
    assert most_tokens(ContextPolicy(), shape)[0] == most
    assert most_tokens(ContextPolicy(max_tokens=5_000), shape)[0] == 5_000


def test_above_the_most_a_prune_leaves_half() -> None:
    state = must(talk(60), Shape(100_000))
    left = state.sent_bytes * 1000 // BYTES_PER_KTOKEN
    assert 30_000 < left <= 37_500
    assert state.sent[0] == Message("user", "the goal")


def test_below_it_nothing_goes_while_a_prune_would_not_pay() -> None:
    assert pruned(talk(20), Shape(1_000_000, 0, 10, 1_250)) is None
    assert pruned(talk(60), Shape(1_000_000, 0, 10, 1_250)) is None


def test_from_seventy_percent_on_a_prune_that_pays_is_made_and_says_when() -> None:
    state = talk(70)  # about 115,000 tokens: more than 70 % of 150,000
    found = pruned(state)
    assert found is not None
    assert "pays after" in found.why
    assert "about 70 are expected" in found.why
    dear = replace(SONNET, read_permille=5)  # so cheap to read that leaving out saves little
    assert pruned(state, dear) is None


def test_a_prune_pays_after_the_calls_that_the_formula_says() -> None:
    assert pays_after(SONNET, rewritten=10_000, freed=10_000) == 24
    assert pays_after(SONNET, rewritten=10_000, freed=20_000) == 12
    assert pays_after(Shape(read_permille=1_000, write_permille=1_000), 9, 1) == 0


def test_as_many_calls_are_expected_as_were_made_but_no_more_than_are_allowed() -> None:
    state = talk(7)
    assert calls_ahead(state) == 7
    state.limits = Limits(steps=10)
    assert calls_ahead(state) == 3


def test_outputs_go_first_and_only_then_arguments_and_turns() -> None:
    found = pruned(talk(60, argument="y" * 1_000), Shape(100_000))
    assert found is not None
    assert (found.mask_before > 0, found.args_before, found.drop_before) == (True, 0, 0)
    wordy = pruned(talk(80, output="", argument="y" * 3_000), Shape(100_000))
    assert wordy is not None
    assert wordy.args_before > 0
    assert wordy.drop_before == 0
    chatty = pruned(talk(80, output="", text="z" * 3_000), Shape(100_000))
    assert chatty is not None
    assert chatty.drop_before > 0


def test_the_last_five_turns_stay_whole() -> None:
    state = must(talk(60), Shape(60_000))
    assert state.sent[-10:] == state.messages[-10:]


def test_a_failed_call_stays_until_the_same_succeeds() -> None:
    state = must(talk(60, failing=(3,)), Shape(100_000))
    kept = [message for message in state.sent if message.call_id == "c3"]
    assert kept == [state.messages[6]]
    again = must(talk(60, failing=(3,), paths={5: 3}), Shape(100_000))
    assert next(m for m in again.sent if m.call_id == "c3").text.startswith("[output left out")


def test_an_output_that_was_used_lately_stays() -> None:
    state = talk(60)
    use = e.ModelAnswered(Message("assistant", "see dir/file_2.py again"), Usage(), "tools", 0)
    call = ToolCall("u", "look", '{"path":"x"}')
    use = replace(use, message=Message("assistant", "see dir/file_2.py again", (call,)))
    for event in (asked(61), use, e.ToolEnded("u", "look", "y")):
        apply(state, event, START_MS)
    must(state, Shape(100_000))
    assert state.messages[3] in state.sent
    assert state.messages[4] in state.sent, "the whole turn"
    assert state.messages[2] not in state.sent


def test_a_note_tells_what_failed_in_dropped_turns_and_what_they_were_about() -> None:
    state = talk(90, output="", text="z" * 3_000, failing=(2, 3, 4, 5))
    must(state, Shape(60_000))
    note = state.sent[1]
    assert note.role == "user"
    assert "read_output" in note.text
    assert "- look dir/file_2.py" in note.text
    assert "(id c2)" in note.text
    assert "dir/file_1.py" in note.text
    assert size_bytes(note) < 9_000


def test_a_failure_that_an_earlier_prune_kept_whole_is_told_by_the_note_once_it_goes() -> None:
    state = talk(30, failing=(2,), policy=ContextPolicy(keep_assistant=2))
    apply(state, e.ContextPruned(21, 21, "earlier", kept=(3, 4), note="[gone]"), START_MS)
    must(state, Shape(20_000))
    assert state.drop_before == 21, "no more turns are dropped"
    assert state.messages[4] not in state.sent
    assert "- look dir/file_2.py" in state.sent[1].text


def test_after_five_idle_minutes_a_prune_breaks_no_cache() -> None:
    state = talk(60)  # about 97,000 tokens
    assert pruned(state, Shape(1_000_000, 0, 10)) is None
    late = pruned(state, Shape(1_000_000, 0, 10), now_ms=START_MS + 400_000)
    assert late is not None
    assert "6 min idle" in late.why
    assert pruned(talk(30), now_ms=START_MS + 400_000) is None, "little is gained"


def test_another_model_has_nothing_cached() -> None:
    state = talk(60)
    apply(state, e.Switched("other", "m", "gone"), START_MS)
    found = pruned(state, Shape(1_000_000, 0, 10))
    assert found is not None
    assert "another model" in found.why


def test_a_prune_that_frees_less_than_a_fifth_is_not_made() -> None:
    policy = ContextPolicy(max_tokens=10_000, keep_assistant=20)
    assert pruned(talk(21, policy=policy)) is None


def test_what_was_used_goes_too_when_the_last_turns_alone_are_large() -> None:
    state = talk(40, failing=(1, 2, 3))
    call = ToolCall("big", "look", "{}")
    answer = e.ModelAnswered(Message("assistant", "w" * 200_000, (call,)), Usage(), "tools", 0)
    for event in (asked(41), answer, e.ToolEnded("big", "look", "done")):
        apply(state, event, START_MS)
    found = pruned(state, Shape(120_000))
    assert found is not None
    assert found.kept == ()


def test_an_overflow_halves_the_request_under_every_policy() -> None:
    for name in ("auto", "none"):
        state = talk(40, policy=ContextPolicy(name=name))
        before = state.sent_bytes
        assert pruned(state) is None
        assert must(state, overflow=True).sent_bytes < before * 6 // 10


def test_a_prune_of_the_first_version_reads_as_it_did() -> None:
    event = e.from_json("ContextPruned", b'{"mask_before":3,"drop_before":3,"why":"old"}')
    state = talk(4)
    apply(state, event, START_MS)
    note = "[2 earlier messages of this task were left out to save room]"
    assert state.sent == [state.messages[0], Message("user", note), *state.messages[3:]]


def test_requests_are_the_same_when_the_log_is_read_again() -> None:
    log = [created(goal="the goal", limits=ENDLESS)]
    state = fold(recorded(*log))
    for n in range(1, 80):
        found = pruned(state, Shape(40_000))
        events = [found] if found is not None else []
        call = ToolCall(f"c{n}", "look", f'{{"path":"a_{n}"}}')
        events += [
            asked(n),
            e.ModelAnswered(Message("assistant", "go", (call,)), Usage(), "tools", 0),
            e.ToolEnded(call.id, "look", "x" * 3_000, "error" if n % 4 == 0 else "ok"),
        ]
        for event in events:
            apply(state, event, START_MS)
        log += events
    assert sum(isinstance(event, e.ContextPruned) for event in log) > 3
    read_again = fold(recorded(*[e.from_json(*e.to_json(event)) for event in log]))
    assert read_again.sent == state.sent
