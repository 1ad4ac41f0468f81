"""What definitions of agents say, in our words and in those of other products."""

from __future__ import annotations

from collections.abc import Sequence

from agentctl import registry
from agentctl.core.globs import fits

TOOLS = {
    "Read": "read_file",
    "Write": "write_file",
    "Edit": "edit_file",
    "MultiEdit": "edit_file",
    "Bash": "run_shell",
    "Grep": "search_text",
    "Glob": "find_files",
    "LS": "list_dir",
    "WebFetch": "http_get",
    "Task": "delegate",
    "Agent": "delegate",
    # As others write them.
    "bash": "run_shell",
    "edit": "edit_file",
    "glob": "find_files",
    "grep": "search_text",
    "list": "list_dir",
    "read": "read_file",
    "write": "write_file",
    "webfetch": "http_get",
}
"""Names of tools in other products, and ours for what does the same."""
OPTIONAL = ("delegate",)
"""Tools that are there only where they are asked for."""
ELSEWHERE = frozenset(
    {
        "AskUserQuestion",
        "BashOutput",
        "ExitPlanMode",
        "KillShell",
        "NotebookEdit",
        "NotebookRead",
        "Skill",
        "SlashCommand",
        "TodoRead",
        "TodoWrite",
        "WebSearch",
    }
)
"""Tools of other products that have no counterpart here."""
KEYS = (
    "provider",
    "model",
    "max_cost",
    "max_cost_step",
    "max_steps",
    "max_tokens",
    "timeout",
    "approve",
    "sandbox",
    "context",
)
"""Settings that a definition may hold, at the top or below `limits`."""
SAME_KEYS = {"maxTurns": "max_steps"}
"""Keys of other products that mean the same as one of ours."""
OWN_KEYS = ("name", "description", "tools", "disallowedTools", "limits")
FOREIGN_KEYS = frozenset(
    {
        "background",
        "color",
        "effort",
        "hidden",
        "hooks",
        "initialPrompt",
        "isolation",
        "license",
        "mcpServers",
        "memory",
        "mode",
        "permission",
        "permissionMode",
        "skills",
        "temperature",
        "top_p",
        "version",
    }
)
"""Keys that other products read and this one does not."""


def tool(text: str) -> tuple[str, str]:
    """Our name for a tool, and what is to be said of it; no name: it is left out."""
    if text in TOOLS:
        return TOOLS[text], ""
    if text in ELSEWHERE:
        return "", f"the tool {text} has no counterpart here and is left out"
    if "(" in text:
        name = text.partition("(")[0]
        ours = TOOLS.get(name, name)
        return "", (
            f"{text} is left out: a restriction in brackets is not read here. Write {ours}, and "
            "say with --allow and --deny, or below [permissions], what it may do"
        )
    if text.startswith("mcp__"):
        from agentctl.tools.mcp_config import prefix  # here, because few definitions name servers

        _, server, *rest = text.split("__", 2)
        return f"{prefix(server)}_{rest[0] if rest else '*'}", ""
    return text, ""


def is_known(name: str, brought: Sequence[str]) -> bool:
    """Whether a tool of this name is there: of ours, or as these names and globs say."""
    name = name.removeprefix("!")
    there = (*registry.TOOLS, *OPTIONAL, *brought)
    return any(fits(name, each) or fits(each, name) for each in there)
