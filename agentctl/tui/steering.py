"""The keys that change a task, the same wherever one is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.screen import Screen

from agentctl.control import Desk
from agentctl.core.rows import TaskRow
from agentctl.errors import AgentctlError
from agentctl.limits_desk import set_limits
from agentctl.reports.limit_words import amount, limit_name, unit_of
from agentctl.reports.text import visible
from agentctl.tui.dialogs import AskLimit, Sure

Resume = Callable[[str], tuple[int, str]]
"""Has a process in the background resume a task; returns its exit code and its words."""


class Steering(Screen[None]):
    """A screen on which a task is chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "pause"),
        Binding("r", "resume", "resume"),
        Binding("c", "cancel", "cancel"),
        Binding("l", "limit", "limit"),
    ]

    def __init__(self, desk: Desk, resume: Resume) -> None:
        """Changes go through the desk, as those of the commands do."""
        super().__init__()
        self.desk = desk
        self.resume = resume

    def chosen(self) -> str:
        """Id of the task, or nothing."""
        raise NotImplementedError

    def look(self) -> None:
        """Show how things stand now."""
        raise NotImplementedError

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Tell the person something."""
        shown = visible(text, newlines=True)
        self.notify(shown, severity="error" if wrong else "information", markup=False)

    def _do(self, change: Callable[[TaskRow], str]) -> None:
        """Change the chosen task as it stands now; a refusal is told and changes nothing."""
        task_id = self.chosen()
        if not task_id:
            return
        try:
            self.say(change(self.desk.find(task_id)))
            self.look()
        except AgentctlError as error:
            self.say(str(error), wrong=True)

    def action_pause(self) -> None:
        """Before its next step."""
        self._do(lambda row: self.desk.pause(row, now=False, reason=""))

    def action_cancel(self) -> None:
        """For good, so it is asked first."""
        task_id = self.chosen()
        if not task_id:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._do(lambda row: self.desk.cancel(row, reason=""))

        question = f"Cancel task {task_id} for good? Its log and costs stay."
        self.app.push_screen(Sure(question), answered)

    def action_limit(self) -> None:
        """A new cost limit."""
        task_id = self.chosen()
        if not task_id:
            return
        try:
            micros = self.desk.find(task_id).limit_micros
        except AgentctlError as error:
            self.say(str(error), wrong=True)
            return
        value = "" if micros is None else f"{micros / 1_000_000:.2f}"

        def typed(text: str | None) -> None:
            if text:
                self._do(lambda row: self._set_limit(row, text))

        question = f"Most that task {task_id} may spend, in dollars:"
        self.app.push_screen(AskLimit(question, value), typed)

    def _set_limit(self, row: TaskRow, text: str) -> str:
        done = set_limits(self.desk, row, {"max_cost": text}, reason="watch")
        change = done.changes[0]
        unit = unit_of(change.name)
        told = f"{limit_name(change.name)}: {amount(change.old, unit)} → {amount(change.new, unit)}"
        return told if row.status == "running" else f"{told}\nGo on with: r"

    def action_resume(self) -> None:
        """In a process of its own."""
        task_id = self.chosen()
        if task_id:
            self.say(f"Resuming {task_id} in the background …")
            self._resume(task_id)

    @work(thread=True, exit_on_error=False)
    def _resume(self, task_id: str) -> None:
        """Apart, because a process takes a moment to start."""
        code, words = self.resume(task_id)
        if code:
            self.app.call_from_thread(self.say, words, wrong=True)
        else:
            self.app.call_from_thread(self.say, f"Task {task_id} runs in the background.")
