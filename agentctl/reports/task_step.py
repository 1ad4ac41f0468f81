"""One step of a task, whole, as text for a terminal. Nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from agentctl.core.steps import Act, Step, Try
from agentctl.reports.periods import local
from agentctl.reports.task_look import Look, duration, model, price, status, tokens_words
from agentctl.reports.text import count, usd, visible


def step_report(look: Look, step: Step) -> RenderableType:
    """What was asked, answered, called and given in a step."""
    of = f"Step {step.number} of {len(look.steps)}"
    parts: list[RenderableType] = [
        Text(f"{of} of task {look.row.id}", style="bold"),
        _facts(look, step),
    ]
    answer = step.answer
    if answer is not None and answer.answered is not None and answer.answered.message.text:
        parts += [Text(), Text(visible(answer.answered.message.text, newlines=True))]
    for act in step.acts:
        parts += [Text(), *_act(look, act)]
    return Group(*parts)


def _facts(look: Look, step: Step) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(look, step):
        table.add_row(Text(name), Text(visible(value)))
    return table


def _rows(look: Look, step: Step) -> Iterator[tuple[str, str]]:
    yield "Begun", f"{local(step.begun_ms, None).astimezone():%Y-%m-%d %H:%M:%S %z}"
    if step.ended_ms > step.begun_ms:
        yield "Took", duration(step.ended_ms - step.begun_ms)
    for tried in step.tries:
        yield from _tried(tried)
    so_far = sum(each.cost_micros for each in look.steps[: step.number])
    yield "Cost", f"{usd(step.cost_micros)}, {usd(so_far)} up to here"


def _tried(tried: Try) -> Iterator[tuple[str, str]]:
    name = "Model" if tried.asked.purpose == "step" else tried.asked.purpose.capitalize()
    yield name, model(tried)
    if tried.failed is not None:
        yield "Failed", f"{tried.failed.reason}: {tried.failed.detail} (charged {price(tried)})"
        return
    took = f", {duration(tried.answered.duration_ms)}" if tried.answered else ""
    yield "Tokens", f"{tokens_words(tried)}, {price(tried)}{took}"
    if tried.asked.left_out_tokens:
        yield "Left out", f"about {count(tried.asked.left_out_tokens)} tokens of the conversation"


def _act(look: Look, act: Act) -> list[RenderableType]:
    ended = act.ended
    took = f", {duration(ended.duration_ms)}" if ended is not None else ""
    inner = f" for {act.parent}" if act.parent else ""
    head = Text()
    head.append(visible(act.tool), style="bold")
    style = "yellow" if ended is not None and ended.status != "ok" else "dim"
    head.append(visible(f"  {act.call_id}{inner}  {status(act)}{took}"), style=style)
    parts: list[RenderableType] = [head]
    parts += [_indented(line) for line in arguments(act)]
    if act.problem:
        parts.append(_indented(f"cannot run: {act.problem}"))
    if ended is not None and ended.text:
        parts += [_indented("→"), _indented(ended.text)]
    if ended is not None and ended.output_ref:
        whole = f"agentctl show {look.row.id} --output {ended.output_ref}"
        parts.append(_indented(f"(all {count(ended.output_bytes)} bytes: {whole})"))
    return parts


def arguments(act: Act) -> list[str]:
    """The arguments one by one; as they are, if they are no JSON object."""
    try:
        found = msgspec.json.decode(act.arguments)
    except ValueError:
        return [act.arguments]
    if not isinstance(found, dict):
        return [act.arguments]
    return [f"{name}: {_value(value)}" for name, value in found.items()]


def _value(value: object) -> str:
    if isinstance(value, str):
        return f"\n{value}" if "\n" in value else value
    return msgspec.json.encode(value).decode()


def _indented(text: str) -> RenderableType:
    return Padding(Text(visible(text, newlines=True)), (0, 0, 0, 2))
