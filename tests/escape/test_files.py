"""Nothing leads out of the workspace, nor to what git, a shell or agentctl itself obeys."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentctl.core.values import Sandbox
from agentctl.errors import ToolError
from agentctl.tools.files import EditFile, ListDir, ReadFile, WriteFile
from agentctl.tools.search import FindFiles, SearchText
from tests.escape.conftest import Ground
from tests.escape.table import PATHS, PROTECTED, RACES, Try
from tests.tools.helpers import call, context_of


def said(ground: Ground, attempt: Try) -> str:
    """What a refused call is told."""
    arguments = dict(attempt.arguments, path=attempt.arguments["path"].format(out=ground.out))
    with pytest.raises(ToolError) as refused:
        call(attempt.tool(policy=ground.policy), context_of(ground.work), **arguments)
    return refused.value.what


@pytest.mark.parametrize("attempt", PATHS, ids=range(len(PATHS)))
def test_no_path_leads_out(ground: Ground, attempt: Try) -> None:
    told = said(ground, attempt)
    assert re.search(attempt.told, told), told
    assert "canary" not in told
    assert ground.seen() == ground.before


@pytest.mark.parametrize("attempt", PROTECTED, ids=range(len(PROTECTED)))
def test_what_others_obey_is_not_written(
    ground: Ground, attempt: Try, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(ground.work))
    told = said(ground, attempt)
    assert re.search(attempt.told, told), told
    assert ground.seen() == ground.before


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (".git/hooks/pre-commit", ".git/hooks/pre-commit"),
        (".git/hooks/pre-commit", ".git/hooks"),
        (".git/hooks/pre-commit", ".git"),
        (".git/config", ".git/config"),
        (".agentctl.toml", ".agentctl.toml"),
        (".zshrc", ".zshrc"),
        ("state/new", "state"),
    ],
)
def test_what_the_user_names_may_be_written(
    ground: Ground, path: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(ground.work))
    policy = Sandbox(writable=(str(ground.work / named),), hidden=ground.policy.hidden)
    call(WriteFile(policy=policy), context_of(ground.work), path=path, text="mine")
    assert (ground.work / path).read_text() == "mine"


def test_to_name_the_workspace_lifts_nothing(ground: Ground) -> None:
    policy = Sandbox(writable=(str(ground.work),))
    with pytest.raises(ToolError, match="is protected"):
        call(WriteFile(policy=policy), context_of(ground.work), path=".git/config", text="x")


@pytest.mark.parametrize(
    "path", [".git/HEAD", ".git/info/exclude", "hooks/x", "config", ".gitignore"]
)
def test_what_is_near_may_be_written(ground: Ground, path: str) -> None:
    call(WriteFile(policy=ground.policy), context_of(ground.work), path=path, text="mine")
    assert (ground.work / path).read_text() == "mine"


def test_protected_files_can_be_read_and_a_hard_link_to_others_be_written(ground: Ground) -> None:
    context = context_of(ground.work)
    assert call(ReadFile(policy=ground.policy), context, path=".git/config").text == "canary"
    (ground.work / "second").hardlink_to(ground.work / "a.txt")
    call(WriteFile(policy=ground.policy), context, path="second", text="new")
    assert (ground.work / "a.txt").read_text() == "text", "the other name keeps its file"


def test_our_own_state_is_passed_over_by_searches(ground: Ground) -> None:
    context = context_of(ground.work)
    found = call(SearchText(policy=ground.policy), context, pattern="can.ry", glob="*.db").text
    assert "state" not in found
    names = call(FindFiles(policy=ground.policy), context, pattern="*").text.splitlines()
    assert "a.txt" in names
    assert not [name for name in names if name.startswith("state/")]


def test_a_workspace_within_a_hidden_folder_can_be_used(tmp_path: Path) -> None:
    """Settings may be kept in any folder, a project's own too."""
    policy = Sandbox(hidden=(str(tmp_path),))
    context = context_of(tmp_path)
    call(WriteFile(policy=policy), context, path="a", text="x")
    assert call(ReadFile(policy=policy), context, path="a").text == "x"


def test_links_that_stay_inside_are_followed(ground: Ground) -> None:
    context = context_of(ground.work)
    (ground.work / "sub" / "deep").mkdir(parents=True)
    (ground.work / "sub" / "up").symlink_to("../a.txt")
    (ground.work / "sub" / "deep" / "abs").symlink_to(ground.work / "sub")
    (ground.work / "around").symlink_to(f"../{ground.work.name}/sub")
    for path in ("sub/up", "sub/deep/abs/up", "sub/deep/abs/../a.txt", "sub/deep/../up"):
        assert call(ReadFile(), context, path=path).text == "text", path
    call(WriteFile(), context, path="sub/up", text="through the link")
    assert (ground.work / "a.txt").read_text() == "through the link"
    with pytest.raises(ToolError, match="outside the workspace"):
        call(ReadFile(), context, path="around/up")


