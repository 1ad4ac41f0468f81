"""A whole task as Markdown: for a ticket, a review or a wiki. Nothing here prints."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentctl.core.steps import Act, Step
from agentctl.reports.task_look import (
    KEPT_CHARS,
    Look,
    duration,
    facts,
    model,
    price,
    related_words,
    status,
    tokens_words,
)
from agentctl.reports.task_step import arguments
from agentctl.reports.text import count, usd, visible


def page(look: Look) -> str:
    """Its facts, every step with what its tools did, and the answer."""
    return "\n".join(_page(look)) + "\n"


def _page(look: Look) -> Iterator[str]:
    known = dict(facts(look))
    yield f"# Task {_inline(known.pop('Task'))}"
    yield ""
    yield from _quoted(look, known.pop("Goal"))
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in (*known.items(), *related_words(look)):
        yield f"| {name} | {_inline(look.clean(value))} |"
    for step in look.steps:
        yield ""
        yield from _step(look, step)
    if look.state.answer and look.row.status == "done":
        yield ""
        yield "## Answer"
        yield ""
        yield from _quoted(look, look.state.answer)


def _step(look: Look, step: Step) -> Iterator[str]:
    yield f"## Step {step.number}" if step.answer else "## After the last answer"
    yield ""
    for tried in step.tries:
        what = "" if tried.asked.purpose == "step" else f"{tried.asked.purpose}: "
        words = f"{what}{model(tried)}, {tokens_words(tried)}, {price(tried)}"
        if tried.failed is not None:
            words += f", failed: {look.clean(tried.failed.detail)}"
        yield f"- {_inline(words)}"
    so_far = sum(each.cost_micros for each in look.steps[: step.number])
    yield f"- {usd(step.cost_micros)} in this step, {usd(so_far)} up to here"
    answer = step.answer
    if answer is not None and answer.answered is not None and answer.answered.message.text:
        yield ""
        yield from _quoted(look, answer.answered.message.text)
    for act in step.acts:
        yield ""
        yield from _act(look, act)
    for by, said in step.told:
        yield ""
        yield f"**{_inline(by)}**:"
        yield ""
        yield from _quoted(look, said)


def _act(look: Look, act: Act) -> Iterator[str]:
    took = f", {duration(act.ended.duration_ms)}" if act.ended is not None else ""
    inner = f" for {act.parent}" if act.parent else ""
    yield f"**{_inline(act.tool)}** {_inline(f'{act.call_id}{inner}: {status(act)}{took}')}"
    for text in ("\n".join(arguments(act)), act.ended.text if act.ended is not None else ""):
        if text:
            yield ""
            yield from _fenced(short(look, text, act.call_id))


def short(look: Look, text: str, call_id: str) -> str:
    """A text without secrets; a long one is cut, and says where the rest is."""
    kept = visible(look.clean(text), newlines=True)
    if len(kept) <= KEPT_CHARS:
        return kept
    more = f"[… {count(len(kept) - KEPT_CHARS)} more characters: agentctl show {look.row.id}"
    return f"{kept[:KEPT_CHARS]}\n{more} --output {visible(call_id)}]"


def _fenced(text: str) -> Iterator[str]:
    """Text between fences that it cannot close."""
    longest = max((len(found) for found in re.findall(r"`+", text)), default=0)
    fence = "`" * max(longest + 1, 3)
    yield f"{fence}text"
    yield text.rstrip("\n")
    yield fence


def _quoted(look: Look, text: str) -> Iterator[str]:
    """Text of a person or a model: what it has of Markdown and HTML stays as it was written."""
    yield from _fenced(visible(look.clean(text), newlines=True))


def _inline(text: str) -> str:
    """A text within a line: nothing in it is a sign of Markdown or HTML."""
    line = " ".join(visible(text, newlines=True).split())
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", line)
