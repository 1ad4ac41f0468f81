"""What calls of a model, answered or failed, change in a task's state. Part of `state.apply`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentctl.core import context
from agentctl.core import events as e
from agentctl.core.values import Message

if TYPE_CHECKING:
    from agentctl.core.state import State

CACHED = "cached"
"""The provider that stands for an earlier answer to the same request."""

EMPTY_NUDGE = "Your last reply was empty. Go on with the next step, or give the final answer."
LENGTH_NUDGE = "Your last reply was cut at the output limit. Go on exactly where it stopped."
STUMBLES_MAX = 3
MISFIT_NUDGE = """\
Your answer does not fit the JSON Schema that it must fit:
{problem}
Answer again, with the whole JSON and nothing else."""


def say(state: State, message: Message) -> None:
    """Add a message to the conversation."""
    size_bytes = context.size_bytes(message)
    state.messages.append(message)
    state.sizes_bytes.append(size_bytes)
    state.said_bytes += size_bytes
    state.sent.append(message)
    state.sent_bytes += size_bytes


def model_asked(state: State, event: e.ModelAsked) -> None:
    """An intent: the call is open."""
    state.asked = event
    state.calls = event.call
    state.credits_spent += event.credits
    state.step_credits = event.credits
    state.blocked = set()
    if event.purpose == "summary":
        state.summary_asked = True


def model_answered(state: State, event: e.ModelAnswered) -> None:
    """An answer: the conversation goes on, or a side call has told what it was made for."""
    message, usage, asked = event.message, event.usage, state.asked
    purpose = "step" if asked is None else asked.purpose
    state.asked = None
    if event.cost_micros is None:
        state.unpriced += 1
    else:
        state.spent_micros += event.cost_micros
    state.tokens_processed += usage.processed
    state.tokens_total += usage.input + usage.output
    if purpose != "step":
        if purpose == "summary" and message.text.strip() and event.stop != "refusal":
            state.summary = message.text.strip()
        return
    state.left_out_tokens = asked.left_out_tokens if asked is not None else 0
    state.failure = None
    state.failures = 0
    state.tried = set()
    state.steps += 1
    if state.provider == CACHED:  # it stands for one answer only
        state.provider, state.model = state.home
    state.spared_micros += event.spared_micros
    if message.text or message.calls:
        say(state, message)
    if usage.reported:
        # Reasoning goes back to the provider only in its own words.
        kept_tokens = usage.output if message.native else usage.output - usage.reasoning
        state.anchor_tokens = usage.input + kept_tokens
        state.anchor_bytes = state.sent_bytes
    state.pending = {call.id: call for call in message.calls}
    _take_words(state, event)


def _take_words(state: State, event: e.ModelAnswered) -> None:
    """Decide what an answer without tool calls means: the end, a refusal or a stumble."""
    text, calls = event.message.text, event.message.calls
    if not state.stumbles:
        state.answer_parts = []
    state.answer_parts.append(text)
    if calls:
        state.stumbles = 0
    elif event.stop == "refusal":
        state.refused = True
    elif event.stop == "length" or not text.strip():
        state.stumbles += 1
        say(state, Message("user", LENGTH_NUDGE if text.strip() else EMPTY_NUDGE))
    else:
        state.final = True


def answer_refused(state: State, event: e.AnswerRefused) -> None:
    """The final answer was none: the model is told why."""
    state.final = False
    state.stumbles = 0  # the next answer begins anew
    state.misfits = event.tries
    say(state, Message("user", MISFIT_NUDGE.format(problem=event.problem)))


def model_failed(state: State, event: e.ModelFailed) -> None:
    """A call without an answer: it may be tried again, or is done without."""
    purpose = "step" if state.asked is None else state.asked.purpose
    state.asked = None
    state.credits_spent -= event.credits_back
    state.step_credits -= event.credits_back
    if event.charged_micros is None:
        state.unpriced += 1
    else:
        state.spent_micros += event.charged_micros
    state.tokens_processed += event.charged_tokens
    state.tokens_total += event.charged_tokens
    if purpose == "step":
        state.failure = event
        state.failures += 1
    elif purpose == "summary" and event.retriable and event.retry_at_ms:
        state.failure = event  # it goes on without, but not before the provider wants to be asked
