"""One model call: the request is built, streamed and turned into the event that records it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.answers import CACHED
from agentctl.core.aside import conversation
from agentctl.core.backoff import wait_ms
from agentctl.core.context import estimate_tokens, expected_tokens, size_bytes
from agentctl.core.limits import MTOK, ceil_div
from agentctl.core.redact import MARKER_OPENS
from agentctl.core.sanitize import storable
from agentctl.core.savings import pruned_micros
from agentctl.core.state import State
from agentctl.core.values import Message, Millis, Quote, ToolCall, Usage
from agentctl.errors import ProviderError
from agentctl.ports import Answer, Emit, Request
from agentctl.run.world import Mind, World

TAKEN_OUT = (
    "The arguments hold a secret, or what looks like one. It was taken out, and the call was not "
    "made. Let the tool take it from where it is, or write a made-up key in pieces."
)
STAND_IN = (
    "The arguments hold a stand-in for a secret that you were not shown; it would overwrite the "
    "secret itself. The call was not made: change what stands around it in another way."
)
LOCAL_FIRST_BYTE_MS = 600_000
"""A model on this machine may have to be loaded, and to read a long prompt without a GPU."""


def quote(state: State, mind: Mind, overhead_tokens: int, grown_bytes: int = 0) -> Quote:
    """What the next call may cost at worst: all input new and written to the cache.

    `grown_bytes` is by how much the descriptions of tools are longer than those that the last
    answer was given to.
    """
    ratio = mind.counter.bytes_per_ktoken
    careful = mind.learner.careful if mind.learner is not None else ratio
    sizes = state.sent_bytes + grown_bytes, state.anchor_tokens, state.anchor_bytes
    expected = expected_tokens(*sizes, overhead_tokens, ratio)
    tokens = estimate_tokens(*sizes, ceil_div(overhead_tokens * ratio, careful), careful)
    rates = mind.pricer.rates(Usage(input=tokens))
    if rates is None:
        return Quote(tokens, None, 0, mind.provider.max_output, expected_tokens=expected)
    worst_micros = ceil_div(tokens * max(rates.input, rates.cache_write), MTOK)
    return Quote(
        tokens, worst_micros, rates.output, mind.provider.max_output, expected_tokens=expected
    )


async def ask_model(
    state: State,
    world: World,
    mind: Mind,
    intent: e.ModelAsked,
    emit: Emit,
    now_ms: Callable[[], Millis],
    known_prices: str,
) -> e.ModelAnswered | e.ModelFailed:
    """Make the call that the intent announced. Cancelling it cuts the connection.

    Unit prices seldom change: `known_prices`, told before, are left out of the event.
    """
    request = Request(
        state.created.system,
        conversation(state, intent.purpose),
        tuple(world.belt.specs.values()),
        intent.output_cap,
        intent.reserve_tokens - intent.output_cap,
        world.silence_ms,
        state.limits.timeout_ms("ai", None if mind.provider.paced else LOCAL_FIRST_BYTE_MS),
        intent.request,
        state.steady,
    )
    began_ms = now_ms()
    try:
        answer = await mind.provider.ask(request, emit)
    except ProviderError as error:
        return _failed(state, world, intent, error, now_ms())
    saved_micros = 0
    rates = mind.pricer.rates(answer.usage) if intent.left_out_tokens else None
    if rates is not None:
        prefix_tokens = state.anchor_tokens + state.left_out_tokens
        saved_micros = pruned_micros(rates, answer.usage, intent.left_out_tokens, prefix_tokens)
    event = _answered(state, world, mind, answer, now_ms() - began_ms, known_prices, saved_micros)
    if intent.purpose != "step":  # its words are no turn, and its calls are never run
        return replace(event, message=Message("assistant", event.message.text))
    _learn(state, mind, event)
    if mind.provider.name == CACHED:
        earlier = world.store.answered(intent.request)
        return replace(event, spared_micros=(earlier and earlier.cost_micros) or 0)
    return event


def _learn(state: State, mind: Mind, event: e.ModelAnswered) -> None:
    """Let the counter learn from what was reported of a request that we know the size of."""
    if mind.learner is None:
        return
    message = event.message
    mind.counter.bytes_per_ktoken = mind.learner.hear(
        state.sent_bytes,
        state.said_bytes - state.sent_bytes,
        size_bytes(message) if message.text or message.calls else 0,
        event.usage,
        sealed=bool(message.native),
    )


def is_whole(found: e.ModelAnswered | None) -> bool:
    """Whether a whole answer to the same request is kept: one that a limit cut is none."""
    if found is None or found.stop not in ("end", "tools"):
        return False
    return bool(found.message.calls or found.message.text.strip())


def from_memory(intent: e.ModelAsked) -> e.ModelAsked:
    """The same intent, to be answered by an earlier answer: it can cost nothing."""
    return replace(
        intent, provider=CACHED, model="answer", reserve_micros=0, reserve_tokens=intent.output_cap,
        credits=0,
    )  # fmt: skip


def cut(intent: e.ModelAsked, why: str) -> e.ModelFailed:
    """The fact of a call that we cut: it may have been billed, so it costs its reserve."""
    return e.ModelFailed(
        "interrupted",
        why,
        retriable=True,
        charged_micros=intent.reserve_micros,
        charged_tokens=intent.reserve_tokens,
    )


def _answered(
    state: State,
    world: World,
    mind: Mind,
    answer: Answer,
    duration_ms: Millis,
    known_prices: str,
    saved_micros: int,
) -> e.ModelAnswered:
    message = answer.message
    redact = world.redactor.text
    text = storable(message.text)
    shown = redact(text)
    cleaned = tuple(_clean_call(call, redact) for call in message.calls)
    is_clean = shown == text and not any(call.problem == TAKEN_OUT for call in cleaned)
    # The provider's own copy of the words, sealed or not, goes back to it only if it shows none.
    native = message.native if is_clean and redact(message.native) == message.native else ""
    calls = tuple(_whole(world, world.belt.check(call)) for call in cleaned)
    prices = mind.pricer.note(answer.usage)
    # The provider knows the ids of what it was sent, not those of turns that were left out since.
    gone = {call.id for each in state.messages[: state.drop_before] for call in each.calls}
    calls = _distinct(calls, gone)
    clean = Message("assistant", shown, calls, native=native)
    return e.ModelAnswered(
        clean,
        answer.usage,
        answer.stop,
        mind.pricer.cost(answer.usage),
        duration_ms,
        "" if prices == known_prices else prices,
        answer.response_id,
        answer.model if answer.model != mind.provider.model else "",
        saved_micros,
    )


def _clean_call(call: ToolCall, redact: Callable[[str], str]) -> ToolCall:
    """The call as it may be stored: what its arguments lose is not done without it either."""
    arguments = storable(call.arguments)
    shown = redact(arguments)
    problem = redact(storable(call.problem)) or ("" if shown == arguments else TAKEN_OUT)
    return ToolCall(redact(storable(call.id)), redact(storable(call.name)), shown, problem)


def _whole(world: World, call: ToolCall) -> ToolCall:
    """The call, unless it would write the stand-in for a secret where the secret was."""
    spec = world.belt.specs.get(call.name)
    if call.problem or spec is None or not spec.changes or MARKER_OPENS not in call.arguments:
        return call
    return ToolCall(call.id, call.name, call.arguments, STAND_IN)


def _distinct(calls: tuple[ToolCall, ...], taken: set[str]) -> tuple[ToolCall, ...]:
    """Calls are told apart by their id: one that is taken already gets a new one."""
    found = []
    for call in calls:
        call_id, n = call.id, 0
        while call_id in taken:
            n += 1
            call_id = f"{call.id}-{n}"
        taken.add(call_id)
        found.append(ToolCall(call_id, call.name, call.arguments, call.problem))
    return tuple(found)


def _failed(
    state: State, world: World, intent: e.ModelAsked, error: ProviderError, now_ms: Millis
) -> e.ModelFailed:
    billed = error.may_be_billed
    wait = wait_ms(state.failures + 1, world.jitter(), error.retry_after_ms)
    return e.ModelFailed(
        error.reason,
        world.redactor.text(storable(str(error))),
        error.retriable,
        intent.reserve_micros if billed else 0,
        intent.reserve_tokens if billed else 0,
        now_ms + wait if error.retriable else 0,
        0 if billed else intent.credits,
    )
