"""Python files with tools in them: run once, and asked for the tools that they hold."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from agentctl.core.values import ToolSpec
from agentctl.errors import AgentctlError, UsageError
from agentctl.ports import Tool

DEFINITIONS = (".toml", ".yaml", ".yml")
_LOADED: dict[tuple[str, int, int], ModuleType] = {}
"""By path, time and size: one process runs a file once, unless it was changed since."""


def load(path: Path) -> list[Tool]:
    """Return the tools of a file, which is run if it is Python, else a definition of composed ones.

    Raises UsageError, which names the file and the line.
    """
    if path.suffix.lower() in DEFINITIONS:
        from agentctl.tools import compose_file  # most files are Python

        return list(compose_file.load(path))
    found = tools_of(module_of(path))
    if not found:
        raise UsageError(
            f"{path}: there is no tool in it.",
            next_step="Write `from agentctl import tool`, and @tool above a function.",
        )
    return found


def module_of(path: Path) -> ModuleType:
    """Run a file as a module with a name that no other has. Raises UsageError."""
    try:
        found = path.stat()
        path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"The tools of {path} cannot be had: {(error.strerror or str(error)).lower()}.",
            next_step="Bring the file back, or name another one. A task that has it goes on with: "
            "agentctl resume TASK_ID --tools FILE.py",
        ) from error
    key = (str(path), found.st_mtime_ns, found.st_size)
    if key not in _LOADED:
        _LOADED[key] = _run(path)
    return _LOADED[key]


def tools_of(value: object) -> list[Tool]:
    """The tools that something is or holds, in their order: a tool, a list, a module.

    Of a module, what has a name that begins with _ is its own affair.
    """
    if _is_tool(value):
        inner: Iterable[Any] = [value]
    elif isinstance(value, list | tuple):
        inner = value
    elif isinstance(value, ModuleType):
        inner = [each for name, each in vars(value).items() if not name.startswith("_")]
    else:
        inner = []
    found: dict[int, Tool] = {id(each): each for each in inner if _is_tool(each)}
    return list(found.values())


def told(error: BaseException, path: Path | None = None) -> str:
    """What a foreign file raised, with the line of that file where it was."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if path is not None and frame.filename == str(path)]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    place = f"line {lines[-1]}: " if lines and lines[-1] else ""
    return f"{place}{type(error).__name__}: {error}"


def _is_tool(value: object) -> bool:
    is_made = not isinstance(value, type) and isinstance(getattr(value, "spec", None), ToolSpec)
    return is_made and all(callable(getattr(value, name, None)) for name in ("check", "run"))


def _run(path: Path) -> ModuleType:
    name = f"agentctl_own_tools_{len(_LOADED)}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: not a Python file.", next_step="Name one that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for the types of their fields
    try:
        with _neighbours(path), contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except AgentctlError:  # of `tool`, and clear enough
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:  # foreign code runs when it is loaded
        del sys.modules[name]
        raise UsageError(
            f"{path} cannot be loaded: {told(error, path)}.",
            next_step="Mend it. To see more: python " + path.name,
        ) from error
    return module


@contextlib.contextmanager
def _neighbours(path: Path) -> Iterator[None]:
    """Let a file import what lies beside it, after everything that is installed."""
    folder = str(path.parent)
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
