"""A task, in short. Nothing here prints."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agentctl.core import events as e
from agentctl.core.steps import Step
from agentctl.core.values import Millis
from agentctl.reports.task_look import (
    Look,
    duration,
    facts,
    price,
    related_words,
    status,
    tokens_words,
)
from agentctl.reports.text import count, visible

LINES_SHOWN = 30
SAID_CHARS_MAX = 60
RESUMABLE = ("interrupted", "paused", "limit", "failed", "waiting")
STYLES = {
    "running": "green",
    "interrupted": "red",
    "failed": "red",
    "limit": "yellow",
    "paused": "yellow",
    "waiting": "yellow",
    "cancelled": "dim",
}


def task_report(look: Look, *, whole: bool = False) -> RenderableType:
    """One task: what it is, how it stands, its last steps, or all if `whole`, and its answer."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    known = [*facts(look), *related_words(look)]
    if look.row.status in RESUMABLE:
        known.append(("Go on", f"agentctl resume {look.row.id}"))
    for name, value in known:
        table.add_row(Text(name), Text(visible(value, newlines=True)))
    parts: list[RenderableType] = [table]
    lines = [line for step in look.steps for line in _lines(step)]
    if lines:
        left_out = 0 if whole else max(len(lines) - LINES_SHOWN, 0)
        parts.append(Text())
        if left_out > 1:
            parts.append(Text(f"  {count(left_out)} earlier lines: add --all", style="dim"))
            lines = lines[left_out:]
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True, min_width=4)
        grid.add_column()
        for number, text in lines:
            grid.add_row(number, text)
        parts.append(grid)
    if look.state.answer:
        parts += [Text(), Text(visible(look.state.answer, newlines=True))]
    return Group(*parts)


def _lines(step: Step) -> list[tuple[str, Text]]:
    """A number, if it is an answer's, and a line for each call of the model and of a tool."""
    lines: list[tuple[str, Text]] = []
    for tried in step.tries:
        is_answer = tried.answered is not None and tried.asked.purpose == "step"
        number = f"{step.number:4d}" if is_answer else "    "
        what = "model" if tried.asked.purpose == "step" else tried.asked.purpose
        if tried.failed is not None:
            detail = visible(tried.failed.detail)
            lines.append((number, Text(f"{what}  failed: {detail}", style="yellow")))
        elif tried.answered is not None:
            words = f"{tokens_words(tried)}, {price(tried)}"
            lines.append((number, Text(f"{what}  {words}")))
    for act in step.acts:
        if act.ended is not None:
            took, size = duration(act.ended.duration_ms), f"{count(len(act.ended.text))} characters"
            text = f"{'  ' if act.parent else ''}{visible(act.tool)}  {status(act)}, {took}, {size}"
            lines.append(("", Text(text, style="" if act.ended.status == "ok" else "yellow")))
    for record in step.events:
        match record.event:
            case e.UserSaid(text=said, by=by):
                line = " ".join(visible(said).split())
                short = line if len(line) <= SAID_CHARS_MAX else f"{line[:SAID_CHARS_MAX]}…"
                lines.append(("", Text(f"{by}  {short}", style="dim" if by == "fork" else "")))
            case e.Forked(created=created) | e.Imported(created=created):
                what = f"{created.origin} of {created.parent}: all up to here was paid there"
                lines.append(("", Text(what, style="dim")))
            case _:
                pass
    return lines


def age(ms: Millis) -> str:
    """How long ago, in the largest fitting unit."""
    for unit, size_ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        if ms >= size_ms:
            return f"{ms // size_ms}{unit}"
    return f"{max(ms, 0) // 1000}s"