def test_an_absolute_path_by_another_name_of_the_workspace_is_inside(ground: Ground) -> None:
    (ground.out / "alias").symlink_to(ground.work)
    path = str(ground.out / "alias" / "a.txt")
    assert call(ReadFile(), context_of(ground.work), path=path).text == "text"


SWAP = """
import os, sys
work, out = sys.argv[1:]
os.symlink(out, work + "/link")
print("ready", flush=True)
while True:
    os.rename(work + "/dir", work + "/real")
    os.rename(work + "/link", work + "/dir")
    os.rename(work + "/dir", work + "/link")
    os.rename(work + "/real", work + "/dir")
"""


@contextmanager
def swapping(ground: Ground) -> Iterator[None]:
    """While another process turns a folder into a link to outside and back, without a pause."""
    (ground.work / "dir").mkdir()
    (ground.work / "dir" / "secret.txt").write_text("inside")
    argv = [sys.executable, "-S", "-c", SWAP, str(ground.work), str(ground.out)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as swapper:
        try:
            assert swapper.stdout is not None
            assert swapper.stdout.readline() == b"ready\n"
            yield
        finally:
            swapper.kill()


RACING: dict[str, tuple[Any, dict[str, Any], int]] = {
    "read_file": (ReadFile(), {"path": "dir/secret.txt"}, 1_500),
    "write_file": (WriteFile(), {"path": "dir/new.txt", "text": "evil"}, 700),
    "edit_file": (EditFile(), {"path": "dir/secret.txt", "old": "canary", "new": "evil"}, 700),
    "list_dir": (ListDir(), {"path": "dir"}, 1_500),
    "find_files": (FindFiles(), {"path": "dir", "pattern": "*"}, 1_000),
    "search_text": (SearchText(), {"path": "dir", "pattern": "canary|inside"}, 12),
}


@pytest.mark.parametrize("tool", RACES)
def test_a_folder_that_becomes_a_link_meanwhile_leads_nowhere(ground: Ground, tool: str) -> None:
    acts, arguments, times = RACING[tool]
    (ground.out / "only-outside").write_text("")
    outside = {path.name: path.read_bytes() for path in ground.out.iterdir()}
    told = set()
    with swapping(ground):
        for _ in range(times):
            try:
                text = call(acts, context_of(ground.work), **arguments).text
            except ToolError as error:
                told.add(error.what)
                text = ""
            assert "canary" not in text
            assert "only-outside" not in text
    assert {path.name: path.read_bytes() for path in ground.out.iterdir()} == outside
    clear = ("outside the workspace", "no such file", "not a directory", "symbolic links", "occur")
    assert not [each for each in told if not any(word in each for word in (*clear, "file exists"))]


CALLS = ("open", "readlink", "stat", "lstat", "scandir", "mkdir", "access", "replace")


def turned_at(moment: int, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make the folder a link to outside just before the call of that number; counts the calls."""
    made = [0]

    def before(real: Any) -> Any:
        def call_of_os(*args: Any, **more: Any) -> Any:
            made[0] += 1
            if made[0] == moment:
                (ground.work / "dir").rename(ground.work / "real")
                (ground.work / "dir").symlink_to(ground.out)
            return real(*args, **more)

        return call_of_os

    for name in CALLS:
        monkeypatch.setattr(os, name, before(getattr(os, name)))
    return made


def naive_read(path: Path, workspace: Path) -> str:
    """What must not be done: to resolve a path, to look where it leads, and to open it then."""
    real = Path(os.path.realpath(path))
    return real.read_text() if real.is_relative_to(workspace) else ""


@pytest.mark.parametrize("tool", [each for each in RACES if each != "search_text"])
def test_a_folder_that_becomes_a_link_at_any_step_leads_nowhere(
    tmp_path: Path, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with nothing left to chance: the folder is turned before each call of the system."""
    acts, arguments, _ = RACING[tool]
    for moment in range(1, 100):
        ground = Ground(tmp_path / str(moment))
        (ground.work / "dir").mkdir()
        (ground.work / "dir" / "secret.txt").write_text("canary")
        (ground.out / "secret.txt").write_text("outside")
        (ground.out / "only-outside").write_text("")
        with monkeypatch.context() as patch:
            made = turned_at(moment, ground, patch)
            try:
                text = call(acts, context_of(ground.work), **arguments).text
            except ToolError:
                text = ""
        assert "outside" not in text, moment
        kept = {path.name: path.read_text() for path in ground.out.iterdir()}
        assert kept == {"secret.txt": "outside", "only-outside": ""}, moment
        if made[0] < moment:
            break
    assert 5 < moment < 99


def test_the_one_above_would_find_a_path_that_is_resolved_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaks = 0
    for moment in range(1, 40):
        ground = Ground(tmp_path / str(moment))
        (ground.work / "dir").mkdir()
        (ground.work / "dir" / "secret.txt").write_text("inside")
        with monkeypatch.context() as patch:
            turned_at(moment, ground, patch)
            leaks += naive_read(ground.work / "dir" / "secret.txt", ground.work) == "canary"
    assert leaks
