"""The offline planner: what it understands, what it does with the real tools, how it goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from agentctl.core.events import ToolEnded
from agentctl.core.lookups import note
from agentctl.core.rows import StoredOutput
from agentctl.core.values import Limits, Message, Rates, ToolCall, Usage
from agentctl.ports import Answer, Request
from agentctl.providers.offline import INTRO, Offline
from agentctl.run.toolbelt import Toolbelt
from agentctl.tools.files import ListDir, ReadFile, WriteFile
from agentctl.tools.outputs import ReadOutput
from agentctl.tools.search import FindFiles, SearchText

Change = Callable[[ToolCall], str | None]


class Life:
    """A conversation of the planner with the real tools in a folder."""

    def __init__(self, goal: str, folder: Path, change: Change = lambda call: None) -> None:
        tools = [ReadFile(), WriteFile(), ListDir(), FindFiles(), SearchText(), ReadOutput()]
        self.belt = Toolbelt(tools, str(folder.resolve()))
        self.messages = [Message("user", goal)]
        self.stored: dict[str, str] = {}
        self.note = ""
        self.change = change
        """Gives another answer than the tool's, e.g. a denial."""

    def ask(self) -> Answer:
        request = Request("", self.messages, tuple(self.belt.specs.values()), 4096, 0)
        return asyncio.run(Offline("", {}).ask(request, lambda text: None))

    def run(self, most: int = 40) -> Answer:
        """Play until the planner ends."""
        for _ in range(most):
            answer = self.ask()
            self.messages.append(answer.message)
            if not answer.message.calls:
                return answer
            self.act(answer.message.calls)
        raise AssertionError("the planner does not end")

    def act(self, calls: tuple[ToolCall, ...]) -> None:
        texts: dict[str, str] = {}
        for call in calls:
            changed = self.change(call)
            if changed is not None:
                texts[call.id] = changed

        def on_end(ended: ToolEnded, outputs: object) -> None:
            texts[ended.call_id] = ended.text
            for output in outputs:
                assert isinstance(output, StoredOutput)
                self.stored[output.ref] = output.text

        real = [self.belt.check(call) for call in calls if call.id not in texts]
        assert not [call.problem for call in real if call.problem]
        running = self.belt.run(
            real, on_end, lambda signal: None, self.stored.get, lambda: 0, Limits()
        )
        asyncio.run(running)
        self.messages += [
            Message("tool", texts[call.id] + self.note, call_id=call.id) for call in calls
        ]

    @property
    def tools(self) -> list[str]:
        return [call.name for message in self.messages for call in message.calls]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "README.md": "# Boats\n\nBoats carry people. Boats need water.\n",
        "notes/plan.md": "Plan\n- TODO: paint the boat\n- the deadline is near\n",
        "notes/log.txt": "One deadline, two Deadlines.\ntodo: ask Ada\nmy todos are many\n",
        "src/main.py": "import os\n# FIXME: later\nprint(1)\n",
        "src/empty.py": "",
        "src/one.py": "x = 1",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        ("List the markdown files", ["2 *.md files in this folder", "- notes/plan.md"]),
        ("find all python files", ["3 *.py files", "- src/empty.py"]),
        ("list files", ["6 files in this folder", "- src/one.py"]),
        ("What is in notes/?", ["2 entries in notes", "- plan.md"]),
        ("How many text files are there in notes", ["2 *.md or *.rst or *.txt files in notes"]),
        ("Find TODOs", ["2 lines in 2 files in this folder", "- line 2: todo: ask Ada"]),
        ("find FIXMEs in src", ["1 line in 1 file in src", "## src/main.py"]),
        ("Search for 'deadline' in notes/", ["2 lines in 2 files", "the deadline is near"]),
        ("search for zebra", ["No lines with “zebra” were found in this folder."]),
        ("grep for regex '[Oo]ne.*two' in notes", ["1 line in 1 file", "## notes/log.txt"]),
        ("How often does deadline appear in notes?", ["3 occurrences in 2 files in notes"]),
        ("count TODOs", ["2 occurrences in 2 files", "- notes/log.txt: 1"]),
        ("count the lines matching regex '^m' in notes", ["1 matching line in 1 file"]),
        ("Count the lines of all Python files", ["4 lines in 3 files", "- src/empty.py: 0"]),
        ("How many lines does notes/plan.md have?", ["3 lines in notes/plan.md."]),
        ("count words in README.md", ["8 words in README.md."]),
        ("Summarise README.md", ["## README.md", "- Boats carry people.", "- Boats need water."]),
        ("summarise notes", ["2 files", "## notes/log.txt", "the deadline is near"]),
    ],
)
def test_a_goal_is_carried_out_with_the_real_tools(
    folder: Path, goal: str, words: list[str]
) -> None:
    life = Life(goal, folder)
    answer = life.run()
    assert answer.stop == "end"
    for word in words:
        assert word in answer.message.text


