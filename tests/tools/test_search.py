"""Looking for files and text."""

import asyncio
import os

import pytest

from agentctl.errors import ToolError
from agentctl.tools import process
from agentctl.tools.search import FindFiles, SearchText
from agentctl.tools.treeworker import matches
from tests.tools.helpers import acall, call, comes_true, context_of, marked


@pytest.fixture
def tree(tmp_path):
    for path, text in {
        "b.py": "import os\n# TODO one\n",
        "a.txt": "nothing\n",
        "src/deep/c.py": "# TODO two\r\n",
        "src/d.md": "todo\n",
        ".git/config": "# TODO hidden\n",
        "node_modules/x/y.py": "# TODO hidden\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(text.encode())
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("*.py", ".", ["b.py", "src/deep/c.py"]),
        ("*.py", "src", ["src/deep/c.py"]),
        ("src/**/*.py", ".", ["src/deep/c.py"]),
        ("src/**/*.md", ".", ["src/d.md"]),
        ("**/*.md", ".", ["src/d.md"]),
        ("deep/*", "src", ["src/deep/c.py"]),
        ("[ab].*", ".", ["a.txt", "b.py"]),
        ("*.rs", ".", ["(no files)"]),
    ],
)
def test_find_files_by_glob(tree, pattern, path, found):
    lines = call(FindFiles(), context_of(tree), pattern=pattern, path=path).text.splitlines()
    if path == ".":
        assert lines.pop() == "[skipped: .git, node_modules]"
    assert lines == found


def test_a_skipped_folder_can_be_named(tree):
    assert call(FindFiles(), context_of(tree), pattern="*", path=".git").text == ".git/config"


def test_find_files_in_what_is_no_folder(tree):
    with pytest.raises(ToolError, match=r"b\.py: not a directory"):
        call(FindFiles(), context_of(tree), pattern="*", path="b.py")
    with pytest.raises(ToolError, match="none: no such file"):
        call(FindFiles(), context_of(tree), pattern="*", path="none")


def test_find_files_does_not_follow_links(tmp_path):
    (tmp_path / "loop").symlink_to(".")
    assert call(FindFiles(), context_of(tmp_path), pattern="*").text == "loop"


def test_a_glob_cannot_be_made_to_run_for_ever():
    assert not matches("a" * 200, "*a" * 60 + "b")


def test_search_gives_path_line_and_text_in_order(tree):
    result = call(SearchText(), context_of(tree), pattern="TODO")
    assert result.text.splitlines() == [
        "b.py:2: # TODO one",
        "src/deep/c.py:1: # TODO two",
        "[skipped: .git, node_modules]",
    ]


def test_search_takes_a_regular_expression_glob_and_path(tree):
    result = call(SearchText(), context_of(tree), pattern="(?i)^#? ?todo", glob="*.md")
    assert result.text.splitlines()[0] == "src/d.md:1: todo"
    result = call(SearchText(), context_of(tree), pattern="TODO", path="src")
    assert result.text == "src/deep/c.py:1: # TODO two"


def test_search_in_a_single_file(tree):
    result = call(SearchText(), context_of(tree), pattern="T.DO", path="src/deep/c.py")
    assert result.text == "src/deep/c.py:1: # TODO two"


def test_search_without_hits(tree):
    assert call(SearchText(), context_of(tree), pattern="xyzzy", path="src").text == "(no hits)"


def test_search_stops_at_max_results(tmp_path):
    (tmp_path / "f").write_text("x\n" * 10)
    lines = call(SearchText(), context_of(tmp_path), pattern="x", max_results=3).text.splitlines()
    assert lines[:3] == ["f:1: x", "f:2: x", "f:3: x"]
    assert lines[3:] == ["[stopped after 3 hits: narrow the pattern, path or glob]"]


def test_exactly_max_results_is_not_called_stopped(tmp_path):
    (tmp_path / "f").write_text("x\n" * 3)
    result = call(SearchText(), context_of(tmp_path), pattern="x", max_results=3)
    assert len(result.text.splitlines()) == 3


def test_a_long_line_is_cut_around_the_hit(tmp_path):
    (tmp_path / "f").write_text("a" * 5000 + "needle" + "b" * 5000)
    text = call(SearchText(), context_of(tmp_path), pattern="needle").text
    assert "needle" in text
    assert len(text) < 400


def test_control_characters_in_hits_are_shown_not_sent(tmp_path):
    (tmp_path / "f").write_text("x\x1b[2Jy")
    assert call(SearchText(), context_of(tmp_path), pattern="x").text == "f:1: x\\x1b[2Jy"


def test_search_says_what_it_could_not_read(tmp_path):
    (tmp_path / "bin").write_bytes(b"x\0x")
    (tmp_path / "big").write_bytes(b"x\n" * 5_000_001)
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "fifo")
    text = call(SearchText(), context_of(tmp_path), pattern="x").text
    assert text == "(no hits)\n[skipped: files over 10 MB, binary files]"


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "*"])
def test_a_bad_pattern_is_told(tmp_path, pattern):
    with pytest.raises(ToolError, match="not a regular expression"):
        call(SearchText(), context_of(tmp_path), pattern=pattern)


def test_a_catastrophic_pattern_can_be_cancelled(tmp_path):
    marker = f"catastrophe{os.getpid()}"
    (tmp_path / "f").write_text("a" * 5_000 + "c")

    async def main():
        pattern = f"(a|aa)+$|{marker}|(a+)+b"
        search = asyncio.create_task(acall(SearchText(), context_of(tmp_path), pattern=pattern))
        assert await asyncio.to_thread(comes_true, lambda: marked(marker) != [])
        search.cancel()
        with pytest.raises(asyncio.CancelledError):
            await search
        assert marked(marker) == []

    asyncio.run(main())


def test_a_find_in_a_large_tree_can_be_cancelled(tmp_path):
    for number in range(50):
        (tmp_path / f"d{number}").mkdir()

    async def main():
        find = asyncio.create_task(acall(FindFiles(), context_of(tmp_path), pattern="*"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        find.cancel()
        with pytest.raises(asyncio.CancelledError):
            await find

    asyncio.run(main())


def test_a_search_that_cannot_start_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(process.sys, "executable", str(tmp_path / "none"))
    with pytest.raises(ToolError, match="could not be started"):
        call(SearchText(), context_of(tmp_path), pattern="x")
