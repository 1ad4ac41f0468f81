"""The application: the list of tasks, over which the others open."""

from __future__ import annotations

from textual.app import App
from textual.screen import Screen

from agentctl import detached
from agentctl.control import Desk
from agentctl.tui.steering import Resume
from agentctl.tui.task_list import TaskList


class Watch(App[None]):
    """Reads the store of this desk; works for runs of any terminal."""

    TITLE = "agentctl"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: #101418; color: #d8dee9; }
    Static { text-wrap: nowrap; text-overflow: ellipsis; }
    #title { height: 1; background: #1d2630; color: #ffffff; text-style: bold; }
    DataTable { background: #101418; height: 1fr; scrollbar-size-vertical: 1; }
    DataTable:focus { background-tint: #000000 0%; }
    DataTable > .datatable--even-row, DataTable > .datatable--odd-row { background: #101418; }
    DataTable > .datatable--header { background: #161d24; color: #8a919e; text-style: none; }
    DataTable > .datatable--cursor { background: #26405a; color: #ffffff; }
    #filter { height: 3; border: round #6cb6ff; background: #101418; }
    Footer { background: #1d2630; }
    #facts { height: 5; padding: 0 1; }
    #middle { height: 1fr; }
    #steps { width: 1fr; border-top: solid #2c3844; }
    #side { width: 30; padding: 0 1; border-top: solid #2c3844; border-left: solid #2c3844; }
    #window { height: auto; margin-bottom: 1; }
    #files { height: 1fr; }
    #said, .question { text-wrap: wrap; }
    #saying { height: 30%; min-height: 4; padding: 0 1; border-top: solid #2c3844;
              scrollbar-size-vertical: 1; }
    .narrow #middle { layout: vertical; }
    .narrow #side { width: 1fr; height: 7; border-left: none; layout: horizontal; }
    .narrow #window { width: 1fr; }
    .narrow #files { width: 1fr; margin-left: 2; }
    .narrow #steps { height: 1fr; }
    ModalScreen { align: center middle; background: #000000 50%; }
    .dialog { width: 64; max-width: 95%; height: auto; padding: 1 2; background: #1d2630;
              border: round #6cb6ff; }
    .question { height: auto; }
    .hint { height: auto; color: #8a919e; margin-top: 1; }
    """

    def __init__(self, desk: Desk, resume: Resume = detached.resume) -> None:
        """The desk is used by this thread alone."""
        super().__init__()
        self._desk = desk
        self._resume = resume

    def get_default_screen(self) -> Screen[None]:
        """The list."""
        return TaskList(self._desk, self._resume)
