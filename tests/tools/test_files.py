"""Files of the workspace, as they are and as they are changed."""

import os
import stat
from pathlib import Path

import pytest

from agentctl.errors import ToolError
from agentctl.tools import textfile
from agentctl.tools.files import EditFile, ListDir, ReadFile, WriteFile
from agentctl.tools.search import FindFiles, SearchText
from tests.tools.helpers import call, context_of

as_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")


@pytest.fixture
def workspace(tmp_path):
    """A workspace with ways out of it, next to a folder with a secret."""
    inside, outside = tmp_path / "work", tmp_path / "work-other"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (inside / "plain.txt").write_text("plain")
    (inside / "link.txt").symlink_to(outside / "secret.txt")
    (inside / "link-dir").symlink_to(outside)
    (inside / "dangling").symlink_to(outside / "not-yet.txt")
    (inside / "chain").symlink_to("link-dir")
    return inside


ESCAPES = [
    "..",
    "../work-other/secret.txt",
    "/etc/passwd",
    "/",
    "{outside}/secret.txt",
    "link.txt",
    "link-dir/secret.txt",
    "link-dir/../work-other/secret.txt",
    "chain/secret.txt",
    "dangling",
    "link-dir/new/file.txt",
    "sub/../../work-other/secret.txt",
    "plain.txt\0/../../x",
]