@pytest.mark.parametrize(
    ("goal", "file", "words"),
    [
        ("Find all TODOs in this folder and write them to todos.md", "todos.md", "line 2: TODO:"),
        (
            "Search for 'deadline' in notes/ and write the findings to out/report.md",
            "out/report.md",
            "# Lines with “deadline” in notes",
        ),
        ("Summarise the text files in notes/ into summary.md", "summary.md", "## notes/plan.md"),
        ("List the python files and save the list as 'py files.txt'", "py files.txt", "src/one.py"),
        ("search for zebra, then write the results to none.md", "none.md", "No lines with"),
    ],
)
def test_findings_are_written_where_the_goal_says(
    folder: Path, goal: str, file: str, words: str
) -> None:
    answer = Life(goal, folder).run()
    assert answer.stop == "end"
    assert answer.message.text.endswith(f"Written to {file}.")
    assert words in (folder / file).read_text()


def test_the_file_written_is_not_among_the_findings_of_a_second_run(folder: Path) -> None:
    goal = "Find all TODOs and write them to todos.md"
    Life(goal, folder).run()
    first = (folder / "todos.md").read_text()
    Life(goal, folder).run()
    assert (folder / "todos.md").read_text() == first


def test_a_result_that_is_given_again_is_read_as_it_was(folder: Path) -> None:
    first, again = (Life("Count the words in notes/", folder) for _ in range(2))
    answer = first.run()
    again.note = note(1_000)  # as the tool belt writes it after what another task looked up
    assert again.run().message.text == answer.message.text


def test_the_first_answer_says_that_no_language_model_is_used(folder: Path) -> None:
    for goal in ("find TODOs", "write a poem"):
        life = Life(goal, folder)
        life.run()
        said = [message.text for message in life.messages if message.role == "assistant"]
        assert said[0].startswith(INTRO + "\n")
        assert "no language model is used" in INTRO
        assert not any(text.startswith(INTRO) for text in said[1:])


@pytest.mark.parametrize(
    "goal",
    [
        "",
        "write a poem",
        "Find all TODOs and fix them",
        "Find all TODOs in this folder, write them to todos.md and delete notes",
        "Find bugs in main.py",
        "Find all python files larger than 1 MB",
        "list the markdown files in notes/ and count their lines",
        "summarise README.md in French",
        "Summarise the news of today",
        "search for project deadline in notes",
        "list all the large files",
        "delete all files",
        "find TODOs\nThen remove the folder src",
        "find TODOs and write them to a nice place",
    ],
)
def test_what_no_rule_fits_as_a_whole_is_refused(folder: Path, goal: str) -> None:
    life = Life(goal, folder)
    answer = life.run()
    assert (answer.stop, life.tools) == ("refusal", [])
    for word in ("Nothing was changed", "--provider anthropic", "ANTHROPIC_API_KEY", "ollama"):
        assert word in answer.message.text


def test_every_answer_follows_from_the_conversation_alone(folder: Path) -> None:
    """A fresh planner gives the same answer at every point: a killed run goes on where it was."""
    life = Life("Summarise the text files in notes/ into summary.md", folder)
    life.run()
    whole = life.messages
    asked_at = [index for index, message in enumerate(whole) if message.role == "assistant"]
    assert len(asked_at) == 4
    for index in asked_at:
        life.messages = whole[:index]
        assert life.ask() == life.ask()
        assert life.ask().message == whole[index]


