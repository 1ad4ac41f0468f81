"""What reports look like on terminals of 80 and 50 columns, in colour and without, sign for sign.

`AGENTCTL_GOLDEN=write python -m pytest tests/cli/test_golden.py` writes the expected files anew:
look at the difference before it is kept.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from agentctl.core import events as e
from agentctl.core.change import Change
from agentctl.core.rows import StoredOutput
from agentctl.core.transfer import ref_of
from agentctl.core.values import Limits, Message, ToolCall, Usage
from agentctl.store.sqlite import SqliteStore
from tests.cli.parts import Place, Terminal

FOLDER = Path(__file__).parent / "golden"
NOW_MS = 1_767_225_600_000
"""2026-01-01 00:00 UTC. Ages of tasks grow from there, and are written as NNN."""
COMMANDS = {
    "list": "list",
    "list-chosen": "list --state interrupted,limit --text files",
    "show": "show mend",
    "show-step": "show mend --step 1",
    "show-tools": "show mend --tools",
    "diff": "diff mend",
    "diff-stat": "diff mend --stat",
    "costs-report": "costs report --by model",
    "costs-show": "costs show mend",
    "limits": "limits mend",
    "credits": "credits show",
    "permissions": "permissions list",
}
LOOKS = {
    "80": (80, {"NO_COLOR": "1"}),
    "50": (50, {"NO_COLOR": "1"}),
    "80-colour": (80, {}),
    "50-colour": (50, {}),
}


def created(goal: str, **more: Any) -> e.TaskCreated:
    return e.TaskCreated(goal, "", "openai", "gpt-6", "/", Limits(), **more)


def fill(place: Place) -> None:
    """A task that did two things, one that works for it, one at a limit and one of a batch."""
    place.home.mkdir()
    store = SqliteStore(place.home / "agentctl.db")
    goal = "Mend the module that counts the files of a folder, and say in a word what was wrong"
    store.create("1aaaaaaa", created(goal, name="mend"), NOW_MS)
    calls = (
        ToolCall("c1", "edit_file", '{"path":"src/count.py","old":"= 0","new":"= 1"}'),
        ToolCall("c2", "run_shell", '{"command":"python -m pytest"}'),
    )
    texts = [StoredOutput(ref_of(text), text) for text in ("first = 0\n", "first = 1\n")]
    change = Change("src/count.py", *(text.ref for text in texts))
    usage = Usage(input=12_345, cache_read=2_000, output=678)
    say = Message("assistant", "I see what is wrong.", calls)
    first = [
        e.ModelAsked(1, "openai", "gpt-6", 90_000, 20_000, 4_096),
        e.ModelAnswered(say, usage, "tools", 41_250, 1_500),
        e.ToolStarted("c1", "edit_file", "unsafe", "file"),
        e.ToolEnded("c1", "edit_file", "Replaced 1 passage.", duration_ms=12, changes=(change,)),
        e.ToolStarted("c2", "run_shell", "unsafe", "shell"),
        e.ToolEnded("c2", "run_shell", "1 failed", "error", 61_000),
    ]
    store.append("1aaaaaaa", None, first, NOW_MS + 2_000, outputs=texts)
    answer = Message("assistant", "It began to count at 0.\nNow it begins at 1.")
    last = [
        e.ModelAsked(2, "openai", "gpt-6", 90_000, 20_000, 4_096),
        e.ModelFailed("overloaded", "the server is busy", True),
        e.ModelAsked(3, "openai", "gpt-6", 90_000, 20_000, 4_096),
        e.ModelAnswered(answer, Usage(input=13_000, output=40), "end", 700, 900),
        e.Finished("done", answer.text),
    ]
    store.append("1aaaaaaa", None, last, NOW_MS + 65_000)
    below = created("Look at the tests", origin="child", parent="1aaaaaaa")
    store.create("1bbbbbbb", below, NOW_MS + 3_000)
    stop = e.Stopped("limit", "The limit of steps is used up.", "steps", 100, 100, 1)
    store.create("1ccccccc", created("Sort the files \x1b[2J\u202e"), NOW_MS)
    store.append("1ccccccc", None, [stop], NOW_MS)
    line = created("数えるファイル of the third line", origin="batch", parent="nightly", item=3)
    store.create("1ddddddd", line, NOW_MS)
    store.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("golden"))
    fill(place)
    return place


def seen(place: Place, words: str, columns: int, env: dict[str, str]) -> str:
    with Terminal(place, *words.split(), columns=columns, **env) as terminal:
        assert terminal.end() == 0, terminal.text
    text = terminal.text.replace("\r\n", "\n").replace("\x1b", "␛")
    text = re.sub(r"(?m)(?<= )\d{3}d(?= )", "NNNd", text)
    text = re.sub(r"since \d{4}-\d\d-\d\d\s\d\d:\d\d", "since MOMENT", text)
    return text.replace(str(place.home), "HOME").replace(str(place.work), "WORK")


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_report_looks_as_it_should(filled: Place, name: str, look: str) -> None:
    columns, env = LOOKS[look]
    shown = seen(filled, COMMANDS[name], columns, env)
    file = FOLDER / f"{name}.{look}.txt"
    if os.environ.get("AGENTCTL_GOLDEN") == "write":
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")
    if "colour" not in look:
        assert not re.search(r"␛\[(\d+;)*(3|4|9|10)\d", shown), "bold and faint are no colours"


def test_no_golden_file_is_left_over() -> None:
    names = {f"{name}.{look}.txt" for name in COMMANDS for look in LOOKS}
    assert names == {path.name for path in FOLDER.iterdir()}
