"""Which servers a task has: entries of files, trust in those of a project, what confines them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentctl import mcp_servers, trust
from agentctl.core.values import Sandbox
from agentctl.errors import ConfigError


def written(path: Path, *names: str) -> Path:
    path.write_text(json.dumps({"mcpServers": {name: {"command": "x"} for name in names}}))
    return path


def names_of(home: Path, *entries: str) -> tuple[list[str], list[str]]:
    told: list[str] = []
    found = mcp_servers.servers(entries, home, told.append)
    return [server.name for _, server in found], told


def test_entries_are_absolute_once_each_and_kept_with_the_task(tmp_path: Path) -> None:
    chosen = mcp_servers.entries(["a.json", "/x/b.json", "./a.json"], tmp_path)
    assert chosen == (str(tmp_path / "a.json"), "/x/b.json")
    assert mcp_servers.kept(mcp_servers.kept_as(chosen)) == chosen
    assert mcp_servers.kept({}) == () and mcp_servers.kept_as(()) == {}


def test_a_name_in_two_files_is_refused_with_both(tmp_path: Path) -> None:
    one, two = written(tmp_path / "1.json", "a"), written(tmp_path / "2.json", "a")
    with pytest.raises(ConfigError, match=r"1\.json and .*2\.json"):
        names_of(tmp_path, str(one), str(two))


def test_a_file_of_a_project_counts_only_as_it_was_when_it_was_trusted(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    project.mkdir()
    file = written(project / "m.json", "a")
    (project / trust.PROJECT_FILE).write_text('[mcp]\nfiles = ["m.json"]\n')
    entry = trust.MARK + str(file)
    assert names_of(home, entry)[0] == []
    trust.trust(home, project)
    assert names_of(home, entry) == (["a"], [])
    written(file, "a", "b")
    found, (told,) = names_of(home, entry)
    assert found == [] and f"agentctl trust {project}" in told
    trust.trust(home, project)
    assert names_of(home, entry)[0] == ["a", "b"]
    trust.untrust(home, project)
    assert names_of(home, entry)[0] == []


def test_a_file_that_is_named_by_hand_needs_no_trust(tmp_path: Path) -> None:
    assert names_of(tmp_path, str(written(tmp_path / "m.json", "a"))) == (["a"], [])


@pytest.mark.parametrize(
    ("mode", "wanted", "found"),
    [
        ("auto", None, "off"),
        ("auto", True, "auto"),
        ("off", True, "off"),
        ("workspace", None, "workspace"),
        ("workspace", False, "off"),
        ("read-only", None, "read-only"),
        ("strict", False, "strict"),
    ],
)
def test_what_confines_a_server(mode: str, wanted: bool | None, found: str) -> None:
    assert mcp_servers.confinement(wanted, Sandbox(mode)).mode == found
