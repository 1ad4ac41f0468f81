"""Definitions of agents: ours and those of other products, and what is wrong with them."""

from pathlib import Path

import pytest

from agentctl import agent_files
from agentctl.core.only import offered

PATH = Path("/work/.agents/helper.md")


def read(head, body="You help.", path=PATH):
    return agent_files.read(path, f"---\n{head}\n---\n{body}\n".encode())


def test_a_definition_is_read_whole():
    made = read(
        "name: tester\ndescription: Tests\nprovider: openai\nmodel: gpt-6.1-terra\n"
        "tools: [read_file, run_shell]\napprove: never\nlimits:\n  max_cost: 0.25\n"
        "  max_steps: 9\n  timeout: 5m\n  max_tokens: 5000\ncontext: window\n"
    )
    assert made.notes == ()
    assert (made.name, made.description, made.prompt) == ("tester", "Tests", "You help.")
    assert made.tools == ("read_file", "run_shell", "read_output")
    assert made.values == {
        "provider": "openai", "model": "gpt-6.1-terra", "max_cost": 250_000, "max_steps": 9,
        "timeout": 300_000, "max_tokens": 5_000, "approve": "never", "context": "window",
    }  # fmt: skip


def test_without_a_name_it_goes_by_its_file_and_without_tools_it_has_all():
    made = read("description: Helps\nmodel: inherit")
    assert (made.name, made.tools, made.values, made.notes) == ("helper", None, {}, ())


def test_names_of_tools_of_other_products_are_ours():
    made = read(
        "description: x\ntools: Read, Write, Edit, Bash, Grep, Glob, LS, WebFetch, mcp__a__b"
    )
    assert made.tools == (
        "read_file", "write_file", "edit_file", "run_shell", "search_text", "find_files",
        "list_dir", "http_get", "a_b", "read_output",
    )  # fmt: skip
    assert made.notes == ()


def test_a_tool_with_a_restriction_is_left_out_and_never_given_whole():
    made = read("description: x\ntools: Read, Bash(git diff:*, git log:*), TodoWrite")
    assert made.tools == ("read_file", "read_output")
    assert [note.bad for note in made.notes] == [False, False]
    assert "Bash(git diff:*, git log:*) is left out" in made.notes[0].text


@pytest.mark.parametrize(
    "head", ["disallowedTools: Bash, Write", "tools:\n  bash: false\n  write: false\n  read: true"]
)
def test_tools_that_are_taken_away_leave_the_others(head):
    made = read(f"description: x\n{head}")
    assert [offered(made.tools, each) for each in ("run_shell", "write_file")] == [False, False]
    assert [offered(made.tools, each) for each in ("read_file", "own", "srv_x")] == [True] * 3


def test_an_empty_list_of_tools_is_none():
    made = read("description: x\ntools: []")
    assert made.tools == ()
    assert not offered(made.tools, "read_file")


def test_front_matter_that_is_no_yaml_is_read_by_line():
    made = read(
        "name: helper\ndescription: Use it when: always. <example>a: b</example>\n"
        "tools:\n  - Read\n  - 'Grep'\nmax_cost: 0.10"
    )
    assert made.description == "Use it when: always. <example>a: b</example>"
    assert made.tools == ("read_file", "search_text", "read_output")
    assert made.values == {"max_cost": 100_000}
    assert [(note.line, note.bad) for note in made.notes] == [(2, False)]


@pytest.mark.parametrize(
    ("head", "line", "text"),
    [
        ("description: x\nmax_cost: cheap", 3, "max_cost: "),
        ("description: x\nmax_cost: .inf", 3, "max_cost: "),
        ("description: x\nmax_csot: 1", 3, "max_csot: there is no such key"),
        ("description: x\nlimits:\n  steps: 1", 4, "limits.steps: there is no such limit"),
        ("description: x\nlimits: [1]", 3, "limits: not a list of keys"),
        ("description: x\napprove: always", 3, "approve: "),
        ("description: x\ntools: 7", 3, "tools: not a list"),
        ("description: x\nmodel: [a]", 3, "model: "),
        ("a: &x 1\nb: *x", 1, "anchors and aliases are not read"),
        ("a: [[[[[1]]]]]", 1, "more than 4 deep"),
        ("- 1", 2, "not a list of keys and values"),
        ("x: " + "y" * 20_000, 1, "more than 16,384 bytes"),
    ],
)
def test_what_could_do_more_than_was_meant_is_a_problem_with_its_line(head, line, text):
    found = [note for note in read(head).notes if note.bad]
    assert text in found[0].text
    assert found[0].line == line


def test_a_bomb_of_aliases_is_not_unfolded():
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 20)}]" for n in range(1, 20)]
    (note,) = [note for note in read("\n".join(lines)).notes if note.bad]
    assert note.text == "anchors and aliases are not read"


@pytest.mark.parametrize(
    "data", [b"", b"# A page\n", b"---\nname: x\n", b"\n\n", "---\nn: \ufeff".encode("utf-16")]
)
def test_a_file_without_front_matter_is_a_problem(data):
    made = agent_files.read(PATH, data)
    assert made.problems


def test_keys_of_other_products_are_noted_and_not_read():
    made = read("description: x\ncolor: red\nhooks: {}\nmaxTurns: 4\npermissionMode: yolo")
    assert [note.text for note in made.notes] == [
        "color: not read here", "hooks: not read here", "permissionMode: not read here",
    ]  # fmt: skip
    assert made.values == {"max_steps": 4}
    assert made.problems == []


def test_too_large_a_file_is_a_problem():
    made = agent_files.read(PATH, b"---\ndescription: x\n---\n" + b"x" * agent_files.MAX_BYTES)
    assert "bytes, more than" in made.problems[0].text
