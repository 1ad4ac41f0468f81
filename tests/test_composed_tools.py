"""Composed tools as a user brings them: found in files, with all they are made of, and confined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentctl import assembly, own_tools
from agentctl.core.values import Sandbox
from agentctl.errors import ConfigError, UsageError

FLOWS = '[flow.copy]\nsequential = ["shout", { tool = "read_file", arguments = { path = "a" } }]\n'
OWN = """
from agentctl import mapped, sequential, tool


def make():
    @tool(repeat="safe", sandbox=True)
    def shout(text: str) -> str:
        "Say it loud."
        return text.upper()

    return shout


loud = sequential("loud", mapped("each", make()))
"""


def files(folder: Path) -> list[str]:
    (folder / "own.py").write_text(OWN)
    (folder / "flows.toml").write_text(FLOWS)
    return [str(folder / "own.py"), str(folder / "flows.toml")]


def test_a_definition_is_known_by_its_ending_like_a_python_file(tmp_path: Path) -> None:
    assert own_tools.entries(["a.toml", "b.yml", "name"], tmp_path) == (
        str(tmp_path / "a.toml"),
        str(tmp_path / "b.yml"),
        "name",
    )


def test_what_a_composed_tool_is_made_of_comes_with_it_and_from_the_same_file(
    tmp_path: Path,
) -> None:
    own, flows = files(tmp_path)
    found = [(each.tool.spec.name, each.place) for each in own_tools.load([own, flows])]
    assert found == [("loud", own), ("each", own), ("shout", own), ("copy", flows)]


def test_a_run_has_them_with_specs_that_know_the_built_in_tools(tmp_path: Path) -> None:
    specs = {t.spec.name: t.spec for t in assembly.tools("auto", own=files(tmp_path))}
    assert (specs["copy"].repeat, specs["copy"].changes) == ("safe", False)
    assert specs["copy"].parts == ("shout", "read_file")
    assert specs["loud"].parts == ("each", "shout")


def test_an_own_tool_within_a_composed_one_is_confined_too(tmp_path: Path) -> None:
    policy = Sandbox("workspace")
    tools: dict[str, Any] = {
        t.spec.name: t for t in assembly.tools("auto", policy, files(tmp_path)[:1])
    }
    assert tools["shout"]._confined.policy is policy


def test_a_name_of_a_built_in_tool_is_refused_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "flows.toml"
    path.write_text('[flow.read_file]\nsequential = ["list_dir"]\n')
    with pytest.raises(UsageError, match="two tools named read_file"):
        own_tools.load([str(path)])


def test_a_part_that_is_no_tool_is_refused_when_the_run_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="copy is made of 'shout', which is no tool"):
        assembly.tools("auto", own=files(tmp_path)[1:])
