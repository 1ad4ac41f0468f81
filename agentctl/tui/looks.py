"""How things look: text made safe, in colour, as wide as there is room. No markup anywhere."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from agentctl.core.limits import level
from agentctl.core.rows import TaskRow
from agentctl.core.state import State
from agentctl.core.tokens import NextRequest
from agentctl.core.values import Millis
from agentctl.reports.task_look import cost
from agentctl.reports.tasks import age
from agentctl.reports.text import count, usd, visible
from agentctl.tui.board import Entry
from agentctl.tui.history import History, Step

GREEN, YELLOW, RED, BLUE, GREY = "#5fd787", "#ffd75f", "#ff6b6b", "#6cb6ff", "#8a919e"
STATUS = {
    "running": ("●", GREEN),
    "paused": ("‖", YELLOW),
    "limit": ("▲", YELLOW),
    "waiting": ("◌", YELLOW),
    "interrupted": ("✗", RED),
    "failed": ("✗", RED),
    "done": ("✓", BLUE),
    "cancelled": ("–", GREY),
}
LEVELS = {"ok": GREEN, "warning": YELLOW, "critical": RED, "over": RED}
STYLES = {"green": GREEN, "yellow": YELLOW, "red": RED, "dim": GREY}
PARTS = (
    ("system", "#8787d7"), ("goal", "#d787d7"), ("history", BLUE), ("tool_output", YELLOW),
)  # fmt: skip


def safe(text: str, style: str = "") -> Text:
    """One line of somebody's text."""
    return Text(visible(" ".join(text.split())), style=style, no_wrap=True, overflow="ellipsis")


def status(row: TaskRow) -> Text:
    """A sign and a word."""
    sign, style = STATUS.get(row.status, ("?", ""))
    return Text(f"{sign} {row.status}", style=style)


def bar(used: int, cap: int | None, width: int) -> Text:
    """How much of a limit is used; without one, nothing to be filled."""
    if cap is None:
        return Text("─" * width, style=GREY)
    share = 1.0 if cap <= 0 else min(used / cap, 1.0)
    full = min(round(share * width), width) or (1 if used else 0)
    text = Text("━" * full, style=LEVELS.get(level(used, cap), RED))
    return text.append("─" * (width - full), style=GREY)


def spent(row: TaskRow) -> Text:
    """The cost and its limit."""
    limit = "" if row.limit_micros is None else f" of {usd(row.limit_micros)}"
    return Text(f"{cost(row)}{limit}")


def what(entry: Entry) -> Text:
    """The goal, and below it what happened last."""
    row = entry.row
    goal = f"{row.name}: {row.goal}" if row.name else row.goal
    if row.origin == "child":
        goal = f"↳ {row.parent}  {goal}"
    text = safe(goal).append("\n")
    return text.append_text(safe(entry.last, GREY))


def cells(entry: Entry, now_ms: Millis, *, narrow: bool) -> list[Text]:
    """A task of the list, two lines high."""
    row = entry.row
    if narrow:
        place = status(row).append(f"\n{cost(row)}", style=GREY)
        return [Text(row.id), place, what(entry)]
    since = Text(f"{age(now_ms - row.created_ms)} ago", style=GREY)
    money = spent(row).append("\n").append_text(bar(row.cost_micros, row.limit_micros, 14))
    steps = Text(f"{count(row.steps):>5}")
    return [Text(row.id).append("\n").append_text(since), status(row), steps, money, what(entry)]


def facts(row: TaskRow, state: State, width: int) -> Text:
    """The head of a task's screen."""
    limits = state.limits
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append_text(status(row)).append("  ").append(f"{row.id}  ", style="bold")
    name = f"{row.name} · " if row.name else ""
    head.append_text(safe(f"{name}{state.provider}/{state.model} · {row.cwd}", GREY))
    head.append("\n").append_text(safe(state.created.goal, "bold"))
    size = max(min(width - 44, 40), 8)
    uses = (
        ("Spent ", state.spent_micros, limits.task_cost_micros, usd),
        ("Tokens", state.tokens_processed, limits.task_tokens, count),
        ("Steps ", state.steps, limits.steps, count),
    )
    for name, used, cap, shown in uses:
        most = "no limit" if cap is None else shown(cap)
        head.append(f"\n{name} ", style=GREY).append_text(bar(used, cap, size))
        head.append(f" {shown(used)} of {most}")
        if name == "Spent " and state.unpriced:
            head.append(f" + {state.unpriced} unpriced", style=YELLOW)
    return head


def window(request: NextRequest, width: int) -> Text:
    """What the next request would hold."""
    text = Text().append("Next request ", style="bold").append(f"{count(request.tokens)} tokens\n")
    parts = [(name, getattr(request, name), style) for name, style in PARTS]
    whole = max(request.tokens, 1)
    for _, tokens, style in parts:
        text.append("━" * round(tokens * width / whole), style=style)
    for name, tokens, style in parts:
        text.append("\n■ ", style=style).append(f"{name.replace('_', ' '):12}{count(tokens):>9}")
    return text


def files(changed: Mapping[str, int], most: int) -> Text:
    """The newest of the files that were written."""
    text = Text().append("Files changed", style="bold")
    if not changed:
        return text.append("\nnone yet", style=GREY)
    for path in list(changed)[-most:][::-1]:
        times = "" if changed[path] == 1 else f" ×{changed[path]}"
        text.append("\n").append_text(safe(path)).append(times, style=GREY)
    return text


def step(each: Step) -> list[Text]:
    """A line of the steps."""
    style = STYLES.get(each.style, each.style)
    return [
        Text(f"{each.number:>4}", style=GREY), safe(each.what, style),
        safe(each.detail[:300], style if style != "bold" else ""),
        Text(f"{each.cost:>9}", style=GREY),
    ]  # fmt: skip


def words(history: History) -> Text:
    """What the model said last, and what its tools print."""
    return Text(visible(history.said, newlines=True).rstrip())
