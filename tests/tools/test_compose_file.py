"""Composed tools from a file: what is read, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentctl.errors import ConfigError
from agentctl.tools.compose import settled
from agentctl.tools.compose_file import load
from agentctl.tools.files import ListDir, ReadFile, WriteFile
from agentctl.tools.search import SearchText
from tests.tools.compose_parts import Bench, Fake

EXAMPLE = Path(__file__).parents[2] / "examples" / "flows.toml"
YAML = """
flow:
  both:
    description: Two at once.
    parameters: {word: "string: what to look for", "more?": {type: array}}
    parallel:
      - {tool: a, label: first, arguments: {word: "{input.word}"}}
      - {tool: b, arguments: {}}
  one_of:
    with_fallback: {steps: [a, b], even_if_unknown: true}
  one:
    sequential: [a]
"""


def file(folder: Path, text: str, name: str = "flows.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_and_its_short_forms_are_read(tmp_path: Path) -> None:
    both, one_of, one = load(file(tmp_path, YAML, "flows.yaml"))
    assert [tool.spec.name for tool in (both, one_of, one)] == ["both", "one_of", "one"]
    assert both.spec.description == "Two at once."
    bench = Bench(Fake("a", "x"), Fake("b", "y"))
    assert bench.run(both, word="w").text == "[first]\nx\n\n[b]\ny"
    assert bench.run(one).text == bench.run(one_of).text == "x"


def test_every_kind_does_in_a_file_what_it_does_in_python(tmp_path: Path) -> None:
    text = """
[flow.s]
sequential = ["a", { tool = "b", arguments = { text = "{result}" } }]
[flow.m]
parameters = { names = "array" }
mapped = { tool = "a", over = "{input.names}", arguments = { name = "{item}" }, at_once = 2 }
[flow.c]
parameters = { path = "string" }
conditional = { when = { matches = ["{input.path}", "*.md"] }, then = "a", otherwise = "b" }
"""
    s, m, c = load(file(tmp_path, text))
    bench = Bench(Fake("a", "x"), Fake("b", "y"))
    assert bench.run(s).text == "y"
    assert bench.run(m, names=["n"]).text == "[1 of 1]\nx"
    assert bench.run(c, path="a.md").text == "x"
    assert bench.run(c, path="a.txt").text == "y"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("flow = ", "it is not valid TOML: Invalid value"),
        ("", "Object missing required field `flow`"),
        ("[flow]", "there is no tool in it"),
        ("[flows.a]", "unknown field `flows`"),
        ("[flow.a]\nsequental = ['x']", "unknown field `sequental` - at `$.flow[...]`"),
        ("[flow.a]", "flow.a: needs exactly one of sequential, parallel"),
        ("[flow.a]\nparallel = ['x']\nsequential = ['x']", "flow.a: needs exactly one of"),
        ("[flow.a]\nsequential = []", "flow.a is made of no tool"),
        ("[flow.a]\nwith_fallback = []", "flow.a is made of no tool"),
        ("[flow.a]\nsequential = ['x', 'y']", "flow.a: it is not said what y is given"),
        ("[flow.a]\nsequential = [{ tol = 'x' }]", "unknown field `tol`"),
        ("[flow.a]\nsequential = [{ tool = 1 }]", "Expected `str`, got `int`"),
        ("[flow.a]\nmapped = { tool = 'x', at_most = 1000 }", "flow.a: at_most must be from 1"),
        ("[flow.a]\nconditional = { when = { is = 1 }, then = 'x' }", "flow.a: when must be"),
        (
            "[flow.a]\nsequential=[{tool='run_shell',arguments={command='ls {input}'}}]",
            "flow.a: run_shell: {input} stands within a command",
        ),
        ("[flow.'a b']\nsequential = ['x']", "A tool cannot be named 'a b'"),
    ],
)
def test_a_toml_file_that_is_wrong_is_refused_with_the_place(
    text: str, told: str, tmp_path: Path
) -> None:
    path = file(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        load(path)
    assert str(path) in str(error.value)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("flow: [", "line 1: it is not valid YAML"),
        ("flow:\n  a: {sequential: [x]}\n  a: {sequential: [y]}", "line 3: 'a' stands there twice"),
        ("flow: &f\n  a: {sequential: [x]}\nmore: *f", "line 3: aliases (*) are not taken"),
        ("flow: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("[1]", "Expected `object`, got `array`"),
    ],
)
def test_a_yaml_file_that_is_wrong_is_refused_with_the_place(
    text: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as error:
        load(file(tmp_path, text, "flows.yml"))
    assert told in str(error.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it cannot be read"):
        load(tmp_path / "lost.toml")
    path = tmp_path / "odd.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="it is not UTF-8 text"):
        load(path)
    with pytest.raises(ConfigError, match="it is larger than"):
        load(file(tmp_path, "#" * 1_000_001))


# --- the example ---------------------------------------------------------------------------------


def test_the_example_works_with_the_real_tools(tmp_path: Path) -> None:
    flows = {tool.spec.name: tool for tool in load(EXAMPLE)}
    parts = [ReadFile(), WriteFile(), ListDir(), SearchText()]
    settled([*flows.values(), *parts])
    bench = Bench(*parts, cwd=tmp_path)
    file(tmp_path, "TODO: more\n", "a.txt")
    assert bench.run(flows["copy_text"], source="a.txt", target="b.txt").ok
    assert (tmp_path / "b.txt").read_text() == "TODO: more\n"
    assert "b.txt:1" in bench.run(flows["look_around"], folder=".").text
    read = bench.run(flows["read_notes"], paths=["a.txt", "lost.txt", "b.txt"]).text
    assert read.startswith("[1 of 3]\nTODO: more\n")
    assert "[2 of 3] failed:" in read
    assert "a.txt" in bench.run(flows["read_or_list"], path=".").text
    for _ in range(2):
        assert bench.run(flows["add_readme"], folder=".", text="Hello").ok
    assert (tmp_path / "README.md").read_text() == "Hello"
    assert bench.names.count("write_file") == 2


def test_the_example_says_truthfully_what_its_tools_can_do() -> None:
    flows = load(EXAMPLE)
    settled([*flows, ReadFile(), WriteFile(), ListDir(), SearchText()])
    told = {tool.spec.name: (tool.spec.changes, tool.spec.repeat) for tool in flows}
    assert told == {
        "copy_text": (True, "idempotent"),
        "look_around": (False, "safe"),
        "read_notes": (False, "safe"),
        "read_or_list": (False, "safe"),
        "add_readme": (True, "idempotent"),
    }
