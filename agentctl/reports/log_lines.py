"""The log of a task, a line for each event."""

from __future__ import annotations

from agentctl.core import events as e
from agentctl.reports.limit_words import amount, limit_name, unit_of
from agentctl.reports.periods import local
from agentctl.reports.text import count, usd, visible

TEXT_CHARS = 160
KIND_CHARS = max(map(len, e.KINDS))


class LogLines:
    """Turns events into lines, in the order of the log."""

    def __init__(self) -> None:
        """Nothing has happened."""
        self._calls: dict[str, str] = {}

    def line(self, record: e.Recorded) -> str:
        """When, which kind, and what of it, on one line that is safe for a terminal."""
        text = " ".join(self.text(record.event).split())
        if len(text) > TEXT_CHARS:
            text = text[: TEXT_CHARS - 1] + "…"
        moment = local(record.at_ms, None)
        kind = type(record.event).__name__
        return f"{moment:%Y-%m-%d %H:%M:%S}  {kind:{KIND_CHARS}}  {visible(text)}".rstrip()

    def text(self, event: e.Event) -> str:
        """What happened, in somebody's words: it may be long and is not safe for a terminal."""
        match event:
            case e.TaskCreated():
                return event.goal
            case e.ModelAsked():
                most = "?" if event.reserve_micros is None else usd(event.reserve_micros)
                what = "" if event.purpose == "step" else f" for a {event.purpose}"
                return f"{event.provider}/{event.model}{what}, at most {most}"
            case e.ModelAnswered():
                return self._answer(event)
            case e.ModelFailed():
                return f"{event.reason}: {event.detail}"
            case e.ToolApproved():
                return f"{event.tool} {'in this task' if event.always else event.rule}"
            case e.ToolStarted():
                arguments = event.arguments or self._calls.get(event.call_id, "")
                return f"{event.tool} {arguments}"
            case e.ToolEnded():
                reused = ", reused" if event.reused else ""
                how = f"{event.status}{reused}, {event.duration_ms} ms"
                return f"{event.tool} {how}: {event.text}"
            case e.ToolNote():
                return f"{event.source}: {event.text}"
            case e.ContextPruned():
                return event.why
            case e.Resumed():
                return f"process {event.pid}"
            case e.Switched():
                return f"{event.provider}/{event.model}: {event.why}"
            case e.Finished():
                return f"{event.outcome} {event.text}"
            case e.PauseRequested():
                return f"by {event.by} {'now' if event.now else ''} {event.reason}"
            case e.CancelRequested():
                return event.reason
            case e.Stopped():
                return f"{event.outcome}: {event.reason}"
            case _:
                return _of_limits(event)

    def _answer(self, event: e.ModelAnswered) -> str:
        self._calls = {call.id: call.arguments for call in event.message.calls}
        price = "?" if event.cost_micros is None else usd(event.cost_micros)
        used = f"{count(event.usage.input)} in, {count(event.usage.output)} out, {price}"
        calls = ", ".join(call.name for call in event.message.calls)
        told = ": ".join(part for part in (calls, event.message.text) if part)
        return f"{used}  {told}"


def _of_limits(event: e.Event) -> str:
    match event:
        case e.LimitWarned():
            unit = unit_of(event.limit)
            use = f"{amount(event.used, unit)} of {amount(event.cap, unit)}"
            return f"{event.level}: {limit_name(event.limit)}, {use}"
        case e.LimitReached():
            what = event.tool or "the next call"
            return f"{what} is held up: {limit_name(event.limit)}"
        case e.LimitChanged():
            return event.reason
        case _:
            return ""
