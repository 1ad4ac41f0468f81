"""The policy "window": never more than so many tokens; of old turns, those that matter now.

The goal, the last user messages and the last turns always stay. Of what is older, what is nearest
to the present work stays, by its words or, where an embedder is configured, by its meaning. A prune
goes down to half, so that it is not due again at once and providers' caches last a while. Turns
that were left out may come back at a later prune: the log has them all.
"""

from __future__ import annotations

from collections.abc import Collection, Set

from msgspec import Struct
from msgspec.structs import replace

from agentctl.core import context, context_words, relevance
from agentctl.core.context import protected_from, turns
from agentctl.core.events import ContextPruned
from agentctl.core.state import State
from agentctl.core.values import View

NOTE_SHARE = 4
"""The lists of the note have at most this part of what shall be left."""


class _Room(Struct, frozen=True):
    """How much there may be."""

    why: str
    tokens: int
    """Expected of the request as it is."""
    margin_permille: int
    """Of the estimate, to be held against `most_tokens`."""
    most_tokens: int
    target_bytes: int
    """Of messages, once pruned."""
    note_bytes: int
    """Of the note's lists."""


def plan(state: State, view: View, *, overflow: bool) -> ContextPruned | None:
    """Return the prune that is due, or None if there is room or nothing more can go.

    `overflow`: the provider has just said that the request is too long, so half of it must go.
    """
    messages, sizes, policy = state.messages, state.sizes_bytes, state.policy
    if not overflow and view.quote.input_tokens <= policy.max_tokens:
        return None
    boundary = protected_from(messages, policy.keep_assistant)
    out = context.left_out(messages, boundary, (), policy.keep_user)
    always_bytes = sum(size for index, size in enumerate(sizes) if index not in out)
    room = _room(state, view, always_bytes, overflow=overflow)
    spans = [
        *turns(messages, 0, boundary),
        *((i, i + 1) for i in out if messages[i].role == "user"),
    ]
    kept: set[int] = set()
    note = _note(state, boundary, kept, room.note_bytes)
    room_bytes = room.target_bytes - always_bytes
    left_bytes = room_bytes - len(note.encode())
    while left_bytes > 0:
        chosen = _nearest(state, view, spans, left_bytes)
        told = _note(state, boundary, chosen, room.note_bytes)
        over_bytes = sum(sizes[index] for index in chosen) + len(told.encode()) - room_bytes
        if over_bytes <= 0:
            kept, note = chosen, told
            break
        left_bytes -= over_bytes  # what is not kept is told otherwise, and may take more room
    pruned = ContextPruned(
        state.mask_before, boundary, "", state.args_before, tuple(sorted(kept)), note
    )
    sent_bytes = sum(context.after_sized(messages, sizes, pruned, policy.keep_user)[1])
    freed_bytes = state.sent_bytes - sent_bytes
    if freed_bytes <= 0:  # the note is longer than what it stands for
        return None
    stay = sum(begin in kept for begin, _ in spans)
    how = "meaning" if view.relevance else "BM25"
    why = f"{room.why}; {stay} of {len(spans)} older turns stay by relevance ({how})"
    left_tokens = room.tokens - freed_bytes * 1000 // view.bytes_per_ktoken
    if left_tokens * room.margin_permille // 1000 > room.most_tokens:
        why += context.TOO_LARGE
    return replace(pruned, why=why)


def _room(state: State, view: View, always_bytes: int, *, overflow: bool) -> _Room:
    quote, ratio = view.quote, view.bytes_per_ktoken
    tokens = quote.expected_tokens or quote.input_tokens
    if overflow:
        most = target = max(tokens // 2, 1)
        margin = 1000
        why = f"about {tokens} tokens were too many for the model"
    else:
        most = state.policy.max_tokens
        target = most // 2
        margin = quote.input_tokens * 1000 // tokens
        why = f"about {quote.input_tokens} tokens are due, {most} is the most to send"
    # The system prompt and the tools are in `tokens` and not in the messages' bytes.
    beside_tokens = max(tokens - state.sent_bytes * 1000 // ratio, 0)
    target_bytes = (target - beside_tokens) * ratio // 1000
    spare_bytes = (most - beside_tokens) * ratio // 1000 - always_bytes
    note_bytes = min(context_words.NOTE_BYTES, target_bytes // NOTE_SHARE, spare_bytes)
    return _Room(why, tokens, margin, most, target_bytes, max(note_bytes, 0))


def _nearest(
    state: State, view: View, spans: Collection[tuple[int, int]], left_bytes: int
) -> set[int]:
    """Indexes of the messages of those spans that stay: the nearest ones that have room."""
    if view.relevance:
        scores = relevance.by_meaning(view.relevance, spans)
    else:
        scores = relevance.by_words(state.messages, spans, state.words)
    ends = dict(spans)
    kept: set[int] = set()
    for begin in relevance.nearest_first(scores):
        size = sum(state.sizes_bytes[begin : ends[begin]])
        if size <= left_bytes:
            left_bytes -= size
            kept.update(range(begin, ends[begin]))
    return kept


def _note(state: State, boundary: int, kept: Set[int] | tuple[()], room_bytes: int) -> str:
    messages = state.messages
    return context_words.note(
        messages, boundary, kept, state.failed, context_words.calls_of(messages), state.words,
        keep_user=state.policy.keep_user, summary=state.summary, room_bytes=room_bytes,
    )  # fmt: skip
