"""A run in small: tools by name that can be made to act, and a list of what was asked of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentctl.core.values import Repeat, ToolSpec
from agentctl.errors import ToolError
from agentctl.ports import ToolContext, ToolResult

Act = Callable[[dict[str, Any]], Any]


class Fake:
    """A tool that is a function of its arguments; texts are its results, exceptions are raised."""

    def __init__(
        self,
        name: str,
        act: Act | str | Exception = "done",
        *,
        repeat: Repeat = "safe",
        changes: bool = False,
        timeout_ms: int = 1_000,
        parameters: dict[str, str] | None = None,
        category: str = "default",
    ) -> None:
        properties = {key: {"type": kind} for key, kind in (parameters or {}).items()}
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        self.spec = ToolSpec(
            name,
            "",
            json.dumps(schema if parameters is not None else {"type": "object"}),
            category=category,
            repeat=repeat,
            changes=changes,
            timeout_ms=timeout_ms,
        )
        self._act = act

    def check(self, arguments: str) -> str:
        return ""

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        found = self._act(json.loads(arguments)) if callable(self._act) else self._act
        if hasattr(found, "__await__"):
            found = await found
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, ToolResult) else ToolResult(found)

    async def close(self) -> None: ...


class Bench:
    """Makes tools act on behalf of a call, and notes it."""

    def __init__(self, *tools: Any, cwd: Path = Path("/")) -> None:
        self.cwd = cwd
        self.tools = {tool.spec.name: tool for tool in tools}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.asked]

    async def call(self, name: str, arguments: str) -> ToolResult:
        self.asked.append((name, json.loads(arguments)))
        if name not in self.tools:
            raise ToolError(f"There is no tool named {name!r}.")
        return await self.tools[name].run(arguments, self.context)

    @property
    def context(self) -> ToolContext:
        return ToolContext(str(self.cwd), "c1", lambda _: None, lambda _: None, call=self.call)

    def run(self, tool: Any, **arguments: Any) -> ToolResult:
        text = json.dumps(arguments)
        assert tool.check(text) == ""

        async def once() -> ToolResult:
            try:
                return await tool.run(text, self.context)
            finally:
                for each in self.tools.values():
                    await each.close()

        return asyncio.run(once())


def cut(name: str) -> ToolResult:
    """What the run says of a call that was stopped: nobody knows what it did."""
    return ToolResult(f"Stopped after 1 s: the time limit of {name}.", ok=False)
