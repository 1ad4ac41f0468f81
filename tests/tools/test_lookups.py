"""Look-ups that prove what they were got from: given again only while nothing has changed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agentctl import registry
from agentctl.core.lookups import Lookup
from agentctl.errors import ToolError
from agentctl.ports import Tool, ToolResult
from agentctl.tools import proofs, validators
from agentctl.tools.files import EditFile, ListDir, ReadFile, WriteFile
from agentctl.tools.outputs import ReadOutput
from agentctl.tools.search import FindFiles, SearchText
from agentctl.tools.shell import RunShell
from tests.tools.helpers import call, comes_true, context_of

LATER_NS = time.time_ns() + 3_600 * 10**9
"""A clock an hour ahead: what the test has just written counts as settled."""


def later() -> int:
    return LATER_NS


READ = (ReadFile(later), {"path": "a.txt"})
SEARCH = (SearchText(later), {"pattern": "one"})
FIND = (FindFiles(), {"pattern": "*"})
LIST = (ListDir(), {})
ALL = pytest.mark.parametrize(
    "look", [READ, SEARCH, FIND, LIST], ids=["read_file", "search_text", "find_files", "list_dir"]
)
BY_TIMES = pytest.mark.parametrize("look", [READ, SEARCH], ids=["read_file", "search_text"])
Look = tuple[Tool, dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    work, probe = tmp_path / "work", tmp_path / "probe"
    (work / "sub").mkdir(parents=True)
    (work / "a.txt").write_text("one\n")
    (work / "sub" / "b.txt").write_text("one more\n")
    written_ns = (work / "sub" / "b.txt").stat().st_ctime_ns
    assert comes_true(lambda: bool(probe.write_text("")) or probe.stat().st_ctime_ns > written_ns)
    return work


def first(folder: Path, look: Look) -> ToolResult:
    return call(look[0], context_of(folder), **look[1])


def again(folder: Path, look: Look, before: ToolResult) -> ToolResult:
    """The same look-up, with the result of before at hand."""
    kept = Lookup("t", "c0", 0, before.text, f"kept: {before.text}", before.proof)
    context = replace(context_of(folder), earlier=kept)
    return call(look[0], context, **look[1])


def test_exactly_the_tools_that_only_look_may_give_a_result_again() -> None:
    specs = [registry.load(registry.TOOLS, name, "tool")().spec for name in registry.TOOLS]
    assert {spec.name for spec in specs if spec.lookup} == {
        "read_file", "list_dir", "find_files", "search_text", "http_get", "read_output",
    }  # fmt: skip
    assert not [spec.name for spec in specs if spec.lookup and spec.changes]


@ALL
def test_nothing_has_changed_so_it_is_given_again(folder: Path, look: Look) -> None:
    before = first(folder, look)
    after = again(folder, look, before)
    assert (before.again, after.again, after.proof) == (False, True, before.proof)


@BY_TIMES
def test_what_is_given_again_is_not_read(folder: Path, look: Look) -> None:
    before = first(folder, look)
    assert again(folder, look, before).text == f"kept: {before.text}"


CHANGES: dict[str, Callable[[Path], object]] = {
    "write": lambda f: (f / "a.txt").write_text("one, changed\n"),
    "edit of the same size": lambda f: (f / "a.txt").write_text("two\n"),
    "replacement": lambda f: (
        (f / "new").write_text("one\none\n"),
        (f / "new").rename(f / "a.txt"),
    ),
    "removal": lambda f: (f / "a.txt").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
@BY_TIMES
def test_a_change_is_seen(folder: Path, look: Look, change: str) -> None:
    before = first(folder, look)
    CHANGES[change](folder)
    with contextlib.suppress(ToolError):  # a file that is gone cannot be read
        assert not again(folder, look, before).again


@BY_TIMES
def test_an_edit_with_the_old_time_and_size_is_seen(folder: Path, look: Look) -> None:
    before = first(folder, look)
    file = folder / "a.txt"
    times = file.stat()
    file.write_text("two\n")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not again(folder, look, before).again


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (WriteFile(), {"path": "a.txt", "text": "two\n"}),
        (EditFile(), {"path": "a.txt", "old": "one", "new": "two"}),
        (RunShell(), {"command": "printf two > a.txt"}),
    ],
    ids=["write_file", "edit_file", "run_shell"],
)
@BY_TIMES
def test_what_a_tool_of_the_run_writes_is_seen(
    folder: Path, look: Look, tool: Tool, arguments: dict[str, Any]
) -> None:
    before = first(folder, look)
    call(tool, context_of(folder), **arguments)
    assert not again(folder, look, before).again


@pytest.mark.parametrize("look", [SEARCH, FIND, LIST], ids=["search", "find", "list"])
def test_a_new_file_is_seen(folder: Path, look: Look) -> None:
    before = first(folder, look)
    (folder / "c.txt").write_text("one\n")
    assert not again(folder, look, before).again


@pytest.mark.parametrize("look", [SEARCH, FIND], ids=["search", "find"])
def test_a_change_deep_below_is_seen(folder: Path, look: Look) -> None:
    before = first(folder, look)
    (folder / "sub" / "b.txt").rename(folder / "sub" / "c.txt")
    assert not again(folder, look, before).again


@BY_TIMES
def test_what_was_changed_just_now_proves_nothing(folder: Path, look: Look) -> None:
    tool = type(look[0])(time.time_ns)  # type: ignore[call-arg]  # both take a clock
    before = call(tool, context_of(folder), **look[1])
    assert before.proof == ""
    assert not again(folder, (tool, look[1]), before).again


@pytest.mark.skipif(not Path("/proc/loadavg").exists(), reason="a system without /proc")
def test_what_the_system_makes_up_proves_nothing() -> None:
    assert first(Path("/proc"), (ReadFile(later), {"path": "loadavg"})).proof == ""
    search = (SearchText(later), {"pattern": "x", "path": "sys/kernel/random"})
    assert first(Path("/proc"), search).proof == ""


def test_a_search_of_one_file_is_proved_by_that_file(folder: Path) -> None:
    look = (SearchText(later), {"pattern": "one", "path": "a.txt"})
    before = first(folder, look)
    (folder / "sub" / "b.txt").write_text("two\n")
    assert again(folder, look, before).again


def test_a_tree_that_is_too_large_proves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "TREE_ENTRIES_MAX", 2)
    assert first(folder, SEARCH).proof == ""


def test_a_pattern_that_fails_leaves_no_proof(folder: Path) -> None:
    with pytest.raises(Exception, match="not a regular expression"):
        first(folder, (SearchText(later), {"pattern": "("}))


def test_a_range_of_a_stored_output_is_given_again(tmp_path: Path) -> None:
    context = context_of(tmp_path, stored={"ref": "one\ntwo\n"})
    before = call(ReadOutput(), context, id="ref", lines=1)
    kept = Lookup("t", "c0", 0, before.text, before.text, before.proof)
    assert call(ReadOutput(), replace(context, earlier=kept), id="ref", lines=1).again


# --- pages --------------------------------------------------------------------------------------

NOW = 1_800_000_000_000


def said(redirected: bool = False, **headers: str) -> validators.Validators | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return validators.of_page("http://x/", named, NOW, redirected=redirected)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"etag": '"1"', "cache_control": "no-store"},
        {"etag": '"1"', "cache_control": "private, NO-STORE"},
        {"etag": '"1"', "vary": "*"},
        {"cache_control": "max-age=0"},
        {"cache_control": "max-age=60", "age": "60"},
        {"cache_control": "max-age=60, no-cache"},
        {"cache_control": "max-age=60, max-age=0"},
        {"cache_control": "x-max-age=60"},
        {"cache_control": "max-age=60", "vary": "Accept, *"},
        {"etag": "caf\u00e9"},
    ],
    ids=str,
)
def test_a_page_without_leave_is_not_given_again(headers: dict[str, str]) -> None:
    assert said(**headers) is None


def test_a_page_is_fresh_as_long_as_its_server_says() -> None:
    found = said(cache_control="public, Max-Age=60", age="10")
    assert found is not None
    assert found.fresh_until_ms == NOW + 50_000


@pytest.mark.parametrize("rules", ["max-age=60, no-cache", "max-age=-1", "max-age=x"])
def test_a_page_with_a_validator_may_be_asked_for(rules: str) -> None:
    found = said(cache_control=rules, etag='"1"')
    assert found is not None
    assert (found.fresh_until_ms, found.headers()) == (0, {"If-None-Match": '"1"'})


def test_after_a_redirect_the_server_is_always_asked() -> None:
    found = said(cache_control="max-age=60", etag='"1"', redirected=True)
    assert found is not None
    assert found.fresh_until_ms == 0


def test_validators_are_read_back_as_written() -> None:
    found = validators.Validators("http://x/", 'W/"é"', "yesterday", 5)
    assert validators.read(validators.written(found)) == found
