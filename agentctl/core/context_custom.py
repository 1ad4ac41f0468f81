"""Context policies of others: what they are given, what they may return, and the check of it.

An installed package names, in the entry-point group `agentctl.context_policies`, a function
`plan(request: Conversation) -> Prune | None`. It is asked before each request, and again after
each prune until it returns None. Other people's code may be wrong in any way: what it returns is
checked before anything is written, and what is wrong stops the task with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec import Struct

from agentctl.core.context import after_sized, protected_from, turns
from agentctl.core.events import ContextPruned
from agentctl.core.sanitize import storable
from agentctl.core.state import State
from agentctl.core.values import Message, Millis, View

WHY_CHARS = 500
"""Of a reason and of an exception's text: the log keeps them, and a person reads them."""


class Prune(Struct, frozen=True, kw_only=True):
    """What is left out of requests from now on. It takes the place of the prune before.

    All indexes are those of `Conversation.messages`, and none of the first three may be above
    `Conversation.old_before`.
    """

    mask_before: int = 0
    """Longer tool outputs before this index become one line that says how to read them again."""
    drop_before: int = 0
    """Messages before this index are not sent, but for the goal and what the user said. It must not
    part a call from its result."""
    args_before: int = 0
    """Long texts in the arguments of calls before this index are cut."""
    kept: Sequence[int] = ()
    """Messages that stay whole all the same. Of a turn all of its messages, or none."""
    note: str = ""
    """Stands in place of what is dropped; empty: how many messages that were."""
    why: str = ""
    """The reason, for the log."""


class Conversation(Struct, frozen=True, kw_only=True):
    """A request that is about to be sent, and what is known of it."""

    messages: tuple[Message, ...]
    """All that was said; the first is the goal. A tool message follows the answer that called it,
    and names the call in `call_id`."""
    sizes_bytes: tuple[int, ...]
    """Of each message, as it is when nothing is left out of it."""
    sent_bytes: int
    """Of the request as it is."""
    failed: tuple[int, ...]
    """Indexes of results of calls that failed."""
    old_before: int
    """The last turns begin here: nothing from this index on can be left out."""
    tokens: int
    """Expected of the request as it is: the last report and an estimate of what came since."""
    most_tokens: int
    """Above this the policy "auto" shortens a request: the user's bound, or less where the model's
    window or prices say so."""
    overflow: bool
    """The provider has just called the request too long. If None is returned, half of it goes."""
    bytes_per_ktoken: int
    """Bytes of a thousand tokens of this model."""
    steps: int
    """Answers of the model so far."""
    idle_ms: Millis | None
    """Since the model's last answer, which is how old its cache is; None: it has none."""
    last: Prune
    """What is left out now, all zeros if nothing is. `why` is empty."""
    keep_user: int
    """Of what the user said, this many last messages are never dropped."""

    def turns(self) -> Iterator[range]:
        """Indexes of each turn (an answer with its results) that may be left out, oldest first."""
        for begin, end in turns(self.messages, 0, self.old_before):
            yield range(begin, end)

    def size_after(self, prune: Prune) -> int:
        """Bytes of the request if this were left out of it; it must be less than `sent_bytes`."""
        made = msgspec.convert(prune, ContextPruned, from_attributes=True)
        return sum(after_sized(self.messages, self.sizes_bytes, made, self.keep_user)[1])


Plan = Callable[[Conversation], Prune | None]
"""What an entry point names. It must not wait, and should return the same for the same request."""


class PolicyBroke(ValueError):
    """An installed context policy raised, or returned what cannot be done; the text says which."""


def due(state: State, view: View, most_tokens: int, *, overflow: bool) -> ContextPruned | None:
    """Ask the task's own policy; return the prune to make before the next request, or None.

    Raises PolicyBroke.
    """
    who = f"context policy {state.policy.name!r}"
    if view.custom is None:
        raise PolicyBroke(f"{who} is not loaded")
    boundary = protected_from(state.messages, state.policy.keep_assistant)
    request = _conversation(state, view, boundary, most_tokens, overflow=overflow)
    try:
        found = view.custom(request)
    except (Exception, SystemExit) as error:
        raise PolicyBroke(f"{who} broke: {told(error)}") from error
    if found is None:
        return None
    if not isinstance(found, Prune):
        raise PolicyBroke(f"{who} returned {type(found).__name__}, neither a Prune nor None")
    try:
        pruned = msgspec.convert(found, ContextPruned, from_attributes=True)
    except msgspec.ValidationError as error:
        raise PolicyBroke(f"{who} returned a wrong Prune: {error}") from error
    problem = _problem(state, pruned, boundary)
    if problem:
        raise PolicyBroke(f"{who} returned a wrong Prune: {problem}")
    return _checked(state, pruned, who)


