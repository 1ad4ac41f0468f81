"""All tasks: those that run first."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Input, Static

from agentctl.control import Desk, now_ms
from agentctl.errors import AgentctlError
from agentctl.tui import looks
from agentctl.tui.board import Board, Entry
from agentctl.tui.steering import Resume, Steering
from agentctl.tui.task import TaskScreen

WIDE = (("Task", 8), ("Status", 13), ("Steps", 5), ("Spent", 16))
NARROW = (("Task", 8), ("Status", 13))
NARROW_COLUMNS = 72
LOOK_S = 0.25


class TaskList(Steering):
    """A table, two lines a task."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "open", "open", key_display="enter"),  # which the table itself takes
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("escape", "unfilter", show=False),
        Binding("q", "app.quit", "quit"),
    ]

    def __init__(self, desk: Desk, resume: Resume) -> None:
        """Nothing is read yet."""
        super().__init__(desk, resume)
        self._board = Board(desk)
        self._shown: dict[str, list[Text]] = {}
        self._columns: tuple[int, bool] = (0, False)
        self._wrong = ""

    def compose(self) -> ComposeResult:
        """Title, table, filter, keys."""
        yield Static(id="title", markup=False)
        yield DataTable[Text](
            id="tasks", cursor_type="row", cursor_foreground_priority="renderable"
        )
        yield Input(placeholder="id, name, status or words of the goal", id="filter")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to look."""
        self.query_one("#filter").display = False
        self.query_one(DataTable).focus()
        self.set_interval(LOOK_S, self.look)
        self.call_after_refresh(self.look)

    def on_resize(self, event: events.Resize) -> None:
        """Columns are made for the width."""
        del event
        self.call_after_refresh(self.look)

    def chosen(self) -> str:
        """Id of the task under the cursor."""
        table = self.query_one(DataTable)
        if not table.row_count:
            return ""
        return str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)

    def look(self) -> None:
        """Show the list as it is now."""
        if self.app.screen is not self or not self.size.width:
            return  # nobody sees it
        try:
            entries = self._board.look()
        except AgentctlError as error:
            if str(error) != self._wrong:  # told once
                self._wrong = str(error)
                self.say(self._wrong, wrong=True)
            return
        self._wrong = ""
        kept = [entry for entry in entries if self._wanted(entry)]
        running = sum(entry.row.status == "running" for entry in entries)
        title = f" agentctl   {running} running · {len(kept)} of the newest {len(entries)} tasks"
        if len(kept) == len(entries):
            title = f" agentctl   {running} running · {len(entries)} tasks"
        self.query_one("#title", Static).update(Text(title, no_wrap=True, overflow="ellipsis"))
        self._fill(kept)

    def _wanted(self, entry: Entry) -> bool:
        word = self.query_one("#filter", Input).value.strip().lower()
        row = entry.row
        return not word or any(
            word in text.lower() for text in (row.id, row.name, row.status, row.goal)
        )

    def _fill(self, entries: list[Entry]) -> None:
        """Change the cells that are others now; where the order is, all."""
        table, moment_ms = self.query_one(DataTable), now_ms()
        narrow = self.size.width < NARROW_COLUMNS
        made = {each.row.id: looks.cells(each, moment_ms, narrow=narrow) for each in entries}
        columns = (self.size.width, narrow)
        if columns != self._columns or list(made) != list(self._shown):
            self._fill_anew(table, made, columns)
        for key, cells in made.items():
            before = self._shown.get(key)
            for number, cell in enumerate(cells):
                if before is not None and before[number] != cell:
                    table.update_cell(key, str(number), cell)
        self._shown = made

    def _fill_anew(
        self, table: DataTable[Text], made: dict[str, list[Text]], columns: tuple[int, bool]
    ) -> None:
        chosen, offset = self.chosen(), table.scroll_offset.y
        table.clear(columns=columns != self._columns)
        if columns != self._columns:
            fixed = NARROW if columns[1] else WIDE
            for number, (name, width) in enumerate(fixed):
                table.add_column(name, width=width, key=str(number))
            taken = sum(width + 2 for _, width in fixed)
            rest = max(columns[0] - taken - 4, 10)
            table.add_column("What", width=rest, key=str(len(fixed)))
        for key, cells in made.items():
            table.add_row(*cells, height=2, key=key)
        if chosen in made:
            table.move_cursor(row=list(made).index(chosen), scroll=False)
        table.scroll_to(y=offset, animate=False)
        self._columns, self._shown = columns, {}

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter or a click."""
        event.stop()
        self.action_open()

    def action_open(self) -> None:
        """One task."""
        task_id = self.chosen()
        if not task_id:
            return
        try:
            opened = TaskScreen(self.desk, self.resume, task_id)
        except AgentctlError as error:
            self.say(str(error), wrong=True)
        else:
            self.app.push_screen(opened)

    def action_filter(self) -> None:
        """Type what is looked for."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def action_unfilter(self) -> None:
        """All of them again."""
        field = self.query_one("#filter", Input)
        field.value = ""
        field.display = False
        self.query_one(DataTable).focus()
        self.look()

    def on_input_changed(self, event: Input.Changed) -> None:
        """The list follows what is typed."""
        event.stop()
        self.look()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to the list, which stays as it is."""
        event.stop()
        self.query_one(DataTable).focus()
