"""Calls beside the conversation, made just before something is left out of it.

A summary is written by the model that is asked anyway, on the same beginning of the request, so
that it comes from the provider's cache; an embedding tells what is near in meaning. Both are
reserved, guarded and booked like any other call, and done without where that is not possible.
"""

from __future__ import annotations

from msgspec.structs import replace

from agentctl.core.answers import CACHED
from agentctl.core.context import left_out
from agentctl.core.events import ContextPruned, ModelAsked
from agentctl.core.guards import Deny, model_verdict
from agentctl.core.guards.balance import price_of_model
from agentctl.core.guards.cost import reserve_micros
from agentctl.core.limits import ceil_div
from agentctl.core.state import State
from agentctl.core.values import POLICIES, Message, Quote, View

SUMMARY_TOKENS = 4_000
"""Most that a summary may have, reasoning included."""
SUMMARY_LEAST_TOKENS = 256
SUMMARY_PERCENT = 25
"""Of the most to send; what would be less than the least is not worth asking for."""
WORTH_TOKENS = 3_000
WORTH_PERCENT = 25
"""Less text than this, and than this part of the most to send, is not worth a call."""
SUMMARY_REQUEST = """\
[agentctl] The beginning of this conversation is about to be left out of it, to save room. Only \
the goal, the last steps and what you write now will be before you. Do not call a tool and do not \
go on with the task. Write, in at most 250 words and without an introduction: what was done and \
found so far, with the exact names of files, functions, commands and values that matter; what was \
decided and why; what was tried and failed; what is still to be done. If an earlier summary stands \
above, take over what still holds."""
"""Put behind the conversation when a summary is asked for; it is never part of the log's own."""


def conversation(state: State, purpose: str) -> list[Message]:
    """The messages of a request for this purpose."""
    if purpose == "summary":
        return [*state.sent, Message("user", SUMMARY_REQUEST)]
    return state.sent


def wants_summary(state: State, view: View, pruned: ContextPruned) -> bool:
    """Whether the model should first write down what this prune leaves out."""
    shape = view.shape
    if state.policy.name not in POLICIES:
        return False  # it writes a note of its own
    if not state.policy.summarise or not shape.summarises or state.summary_asked:
        return False
    if state.failure is not None or state.provider == CACHED:
        return False  # too long a request does not become shorter by a question behind it
    idle_ms = view.now_ms - state.warm_ms
    if shape.caches and not shape.local and idle_ms > shape.cache_life_ms:
        return False  # the whole request would be paid once more at the full price
    keep_user = state.policy.keep_user
    gone = left_out(state.messages, pruned.drop_before, pruned.kept, keep_user)
    gone -= left_out(state.messages, state.drop_before, state.kept, keep_user)
    shown = (
        state.sizes_bytes[index]
        for index in gone
        if state.messages[index].role != "tool" or index >= state.mask_before or index in state.kept
    )
    worth_tokens = min(WORTH_TOKENS, state.policy.max_tokens * WORTH_PERCENT // 100)
    return sum(shown) * 1000 // view.bytes_per_ktoken >= worth_tokens


def summary(state: State, view: View, pruned: ContextPruned) -> ModelAsked | None:
    """The call that asks for a summary of what this prune leaves out; None: do without."""
    if not wants_summary(state, view, pruned):
        return None
    added_tokens = ceil_div(len(SUMMARY_REQUEST) * 1000, view.bytes_per_ktoken)
    quote = _longer(view.quote, added_tokens)
    # What is left must also do for the request after it, which is about half as long.
    both = replace(view, quote=_longer(quote, quote.input_tokens // 2))
    verdict = model_verdict(state, both)
    if isinstance(verdict, Deny) or not _affords_two(state, view):
        return None
    most_tokens = state.policy.max_tokens * SUMMARY_PERCENT // 100
    output_cap = min(verdict, SUMMARY_TOKENS, most_tokens)
    if output_cap < SUMMARY_LEAST_TOKENS:
        return None
    return ModelAsked(
        state.calls + 1,
        state.provider,
        state.model,
        reserve_micros(quote, output_cap),
        quote.input_tokens + output_cap,
        output_cap,
        "summary",
        price_of_model(state),
        (state.said_bytes - state.sent_bytes) * 1000 // view.bytes_per_ktoken,
    )


def _affords_two(state: State, view: View) -> bool:
    """Whether the credits do for a summary and for the request after it."""
    price = price_of_model(state)
    most = state.limits.task_credits
    within = most is None or state.credits_spent + 2 * price <= most
    return not price or (within and 2 * price <= view.shared.credits_left)


def hold_up(state: State, view: View) -> Deny | None:
    """A refusal that lets the next call go soon anyway: side calls wait for it as steps do."""
    verdict = model_verdict(state, view)
    soon = isinstance(verdict, Deny) and (verdict.guard == "rate" or verdict.brief)
    return verdict if isinstance(verdict, Deny) and soon and verdict.patient else None


def embedding(state: State, view: View) -> ModelAsked | None:
    """The call that embeds what must be compared before a prune; None: nothing, or do without."""
    side = view.embedding
    if side is None:
        return None
    asked = replace(state, provider=side.provider, model=side.model)
    if isinstance(model_verdict(asked, replace(view, quote=side.quote, paced=side.paced)), Deny):
        return None
    return ModelAsked(
        state.calls + 1,
        side.provider,
        side.model,
        reserve_micros(side.quote, 0),
        side.quote.input_tokens,
        0,
        "embedding",
        price_of_model(asked),
    )


def _longer(quote: Quote, tokens: int) -> Quote:
    """A quote for so many input tokens more, at the same price each."""
    total, cost_micros = quote.input_tokens + tokens, quote.input_cost_micros
    if cost_micros is not None:
        cost_micros = ceil_div(cost_micros * total, max(quote.input_tokens, 1))
    return replace(quote, input_tokens=total, input_cost_micros=cost_micros)