def deny_writes(call: ToolCall) -> str | None:
    if call.name == "write_file":
        return "Denied: it needs approval and nobody can be asked here."
    return None


def test_a_denied_write_is_told_with_the_findings_and_is_no_success(folder: Path) -> None:
    life = Life("Find all TODOs and write them to todos.md", folder, deny_writes)
    answer = life.run()
    assert answer.stop == "refusal"
    for words in ("were not written to todos.md: Denied:", "--approve auto", "paint the boat"):
        assert words in answer.message.text
    assert not (folder / "todos.md").exists()


def test_asked_again_after_a_denial_it_tries_anew(folder: Path) -> None:
    life = Life("Find all TODOs and write them to todos.md", folder, deny_writes)
    life.run()
    life.change = lambda call: None
    assert life.run().stop == "end"
    assert (folder / "todos.md").exists()
    ids = [call.id for message in life.messages for call in message.calls]
    assert len(ids) == len(set(ids)) == 4


def test_an_interrupted_write_is_done_once_more(folder: Path) -> None:
    answers = ["Interrupted: the program was stopped while this call ran."]

    def interrupt(call: ToolCall) -> str | None:
        return answers.pop() if call.name == "write_file" and answers else None

    life = Life("Find TODOs and write them to todos.md", folder, interrupt)
    assert life.run().stop == "end"
    assert life.tools == ["search_text", "write_file", "write_file"]
    assert (folder / "todos.md").exists()


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        ("Summarise missing.md", "missing.md: no such file or directory."),
        ("Find TODOs in nowhere", "nowhere: no such file or directory."),
        ("list the files in nowhere/", "nowhere: no such file or directory."),
        ("summarise ../other.md", "outside the workspace"),
        ("search for regex '((a' in notes", "not a regular expression"),
        ("count lines in pixel.png", "pixel.png is a binary file of 3 bytes."),
        ("summarise the rust files", "there are no *.rs files in this folder."),
        ("count words in gone.txt", "none: no such file or directory."),
        ("write all TODOs to README.md/todos.md", "were not written to README.md/todos.md"),
    ],
)
def test_a_tools_failure_is_told_and_is_no_success(folder: Path, goal: str, words: str) -> None:
    (folder / "pixel.png").write_bytes(b"\0\1\2")
    (folder / "gone.txt").symlink_to("none")
    answer = Life(goal, folder).run()
    assert words in answer.message.text
    assert answer.stop == "refusal"


def test_a_file_among_many_that_cannot_be_read_makes_the_result_incomplete(folder: Path) -> None:
    def break_one(call: ToolCall) -> str | None:
        broken = call.name == "read_file" and "plan.md" in call.arguments
        return "notes/plan.md: permission denied." if broken else None

    answer = Life("Summarise notes/", folder, break_one).run()
    assert answer.stop == "refusal"
    assert "Not read: notes/plan.md: permission denied." in answer.message.text
    assert "## notes/log.txt" in answer.message.text


def test_binary_files_have_no_lines_and_do_not_spoil_a_count(folder: Path) -> None:
    (folder / "src/pixel.png").write_bytes(b"\0\1\2")
    answer = Life("Count the lines of the files in src", folder).run()
    assert answer.stop == "end"
    assert answer.message.text.startswith("4 lines in 3 files in src.")


def test_a_large_search_result_is_read_in_full(folder: Path) -> None:
    for number in range(20):
        lines = "".join(f"TODO number {n} of file {number}, with some words\n" for n in range(20))
        (folder / f"notes/big{number:02}.md").write_text(lines)
    life = Life("Find TODOs in notes and write them to all.md", folder)
    answer = life.run()
    assert answer.stop == "end"
    assert "read_output" in life.tools
    assert (folder / "all.md").read_text().count("TODO number") == 400


def test_a_search_that_finds_too_much_says_so(folder: Path) -> None:
    (folder / "many.md").write_text("TODO\n" * 600)
    answer = Life("Find TODOs in many.md", folder).run()
    assert answer.stop == "refusal"
    assert "At least 500 lines in many.md." in answer.message.text
    assert "[stopped after 500 hits" in answer.message.text


