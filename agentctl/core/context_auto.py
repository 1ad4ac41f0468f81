"""When a request is shortened, and by what: the policy "auto", and which policy is asked.

Leaving something out of the middle of a request breaks the provider's cached prefix: what stands
behind it must be written to the cache again. So it is done seldom and in large pieces: where the
window or the price demands it, where the cache is cold anyway, or where it pays.
"""

from __future__ import annotations

from collections.abc import Set

from msgspec import Struct
from msgspec.structs import replace

from agentctl.core import context, context_custom, context_window, context_words
from agentctl.core.context import masked_bytes, protected_from, size_bytes, turns
from agentctl.core.events import ContextPruned
from agentctl.core.state import State
from agentctl.core.values import POLICIES, ContextPolicy, Shape, View

WINDOW_PERCENT = 75
"""Of the model's window: the rest is for the answer and for errors of the estimate."""
CLIFF_PERCENT = 90
UNCACHED_TOKENS = 32_000
"""Without a cache every token is paid in full each time."""
LEAST_PERCENT = 20
"""A prune that frees less breaks the cache for too little."""
EARLY_PERCENT = 66
"""Of the most to send: from here on a prune may be made because it pays."""
LOOKED_AT_EACH = 800
"""With more messages than this it is looked for only at every second call, and so on: a search
takes longer then, and a few calls later it pays as much."""
USED_TURNS = 40
USED_PERCENT = 38
"""Turns that were used in the last so many stay whole, up to this share of what shall be left."""
NOTE_PERCENT = 12
"""Of what shall be left, for the lists of the note on what is dropped."""
ERRORS_PERCENT = 10
"""The same for turns with an error that still stands; what was tried then is in the note too."""


class _Wanted(Struct, frozen=True):
    """A prune to look for."""

    target_tokens: int
    most_tokens: int
    """If less than this cannot be reached, what was used lately must go too."""
    why: str
    least_percent: int = LEAST_PERCENT
    must_pay: bool = False


