"""One task as its screen shows it: steps, words, files, tokens; from its log and what is live."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from agentctl.core import events as e
from agentctl.core.live import TextDelta, ToolOutput, ToolProgress, Waiting
from agentctl.core.tokens import TokenTally
from agentctl.following import Item
from agentctl.reports.limit_words import limit_name
from agentctl.reports.text import count, usd

SAID_CHARS = 20_000
CHANGES = ("write_file", "edit_file")
"""Tools whose effect on a file is known from their arguments."""


class Step(Struct, frozen=True):
    """A line of the steps."""

    number: str
    what: str
    detail: str
    cost: str = ""
    style: str = ""


class History:
    """Follows a task."""

    def __init__(self, bytes_per_ktoken: int) -> None:
        """Tokens that were not reported are estimated with this ratio."""
        self.tally = TokenTally(bytes_per_ktoken)
        self.steps: list[Step] = []
        self.said = ""
        self.files: dict[str, int] = {}
        """Paths, with how often each was written."""
        self._calls: dict[str, str] = {}
        self._purpose = "step"
        self._new_words = False

    def add(self, item: Item) -> None:
        """Go on by one event or signal. The first event must be TaskCreated."""
        match item:
            case e.Recorded():
                self.tally.add(item)
                self._event(item.event)
            case TextDelta(text) | ToolOutput(_, text):
                self._say(text)
            case ToolProgress(_, _, text):
                self._say(f"{text}\n")
            case Waiting(_, why):
                self.steps.append(Step("", "waiting", why, style="yellow"))
            case _:
                pass

    def _say(self, text: str) -> None:
        if self._new_words:
            self.said, self._new_words = "", False
        self.said = (self.said + text)[-SAID_CHARS:]

    def _event(self, event: e.Event) -> None:
        step = None
        match event:
            case e.ModelAsked():
                self._purpose, self._new_words = event.purpose, True
            case e.ModelAnswered():
                step = self._answered(event)
            case e.ModelFailed():
                charged = "?" if event.charged_micros is None else usd(event.charged_micros)
                step = Step("", "model", event.detail, charged, "red")
            case e.ToolStarted():
                self._say("\n" if self.said and not self.said.endswith("\n") else "")
                if event.arguments:
                    self._calls[event.call_id] = event.arguments
            case e.ToolEnded():
                step = self._ended(event)
            case e.LimitReached():
                step = Step("", "limit", limit_name(event.limit), style="yellow")
            case e.LimitChanged():
                step = Step("", "limits", event.reason or "changed", style="yellow")
            case e.PauseRequested():
                step = Step("", "pause", f"asked for by {event.by} {event.reason}", style="yellow")
            case e.CancelRequested():
                step = Step("", "cancel", event.reason, style="yellow")
            case e.ContextPruned():
                step = Step("", "context", f"shortened: {event.why}", style="dim")
            case e.Switched():
                step = Step("", "model", f"now {event.provider}/{event.model}", style="yellow")
            case e.Stopped():
                step = Step("", event.outcome, event.reason, style="yellow")
            case e.Finished():
                style = "green" if event.outcome == "done" else "dim"
                step = Step("", event.outcome, "", style=style)
            case _:
                pass
        if step is not None:
            self.steps.append(step)

    def _answered(self, event: e.ModelAnswered) -> Step:
        for call in event.message.calls:
            self._calls[call.id] = call.arguments
        state = self.tally.state
        is_step = self._purpose == "step"
        number = str(state.steps) if is_step and state is not None else ""
        price = "?" if event.cost_micros is None else usd(event.cost_micros)
        usage = f"{count(event.usage.input)} in, {count(event.usage.output)} out"
        return Step(number, "model" if is_step else self._purpose, usage, price, "bold")

    def _ended(self, event: e.ToolEnded) -> Step:
        arguments = self._calls.pop(event.call_id, event.arguments)
        if event.status == "ok" and event.tool in CHANGES:
            path = _path(arguments)
            if path:
                self.files[path] = self.files.get(path, 0) + 1
        how = "" if event.status == "ok" else f"{event.status}: "
        style = "" if event.status == "ok" else "red"
        return Step("", event.tool, f"{how}{arguments}", _took(event.duration_ms), style)


def _path(arguments: str) -> str:
    try:
        found = msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return ""
    path = found.get("path") if isinstance(found, dict) else None
    return path if isinstance(path, str) else ""


def _took(ms: int) -> str:
    return f"{ms} ms" if ms < 1_000 else f"{ms / 1000:.1f} s"
