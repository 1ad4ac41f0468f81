"""What every built-in tool has in common."""

import asyncio
import json

import pytest

from agentctl.core.values import TIMEOUTS_MS
from agentctl.errors import ToolError
from agentctl.tools import http, lanes, shell
from agentctl.tools.base import line_range, spec_of
from agentctl.tools.files import EditFile, ListDir, ReadFile, WriteFile
from agentctl.tools.http import HttpGet
from agentctl.tools.outputs import ReadOutput
from agentctl.tools.search import FindFiles, SearchText
from agentctl.tools.shell import RunShell
from tests.tools.helpers import call, context_of

TOOLS = (
    ReadFile,
    WriteFile,
    EditFile,
    ListDir,
    FindFiles,
    SearchText,
    RunShell,
    HttpGet,
    ReadOutput,
)


@pytest.mark.parametrize("tool", TOOLS)
def test_schema_is_flat_and_stable(tool):
    schema = json.loads(tool().spec.parameters)
    assert list(schema) == ["properties", "required", "type"]
    assert schema["type"] == "object"
    assert "$ref" not in tool().spec.parameters
    assert json.dumps(schema, separators=(",", ":"), sort_keys=True) == tool().spec.parameters


def test_all_tools_cost_under_a_thousand_prompt_tokens():
    specs = [tool().spec for tool in TOOLS]
    assert sum(len(s.name + s.description + s.parameters) for s in specs) < 3_800


def test_repeat_classes_and_approval_match_what_a_tool_does():
    specs = {tool().spec.name: tool().spec for tool in TOOLS}
    assert {name for name, spec in specs.items() if spec.changes} == {
        "write_file",
        "edit_file",
        "run_shell",
    }
    assert {name: spec.repeat for name, spec in specs.items() if spec.repeat != "safe"} == {
        "write_file": "idempotent",
        "edit_file": "unsafe",
        "run_shell": "unsafe",
    }
    assert {spec.category for spec in specs.values()} == {"file", "shell", "http"}


def test_the_time_out_of_a_tool_is_that_of_its_category():
    specs = {tool().spec.name: tool().spec for tool in TOOLS}
    own = specs.pop("run_shell")
    assert own.timeout_ms > shell.MAX_TIMEOUT_S * 1000, "the call's own time-out comes first"
    assert all(spec.timeout_ms == TIMEOUTS_MS[spec.category] for spec in specs.values())
    assert specs["http_get"].timeout_ms == 15_000


def test_a_tool_may_say_how_long_it_takes_or_have_a_category_of_its_own():
    def made(category, **more):
        about = {"repeat": "safe", "changes": False, **more}
        return spec_of("t", "d", ReadFile.arguments, category=category, **about).timeout_ms

    assert made("drive") == TIMEOUTS_MS["drive"]
    assert made("knitting") == TIMEOUTS_MS["default"]
    assert made("drive", timeout_ms=5) == 5


def test_connecting_to_every_address_of_a_host_fits_into_one_call():
    assert HttpGet.spec.timeout_ms > lanes.CONNECT_S * http.MAX_ADDRESSES * 1000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("{}", "path"),
        ('{"path": 1}', "$.path"),
        ('{"path": ""}', "$.path"),
        ('{"path": "a", "lines": -1}', "$.lines"),
        ('{"path": "a", "depth": 1}', "depth"),
        ('{"path": "a"', "truncated"),
        ("[]", "object"),
        ('{"path": "\ud800"}', "surrogates"),
        ('{"path": "' + "a" * 1_000_000 + '"}', "larger than 1,000,000 bytes"),
        ('{"path": "' + "é" * 600_000 + '"}', "larger than 1,000,000 bytes"),
        ('{"path": ' + "[" * 33 + "]" * 33 + "}", "nested"),
        ('{"path": ' + "[" * 300_000, "nested"),
    ],
)
def test_check_says_what_does_not_fit(arguments, told):
    assert told in ReadFile().check(arguments)


def test_brackets_inside_strings_are_not_nesting():
    assert WriteFile().check(json.dumps({"path": "a", "text": '\\"[' * 1000})) == ""


def test_an_unclosed_string_is_scanned_once():
    """A quadratic scan of this would take minutes."""
    assert ReadFile().check("[" * 33 + '"' + '\\"' * 400_000)


def test_no_arguments_at_all_count_as_none_given(tmp_path):
    assert ListDir().check("") == ""
    assert asyncio.run(ListDir().run("", context_of(tmp_path))).text == "(the folder is empty)"


def test_running_unchecked_arguments_is_a_tool_error(tmp_path):
    with pytest.raises(ToolError, match="path"):
        asyncio.run(ReadFile().run("{}", context_of(tmp_path)))


@pytest.mark.parametrize(
    ("start", "lines", "wrap", "expected"),
    [
        (1, 0, 0, "a\nb\nc\n"),
        (1, 3, 0, "a\nb\nc\n"),
        (2, 0, 0, "b\nc\n[lines 2-3 of 3]"),
        (1, 2, 0, "a\nb\n[lines 1-2 of 3]"),
        (3, 9, 0, "c\n[lines 3-3 of 3]"),
    ],
)
def test_line_range(start, lines, wrap, expected):
    assert line_range("a\nb\nc\n", start, lines, wrap=wrap) == expected


def test_line_range_of_nothing_and_beyond_the_end():
    assert line_range("", 1, 0) == ""
    with pytest.raises(ToolError, match="no line 2"):
        line_range("a\n", 2, 1)


def test_read_output_gives_a_range(tmp_path):
    context = context_of(tmp_path, stored={"abc": "1\n2\n3\n4\n"})
    assert call(ReadOutput(), context, id="abc", start_line=2, lines=2).text == (
        "2\n3\n[lines 2-3 of 4]"
    )


def test_read_output_reaches_every_part_of_a_single_long_line(tmp_path):
    context = context_of(tmp_path, stored={"abc": "a" * 5_000 + "needle" + "b" * 5_000})
    text = call(ReadOutput(), context, id="abc", start_line=6, lines=1).text
    assert text.startswith("needle")
    assert text.endswith("[lines 6-6 of 11]")


def test_read_output_of_an_unknown_id(tmp_path):
    with pytest.raises(ToolError, match="nope"):
        call(ReadOutput(), context_of(tmp_path), id="nope")