def test_words_of_a_large_file_are_all_counted(folder: Path) -> None:
    (folder / "long.txt").write_text("one two three\n\n" * 2000)
    answer = Life("count the words in long.txt", folder).run()
    assert (answer.message.text[:24], answer.stop) == ("6,000 words in long.txt.", "end")


def test_more_than_fits_into_one_goal_is_said_to_be_missing(folder: Path) -> None:
    for number in range(15):
        (folder / f"notes/n{number:02}.md").write_text("A sentence about boats.\n")
    answer = Life("Summarise the markdown files in notes", folder).run()
    assert answer.stop == "refusal"
    assert "Not read, 12 files is the most: notes/n12.md" in answer.message.text


@pytest.mark.parametrize(
    "kind", ["list", "search", "count the lines of", "summarise", "count words in"]
)
def test_whatever_the_tools_print_the_plan_comes_to_an_end(folder: Path, kind: str) -> None:
    goal = f"{kind} the text files in notes".replace("search", "find TODOs in")
    outputs = ["", "\n", "a.md", "x:1: y", "z:1:", "[lines 1-0 of 99]", "\n[lines 3-3 of 9]", "…"]
    outputs += [
        'a.md\n[… 9 of 20 bytes left out; read_output(id="ab") shows them …]\nb',
        "[stopped after 1 hits: …]",
        "There is no line 2: the text has 1 lines.",
        "(no hits)\n\x1b[1m\ufffd",
    ]
    for seed in range(300):
        choose = random.Random(seed)
        life = Life(f"{goal} and write them to a.md", folder, lambda _, c=choose: c.choice(outputs))
        assert life.run(most=60).stop in ("end", "refusal")


def test_left_out_messages_are_noticed(folder: Path) -> None:
    life = Life("Summarise notes/ into summary.md", folder)
    life.run()
    whole = life.messages
    stub = "[output left out to save room; read_output(id='x') shows it again]"
    life.messages = [whole[0], whole[1]]
    life.messages += [Message("tool", stub, call_id=call.id) for call in whole[1].calls]
    masked = life.ask()
    assert (masked.stop, "no longer shown" in masked.message.text) == ("refusal", True)
    second = next(n for n, message in enumerate(whole) if n > 1 and message.role == "assistant")
    life.messages = [whole[0], *whole[second:-2]]
    dropped = life.ask()
    assert (dropped.stop, "no longer shown" in dropped.message.text) == ("refusal", True)


def test_a_task_begun_with_another_provider_is_done_from_the_start(folder: Path) -> None:
    life = Life("Find TODOs", folder)
    call = ToolCall("toolu_1", "list_dir", "{}")
    life.messages += [
        Message("assistant", "Let me look.", (call,)),
        Message("tool", "notes/", call_id="toolu_1"),
    ]
    assert life.run().stop == "end"


def test_without_the_tools_that_it_needs_it_says_so() -> None:
    request = Request("", [Message("user", "find TODOs")], (), 4096, 0)
    answer = asyncio.run(Offline("", {}).ask(request, lambda text: None))
    assert answer.stop == "refusal"
    assert "There is no tool search_text in this run." in answer.message.text


def test_without_write_file_the_findings_are_told(folder: Path) -> None:
    life = Life("Find TODOs and write them to todos.md", folder)
    del life.belt.specs["write_file"]
    answer = life.run()
    assert answer.stop == "refusal"
    assert "not written to todos.md: There is no tool write_file" in answer.message.text
    assert "paint the boat" in answer.message.text


def test_it_is_free_and_streams_what_it_says() -> None:
    provider = Offline("", {})
    pieces: list[str] = []
    request = Request("", [Message("user", "hello")], (), 4096, 0)
    answer = asyncio.run(provider.ask(request, pieces.append))
    asyncio.run(provider.close())
    assert provider.rates == Rates(source="local")
    assert (answer.usage, answer.model) == (Usage(), "rules-1")
    assert "".join(pieces) == answer.message.text
