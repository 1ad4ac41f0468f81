"""The `mcpServers` file: what is understood, what is refused, and where it says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentctl.errors import ConfigError
from agentctl.tools.mcp_config import Server, data_of, servers


def read(path: Path, env: dict[str, str]) -> tuple[Server, ...]:
    return servers(path, data_of(path), env)


def written(folder: Path, entries: object) -> Path:
    path = folder / "mcp.json"
    path.write_text(json.dumps({"mcpServers": entries}))
    return path


def one(folder: Path, entry: object, **env: str) -> Server:
    (server,) = read(written(folder, {"a": entry}), env)
    return server


def refusal(folder: Path, entry: object, **env: str) -> str:
    with pytest.raises(ConfigError) as told:
        one(folder, entry, **env)
    assert str(folder / "mcp.json") in str(told.value)
    return str(told.value)


def test_the_usual_entries_are_read(tmp_path: Path) -> None:
    process = one(tmp_path, {"command": "npx", "args": ["-y", "x"], "env": {"A": "b"}, "cwd": "s"})
    assert process == Server("a", "npx", ("-y", "x"), {"A": "b"}, "s")
    web = {"type": "streamable-http", "url": "https://example.com/mcp", "headers": {"X": "y"}}
    assert one(tmp_path, web) == Server("a", url="https://example.com/mcp", headers={"X": "y"})


def test_variables_are_filled_in_with_their_defaults(tmp_path: Path) -> None:
    entry = {
        "command": "${BIN:-python}",
        "args": ["--key=${KEY}", "${EMPTY:-full}", "$KEY", "${KEY"],
        "env": {"TOKEN": "Bearer ${KEY}", "NOTHING": "${NOTHING:-}"},
    }
    server = one(tmp_path, entry, KEY="k", EMPTY="")
    assert server.command == "python"
    assert server.args == ("--key=k", "full", "$KEY", "${KEY")
    assert server.env == {"TOKEN": "Bearer k", "NOTHING": ""}


def test_a_variable_that_is_not_set_is_named_with_its_place(tmp_path: Path) -> None:
    told = refusal(tmp_path, {"command": "x", "env": {"T": "${NO_SUCH}"}})
    assert "mcpServers.a.env.T: the variable NO_SUCH is not set" in told


def test_what_was_filled_in_is_not_filled_in_again(tmp_path: Path) -> None:
    assert one(tmp_path, {"command": "x", "args": ["${A}"]}, A="${B}").args == ("${B}",)


def test_a_server_that_is_switched_off_is_left_out_unread(tmp_path: Path) -> None:
    entry = {"command": "x", "args": ["${NO_SUCH}"], "disabled": True}
    assert read(written(tmp_path, {"a": entry}), {}) == ()


def test_entries_of_other_clients_are_told_and_not_used(tmp_path: Path) -> None:
    server = one(tmp_path, {"command": "x", "autoApprove": ["all"]})
    assert server.notes == (
        f"{tmp_path / 'mcp.json'}: mcpServers.a.autoApprove is not known here and not used",
    )


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({}, "either a command or an url"),
        ({"command": "x", "url": "http://y"}, "either a command or an url"),
        ({"command": ["x"]}, "Expected `str`, got `array` - at `$.command`"),
        ({"command": "x", "args": "y"}, "Expected `array`, got `str` - at `$.args`"),
        ({"command": "x", "env": {"A": 1}}, "Expected `str`, got `int`"),
        ({"type": "sse", "url": "http://y"}, "sse was replaced by streamable HTTP"),
        ({"type": "carrier-pigeon", "command": "x"}, "neither stdio nor http"),
        ({"type": "http", "command": "x"}, "type http needs an url"),
        ({"type": "stdio", "url": "http://y"}, "type stdio needs a command"),
        ({"url": "file:///etc"}, "must begin with http"),
        ({"command": "x", "category": "two words"}, "a category is one word"),
        ("x", "not an object"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(
    entry: object, told: str, tmp_path: Path
) -> None:
    said = refusal(tmp_path, entry)
    assert "mcpServers.a" in said and told in said


def test_two_servers_whose_tools_would_be_named_alike_are_refused(tmp_path: Path) -> None:
    entry = {"command": "x"}
    with pytest.raises(ConfigError, match="the same names"):
        read(written(tmp_path, {"a b": entry, "a_b": entry}), {})


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"mcpServers": []}', '{"mcpServers": {"": {}}}']
)
def test_a_file_without_servers_is_refused_by_name(text: str, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"m\.json"):
        read(path, {})


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Cannot read the MCP servers of .*none\.json"):
        read(tmp_path / "none.json", {})


def test_tables_of_a_settings_file_are_servers_too(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[mcp.servers.time]\ncommand = "uvx"\nargs = ["mcp-server-time"]\n')
    assert read(path, {}) == (Server("time", "uvx", ("mcp-server-time",)),)
