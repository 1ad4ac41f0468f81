"""The tools that a user brings: those of Python files and of installed packages, by their names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from agentctl import registry, task_lists, trust
from agentctl.errors import UsageError
from agentctl.paths import state_home
from agentctl.ports import Tool

OPTION = "tools"
"""Under this name a task keeps which it has."""
FILES = (".py", ".toml", ".yaml", ".yml")
"""Python, and definitions of composed tools."""


class Brought(Struct, frozen=True):
    """A tool and where it is from."""

    tool: Tool
    place: str
    """A file, or "package NAME"."""


def entries(given: Iterable[str], folder: Path) -> tuple[str, ...]:
    """What was typed as --tools: absolute paths of files, and names of what is installed."""
    found = []
    for text in given:
        is_file = text.endswith(FILES) or "/" in text
        found.append(str((folder / Path(text).expanduser()).resolve()) if is_file else text)
    return tuple(dict.fromkeys(found))


def kept(options: Mapping[str, str]) -> tuple[str, ...]:
    """The entries that a task was begun with."""
    return task_lists.kept(options, OPTION)


def kept_as(chosen: Sequence[str]) -> dict[str, str]:
    """The same as options of a task."""
    return task_lists.kept_as(OPTION, chosen)


def load(chosen: Sequence[str]) -> list[Brought]:
    """Load the tools of these entries, in their order. Raises UsageError for what cannot be had."""
    found: list[Brought] = []
    for entry in chosen:
        path = Path(entry.removeprefix(trust.MARK))
        if path.is_absolute():
            from agentctl.tools.own_files import load as load_file  # most runs have none

            if entry.startswith(trust.MARK):
                _check_trust(path)
            found += [Brought(tool, str(path)) for tool in load_file(path)]
        else:
            value, package = registry.installed_tool(entry)
            from agentctl.tools.own_files import tools_of  # as above

            tools = tools_of(value)
            if not tools:
                raise UsageError(
                    f"Package {package} has no tool under the name {entry!r}.",
                    next_step="Its entry point must name a tool, a list of tools or a module.",
                )
            found += [Brought(tool, f"package {package}") for tool in tools]
    found = list(_with_parts(found))
    _check_names(found)
    return found


def settled(tools: list[Tool], *, more_later: bool = False) -> list[Tool]:
    """The tools of a run, once those made of others know them. Raises ConfigError for a lost part.

    With `more_later` a part may be there only when the run has begun, as those of servers are.
    """
    if not any(tool.spec.origin == "composed" for tool in tools):
        return tools
    from agentctl.tools import compose  # most runs have none

    return compose.settled(tools, more_later=more_later)


def _check_trust(path: Path) -> None:
    """Raise UsageError for a project's file that is not as it was when it was trusted."""
    try:
        data = path.read_bytes()
    except OSError:
        return  # to load it will say so
    if not trust.trusted_file(Path(state_home(os.environ)), path, data):
        raise UsageError(
            f"{path} is not as it was when its folder was trusted, so its tools are not loaded.",
            next_step=f"Look at it, then allow it with: agentctl trust {trust.place_of(path)}",
        )


def _with_parts(found: Iterable[Brought]) -> Iterator[Brought]:
    """Each tool once, and after it those that it is made of and brings along."""
    seen: set[int] = set()
    left = list(found)[::-1]
    while left:
        each = left.pop()
        if id(each.tool) not in seen:
            seen.add(id(each.tool))
            yield each
            parts = getattr(each.tool, "brings", ())
            left += [Brought(part, each.place) for part in reversed(parts)]


def _check_names(found: Sequence[Brought]) -> None:
    """Raise UsageError for a name that is given twice, or belongs to a built-in tool."""
    places = dict.fromkeys(registry.TOOLS, "agentctl itself")
    for each in found:
        name = each.tool.spec.name
        if name in places:
            raise UsageError(
                f"There are two tools named {name}: of {places[name]} and of {each.place}.",
                next_step="Name one of them otherwise: @tool(name='…').",
            )
        places[name] = each.place