@pytest.mark.parametrize("path", ESCAPES)
@pytest.mark.parametrize(
    ("tool", "more"),
    [
        (ReadFile, {}),
        (WriteFile, {"text": "x"}),
        (EditFile, {"old": "secret", "new": "x"}),
        (ListDir, {}),
        (FindFiles, {"pattern": "*"}),
        (SearchText, {"pattern": "secret"}),
    ],
)
def test_no_path_leads_out_of_the_workspace(workspace, tool, more, path):
    outside = workspace.parent / "work-other"
    with pytest.raises(ToolError, match=r"outside the workspace|NUL"):
        call(tool(), context_of(workspace), path=path.format(outside=outside), **more)
    assert [p.name for p in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_text() == "secret"


def test_the_refusal_names_the_workspace(workspace):
    with pytest.raises(ToolError) as error:
        call(ReadFile(), context_of(workspace), path="../x")
    assert str(workspace.resolve()) in error.value.what


@pytest.mark.parametrize("path", ["plain.txt", "./plain.txt", "x/../plain.txt", "{cwd}/plain.txt"])
def test_paths_inside_are_read(workspace, path):
    context = context_of(workspace)
    assert call(ReadFile(), context, path=path.format(cwd=context.cwd)).text == "plain"


def test_a_link_inside_the_workspace_is_followed(workspace):
    (workspace / "alias").symlink_to("plain.txt")
    assert call(ReadFile(), context_of(workspace), path="alias").text == "plain"


@pytest.mark.parametrize("tool", [ReadFile, WriteFile, EditFile])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, tool):
    """Opening a FIFO would wait for its other end."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dir").mkdir()
    more = {ReadFile: {}, WriteFile: {"text": "x"}, EditFile: {"old": "a", "new": "b"}}[tool]
    with pytest.raises(ToolError, match="fifo is a pipe"):
        call(tool(), context_of(tmp_path), path="fifo", **more)
    with pytest.raises(ToolError, match="dir is a directory"):
        call(tool(), context_of(tmp_path), path="dir", **more)


@pytest.mark.parametrize("path", ["none.txt", "a/b/none.txt"])
def test_a_missing_file_is_told(tmp_path, path):
    with pytest.raises(ToolError, match=r"none\.txt: no such file"):
        call(ReadFile(), context_of(tmp_path), path=path)


def test_a_file_used_as_a_folder_is_told(tmp_path):
    (tmp_path / "f").write_text("x")
    with pytest.raises(ToolError, match="f/x: not a directory"):
        call(ReadFile(), context_of(tmp_path), path="f/x")
    with pytest.raises(ToolError, match="the folder of f/x: file exists"):
        call(WriteFile(), context_of(tmp_path), path="f/x", text="")


def test_a_name_that_is_too_long_is_told(tmp_path):
    with pytest.raises(ToolError, match="file name too long"):
        call(WriteFile(), context_of(tmp_path), path="x" * 300, text="")


@as_user
def test_an_unreadable_file_is_told(tmp_path):
    (tmp_path / "f").write_text("x")
    (tmp_path / "f").chmod(0)
    with pytest.raises(ToolError, match="f: permission denied"):
        call(ReadFile(), context_of(tmp_path), path="f")


def test_a_binary_file_is_told_with_its_size(tmp_path):
    (tmp_path / "f").write_bytes(b"\x7fELF\0\0" + b"x" * 94)
    with pytest.raises(ToolError, match="f is a binary file of 100 bytes"):
        call(ReadFile(), context_of(tmp_path), path="f")


def test_an_empty_file_is_told(tmp_path):
    (tmp_path / "f").touch()
    assert call(ReadFile(), context_of(tmp_path), path="f").text == "(the file is empty)"


def test_a_range_says_where_it_lies(tmp_path):
    (tmp_path / "f").write_text("a\nb\nc\n")
    result = call(ReadFile(), context_of(tmp_path), path="f", start_line=2, lines=1)
    assert result.text == "b\n[lines 2-2 of 3]"


def test_a_large_file_is_read_by_range_only(tmp_path):
    with (tmp_path / "f").open("w") as file:
        file.writelines(f"line {n}\n" for n in range(1, 1_200_001))
    with pytest.raises(ToolError, match="range of lines"):
        call(ReadFile(), context_of(tmp_path), path="f")
    result = call(ReadFile(), context_of(tmp_path), path="f", start_line=1_000_000, lines=2)
    assert result.text == "line 1000000\nline 1000001\n"
    with pytest.raises(ToolError, match="no line 2,000,000"):
        call(ReadFile(), context_of(tmp_path), path="f", start_line=2_000_000, lines=1)


def test_a_huge_line_is_not_read_whole(tmp_path):
    with (tmp_path / "f").open("wb") as file:
        for _ in range(21):
            file.write(b"x" * 1_000_000)
    with pytest.raises(ToolError, match="ask for less"):
        call(ReadFile(), context_of(tmp_path), path="f", start_line=1, lines=10)


def test_write_makes_parents_and_returns_the_size(tmp_path):
    result = call(WriteFile(), context_of(tmp_path), path="a/b/c.txt", text="é\n")
    assert (tmp_path / "a/b/c.txt").read_bytes() == "é\n".encode()
    assert result.text == "Wrote 3 bytes to a/b/c.txt."


def test_a_new_file_has_the_mode_that_the_umask_gives(tmp_path):
    before = os.umask(0o027)
    try:
        call(WriteFile(), context_of(tmp_path), path="f", text="")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640


@pytest.mark.parametrize("tool", [WriteFile, EditFile])
def test_an_existing_file_keeps_its_mode(tmp_path, tool):
    (tmp_path / "f").write_text("old")
    (tmp_path / "f").chmod(0o751)
    more = {"text": "new"} if tool is WriteFile else {"old": "old", "new": "new"}
    call(tool(), context_of(tmp_path), path="f", **more)
    assert (tmp_path / "f").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o751


@as_user
def test_a_write_protected_file_is_not_replaced(tmp_path):
    (tmp_path / "f").write_text("old")
    (tmp_path / "f").chmod(0o444)
    with pytest.raises(ToolError, match="read-only"):
        call(WriteFile(), context_of(tmp_path), path="f", text="new")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "f").write_text("old")

    def full(_fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(textfile.os, "fsync", full)
    with pytest.raises(ToolError, match="f: no space left on device"):
        call(WriteFile(), context_of(tmp_path), path="f", text="new")
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_text() == "old"


def test_a_file_is_replaced_not_written_into(tmp_path):
    """Whoever reads the old file while it is replaced sees the old file."""
    (tmp_path / "f").write_text("old")
    with (tmp_path / "f").open() as reader:
        call(WriteFile(), context_of(tmp_path), path="f", text="new")
        assert reader.read() == "old"


def test_edit_replaces_the_one_occurrence(tmp_path):
    (tmp_path / "f").write_text("a b c")
    result = call(EditFile(), context_of(tmp_path), path="f", old="b", new="B")
    assert (tmp_path / "f").read_text() == "a B c"
    assert result.text == "Replaced 1 passage in f."


def test_edit_says_how_often_the_text_occurs(tmp_path):
    (tmp_path / "f").write_text("a a a")
    with pytest.raises(ToolError, match="3 times"):
        call(EditFile(), context_of(tmp_path), path="f", old="a", new="b")
    with pytest.raises(ToolError, match="does not occur"):
        call(EditFile(), context_of(tmp_path), path="f", old="x", new="b")
    assert (tmp_path / "f").read_text() == "a a a"
    call(EditFile(), context_of(tmp_path), path="f", old="a", new="b", all=True)
    assert (tmp_path / "f").read_text() == "b b b"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"one\r\ntwo\r\nthree\r\n", b"one\r\n2\r\nzwei\r\nthree\r\n"),
        (b"one\ntwo\nthree\n", b"one\n2\nzwei\nthree\n"),
        (b"\xef\xbb\xbfone\r\ntwo\r\n", b"\xef\xbb\xbfone\r\n2\r\nzwei\r\n"),
        (b"mixed\r\ntwo\nend", b"mixed\r\n2\nzwei\nend"),
        (b"caf\xe9 two", b"caf\xe9 2\nzwei"),
        ("\ufeffä two".encode("utf-16-le"), "\ufeffä 2\nzwei".encode("utf-16-le")),
        ("\ufeffä two".encode("utf-16-be"), "\ufeffä 2\nzwei".encode("utf-16-be")),
    ],
)
def test_edit_keeps_encoding_line_ends_and_byte_order_mark(tmp_path, before, after):
    (tmp_path / "f").write_bytes(before)
    call(EditFile(), context_of(tmp_path), path="f", old="two", new="2\nzwei")
    assert (tmp_path / "f").read_bytes() == after


def test_edit_finds_passages_over_windows_line_ends(tmp_path):
    (tmp_path / "f").write_bytes(b"one\r\ntwo\r\n")
    assert call(ReadFile(), context_of(tmp_path), path="f").text == "one\ntwo\n"
    call(EditFile(), context_of(tmp_path), path="f", old="one\ntwo\n", new="1\n2\n")
    assert (tmp_path / "f").read_bytes() == b"1\r\n2\r\n"


def test_edit_refuses_what_the_encoding_cannot_hold(tmp_path):
    (tmp_path / "f").write_bytes(b"caf\xe9")
    with pytest.raises(ToolError, match="latin-1"):
        call(EditFile(), context_of(tmp_path), path="f", old="caf", new="数")
    assert (tmp_path / "f").read_bytes() == b"caf\xe9"


def test_list_dir_is_sorted_and_tells_kinds(tmp_path):
    (tmp_path / "b.txt").write_text("12345")
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    text = call(ListDir(), context_of(tmp_path)).text
    assert text.splitlines() == [
        "a/",
        "b.txt 5",
        "link (a link)",
        "pipe (a pipe, socket or device)",
    ]


def test_a_file_name_cannot_forge_a_line_or_move_the_cursor(tmp_path):
    (tmp_path / "a\nb\x1b[2J").touch()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).touch()
    text = call(ListDir(), context_of(tmp_path)).text
    assert text.splitlines() == ["a\\nb\\x1b[2J 0", "\\udcff 0"]
