"""A batch on the screen: a line for each goal, how far it is, and its last words."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agentctl.core.values import Micros, Millis
from agentctl.reports.text import count, usd, visible

MINUTE_MS = 60_000
GLYPHS = {"done": "✓", "failed": "✗", "busy": "✗"}
STYLES = {"done": "green", "failed": "red", "busy": "red"}
UNFINISHED = ("failed", "limit", "waiting", "paused", "cancelled", "busy")
FIGURES_WIDTH = 60
"""About as much room as all figures take."""


class Standing(Struct, frozen=True):
    """How far a batch is."""

    goals: int
    outcomes: Mapping[str, int]
    """How many goals came to which end or stop."""
    running: int
    spent_micros: Micros
    """By all goals, also in earlier runs."""
    cap_micros: Micros | None
    ended_now: int = 0
    """Goals that came to an end or stop in this run."""
    elapsed_ms: Millis = 0
    """Of this run."""

    @property
    def ended(self) -> int:
        """Goals that came to an end or a stop."""
        return sum(self.outcomes.values())


def goal_line(standing: Standing, outcome: str, task_id: str, goal: str, why: str) -> Text:
    """One goal that has come to an end or a stop, on one line."""
    glyph = GLYPHS.get(outcome, "–")
    head = f"{glyph} {standing.ended}/{standing.goals} {task_id or '-'} {outcome}"
    reason = f": {why.rstrip('.')}" if why else ""
    said = " ".join(f"{reason} · {goal}".split())
    line = Text(head, style=STYLES.get(outcome, "yellow"))
    return line.append(visible(said if reason else f" {said}"), style="none")


def status(standing: Standing, width: int) -> RenderableType:
    """The line at the bottom of a terminal: a bar and figures, as many as there is room for."""
    bar_width = min(max((width - FIGURES_WIDTH) // 2, 6), 24)
    bar = ProgressBar(total=max(standing.goals, 1), completed=standing.ended, width=bar_width)
    room = width - bar_width - 2  # the last column stays free
    text = ""
    for part in figures(standing):
        longer = f"{text} · {part}" if text else part
        if len(longer) > room and text:
            break
        text = longer
    grid = Table.grid(padding=(0, 1))
    grid.add_row(bar, Text(text, no_wrap=True, overflow="ellipsis"))
    return grid


def figures(standing: Standing) -> list[str]:
    """Done, running, failed, spend, rate and time left, the most wanted first."""
    failed = sum(standing.outcomes.get(word, 0) for word in UNFINISHED)
    cap = "" if standing.cap_micros is None else f" of {usd(standing.cap_micros)}"
    parts = [f"{count(standing.ended)}/{count(standing.goals)}", f"{standing.running} running"]
    if failed:
        parts.append(f"{count(failed)} not done")
    parts.append(f"{usd(standing.spent_micros)}{cap}")
    if standing.ended_now and standing.elapsed_ms:
        left = standing.goals - standing.ended
        each_ms = standing.elapsed_ms / standing.ended_now
        parts.append(f"{left_words(round(left * each_ms))} left")
        parts.append(f"{MINUTE_MS / each_ms:.0f}/min")
    return parts


def left_words(ms: Millis) -> str:
    """A rough time: 40 s, 5 min, 3 h."""
    if ms < 90_000:
        return f"{-(-ms // 1000)} s"
    if ms < 90 * MINUTE_MS:
        return f"{-(-ms // MINUTE_MS)} min"
    return f"{-(-ms // (60 * MINUTE_MS))} h"


def last_words(standing: Standing, go_on: str, *, over_cap: bool) -> str:
    """What was reached, what it cost, and the command that goes on with the rest."""
    done = standing.outcomes.get("done", 0)
    cap = "" if standing.cap_micros is None else f" of {usd(standing.cap_micros)}"
    spent = f"{usd(standing.spent_micros)}{cap}"
    if done == standing.goals:
        return f"Done: all {count(done)} goals, {spent}."
    rest = [
        f"{count(number)} {word}"
        for word in UNFINISHED
        if (number := standing.outcomes.get(word, 0))
    ]
    undone = standing.goals - standing.ended
    rest += [f"{count(undone)} not begun"] if undone else []
    text = f"{count(done)} of {count(standing.goals)} goals are done, {', '.join(rest)}; {spent}."
    if over_cap and standing.cap_micros is not None:
        dollars = max(standing.cap_micros * 2, 10_000) / 1_000_000
        return (
            f"Stopped at the cost limit of the batch: {text}\n"
            f"Go on with: {go_on} --max-cost {dollars:.2f}"
        )
    return f"{text}\nGo on with: {go_on}"