def due(state: State, view: View, *, overflow: bool) -> ContextPruned | None:
    """Return the prune to make before the next request, or None.

    `overflow`: the provider has just said that the request is too long, so half of it must go
    under every policy. Raises PolicyBroke for an installed policy that fails.
    """
    policy, quote = state.policy, view.quote
    if policy.name not in POLICIES:
        most = most_tokens(policy, view.shape)[0]
        pruned = context_custom.due(state, view, most, overflow=overflow)
        if pruned is not None or not overflow:
            return pruned
    if policy.name == "window":
        return context_window.plan(state, view, overflow=overflow)
    tokens = quote.expected_tokens or quote.input_tokens
    if overflow:
        why = f"about {tokens} tokens were too many for the model"
        return _search(state, view, tokens, _Wanted(tokens // 2, tokens // 2, why, least_percent=1))
    if policy.name == "none":
        return None
    wanted = _wanted(state, view, tokens)
    return None if wanted is None else _search(state, view, tokens, wanted)


def most_tokens(policy: ContextPolicy, shape: Shape) -> tuple[int, str]:
    """Above how many tokens a request is shortened whatever it costs, and what says so."""
    bounds = [(policy.max_tokens, "the most to send")]
    if shape.window_tokens:
        of_window = shape.window_tokens * WINDOW_PERCENT // 100
        bounds.append((of_window, f"{WINDOW_PERCENT} % of the window"))
    if shape.cliff_tokens:
        of_cliff = shape.cliff_tokens * CLIFF_PERCENT // 100
        bounds.append((of_cliff, f"{CLIFF_PERCENT} % of where the price steps up"))
    if not shape.caches and not shape.local:
        bounds.append((UNCACHED_TOKENS, "the most without a cache"))
    return min(bounds, key=lambda bound: bound[0])


def calls_ahead(state: State) -> int:
    """How many more calls to expect: as many as were made, but no more than are allowed.

    A run of unknown length that has made n calls makes, as often as not, n more.
    """
    left = None if state.limits.steps is None else max(state.limits.steps - state.steps, 0)
    return state.steps if left is None else min(state.steps, left)


def _wanted(state: State, view: View, tokens: int) -> _Wanted | None:
    shape = view.shape
    most, bound = most_tokens(state.policy, shape)
    due_text = f"about {tokens} tokens are due"
    if tokens > most:
        return _Wanted(most // 2, most, f"{due_text}, {most} is {bound}")
    if not shape.caches or shape.local or not state.steps:
        return None
    idle_ms = view.now_ms - state.warm_ms
    # What was answered from memory warms no cache, and is found again only as it was asked.
    is_cold = idle_ms > shape.cache_life_ms and (state.warm_ms or not state.created.reuse)
    if is_cold and tokens > most // 2:
        why = "another model is asked" if not state.warm_ms else f"{idle_ms // 60_000} min idle"
        return _Wanted(most // 2, most, f"{due_text}, and no cache is broken: {why}")
    is_time = state.steps % (1 + len(state.messages) // LOOKED_AT_EACH) == 0
    if is_time and tokens * 100 > most * EARLY_PERCENT and _may_pay(state, shape):
        # A summary of what goes has been paid already: then it goes.
        return _Wanted(tokens // 2, most, due_text, must_pay=not state.summary_asked)
    return None


def _may_pay(state: State, shape: Shape) -> bool:
    """Whether a prune to half could pay if a good part of what stays were before it."""
    return calls_ahead(state) * 2 * shape.read_permille > shape.write_permille - shape.read_permille


def _search(state: State, view: View, tokens: int, wanted: _Wanted) -> ContextPruned | None:
    """Find what to leave out, and return it if it frees enough and, where it must, pays."""
    bytes_per_ktoken = view.bytes_per_ktoken
    to_free_bytes = (tokens - wanted.target_tokens) * bytes_per_ktoken // 1000
    least_tokens = min(tokens, wanted.target_tokens * 2) * wanted.least_percent // 100
    least_bytes = least_tokens * bytes_per_ktoken // 1000
    boundary = protected_from(state.messages, state.policy.keep_assistant)
    if sum(state.sizes_bytes[state.drop_before : boundary]) < least_bytes:
        return None
    room_bytes = wanted.target_tokens * bytes_per_ktoken // 1000
    stays = _stays(state, boundary, room_bytes)
    note_bytes = min(context_words.NOTE_BYTES, room_bytes * NOTE_PERCENT // 100)
    pruned, missed_bytes = _Search(state, boundary, stays, note_bytes).find(to_free_bytes)
    allowed_bytes = (wanted.most_tokens - wanted.target_tokens) * bytes_per_ktoken // 1000
    if missed_bytes > allowed_bytes and stays:  # the last turns are that large: nothing else stays
        pruned, missed_bytes = _Search(state, boundary, set(), note_bytes).find(to_free_bytes)
    sent, sizes = context.after_sized(
        state.messages, state.sizes_bytes, pruned, state.policy.keep_user
    )
    left_bytes = sum(sizes)
    freed_bytes = state.sent_bytes - left_bytes
    if freed_bytes <= 0 or freed_bytes < least_bytes:
        return None
    why = f"{wanted.why}; about {freed_bytes * 1000 // bytes_per_ktoken} are left out"
    most_bytes = wanted.most_tokens * bytes_per_ktoken // 1000
    if missed_bytes > allowed_bytes or left_bytes > most_bytes:
        why += context.TOO_LARGE
    if wanted.must_pay:
        rewritten_bytes = left_bytes - sum(sizes[: context.same(state.sent, sent)])
        calls = pays_after(view.shape, rewritten_bytes, freed_bytes)
        expected = calls_ahead(state)
        if calls > expected:
            return None
        why += f", which pays after {calls} calls; about {expected} are expected"
    return replace(pruned, why=why)


def pays_after(shape: Shape, rewritten: int, freed: int) -> int:
    """After how many calls a prune has paid: (w/r - 1)(S + p)/(R - p), rounded up.

    `rewritten` (S + p) is what stands behind the first change, stubs included, and must be written
    to the cache again; `freed` (R - p) is what is no longer read each time. Both in one unit.
    """
    more = max(shape.write_permille - shape.read_permille, 0) * rewritten
    return -(-more // max(shape.read_permille * freed, 1))


def _stays(state: State, boundary: int, room_bytes: int) -> set[int]:
    """Indexes of old turns that stay whole: used lately, or with an error that still stands."""
    messages, sizes = state.messages, state.sizes_bytes
    whole_from = max(state.mask_before, state.args_before)
    span = {
        begin: range(begin, end)
        for begin, end in turns(messages, 0, boundary)
        if begin in state.kept or begin >= whole_from
    }
    turn_of = {index: begin for begin, indexes in span.items() for index in indexes}
    stays: set[int] = set()

    def keep(begins: list[int], left_bytes: int) -> None:
        """Keep turns, the first ones first, while there is room."""
        for begin in begins:
            size = sum(sizes[index] for index in span[begin])
            if begin not in stays and size <= left_bytes:
                left_bytes -= size
                stays.update(span[begin])

    if state.failed:
        calls = context_words.calls_of(messages)
        errors = context_words.unresolved(messages, state.failed, calls)
        begins = [turn_of[index] for index in reversed(errors) if index in turn_of]
        keep(begins, room_bytes * ERRORS_PERCENT // 100)
    looked_at = [
        index
        for index in range(len(messages))
        if index in turn_of or (index >= state.drop_before and messages[index].role != "user")
        if index >= state.mask_before or index in state.kept or messages[index].role == "assistant"
    ]
    used = state.words.last_uses(messages, looked_at)
    lately = protected_from(messages, USED_TURNS)
    hot = [index for index in used if used[index] >= lately and index in turn_of]
    hot.sort(key=lambda index: (-used[index], -index))
    keep([turn_of[index] for index in hot], room_bytes * USED_PERCENT // 100)
    return stays


class _Search:
    """Looks for enough to leave out: outputs, then arguments, then turns, the oldest first."""

    def __init__(self, state: State, boundary: int, stays: Set[int], note_bytes: int) -> None:
        """Nothing from `boundary` on, and nothing in `stays`, is touched."""
        self._state = state
        self._note_bytes = note_bytes
        self._boundary = boundary
        self._stays = stays
        self._mask = state.mask_before
        self._args = state.args_before
        self._drop = state.drop_before

    def find(self, to_free_bytes: int) -> tuple[ContextPruned, int]:
        """Return the prune that frees so much, or all that can go, and the bytes still missing."""
        state = self._state
        messages, sizes, boundary = state.messages, state.sizes_bytes, self._boundary
        left = to_free_bytes - sum(self._gone(i) for i in state.kept if i not in self._stays)
        while self._mask < boundary and left > 0:
            if messages[self._mask].role == "tool" and self._mask not in self._stays:
                left -= sizes[self._mask] - masked_bytes(sizes[self._mask])
            self._mask += 1
        while self._args < boundary and left > 0:
            if self._args >= self._drop and self._args not in self._stays:
                short = context.with_short_arguments(messages[self._args])
                left -= sizes[self._args] - size_bytes(short)
            self._args += 1
        before = self._drop
        if left > 0:
            left += self._note_bytes // 3
            for begin, end in turns(messages, self._drop, boundary):
                if left <= 0:
                    break
                if begin not in self._stays:
                    left -= sum(map(self._size_now, range(begin, end)))
                self._drop = end
        note = state.note
        # What an earlier prune had kept may be dropped by this one: then the note must tell of it.
        if self._drop != before or any(i < before and i not in self._stays for i in state.kept):
            calls = context_words.calls_of(messages)
            note = context_words.note(
                messages, self._drop, self._stays, state.failed, calls, state.words,
                keep_user=state.policy.keep_user, summary=state.summary,
                room_bytes=self._note_bytes,
            )  # fmt: skip
        pruned = ContextPruned(self._mask, self._drop, "", self._args, self._kept(), note)
        return pruned, left

    def _kept(self) -> tuple[int, ...]:
        """Only exceptions from what is left out need to be named."""
        last = max(self._mask, self._args, self._drop)
        return tuple(sorted(index for index in self._stays if index < last))

    def _gone(self, index: int) -> int:
        """Bytes freed by no longer keeping a message that an earlier prune kept."""
        size = self._state.sizes_bytes[index]
        return size if index < self._drop else size - self._size_now(index)

    def _size_now(self, index: int) -> int:
        """Size of a message as it will be sent if it is not dropped."""
        message, size = self._state.messages[index], self._state.sizes_bytes[index]
        if message.role == "tool":
            return masked_bytes(size) if index < self._mask else size
        if message.calls and index < self._args:
            return size_bytes(context.with_short_arguments(message))
        return size
