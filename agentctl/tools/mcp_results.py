"""What a server answers, as text for a model. Works on plain JSON values, whatever shape they have.

The size of what comes in is bounded where it is read (mcp_pipe, mcp_link); here the text is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from agentctl.ports import ToolResult
from agentctl.tools.mcp_schema import line

MAX_TEXT = 10_000_000
"""Most characters of one result."""
MAX_LISTED = 500


def of_call(raw: dict[str, Any]) -> ToolResult:
    """The result of a tool call."""
    content = raw.get("content")
    parts = [_block(block) for block in content] if isinstance(content, list) else []
    structured = raw.get("structuredContent")
    if structured is not None and not _says(parts, structured):
        parts.append(_json(structured))
    return ToolResult(_joined(parts), ok=raw.get("isError") is not True)


def of_resource(raw: dict[str, Any]) -> ToolResult:
    """What a resource holds."""
    contents = raw.get("contents")
    return ToolResult(_joined(_resource(each) for each in _list(contents)))


def of_prompt(raw: dict[str, Any]) -> ToolResult:
    """A prompt, message by message, as text: it is not put into the conversation."""
    parts = [str(raw["description"])] if isinstance(raw.get("description"), str) else []
    for message in _list(raw.get("messages")):
        if isinstance(message, dict):
            parts.append(f"[{line(str(message.get('role', '?')), 20)}]")
            parts.append(_block(message.get("content")))
    return ToolResult(_joined(parts))


def listed(entries: list[dict[str, Any]], *keys: str) -> ToolResult:
    """A line of JSON for each entry, with these of its fields."""
    lines = [
        _json({key: each[key] for key in keys if each.get(key)}) for each in entries[:MAX_LISTED]
    ]
    if len(entries) > MAX_LISTED:
        lines.append(f"[{len(entries) - MAX_LISTED} more are not shown]")
    return ToolResult(_joined(lines))


def _says(parts: list[str], structured: object) -> bool:
    """Whether the text repeats the structured result, as servers do for older clients."""
    if len(parts) != 1:
        return False
    said = [structured]
    if isinstance(structured, dict) and list(structured) == ["result"]:
        said.append(structured["result"])  # the usual wrapping of what is no object
    try:
        return parts[0] in said or json.loads(parts[0]) in said
    except (ValueError, RecursionError):
        return False


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "[structured content that is nested too deep is not shown]"


def _block(block: object) -> str:
    """One piece of content."""
    if not isinstance(block, dict):
        return ""
    kind, text = block.get("type"), block.get("text")
    if kind == "text" and isinstance(text, str):
        return text
    if kind in ("image", "audio"):
        return _blob(str(kind), block.get("mimeType"), block.get("data"))
    if kind == "resource":
        return _resource(block.get("resource"))
    if kind == "resource_link":
        return f"[resource {line(str(block.get('uri')))}: {line(str(block.get('name', '')))}]"
    return f"[content of type {line(str(kind), 40)} is not shown]"


def _resource(raw: object) -> str:
    if not isinstance(raw, dict):
        return ""
    if isinstance(raw.get("text"), str):
        return str(raw["text"])
    return _blob(f"resource {line(str(raw.get('uri')))}", raw.get("mimeType"), raw.get("blob"))


def _blob(what: str, kind: object, data: object) -> str:
    size = len(data) * 3 // 4 if isinstance(data, str) else 0
    return f"[{what}, {line(str(kind or 'of unknown type'), 100)}, about {size:,} bytes: not shown]"


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _joined(parts: Iterable[str]) -> str:
    """The parts a line apart, cut at the bound with a word about it."""
    text = "\n".join(part for part in parts if part)
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}\n[{len(text) - MAX_TEXT:,} more characters were not kept]"
    return text or "(no output)"
