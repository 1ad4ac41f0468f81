"""`agentctl tools`, and runs with tools of the user's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.parts import EXAMPLES, ROOT, Place, Terminal
from tests.tools.helpers import comes_true

TOOLS = '''
from agentctl import ToolContext, ToolError, tool

@tool(repeat="safe", timeout_ms=500, cost=3)
def twice(word: str) -> str:
    """Say a word twice.

    Args:
        word: Which word.
    """
    print("heard \\x1b[2J")
    return f"{word} {word}"

@tool(category="email")
def send(to: str, idempotency_key: str) -> str:
    """Send a mail."""
    return f"sent to {to} {idempotency_key}"

@tool(repeat="safe")
def fail(how: str) -> None:
    """Fail."""
    if how == "slow":
        import time
        time.sleep(60)
    if how == "told":
        raise ToolError("No such word.")
    raise ValueError(how)

@tool
def _private() -> None:
    """Not told."""
'''


@pytest.fixture
def tools(place: Place) -> str:
    file = place.work / "tools.py"
    file.write_text(TOOLS)
    return str(file)


# --- list and show ------------------------------------------------------------------------------


def test_all_tools_are_listed_with_what_is_in_force(place: Place, tools: str) -> None:
    place.user_file.write_text('[timeouts]\nemail = "3s"\n[credits]\nsend = 7\n')
    shown = place.cli("tools", "list", "--tools", tools)
    assert shown.code == 0, shown.err
    (twice,) = [line.split() for line in shown.out.splitlines() if line.startswith("twice")]
    assert twice == ["twice", "own", "default", "0.5", "s", "safe", "no", "3"]
    assert "_private" not in shown.out
    found = place.cli("tools", "list", "--tools", tools, "--json").json
    assert found["unused"] == {}
    names = [each["name"] for each in found["tools"]]
    assert names[:2] == ["read_file", "write_file"]
    assert names[-3:] == ["twice", "send", "fail"]
    send = found["tools"][-2]
    assert (send["origin"], send["place"], send["approval"]) == ("own", tools, True)
    assert (send["timeout_ms"], send["credits"], send["repeat"]) == (3000, 7, "unsafe")


def test_a_tool_is_shown_with_its_schema(place: Place, tools: str) -> None:
    shown = place.cli("tools", "show", "twice", "--tools", tools)
    assert shown.code == 0, shown.err
    assert "Say a word twice." in shown.out
    assert '"description": "Which word."' in shown.out
    found = place.cli("tools", "show", "read_file", "--json").json
    assert (found["origin"], found["lookup"]) == ("built-in", True)
    assert "path" in found["parameters"]["properties"]


def test_a_name_that_is_none_is_told_with_those_there_are(place: Place) -> None:
    for words in (("show", "rm"), ("call", "rm")):
        shown = place.cli("tools", *words)
        assert (shown.code, shown.out) == (2, "")
        assert "There is no tool 'rm'. There are: read_file," in " ".join(shown.err.split())


# --- call ---------------------------------------------------------------------------------------


def test_a_call_prints_the_text_and_what_the_function_prints_is_not_part_of_it(
    place: Place, tools: str
) -> None:
    called = place.cli("tools", "call", "twice", "--tools", tools, "--args", '{"word": "a"}')
    assert (called.code, called.out) == (0, "a a\n")
    assert place.cli("list", "--json").json == []  # it is no task


@pytest.mark.parametrize(
    ("how", "status", "said"),
    [
        ("told", "error", "No such word."),
        ("broken", "broken", "fail broke: ValueError: broken"),
        ("slow", "timeout", "Stopped after 0.2 s: the time limit of fail."),
    ],
)
def test_how_a_call_failed_is_told_with_exit_code_1(
    place: Place, tools: str, how: str, status: str, said: str
) -> None:
    place.user_file.write_text('[timeouts]\ndefault = "200ms"\n')
    words = ("tools", "call", "fail", "--tools", tools, "--args", json.dumps({"how": how}))
    called = place.cli(*words, "--json")
    assert called.code == 1
    assert (called.json["status"], called.json["tool"]) == (status, "fail")
    assert said in called.json["text"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("{", "The arguments do not fit twice: invalid JSON"),
        ("{}", "The arguments do not fit twice: word: is missing"),
        ('{"word": 1}', "word: input should be a valid string"),
    ],
)
def test_arguments_that_do_not_fit_are_told_with_exit_code_2(
    place: Place, tools: str, args: str, said: str
) -> None:
    called = place.cli("tools", "call", "twice", "--tools", tools, "--args", args)
    assert (called.code, called.out) == (2, "")
    assert said in " ".join(called.err.split())


SEND = ("tools", "call", "send", "--args", '{"to": "me"}', "--tools")


def test_a_call_that_changes_something_needs_approval(place: Place, tools: str) -> None:
    called = place.cli(*SEND, tools)
    assert (called.code, called.out) == (1, "")
    assert "nobody can be asked here" in called.err
    called = place.cli(*SEND, tools, "--approve", "auto")
    assert called.code == 0
    assert called.out.startswith("sent to me ")
    assert place.cli(*SEND, tools, "--approve", "never").code == 1


def test_a_rule_that_denies_holds_for_a_call_by_hand(place: Place, tools: str) -> None:
    place.user_file.write_text('[permissions]\ndeny = ["send"]\n')
    called = place.cli(*SEND, tools, "--approve", "auto", "--json")
    assert (called.code, called.json["status"]) == (1, "denied")


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1)])
def test_at_a_terminal_the_user_is_asked(place: Place, tools: str, answer: str, code: int) -> None:
    with Terminal(place, *SEND, tools) as terminal:
        terminal.expect("Allow it?")
        terminal.type(answer)
        assert terminal.end() == code
        assert ("sent to me" in terminal.text) == (code == 0)


# --- which tools there are ----------------------------------------------------------------------


def test_a_project_s_tools_count_only_in_a_trusted_folder(place: Place, tools: str) -> None:
    (place.work / ".agentctl.toml").write_text('[tools]\nfiles = ["tools.py"]\n')
    shown = place.cli("tools", "list")
    assert "twice" not in shown.out
    assert "tools: not used, because the folder is not trusted" in " ".join(shown.err.split())
    assert place.cli("trust").code == 0
    assert "twice" in place.cli("tools", "list").out
    Path(tools).write_text(TOOLS + "1 / 0")  # it would say so
    changed = place.cli("tools", "list")
    assert "is not as it was when its folder was trusted" in " ".join(changed.err.split())
    assert place.cli("trust").code == 0
    assert "ZeroDivisionError" in place.cli("tools", "list").err


def test_the_user_s_own_file_names_tools_beside_it(place: Place) -> None:
    (place.user_file.parent / "mine.py").write_text(TOOLS)
    place.user_file.write_text('[tools]\nfiles = ["mine.py"]\n')
    found = place.cli("tools", "list", "--json").json["tools"][-1]
    assert found["place"] == str(place.user_file.parent / "mine.py")
    assert "tools.files" in place.cli("info", "--json").json["tables"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("folders = []", "there is no such list"),
        ('files = ["tools.txt"]', "does not end in .py"),
        ("files = 3", "is not a list of texts"),
        ('installed = ["a b"]', "is not a name"),
    ],
)
def test_a_wrong_table_is_told_with_its_line(place: Place, table: str, said: str) -> None:
    place.user_file.write_text(f"[tools]\n{table}\n")
    shown = place.cli("tools", "list")
    assert shown.code == 2
    told = " ".join(shown.err.split())
    assert f"config.toml:2: tools.{table.split()[0]}" in told
    assert said in told


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\n", "there is no tool in it"),
        ("x = (\n", "cannot be loaded: line 1: SyntaxError"),
        ("\nimport not_there\n", "cannot be loaded: line 2: ModuleNotFoundError"),
        ("raise SystemExit(3)\n", "cannot be loaded: line 1: SystemExit: 3"),
        (TOOLS.replace("twice", "read_file"), "There are two tools named read_file: of agentctl"),
        (TOOLS.replace("def twice(word: str)", "def twice(word)"), "twice: parameter word has no"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_before_anything_is_written(
    place: Place, code: str, said: str
) -> None:
    (place.work / "bad.py").write_text(code)
    place.turns({"text": "Done"})
    ran = place.run("Look", "--tools", "bad.py")
    assert (ran.code, ran.out) == (2, "")
    assert said in " ".join(ran.err.split())
    assert "bad.py" in ran.err
    assert place.cli("list", "--json").json == []


def test_two_files_with_a_tool_of_one_name_are_an_error(place: Place, tools: str) -> None:
    (place.work / "more.py").write_text(TOOLS)
    shown = place.cli("tools", "list", "--tools", tools, "--tools", "more.py")
    assert shown.code == 2
    assert "There are two tools named twice" in shown.err


def test_a_file_imports_its_neighbours_and_what_it_prints_is_no_result(place: Place) -> None:
    folder = place.work / "lib"
    folder.mkdir()
    (folder / "words.py").write_text("WORD = 'hi'\n")
    (folder / "own.py").write_text(
        "print('loading')\nfrom words import WORD\nfrom agentctl import tool\n"
        "@tool(repeat='safe')\ndef hello() -> str:\n    'Say hello.'\n    return WORD\n"
    )
    called = place.cli("tools", "call", "hello", "--tools", "lib/own.py")
    assert (called.code, called.out) == (0, "hi\n")
    assert "loading" in called.err


def install(place: Place, folder: Path, name: str, code: str, value: str) -> None:
    """A package whose entry point of this name has this value."""
    folder.mkdir(exist_ok=True)
    place.env["PYTHONPATH"] = f"{ROOT}:{folder}"
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\n")
    (info / "entry_points.txt").write_text(f"[agentctl.tools]\n{name} = {value}\n")


@pytest.mark.parametrize("value", ["words", "words:twice", "words:ALL"])
def test_an_installed_package_brings_tools_to_those_who_name_it(
    place: Place, tmp_path: Path, value: str
) -> None:
    install(place, tmp_path / "site", "words", TOOLS + "ALL = [twice]\n", value)
    found = place.cli("tools", "list", "--json").json
    assert found["unused"] == {"words": "words"}
    assert "twice" not in [each["name"] for each in found["tools"]]
    assert "--tools words" in place.cli("tools", "list").out
    place.user_file.write_text('[tools]\ninstalled = ["words"]\n')
    found = place.cli("tools", "list", "--json").json
    assert found["unused"] == {}
    (twice,) = [each for each in found["tools"] if each["name"] == "twice"]
    assert twice["place"] == "package words"


@pytest.mark.parametrize(
    ("code", "value", "said"),
    [
        ("", "words", "Package words has no tool under the name 'words'"),
        ("", "words:gone", "cannot be loaded: AttributeError"),
        ("raise SystemExit\n", "words", "cannot be loaded: SystemExit"),
    ],
)
def test_a_package_that_cannot_be_used_is_told(
    place: Place, tmp_path: Path, code: str, value: str, said: str
) -> None:
    install(place, tmp_path / "site", "words", code, value)
    shown = place.cli("tools", "list", "--tools", "words")
    assert shown.code == 2
    assert said in " ".join(shown.err.split())


def test_a_package_that_is_not_there_is_told(place: Place) -> None:
    shown = place.cli("tools", "list", "--tools", "words")
    assert shown.code == 2
    assert "No installed package brings tools named 'words'" in shown.err


# --- runs ---------------------------------------------------------------------------------------


def turn(name: str, **arguments: Any) -> dict[str, Any]:
    return {"calls": [{"name": name, "arguments": arguments, "id": "c1"}]}


def test_a_run_uses_its_own_tools_and_keeps_them(place: Place, tools: str) -> None:
    place.turns(turn("twice", word="a"), {"text": "Done"})
    assert place.cli("credits", "add", "3").code == 0
    ran = place.run("Look", "--tools", tools, "--json")
    assert ran.code == 0, ran.err
    assert all(line for line in ran.lines)  # what the function printed broke none of them
    (ended,) = place.events("ToolEnded")
    assert ended["text"] == "a a"
    (started,) = place.events("ToolStarted")
    assert started["credits"] == 3
    (created,) = place.events("TaskCreated")
    assert json.loads(created["options"]["tools"]) == [tools]


def test_a_resume_has_the_task_s_tools_or_says_that_they_are_gone(place: Place, tools: str) -> None:
    place.turns(turn("twice", word="a"), turn("twice", word="b"), {"text": "Done"})
    assert place.cli("credits", "add", "6").code == 0
    assert place.run("Look", "--tools", tools, "--max-steps", "1").code == 3
    moved = place.work / "moved.py"
    Path(tools).rename(moved)
    gone = place.cli("resume", "@last", "--max-steps", "9")
    assert gone.code == 2
    said = " ".join(gone.err.split())
    assert f"The tools of {tools} cannot be had: no such file" in said
    assert "agentctl resume TASK_ID --tools FILE.py" in said
    resumed = place.cli("resume", "@last", "--max-steps", "9", "--tools", "moved.py")
    assert resumed.code == 0, resumed.err
    assert [each["text"] for each in place.events("ToolEnded")] == ["a a", "b b"]


SLOW = '''
from pathlib import Path
from agentctl import tool

@tool(repeat="idempotent", timeout_ms=60_000)
async def pay(idempotency_key: str) -> str:
    """Pay once."""
    import asyncio
    with open("keys", "a") as file:
        file.write(idempotency_key + "\\n")
    if not Path("again").exists():
        await asyncio.sleep(60)
    return "paid"
'''


def test_after_a_kill_the_call_is_made_again_with_the_same_key(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.work / "slow.py").write_text(SLOW)
    keys = place.work / "keys"
    place.turns(turn("pay"), {"text": "Done"})
    words = ("run", "Pay", "--script", str(place.script), "--approve", "auto")
    process = subprocess.Popen(
        place.command(*words, "--tools", "slow.py"), cwd=place.work, env=place.env,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert comes_true(lambda: keys.exists() and keys.read_text().endswith("\n"), 30)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    monkeypatch.chdir(place.work)
    Path("again").touch()
    resumed = place.cli("resume", "@last")
    assert resumed.code == 0, resumed.err
    first, second = keys.read_text().split()
    assert first == second


def test_the_example_works(place: Place) -> None:
    arguments = json.dumps({"first": "2026-01-31", "last": "2026-03-01"})
    file = str(EXAMPLES / "own_tools.py")
    assert len(Path(file).read_text().splitlines()) <= 12
    called = place.cli("tools", "call", "days_between", "--tools", file, "--args", arguments)
    assert (called.code, called.out) == (0, "29\n")


def test_check_starts_everything_and_says_what_is_wrong(place: Place) -> None:
    fine = place.cli("tools", "check", "--json")
    assert (fine.code, fine.json["problems"]) == (0, [])
    assert fine.json["sandbox"].startswith("sandbox: ")
    (place.work / "mine.py").write_text(
        "from agentctl import tool\n\n\ndef ill() -> str:\n    return 'no disk'\n\n\n"
        "@tool(health=ill)\ndef look() -> str:\n    '''Look.'''\n    return ''\n"
    )
    ran = place.cli("tools", "check", "--tools", "mine.py")
    assert ran.code == 1
    assert "look: no disk" in ran.out
