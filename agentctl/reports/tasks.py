"""Tasks as a list and one by one. Nothing here prints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agentctl.core import events as e
from agentctl.core.rows import TaskRow
from agentctl.core.state import State
from agentctl.core.values import Millis
from agentctl.reports.text import count, usd, visible

STYLES = {
    "running": "green",
    "interrupted": "red",
    "failed": "red",
    "limit": "yellow",
    "paused": "yellow",
    "waiting": "yellow",
    "cancelled": "dim",
}


def task_report(row: TaskRow, state: State, log: Sequence[e.Recorded]) -> RenderableType:
    """One task: what it is, how it stands, its steps and its answer."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(row, state):
        facts.add_row(Text(name), Text(visible(value, newlines=True)))
    parts: list[RenderableType] = [facts]
    steps = _steps(log)
    if steps:
        parts += [Text(), *steps]
    answer = state.answer
    if answer:
        parts += [Text(), Text(visible(answer, newlines=True))]
    return Group(*parts)


def _facts(row: TaskRow, state: State) -> list[tuple[str, str]]:
    limits = state.limits
    cap = "" if limits.task_cost_micros is None else f" of {usd(limits.task_cost_micros)}"
    tokens = f"{count(state.tokens_processed)} processed, {count(state.tokens_total)} in all"
    facts = [
        ("Task", f"{row.id} {row.name}".strip()),
        ("Goal", state.created.goal),
        ("Status", f"{row.status} (process {row.pid})" if row.status == "running" else row.status),
        ("Model", f"{state.provider}/{state.model}"),
        ("Workspace", state.created.cwd),
        ("Created", _local(row.created_ms)),
        ("Steps", f"{state.steps} of {limits.steps}" if limits.steps else str(state.steps)),
        ("Tokens", tokens),
        ("Cost", f"{cost(row)}{cap}"),
    ]
    if state.asked is not None:
        reserve = state.asked.reserve_micros
        most = "?" if reserve is None else usd(reserve)
        facts.append(("Open call", f"unsettled, at most {most}"))
    if state.started:
        names = ", ".join(started.tool for started in state.started.values())
        facts.append(("Running" if row.status == "running" else "In doubt", names))
    if state.removed is not None:
        facts.append(("Log", f"taken out on {_local(state.last_ms)[:10]} by gc; costs are kept"))
    if state.stopped is not None:
        facts.append(("Stopped", state.stopped.reason))
    if row.status in ("interrupted", "paused", "limit", "failed", "waiting"):
        facts.append(("Go on", f"agentctl resume {row.id}"))
    return facts


def _steps(log: Sequence[e.Recorded]) -> list[Text]:
    """A line per model answer and tool result."""
    lines: list[Text] = []
    step, purpose = 0, "step"
    for record in log:
        match record.event:
            case e.ModelAsked() as asked:
                purpose = asked.purpose
            case e.ModelAnswered() as answered:
                step += purpose == "step"
                number = f"{step:4d}" if purpose == "step" else "    "
                what = "model" if purpose == "step" else purpose
                price = "?" if answered.cost_micros is None else usd(answered.cost_micros)
                given, made = count(answered.usage.input), count(answered.usage.output)
                lines.append(Text(f"{number}  {what}  {given} in, {made} out, {price}"))
            case e.ModelFailed() as failed:
                detail = visible(failed.detail)
                lines.append(Text(f"      model  failed: {detail}", style="yellow"))
            case e.ToolEnded() as ended:
                name = visible(ended.tool)
                style = "" if ended.status == "ok" else "yellow"
                size = f"{count(len(ended.text))} characters"
                how = f"{ended.status}, reused" if ended.reused else ended.status
                text = f"      {name}  {how}, {ended.duration_ms} ms, {size}"
                lines.append(Text(text, style=style))
            case _:
                pass
    return lines


def cost(row: TaskRow) -> str:
    """The task's cost; calls without a price are counted beside it."""
    return f"{usd(row.cost_micros)} +{row.unpriced}?" if row.unpriced else usd(row.cost_micros)


def age(ms: Millis) -> str:
    """How long ago, in the largest fitting unit."""
    for unit, size_ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        if ms >= size_ms:
            return f"{ms // size_ms}{unit}"
    return f"{max(ms, 0) // 1000}s"


def _local(moment_ms: Millis) -> str:
    return datetime.fromtimestamp(moment_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
