"""What can be done at an MCP server: call a tool, read a resource, get a prompt."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from agentctl.core.values import ToolSpec
from agentctl.errors import ToolError
from agentctl.ports import ToolContext, ToolResult
from agentctl.tools import mcp_results as results
from agentctl.tools import mcp_schema as schema
from agentctl.tools.mcp_config import Server

if TYPE_CHECKING:
    from agentctl.tools.mcp_link import Link

MAX_PAGES = 5

Act = Callable[["Link", dict[str, Any], ToolContext], Awaitable[ToolResult]]
"""Does it, with arguments that are an object. Raises ToolError, and ConnectionError when the server
was lost and nobody knows what it did."""

_URI = '{"properties": {"uri": {"type": "string"}}, "required": ["uri"], "type": "object"}'
_NOTHING = '{"properties": {}, "type": "object"}'
_PROMPT = json.dumps(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "arguments": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["name"],
    },
    sort_keys=True,
)


def call_of(remote: str) -> Act:
    """What calls the tool of this name at the server; what it says meanwhile is passed on."""

    async def act(link: Link, given: dict[str, Any], context: ToolContext) -> ToolResult:

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            of = f"/{total:g}" if total else ""
            context.progress(schema.line(f"{progress:g}{of} {message or ''}".rstrip()))

        raw = await link.raw(lambda it: it.call_tool(remote, given, progress_callback=hear))
        return results.of_call(raw)

    return act


async def beside_tools(server: Server, link: Link) -> list[tuple[ToolSpec, Act]]:
    """Tools for a server's resources and prompts, where it has some."""
    made: list[tuple[ToolSpec, Act]] = []

    def add(remote: str, description: str, parameters: str, act: Act) -> None:
        spec = schema.spec_of(server, remote, description, parameters, read_only=True)
        made.append((spec, act))

    where = f"of the MCP server {server.name}"
    if link.has("resources") and await _some(link, _resources, _templates):
        add("list_resources", f"List the resources {where}.", _NOTHING, _list_resources)
        add("read_resource", f"Read a resource {where} by its URI.", _URI, _read_resource)
    if link.has("prompts") and await _some(link, _prompts):
        add("list_prompts", f"List the prompts {where}.", _NOTHING, _list_prompts)
        add("get_prompt", f"Get a prompt {where}, filled in.", _PROMPT, _get_prompt)
    return made


async def _listed(link: Link, ask: Callable[[Any, Any], Awaitable[Any]], key: str) -> list[Any]:
    """All entries of a list that may come in pages."""
    found: list[Any] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        raw = await link.raw(lambda it, at=cursor: ask(it, _page(at)))  # type: ignore[misc]  # a default keeps the value of this round
        entries = raw.get(key)
        found += [each for each in entries if isinstance(each, dict)] if entries else []
        cursor = raw.get("nextCursor")
        if not isinstance(cursor, str) or not cursor:
            break
    return found


def _page(cursor: str | None) -> Any:
    from mcp_types import PaginatedRequestParams  # here, because it is heavy

    return PaginatedRequestParams(cursor=cursor) if cursor else None


async def _resources(link: Link) -> list[Any]:
    return await _listed(link, lambda it, page: it.list_resources(params=page), "resources")


async def _templates(link: Link) -> list[Any]:
    return await _listed(
        link, lambda it, page: it.list_resource_templates(params=page), "resourceTemplates"
    )


async def _prompts(link: Link) -> list[Any]:
    return await _listed(link, lambda it, page: it.list_prompts(params=page), "prompts")


async def _some(link: Link, *asks: Callable[[Link], Awaitable[list[Any]]]) -> bool:
    """Whether there is anything: many servers say that they have prompts, and have none."""
    for ask in asks:
        try:
            if await ask(link):
                return True
        except ToolError:
            continue
    return False


async def _list_resources(link: Link, given: dict[str, Any], context: ToolContext) -> ToolResult:
    entries = await _resources(link)
    try:
        entries += await _templates(link)
    except ToolError:  # a server may have resources and know no templates
        context.emit("no templates\n")
    return results.listed(entries, "uri", "uriTemplate", "name", "description", "mimeType", "size")


async def _read_resource(link: Link, given: dict[str, Any], context: ToolContext) -> ToolResult:
    return results.of_resource(await link.raw(lambda it: it.read_resource(given["uri"])))


async def _list_prompts(link: Link, given: dict[str, Any], context: ToolContext) -> ToolResult:
    entries = await _prompts(link)
    return results.listed(entries, "name", "description", "arguments")


async def _get_prompt(link: Link, given: dict[str, Any], context: ToolContext) -> ToolResult:
    words = {key: str(value) for key, value in (given.get("arguments") or {}).items()}
    return results.of_prompt(await link.raw(lambda it: it.get_prompt(given["name"], words)))
