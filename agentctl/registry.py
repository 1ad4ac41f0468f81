"""Short name to "module:object", imported only when chosen."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from agentctl.errors import UsageError

PROVIDERS: dict[str, str] = {
    "anthropic": "agentctl.providers.anthropic:Anthropic",
    "openai": "agentctl.providers.openai:OpenAI",
    "ollama": "agentctl.providers.ollama:Ollama",
    "offline": "agentctl.providers.offline:Offline",
    "scripted": "agentctl.providers.scripted:Scripted",
}

TOOLS: dict[str, str] = {
    "read_file": "agentctl.tools.files:ReadFile",
    "write_file": "agentctl.tools.files:WriteFile",
    "edit_file": "agentctl.tools.files:EditFile",
    "list_dir": "agentctl.tools.files:ListDir",
    "find_files": "agentctl.tools.search:FindFiles",
    "search_text": "agentctl.tools.search:SearchText",
    "run_shell": "agentctl.tools.shell:RunShell",
    "http_get": "agentctl.tools.http:HttpGet",
    "read_output": "agentctl.tools.outputs:ReadOutput",
}
"""In the order in which models are told of them: it never changes within a task."""


def load(table: dict[str, str], name: str, what: str) -> Any:
    """Import what `name` stands for. Raises UsageError for a name that is not in the table."""
    if name not in table:
        raise UsageError(
            f"There is no {what} {name!r}.", next_step=f"There are: {', '.join(table)}."
        )
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
