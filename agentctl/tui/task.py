"""One task: its steps, what is being said, its tokens and the files it changed."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import DataTable, Footer, Static

from agentctl.control import Desk
from agentctl.core.calibrate import bytes_per_ktoken
from agentctl.counting import usual
from agentctl.errors import AgentctlError
from agentctl.following import Follower
from agentctl.tui import looks
from agentctl.tui.history import History
from agentctl.tui.steering import Resume, Steering

STEPS_MAX = 500
"""So many of the newest are shown; all are in `agentctl logs`."""
SIDE_COLUMNS = 30
NARROW_COLUMNS = 72
LOOK_S = 0.15


class TaskScreen(Steering):
    """Follows a task as `attach` does."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "back"),
        Binding("q", "app.quit", "quit"),
    ]

    def __init__(self, desk: Desk, resume: Resume, task_id: str) -> None:
        """Nothing is read yet."""
        super().__init__(desk, resume)
        row = desk.find(task_id)
        self._task_id = task_id
        self._follower = Follower(desk, task_id)
        learned = desk.store.learned(row.provider, row.model)
        self._history = History(bytes_per_ktoken(usual(row.provider, row.model), learned))
        self._shown = 0
        self._status = ""
        self._wrong = ""

    def compose(self) -> ComposeResult:
        """Head, steps beside tokens and files, words, keys."""
        yield Static(id="facts", markup=False)
        with Horizontal(id="middle"):
            yield DataTable[Text](
                id="steps",
                cursor_type="row",
                show_header=False,
                cursor_foreground_priority="renderable",
            )
            with Vertical(id="side"):
                yield Static(id="window", markup=False)
                yield Static(id="files", markup=False)
        with VerticalScroll(id="saying", can_focus=False):
            yield Static(id="said", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to follow."""
        self.query_one("#steps").focus()
        self.set_interval(LOOK_S, self.look)
        self.call_after_refresh(self.look)

    def on_resize(self, event: events.Resize) -> None:
        """Show it in the new width."""
        self.set_class(event.size.width < NARROW_COLUMNS, "narrow")
        self._shown, self._status = 0, ""
        self.query_one(DataTable).clear(columns=True)
        self.call_after_refresh(self.look)

    def chosen(self) -> str:
        """Id of this task."""
        return self._task_id

    def look(self) -> None:
        """Show what is new."""
        if not self.size.width:
            return
        try:
            news = self._follower.news()
            for item in news:
                self._history.add(item)
            row = self.desk.find(self._task_id)
        except AgentctlError as error:
            if str(error) != self._wrong:  # told once
                self._wrong = str(error)
                self.say(self._wrong, wrong=True)
            return
        state = self._history.tally.state
        if state is None or (not news and row.status == self._status):
            return
        self._status = row.status
        self.query_one("#facts", Static).update(looks.facts(row, state, self.size.width - 2))
        request = self._history.tally.next_request()
        side = self.size.width // 2 - 4 if self.has_class("narrow") else SIDE_COLUMNS - 4
        self.query_one("#window", Static).update(looks.window(request, side))
        self.query_one("#files", Static).update(looks.files(self._history.files, 12))
        self.query_one("#said", Static).update(looks.words(self._history))
        self.query_one("#saying", VerticalScroll).scroll_end(animate=False)
        self._show_steps()

    def _show_steps(self) -> None:
        table, steps = self.query_one(DataTable), self._history.steps
        if not table.columns:
            side = 0 if self.has_class("narrow") else SIDE_COLUMNS
            rest = max(self.size.width - side - 4 - 12 - 9 - 4 * 2 - 2, 8)
            for name, width in (("step", 4), ("what", 12), ("detail", rest), ("cost", 9)):
                table.add_column(name, width=width)
        at_end = table.cursor_row >= table.row_count - 1
        for each in steps[max(self._shown, len(steps) - STEPS_MAX) :]:
            table.add_row(*looks.step(each))
        self._shown = len(steps)
        if at_end and table.row_count:
            table.move_cursor(row=table.row_count - 1)
