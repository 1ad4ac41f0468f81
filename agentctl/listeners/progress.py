"""What a person sees of a run: streamed text, a line per tool call and a status line.

On a terminal the status line stays at the bottom; elsewhere plain lines are written. Everything
that comes from a model or tool is made visible first and never read as markup.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.text import Text

from agentctl.core import events as e
from agentctl.core.events import Recorded
from agentctl.core.live import (
    Batched,
    ChildSaid,
    Signal,
    TextDelta,
    ToolOutput,
    ToolProgress,
    Waiting,
)
from agentctl.core.rows import TaskRow
from agentctl.core.values import Millis
from agentctl.reports.limit_words import limit_name
from agentctl.reports.text import count, usd, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

GLYPHS = {"ok": "✓", "error": "✗", "invalid": "✗", "denied": "–", "timeout": "✗"}
ARGUMENT_CHARS = 48


class Progress:
    """Writes to a Rich console on stderr."""

    live = True

    def __init__(
        self, console: Console, row: TaskRow, *, verbose: bool, ran_ms: Millis = 0
    ) -> None:
        """`row` gives what the task has used before; for `ran_ms` this run has gone on already."""
        self._console = console
        self._row = row
        self._verbose = verbose
        self.terminal = console.is_terminal
        self._live: Live | None = None
        self._steps, self._micros = row.steps, row.cost_micros
        self._unpriced, self._tokens = row.unpriced, row.tokens_total
        self._cached = row.tokens_total - row.tokens_processed
        self._estimated = False
        self._began_s = time.monotonic() - ran_ms / 1000
        self._partial = ""
        self._calls: dict[str, str] = {}
        self._waiting = ""
        self._purpose = "step"
        self._until_ms = 0
        self._limit = row.limit_micros

    def _head(self, event: e.Resumed) -> None:
        """Say which task this is, once its process has it."""
        row = self._row
        model = f"{event.provider or row.provider}/{event.model or row.model}"
        self._line(f"Task {row.id} · {model} · {row.cwd}", "dim")
        if event.enforced:
            self._line(event.enforced, "dim")
        self.restore()

    def suspend(self) -> None:
        """Take the status line off the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def restore(self) -> None:
        """Show the status line again, on a terminal."""
        if self.terminal and self._live is None:
            from rich.live import Live  # here, because only a terminal needs it

            self._live = Live(
                console=self._console,
                get_renderable=self._status,
                refresh_per_second=4,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def close(self) -> None:
        """Leave the screen as it is, without the status line."""
        self._flush()
        self.suspend()

    def hear(self, task_id: str, item: Recorded | Signal) -> None:
        """Show one event or signal."""
        if isinstance(item, Recorded):
            self._event(item.event)
        elif isinstance(item, TextDelta):
            self._stream(item.text)
        elif isinstance(item, Waiting):
            self._waiting = f"waiting until {_clock(item.until_ms)}"
            self._until_ms = item.until_ms
            self._line(f"{self._waiting}: {item.why}", "yellow")
        elif isinstance(item, ChildSaid):
            self._line(f"{item.task_id} {_short(item.text)}", "dim", indent="  ")
        elif self._verbose and isinstance(item, Batched):
            once = "" if item.distinct == item.items else f", {item.distinct} different"
            self._line(f"{item.items} calls of {item.tool} together{once}", "dim")
        elif self._verbose and isinstance(item, ToolOutput | ToolProgress):
            self._line(item.text.rstrip("\n"), "dim", indent="    ")

    def _event(self, event: e.Event) -> None:
        match event:
            case e.Resumed():
                self._head(event)
            case e.ModelAsked():
                self._waiting = ""
                self._purpose = event.purpose
                if event.purpose == "summary":
                    self._line("asking for a summary of what is about to be left out", "dim")
            case e.ModelAnswered():
                self._answered(event)
            case e.ModelFailed():
                self._flush()
                self._micros += event.charged_micros or 0
                charged = "" if event.charged_micros == 0 else " (may have been billed)"
                self._line(f"model call failed: {event.detail}{charged}", "yellow")
            case e.ToolStarted() if event.parent:
                self._calls[event.call_id] = event.arguments
            case e.ToolEnded():
                self._ended(event)
            case e.AnswerRefused():
                self._line(f"the answer does not fit the schema:\n{event.problem}", "yellow")
            case e.LimitWarned():
                self._line(f"{event.level}: {_use(event.limit, event.used, event.cap)}", "yellow")
            case e.LimitReached():
                what = event.tool or "the next call"
                self._line(f"{what} is held up: {limit_name(event.limit)}", "yellow")
            case e.Switched():
                self._line(f"asking {event.provider}/{event.model} instead: {event.why}", "yellow")
            case e.LimitChanged():
                self._limit = event.limits.task_cost_micros
                if event.reason not in ("", "resume"):
                    self._line(f"limits changed: {event.reason}", "yellow")
            case e.ContextPruned():
                self._line(f"context shortened: {event.why}", "dim")
            case e.UserSaid():
                self._line(f"message: {event.text}", "cyan")
            case e.UserHeard():
                what = "1 message is" if event.messages == 1 else f"{event.messages} messages are"
                self._line(f"{what} read before this step", "dim")
            case e.PauseRequested():
                self._line("pause requested: stopping before the next step", "yellow")
            case e.CancelRequested():
                self._line("cancel requested", "yellow")
            case _:
                pass

    def _answered(self, event: e.ModelAnswered) -> None:
        self._flush()
        self._steps += self._purpose == "step"
        self._micros += event.cost_micros or 0
        self._unpriced += event.cost_micros is None
        self._tokens += event.usage.input + event.usage.output
        self._cached += event.usage.cache_read
        self._estimated |= not event.usage.reported
        if self._purpose != "step":
            return
        for call in event.message.calls:
            self._calls[call.id] = call.arguments
        if not self.terminal:
            # The final answer is the result: it is printed once, on stdout.
            if event.message.text and (event.message.calls or event.stop == "refusal"):
                self._line(event.message.text)
            self._line(self._status().plain, "dim")

    def _ended(self, event: e.ToolEnded) -> None:
        arguments = visible(self._calls.pop(event.call_id, ""))
        if len(arguments) > ARGUMENT_CHARS:
            arguments = arguments[: ARGUMENT_CHARS - 1] + "…"
        glyph = GLYPHS.get(event.status, "?")
        took = _duration(event.duration_ms)
        status = "" if event.status == "ok" else f" {event.status}"
        style = "" if event.status == "ok" else "yellow"
        self._line(f"{glyph} {event.tool} {arguments} {took}{status}", style)
        if event.status not in ("ok", "error") or self._verbose:
            self._line(event.text, "dim", indent="    ")

    def _stream(self, text: str) -> None:
        """Print whole lines as they come; what is unfinished waits for its end."""
        if not self.terminal:
            return
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            self._line(line)

    def _flush(self) -> None:
        if self._partial:
            self._line(self._partial)
            self._partial = ""

    def _line(self, text: str, style: str = "", indent: str = "") -> None:
        for line in text.splitlines() or [""]:
            self._console.print(
                Text(indent + visible(line), style=style), soft_wrap=not self.terminal
            )

    def _used(self) -> str:
        """All tokens, and how many of them came from a cache."""
        about = "~" if self._estimated else ""
        share = f" ({self._cached * 100 // self._tokens} % cached)" if self._cached else ""
        return f"{about}{count(self._tokens)} tokens{share}"

    def _status(self) -> Text:
        limit = "" if self._limit is None else f" of {usd(self._limit)}"
        unpriced = f" + ? {self._unpriced} unpriced" if self._unpriced else ""
        parts = [
            f"step {self._steps}",
            self._used(),
            f"{usd(self._micros)}{limit}{unpriced}",
            _duration(int((time.monotonic() - self._began_s) * 1000)),
        ]
        if self._waiting:
            left_s = max(self._until_ms // 1000 - int(time.time()), 0)
            parts.append(f"{self._waiting} ({left_s} s)")
        return Text(" · ".join(parts), style="cyan", no_wrap=True, overflow="ellipsis")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= ARGUMENT_CHARS else line[: ARGUMENT_CHARS - 1] + "…"


def _use(limit: str, used: int, cap: int) -> str:
    name, _, unit = limit.rpartition("_")
    if unit == "micros":
        return f"{name.replace('_', ' ')} {usd(used)} of {usd(cap)}"
    if unit == "ms":
        return f"running time {_duration(used)} of {_duration(cap)}"
    return f"{limit.replace('_', ' ')} {count(used)} of {count(cap)}"


def _duration(ms: int) -> str:
    if ms < 1_000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms // 60_000}:{ms // 1000 % 60:02d} min"


def _clock(moment_ms: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment_ms / 1000))
