"""The policy "window": when it prunes, what stays, and what the log says of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from msgspec.structs import replace

from agentctl.core import context_words
from agentctl.core import events as e
from agentctl.core.answers import say
from agentctl.core.context import TOO_LARGE, estimate_tokens, expected_tokens
from agentctl.core.context_window import plan
from agentctl.core.state import State, apply, fold
from agentctl.core.values import ContextPolicy, Limits, Message, Quote, ToolCall, Usage, View
from tests.core.parts import START_MS, asked, created, recorded, view

BYTES_PER_KTOKEN = 2_500
OVERHEAD_TOKENS = 100
POLICY = ContextPolicy(4_000, 2, 2, "window")


def talk(*outputs: str, policy: ContextPolicy = POLICY, failing: tuple[int, ...] = ()) -> State:
    """A turn with one call for each output; call n, from 1 on, is `cN`."""
    state = fold(recorded(created(goal="the goal", context=policy, limits=Limits(steps=None))))
    for n, output in enumerate(outputs, start=1):
        turn(state, n, output, "error" if n in failing else "ok")
    return state


def turn(state: State, n: int, output: str, status: str = "ok") -> None:
    call = ToolCall(f"c{n}", "look", f'{{"n":{n}}}')
    total = OVERHEAD_TOKENS + state.sent_bytes * 1000 // BYTES_PER_KTOKEN
    answer = e.ModelAnswered(Message("assistant", "", (call,)), Usage(total, output=8), "tools", 0)
    for event in (asked(n), answer, e.ToolEnded(call.id, "look", output, status)):
        apply(state, event, START_MS)


def seen(state: State, **changes: Any) -> View:
    known = (state.sent_bytes, state.anchor_tokens, state.anchor_bytes, OVERHEAD_TOKENS,
             BYTES_PER_KTOKEN)  # fmt: skip
    quote = Quote(estimate_tokens(*known), 0, 0, 0, expected_tokens=expected_tokens(*known))
    return view(quote=quote, bytes_per_ktoken=BYTES_PER_KTOKEN, **changes)


def must(state: State, *, overflow: bool = False, **changes: Any) -> e.ContextPruned:
    """The prune that is due, done."""
    found = plan(state, seen(state, **changes), overflow=overflow)
    assert found is not None
    apply(state, found, START_MS)
    return found


def outputs_of(state: State) -> list[str]:
    return [message.call_id for message in state.sent if message.role == "tool"]


def filler(n: int, size: int = 1_000) -> str:
    return f"f{n} " + "z" * size


def test_while_there_is_room_nothing_goes() -> None:
    state = talk(*map(filler, range(5)))
    assert plan(state, seen(state), overflow=False) is None


def test_a_prune_leaves_at_most_half_and_is_not_due_again_at_once() -> None:
    state = talk(*map(filler, range(12)))
    prunes = []
    for n in range(12, 60):
        turn(state, n, filler(n))
        found = plan(state, seen(state), overflow=False)
        if found is not None:
            apply(state, found, START_MS)
            assert seen(state).quote.expected_tokens <= POLICY.max_tokens // 2
            assert plan(state, seen(state), overflow=False) is None
            prunes.append(n)
    assert len(prunes) > 3
    assert all(later - n >= 2 for n, later in pairwise(prunes))


def test_the_relevant_turn_stays_and_not_the_latest() -> None:
    outputs = [filler(n) for n in range(10)]
    outputs[2] = "parser.py " + filler(2)
    outputs[9] = "see parser.py " + filler(9)
    state = talk(*outputs)
    found = must(state)
    assert outputs_of(state)[0] == "c3"
    assert {5, 6} <= set(found.kept)
    assert "older turns stay by relevance (BM25)" in found.why
    assert TOO_LARGE not in found.why


def test_scores_by_meaning_count_instead_where_they_are_known() -> None:
    state = talk(*map(filler, range(10)))
    found = must(state, relevance={7: 0.9, 8: 0.1})
    assert {7, 8} <= set(found.kept)
    assert "(meaning)" in found.why


def test_a_turn_that_was_left_out_comes_back_when_it_matters_again() -> None:
    outputs = [filler(n) for n in range(10)]
    outputs[1] = "lexer_rules " + filler(1)
    state = talk(*outputs)
    must(state, relevance={15: 1.0, 13: 0.9, 11: 0.8})
    assert "c2" not in outputs_of(state)
    for n in range(11, 17):
        turn(state, n, filler(n))
    turn(state, 17, "lexer_rules once more")
    must(state)
    assert "c2" in outputs_of(state)


def test_a_relevant_turn_too_large_for_the_room_gives_way_to_smaller_ones() -> None:
    outputs = [filler(n, 300) for n in range(12)]
    outputs[3] = "wanted " + filler(3, 8_000)
    outputs[11] = "wanted"
    state = talk(*outputs)
    must(state)
    assert "c4" not in outputs_of(state)
    assert len(outputs_of(state)) > POLICY.keep_assistant


def test_old_user_messages_may_stay_too_and_the_last_ones_always_do() -> None:
    state = talk(*map(filler, range(6)))
    for words in ("parser wanted", "about football", "one", "two"):
        say(state, Message("user", words))
    for n in range(6, 12):
        turn(state, n, filler(n))
    turn(state, 12, "the parser is wanted")
    must(state)
    users = [message.text for message in state.sent if message.role == "user"]
    assert users[0] == "the goal"
    assert users[-2:] == ["one", "two"]
    assert "parser wanted" in users


def test_what_always_stays_is_sent_even_if_it_is_too_much_and_that_is_said() -> None:
    state = talk(*map(filler, range(5)), filler(6, 9_000), filler(7, 9_000))
    found = must(state)
    assert outputs_of(state) == ["c6", "c7"]
    assert found.why.endswith(TOO_LARGE)
    assert found.kept == ()
    assert plan(state, seen(state), overflow=False) is None, "nothing more can go"


def test_where_nothing_can_go_nothing_is_tried() -> None:
    state = talk(filler(1, 9_000), filler(2, 9_000))
    assert plan(state, seen(state), overflow=False) is None


def test_a_note_longer_than_what_it_stands_for_is_not_worth_it() -> None:
    state = talk("short", filler(2, 9_000), filler(3, 9_000))
    assert plan(state, seen(state), overflow=False) is None


def test_what_failed_is_told_where_the_turn_is_gone() -> None:
    state = talk(*(f"E{n} broken" + "y" * 1_000 for n in range(1, 11)), failing=(1, 2))
    must(state, relevance={n: float(n) for n in range(20)})
    assert "c1" not in outputs_of(state)
    assert "(id c1)" in state.sent[1].text
    assert "(id c2)" in state.sent[1].text


def test_the_names_in_the_note_have_a_quarter_of_the_half() -> None:
    state = talk(*(" ".join(f"dir/file_{n}_{i}.py" for i in range(60)) for n in range(12)))
    found = must(state)
    assert "They were about: dir/file" in found.note
    target_bytes = 2_000 * BYTES_PER_KTOKEN // 1000
    assert len(found.note) <= target_bytes // 4 + 200


def test_a_summary_stands_whole_in_the_note_and_takes_its_room_from_the_turns() -> None:
    states = [talk(*map(filler, range(12))) for _ in range(2)]
    states[1].summary = "so it was. " * 150
    bare, summed = map(must, states)
    assert states[1].summary in summed.note
    assert len(summed.kept) < len(bare.kept)
    assert seen(states[1]).quote.expected_tokens <= POLICY.max_tokens // 2


def test_an_overflow_halves_the_request_however_small_it_is() -> None:
    state = talk(*map(filler, range(6)))
    before = seen(state).quote.expected_tokens
    found = must(state, overflow=True)
    assert f"about {before} tokens were too many for the model" in found.why
    assert TOO_LARGE not in found.why
    assert seen(state).quote.expected_tokens <= before // 2


def test_the_system_prompt_and_the_tools_take_their_part_of_the_room() -> None:
    """So much of the estimate that no message accounts for."""
    lean, heavy = (talk(*map(filler, range(12))) for _ in range(2))
    must(lean)
    known = seen(heavy)
    quote = replace(known.quote, input_tokens=known.quote.input_tokens + 800,
                    expected_tokens=known.quote.expected_tokens + 800)  # fmt: skip
    found = plan(heavy, replace(known, quote=quote), overflow=False)
    assert found is not None
    apply(heavy, found, START_MS)
    assert heavy.sent_bytes <= lean.sent_bytes - 1_000


def test_equal_histories_are_pruned_alike_whatever_is_remembered() -> None:
    first, second = (talk(*map(filler, range(12))) for _ in range(2))
    plan(second, seen(second, relevance={1: 1.0}), overflow=False)
    second.words.names(second.messages, 4)
    assert must(first) == must(second)


def test_what_is_dropped_of_the_user_is_told_in_the_note() -> None:
    messages = [Message("user", "the goal")]
    for n in range(6):
        call = ToolCall(f"c{n}", "look", "{}")
        messages += [Message("assistant", "next", (call,)), Message("tool", "x", call_id=call.id)]
        messages.append(Message("user", f"never touch src/secret_{n}.py"))
    note = context_words.note(
        messages, len(messages) - 3, (), (), context_words.calls_of(messages),
        context_words.Words(), keep_user=1,
    )  # fmt: skip
    assert "src/secret_0.py" in note
    assert "src/secret_5.py" not in note, "the last one stays"
