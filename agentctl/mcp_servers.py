"""The MCP servers of a task: which files name them, and the sources that they become."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from agentctl import task_lists, trust
from agentctl.core.events import TaskCreated
from agentctl.core.values import Approve, Sandbox
from agentctl.errors import ConfigError
from agentctl.ports import ToolSource

if TYPE_CHECKING:
    from agentctl.tools.mcp_config import Server

OPTION = "mcp"
"""Under this name a task keeps the files; what they say is read anew at each resume."""


def entries(given: Iterable[str], folder: Path) -> tuple[str, ...]:
    """What was typed as --mcp: absolute paths of files."""
    return tuple(dict.fromkeys(str((folder / Path(each).expanduser()).resolve()) for each in given))


def kept(options: Mapping[str, str]) -> tuple[str, ...]:
    """The entries that a task was begun with."""
    return task_lists.kept(options, OPTION)


def kept_as(chosen: Sequence[str]) -> dict[str, str]:
    """The same as options of a task."""
    return task_lists.kept_as(OPTION, chosen)


def servers(
    chosen: Sequence[str], home: Path, complain: Callable[[str], None]
) -> list[tuple[str, Server]]:
    """The file and the entry of each server. Raises ConfigError for a file that is wrong.

    A project's file that is not trusted as it is now is left out, and `complain` is told.
    """
    found: dict[str, tuple[str, Server]] = {}
    for entry in chosen:
        from agentctl.tools import mcp_config  # here, because most runs have no servers

        path = Path(entry.removeprefix(trust.MARK))
        data = mcp_config.data_of(path)
        if entry.startswith(trust.MARK) and not trust.trusted_file(home, path, data):
            complain(
                f"The MCP servers of {path} are left out: it is not as it was when its folder was "
                f"trusted. To allow it: agentctl trust {trust.place_of(path)}"
            )
            continue
        for server in mcp_config.servers(path, data, os.environ):
            if server.name in found:
                raise ConfigError(
                    f"Two files name an MCP server {server.name!r}: {found[server.name][0]} and "
                    f"{path}.",
                    next_step="Rename or disable one of them.",
                )
            found[server.name] = (str(path), server)
    return list(found.values())


def check(chosen: Sequence[str], home: Path) -> None:
    """Raise ConfigError or UsageError for what `sources` could not use."""
    if servers(chosen, home, lambda _line: None):
        from agentctl.tools.mcp import check_installed  # here, because most runs have no servers

        check_installed()


def sources(
    created: TaskCreated,
    given: Sequence[str] | None,
    home: Path,
    sandbox: Sandbox,
    approve: Approve,
    complain: Callable[[str], None],
) -> list[ToolSource]:
    """What brings the tools of a task's servers, or of those `given` for this time.

    A read-only run is not even told of those that change something. Raises ConfigError, and
    UsageError where the SDK is not installed.
    """
    made: list[ToolSource] = []
    chosen = kept(created.options) if given is None else given
    for _, server in servers(chosen, home, complain):
        from agentctl.tools.mcp import McpSource  # here, because most runs have no servers

        for note in server.notes:
            complain(note)
        confined = confinement(server.sandbox, sandbox)
        read_only = approve == "read-only"
        made.append(McpSource(server, created.cwd, confined, read_only=read_only))
    return made


def words_of(made: Sequence[ToolSource]) -> dict[str, object]:
    """What is sent to the servers besides calls, in the shape of their file: it holds secrets."""
    named = {each.name: getattr(each, "server", None) for each in made}
    return {
        "mcpServers": {
            name: {"env": server.env, "headers": server.headers, "url": server.url}
            for name, server in named.items()
            if server is not None
        }
    }


def globs(chosen: Sequence[str], home: Path) -> list[str]:
    """What the names of their tools look like. Raises ConfigError for a file that is wrong."""
    found = servers(chosen, home, lambda _line: None)
    if not found:
        return []
    from agentctl.tools.mcp_config import prefix  # here, because most runs have no servers

    return [f"{prefix(server.name)}_*" for _, server in found]


def may_have(source: ToolSource, name: str) -> bool:
    """Whether a tool of this name can be one of this server."""
    from agentctl.tools.mcp_config import prefix  # here, because most runs have no servers

    return name.startswith(f"{prefix(source.name)}_")


def confinement(wanted: bool | None, sandbox: Sandbox) -> Sandbox:
    """What a server's process is allowed: `wanted` is what its entry says, None nothing.

    Most servers need the network or the home folder, so "auto" confines those that ask for it.
    """
    if wanted is None:
        wanted = sandbox.mode not in ("auto", "off")
    return sandbox if wanted or sandbox.mode == "strict" else replace(sandbox, mode="off")
