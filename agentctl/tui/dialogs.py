"""Questions that are asked before something is done."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from agentctl.tui.looks import safe


class Sure(ModalScreen[bool]):
    """Yes or no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape,enter", "answer(False)", "no"),
    ]

    def __init__(self, question: str) -> None:
        """Anything but y is a no."""
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question and what may be typed."""
        with Vertical(classes="dialog"):
            yield Static(safe(self._question), classes="question")
            yield Static("y  yes      n  no", classes="hint", markup=False)

    def action_answer(self, yes: bool) -> None:
        """Go back with the answer."""
        self.dismiss(yes)


class AskLimit(ModalScreen[str]):
    """A new limit; empty: as it was."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "back")]

    def __init__(self, question: str, value: str) -> None:
        """`value` stands there to begin with."""
        super().__init__()
        self._question = question
        self._value = value

    def compose(self) -> ComposeResult:
        """The question and a line to type in."""
        with Vertical(classes="dialog"):
            yield Static(safe(self._question), classes="question")
            yield Input(self._value, id="limit")
            yield Static("enter  set it      escape  leave it", classes="hint", markup=False)

    def on_mount(self) -> None:
        """Typing can begin."""
        self.query_one("#limit", Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go back with what was typed."""
        event.stop()
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        """Go back without."""
        self.dismiss("")