def told(error: BaseException) -> str:
    """Kind and text of a foreign exception, for one line."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - even its text is made by foreign code
        text = ""
    kind = type(error).__name__
    return storable(f"{kind}: {' '.join(text.split())}"[:WHY_CHARS]) if text.strip() else kind


def _conversation(
    state: State, view: View, boundary: int, most_tokens: int, *, overflow: bool
) -> Conversation:
    last = Prune(
        mask_before=state.mask_before,
        drop_before=state.drop_before,
        args_before=state.args_before,
        kept=tuple(sorted(state.kept)),
        note=state.note,
    )
    return Conversation(
        messages=tuple(state.messages),  # of its own: what is done with them changes nothing here
        sizes_bytes=tuple(state.sizes_bytes),
        sent_bytes=state.sent_bytes,
        failed=tuple(state.failed),
        old_before=boundary,
        tokens=view.quote.expected_tokens or view.quote.input_tokens,
        most_tokens=most_tokens,
        overflow=overflow,
        bytes_per_ktoken=view.bytes_per_ktoken,
        steps=state.steps,
        idle_ms=max(view.now_ms - state.warm_ms, 0) if state.warm_ms else None,
        last=last,
        keep_user=state.policy.keep_user,
    )


def _problem(state: State, pruned: ContextPruned, boundary: int) -> str:
    """What of a prune cannot be done, or an empty string."""
    messages = state.messages
    for name in ("mask_before", "drop_before", "args_before"):
        # Another policy may have gone further while fewer turns were protected.
        index, most = getattr(pruned, name), max(boundary, getattr(state, name))
        if not 0 <= index <= most:
            return f"{name} is {index}, and the last turns begin at {most}"
    if pruned.drop_before < len(messages) and messages[pruned.drop_before].role == "tool":
        return f"drop_before {pruned.drop_before} parts a call from its result"
    kept = set(pruned.kept)
    strange = sorted(index for index in kept if not 0 <= index < len(messages))
    if strange:
        return f"kept has {strange[0]}, and there are {len(messages)} messages"
    for begin, end in turns(messages, 0, len(messages)):
        held = kept.intersection(range(begin, end))
        if held and len(held) < end - begin:
            return f"kept has {min(held)}, but not the whole turn from {begin} to {end - 1}"
    return ""


def _checked(state: State, pruned: ContextPruned, who: str) -> ContextPruned | None:
    """The prune with its reason, or None if it frees nothing. Raises PolicyBroke if it goes back.

    A few short messages can be smaller than the line in their place: that is nobody's mistake, and
    with the messages to come the same prune may be worth making.
    """
    mask, drop, args = pruned.mask_before, pruned.drop_before, pruned.args_before
    kept = frozenset(index for index in pruned.kept if index < max(mask, drop, args))
    note = storable(pruned.note)
    now = state.mask_before, state.drop_before, state.args_before
    if (mask, drop, args, kept, note) == (*now, state.kept, state.note):
        return None
    why = storable(f"{who}: {pruned.why}"[:WHY_CHARS]) if pruned.why.strip() else who
    made = ContextPruned(mask, drop, why, args, tuple(sorted(kept)), note)
    _, sizes = after_sized(state.messages, state.sizes_bytes, made, state.policy.keep_user)
    left_bytes = sum(sizes)
    if left_bytes < state.sent_bytes:
        return made
    if (mask, drop, args) == now or mask < now[0] or drop < now[1] or args < now[2]:
        raise PolicyBroke(
            f"{who} returned a wrong Prune: the request would not be smaller "
            f"({left_bytes} bytes, now {state.sent_bytes})"
        )
    return None
