"""What a task would be sent now, message by message, and why each is there or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from agentctl.core import context_words
from agentctl.core import events as e
from agentctl.core.context import (
    MASK_ABOVE_BYTES,
    left_out,
    protected_from,
    size_bytes,
    stub,
    turns,
    with_short_arguments,
)
from agentctl.core.state import State, apply
from agentctl.core.values import Message

MAY_GO = "may go next"
Fate = Literal["kept", "masked", "arguments", "dropped", "summarised", "in the note", "note"]


class Piece(Struct, frozen=True):
    """One message, or the note that stands in place of dropped ones."""

    number: int
    """Place in the conversation, from 1; 0: the note."""
    message: Message
    sent: Message | None
    """What goes out in its place; None: nothing does."""
    fate: Fate
    why: str

    @property
    def whole_bytes(self) -> int:
        """Size of the message itself; of the note, nothing."""
        return size_bytes(self.message) if self.number else 0

    @property
    def sent_bytes(self) -> int:
        """Size of what is sent."""
        return 0 if self.sent is None else size_bytes(self.sent)


class Sight(Struct, frozen=True):
    """A conversation as it would be sent."""

    state: State
    pieces: tuple[Piece, ...]
    prunes: int
    pruned: e.ContextPruned | None
    """The last one."""


def sight(log: Sequence[e.Recorded]) -> Sight:
    """Return what the log's task would be sent now. Raises ValueError if it is no task's log."""
    first = log[0].event if log else None
    if not isinstance(first, e.TaskCreated):
        raise ValueError("a log begins with TaskCreated")
    state = State(created=first)
    pruned: e.ContextPruned | None = None
    prunes = said = 0
    for record in log:
        apply(state, record.event, record.at_ms)
        if isinstance(record.event, e.ContextPruned):
            pruned, said = record.event, len(state.messages)
            prunes += 1
    return Sight(state, tuple(_pieces(state, pruned, said)), prunes, pruned)


def _pieces(state: State, pruned: e.ContextPruned | None, said: int) -> Iterator[Piece]:
    """`said`: so many messages there were when it was pruned; later ones are sent whole."""
    messages = state.messages
    always = _protected(state)
    may_go = "" if state.policy.name == "none" else MAY_GO
    held = {} if pruned is None else _held(state, pruned, said)
    gone: set[int] = set()
    if pruned is not None:
        keep_user = state.policy.keep_user
        gone = left_out(messages[:said], pruned.drop_before, pruned.kept, keep_user)
    is_summarised = pruned is not None and context_words.SUMMARY_HEAD in pruned.note
    for index, message in enumerate(messages):
        why = always.get(index, may_go)
        if index in gone:
            told = pruned is not None and f"(id {message.call_id})" in pruned.note
            fate: Fate = "summarised" if is_summarised else "dropped"
            fate = "in the note" if told and message.role == "tool" else fate
            yield Piece(index + 1, message, None, fate, "old turn")
        elif pruned is None or index >= said:
            yield Piece(index + 1, message, message, "kept", why)
        elif index in pruned.kept:
            yield Piece(index + 1, message, message, "kept", always.get(index, held.get(index, "")))
        else:
            yield _shortened(index, message, pruned, why)
        if index == 0 and gone:
            note = state.sent[1]  # right behind the goal, whatever follows
            yield Piece(0, note, note, "note", "what was dropped")


def _shortened(index: int, message: Message, pruned: e.ContextPruned, why: str) -> Piece:
    """A message that is not dropped: whole, or less of it."""
    number = index + 1
    if index < pruned.mask_before and message.role == "tool":
        if size_bytes(message) > MASK_ABOVE_BYTES:
            return Piece(number, message, stub(message), "masked", "old output")
        return Piece(number, message, message, "kept", "short" if why == MAY_GO else why)
    if index < pruned.args_before and message.calls:
        short = with_short_arguments(message)
        if short is not message:
            return Piece(number, message, short, "arguments", "old call")
    return Piece(number, message, message, "kept", why)


def _protected(state: State) -> dict[int, str]:
    """What every prune leaves whole, whatever the policy finds."""
    messages, policy = state.messages, state.policy
    turn = "last turn" if policy.keep_assistant <= 1 else f"last {policy.keep_assistant} turns"
    why = dict.fromkeys(range(protected_from(messages, policy.keep_assistant), len(messages)), turn)
    users = [index for index, message in enumerate(messages) if message.role == "user"]
    if policy.keep_user:
        why.update(dict.fromkeys(users[-policy.keep_user :], "user message"))
    why[0] = "the goal"
    return why


def _held(state: State, pruned: e.ContextPruned, said: int) -> dict[int, str]:
    """Why old turns stayed whole: near the work then, an open error, or used by a later answer."""
    if state.policy.name == "window":
        return dict.fromkeys(pruned.kept, "relevant")
    messages = state.messages[:said]
    calls = context_words.calls_of(messages)
    failed = [index for index in state.failed if index < said]
    errors = set(context_words.unresolved(messages, failed, calls))
    held = dict.fromkeys(pruned.kept, "taken up again")
    for begin, end in turns(messages, 0, said):
        if errors & set(range(begin, end)):
            held.update((index, "unresolved error") for index in range(begin, end))
    return held
