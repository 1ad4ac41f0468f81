"""read_output: any part of a large output that the conversation shows only in part."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from agentctl.errors import ToolError
from agentctl.ports import ToolContext, ToolResult
from agentctl.tools import proofs
from agentctl.tools.base import Arguments, BuiltIn, FirstLine, line_range, shown, spec_of

WRAP_CHARS = 1_000
"""A longer line counts as several, so that every part of any output has a line number."""


class ReadOutputArguments(Arguments, frozen=True):
    """Which part of which output."""

    id: Annotated[str, Meta(max_length=200)]
    start_line: FirstLine = 1
    lines: FirstLine = 200


class ReadOutput(BuiltIn[ReadOutputArguments]):
    """Reads a range of a stored output."""

    arguments = ReadOutputArguments
    spec = spec_of(
        "read_output",
        "Read lines of a stored large output. Lines over 1,000 characters count as several.",
        ReadOutputArguments,
        category="file",
        repeat="safe",
        changes=False,
        lookup=True,
    )

    async def act(self, arguments: ReadOutputArguments, context: ToolContext) -> ToolResult:
        """Cut the range out. Raises ToolError for an unknown id or a line beyond the end."""
        text = context.read_stored(arguments.id)
        if text is None:
            raise ToolError(f"No stored output has the id {shown(arguments.id)}.")
        part = line_range(text, arguments.start_line, arguments.lines, wrap=WRAP_CHARS)
        return proofs.of_text(part, context)
