"""Looking for files and text in the workspace: find_files, search_text."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from agentctl.errors import ToolError
from agentctl.ports import ToolContext, ToolResult
from agentctl.tools import proofs
from agentctl.tools.base import Arguments, BuiltIn, PathText, inside, shown, spec_of, told
from agentctl.tools.process import Command
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
        top = inside(context, arguments.path)
        base = _base(context, top)
        tree = Tree(str(top))
        found: list[str] = []
        with told(arguments.path):
            for entries in tree.folders():
                found.extend(
                    shown(base + path)
                    for path, kind in entries
                    if kind != "folder" and matches(path, arguments.pattern)
                )
                if len(found) > MAX_FOUND:
                    break
                await asyncio.sleep(0)
        lines = found[:MAX_FOUND] or ["(no files)"]
        if len(found) > MAX_FOUND:
            lines.append(f"[stopped after {MAX_FOUND:,} files: narrow the pattern or path]")
        if tree.note():
            lines.append(tree.note())
        return proofs.of_text("\n".join(lines), context)


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

    def __init__(self, now: proofs.NowNs = proofs.now_ns) -> None:
        """`now` tells nanoseconds since the epoch; a test may hold its own clock."""
        self._now = now

    async def act(self, arguments: SearchTextArguments, context: ToolContext) -> ToolResult:
        """The hits in order of path and line. Raises ToolError, e.g. for a bad pattern."""
        target = inside(context, arguments.path)
        with told(arguments.path):
            is_folder = target.is_dir()
            target.stat()
        now = self._now
        proof = await proofs.of_tree(target, now) if is_folder else proofs.of_file(target, now)
        if context.earlier is not None and proofs.holds(proof, context):
            return ToolResult(context.earlier.text, proof=proof, again=True)
        top = target if is_folder else target.parent
        command = Command(
            [
                *(sys.executable, "-I", "-S", "-W", "ignore", str(WORKER)),
                arguments.pattern,
                str(top),
                "" if is_folder else target.name,
                arguments.glob,
                str(arguments.max_results),
                _base(context, top),
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


def _base(context: ToolContext, top: Path) -> str:
    """What stands before a path below `top` to make it relative to the workspace."""
    below = top.relative_to(context.cwd).as_posix()
    return "" if below == "." else f"{below}/"
