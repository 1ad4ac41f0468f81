"""Looking for files and text in the workspace: find_files, search_text."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from agentctl.core.values import Sandbox
from agentctl.errors import ToolError
from agentctl.ports import ToolContext, ToolResult
from agentctl.tools import proofs
from agentctl.tools.base import Arguments, BuiltIn, PathText, shown, spec_of, told
from agentctl.tools.beneath import Place, place
from agentctl.tools.process import Command
from agentctl.tools.protected import Guard
from agentctl.tools.treeworker import Tree, matches

MAX_FOUND = 10_000
WORKER = Path(__file__).with_name("treeworker.py")


class FindFilesArguments(Arguments, frozen=True):
    """Which names, below which folder."""

    pattern: Annotated[
        str, Meta(min_length=1, max_length=1000, description="glob: *.py, src/**/*.md")
    ]
    path: PathText = "."


class FindFiles(BuiltIn[FindFilesArguments]):
    """Lists files below a folder by glob. Breathes between folders, so it can be cancelled."""

    arguments = FindFilesArguments
    spec = spec_of(
        "find_files",
        "Find files by name below a folder.",
        FindFilesArguments,
        category="file",
        repeat="safe",
        changes=False,
        lookup=True,
    )

    async def act(self, arguments: FindFilesArguments, context: ToolContext) -> ToolResult:
        """One path for each line, relative to the workspace. Raises ToolError."""
        with (
            place(context, arguments.path, self.guard) as top,
            told(arguments.path),
            _tree(top, self.guard) as tree,
        ):
            found = await _found(tree, arguments.pattern, _base(top))
        lines = found[:MAX_FOUND] or ["(no files)"]
        if len(found) > MAX_FOUND:
            lines.append(f"[stopped after {MAX_FOUND:,} files: narrow the pattern or path]")
        if tree.note():
            lines.append(tree.note())
        return proofs.of_text("\n".join(lines), context)


async def _found(tree: Tree, pattern: str, base: str) -> list[str]:
    """Paths that fit a glob, up to just above the bound. Raises OSError."""
    found: list[str] = []
    for entries in tree.folders():
        found.extend(
            shown(base + path)
            for path, kind in entries
            if kind != "folder" and matches(path, pattern)
        )
        if len(found) > MAX_FOUND:
            break
        await asyncio.sleep(0)
    return found


class SearchTextArguments(Arguments, frozen=True):
    """What to look for, and where."""

    pattern: Annotated[
        str, Meta(min_length=1, max_length=5000, description="Python regex, within a line")
    ]
    path: PathText = "."
    glob: Annotated[str, Meta(min_length=1, max_length=1000)] = "*"
    max_results: Annotated[int, Meta(ge=1, le=10_000)] = 200


class SearchText(BuiltIn[SearchTextArguments]):
    """Searches the lines of text files, in a process of its own that a time-out can end."""

    arguments = SearchTextArguments
    spec = spec_of(
        "search_text",
        "Search text files below a folder; gives path:line: text.",
        SearchTextArguments,
        category="file",
        repeat="safe",
        changes=False,
        lookup=True,
    )

    def __init__(self, now: proofs.NowNs = proofs.now_ns, *, policy: Sandbox | None = None) -> None:
        """`now` tells nanoseconds since the epoch; a test may hold its own clock."""
        super().__init__(policy=policy)
        self._now = now

    async def act(self, arguments: SearchTextArguments, context: ToolContext) -> ToolResult:
        """The hits in order of path and line. Raises ToolError, e.g. for a bad pattern."""
        with place(context, arguments.path, self.guard) as target:
            with told(arguments.path):
                is_folder = stat.S_ISDIR(target.stat().st_mode)
            proof = await self._proof(target, is_folder)
            below = target.below
            hidden = self.guard.hidden_below(target.real) if is_folder else ()
        if context.earlier is not None and proofs.holds(proof, context):
            return ToolResult(context.earlier.text, proof=proof, again=True)
        folder, _, name = (below, "", "") if is_folder else below.rpartition("/")
        command = Command(
            [
                *(sys.executable, "-I", "-S", "-W", "ignore", str(WORKER)),
                *(arguments.pattern, context.cwd, folder, name, arguments.glob),
                str(arguments.max_results),
                *hidden,
            ],
            context.cwd,
            lambda _text: None,
        )
        try:
            code = await command.wait()
        finally:
            await command.end()
        text = command.output.rstrip("\n")
        if code != 0:
            raise ToolError(text or "The search broke off.")
        return ToolResult(text, proof=proof)

    async def _proof(self, target: Place, is_folder: bool) -> str:
        if not is_folder:
            return proofs.of_file(target, self._now)
        try:
            with _tree(target, self.guard) as tree:
                return await proofs.of_tree(tree, self._now)
        except OSError:
            return ""  # the search will say why


@contextmanager
def _tree(top: Place, guard: Guard) -> Iterator[Tree]:
    """The files below a folder, without what is hidden. Raises OSError."""
    fd = top.folder()
    tree = Tree(fd, guard.hidden_below(top.real))
    try:
        yield tree
    finally:
        tree.close()
        os.close(fd)


def _base(top: Place) -> str:
    """What stands before a path below `top` to make it relative to the workspace."""
    return f"{top.below}/" if top.below else ""
