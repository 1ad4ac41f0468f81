"""What would be sent now, by message: it is what the state sends, and each line says why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentctl.core import events as e
from agentctl.core.context_view import Piece, sight
from agentctl.core.state import fold
from agentctl.core.values import ContextPolicy, Message, ToolCall, Usage
from tests.core.parts import asked, created, recorded

ENDLESS = 10**6


def turn(n: int, size: int = 400, *, argument: int = 0, status: str = "ok") -> list[e.Event]:
    """An answer with one call, and its result; without a size an empty answer."""
    if not size:
        return [asked(n), e.ModelAnswered(Message("assistant"), Usage(1), "end", 0)]
    call = ToolCall(f"c{n}", "look", f'{{"path":"src/part_{n}.py","text":"{"a" * argument}"}}')
    answer = e.ModelAnswered(Message("assistant", "next", (call,)), Usage(1), "tools", 0)
    return [asked(n), answer, e.ToolEnded(call.id, "look", f"{n}: " + "x" * size, status)]


def pieces(events: list[e.Event], policy: ContextPolicy) -> tuple[Piece, ...]:
    return sight(recorded(created(context=policy), *events)).pieces


def fates(found: tuple[Piece, ...]) -> list[tuple[int, str, str]]:
    return [(piece.number, piece.fate, piece.why) for piece in found]


STEPS = st.lists(
    st.tuples(st.sampled_from([0, 10, 400]), st.sampled_from([0, 700]), st.booleans()), max_size=12
)


@given(STEPS, STEPS, st.integers(0, 3), st.data())
def test_the_pieces_are_what_the_state_sends(
    before: list[tuple[int, int, bool]],
    since: list[tuple[int, int, bool]],
    keep_user: int,
    data: st.DataObject,
) -> None:
    policy = ContextPolicy(keep_user=keep_user, keep_assistant=2)
    made: list[e.Event] = []
    for n, (size, argument, ok) in enumerate(before):
        made += turn(n, size, argument=argument, status="ok" if ok else "error")
    length = len(fold(recorded(created(context=policy), *made)).messages)
    place = st.integers(0, length)
    kept = data.draw(st.sets(st.integers(0, length - 1)))
    made.append(
        e.ContextPruned(
            data.draw(place), data.draw(place), "why", data.draw(place), tuple(sorted(kept)),
            data.draw(st.sampled_from(["", "[a note (id c1)]"])),
        )
    )  # fmt: skip
    for n, (size, argument, ok) in enumerate(since, len(before)):
        made += turn(n, size, argument=argument, status="ok" if ok else "error")
    log = recorded(created(context=policy), *made)
    seen, state = sight(log), fold(log)
    assert [piece.sent for piece in seen.pieces if piece.sent is not None] == state.sent
    assert sum(piece.sent_bytes for piece in seen.pieces) == state.sent_bytes
    numbered = [piece for piece in seen.pieces if piece.number]
    assert [piece.number for piece in numbered] == list(range(1, len(state.messages) + 1))
    assert [piece.message for piece in numbered] == state.messages
    for piece in numbered:
        assert (piece.fate == "kept") == (piece.sent is piece.message)


def test_before_any_prune_each_message_says_what_protects_it() -> None:
    policy = ContextPolicy(keep_user=ENDLESS, keep_assistant=1)
    found = pieces([*turn(1), *turn(2, 0), *turn(3)], policy)
    assert fates(found) == [
        (1, "kept", "the goal"),
        (2, "kept", "may go next"), (3, "kept", "may go next"),
        (4, "kept", "user message"),
        (5, "kept", "last turn"), (6, "kept", "last turn"),
    ]  # fmt: skip


def test_after_a_prune_each_message_says_what_became_of_it() -> None:
    policy = ContextPolicy(keep_assistant=1)
    made = [*turn(1), *turn(2, status="error"), *turn(3), *turn(4, status="error"), *turn(5)]
    made += [*turn(6, argument=900), *turn(7, 20), *turn(8)]
    note = "[left out. Tried: - look: no (id c2)]"
    made.append(e.ContextPruned(15, 7, "too much", 13, (5, 6, 7, 8), note))
    made += turn(9)
    found = pieces(made, policy)
    assert fates(found) == [
        (1, "kept", "the goal"), (0, "note", "what was dropped"),
        (2, "dropped", "old turn"), (3, "dropped", "old turn"),
        (4, "dropped", "old turn"), (5, "in the note", "old turn"),
        (6, "kept", "taken up again"), (7, "kept", "taken up again"),
        (8, "kept", "unresolved error"), (9, "kept", "unresolved error"),
        (10, "kept", "may go next"), (11, "masked", "old output"),
        (12, "arguments", "old call"), (13, "masked", "old output"),
        (14, "kept", "may go next"), (15, "kept", "short"),
        (16, "kept", "may go next"), (17, "kept", "may go next"),
        (18, "kept", "last turn"), (19, "kept", "last turn"),
    ]  # fmt: skip


def test_under_none_nothing_may_go() -> None:
    policy = ContextPolicy(name="none", keep_assistant=1)
    assert pieces([*turn(1), *turn(2)], policy)[1].why == ""


def test_a_log_begins_with_its_task() -> None:
    with pytest.raises(ValueError, match="TaskCreated"):
        sight([])
