"""Short name to "module:object", imported only when chosen."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentctl import quantities
from agentctl.core.values import POLICIES
from agentctl.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

PROVIDERS: dict[str, str] = {
    "anthropic": "agentctl.providers.anthropic:Anthropic",
    "openai": "agentctl.providers.openai:OpenAI",
    "ollama": "agentctl.providers.ollama:Ollama",
    "offline": "agentctl.providers.offline:Offline",
    "scripted": "agentctl.providers.scripted:Scripted",
}

MODEL_ALIASES: dict[str, tuple[str, str]] = {
    "opus": ("anthropic", "claude-opus-5-5"),
    "sonnet": ("anthropic", "claude-sonnet-5-5"),
    "haiku": ("anthropic", "claude-haiku-5-5"),
}
"""Short names that definitions of agents use, and the provider and model that they mean."""

EMBEDDERS: dict[str, str] = {
    "openai": "agentctl.providers.embed_openai:OpenAIEmbedder",
    "ollama": "agentctl.providers.embed_ollama:OllamaEmbedder",
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
DELEGATE = {"delegate": "agentctl.tools.delegate:Delegate"}
"""The tool that is there only where the task may delegate."""


def load(table: dict[str, str], name: str, what: str) -> Any:
    """Import what `name` stands for. Raises UsageError for a name that is not in the table."""
    if name not in table:
        raise UsageError(
            f"There is no {what} {name!r}.", next_step=f"There are: {', '.join(table)}."
        )
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)


# --- context policies of installed packages -----------------------------------------------------

CONTEXT_POLICIES = "agentctl.context_policies"
"""The entry-point group. What it names is described in `core.context_custom`."""


def installed_policies() -> list[str]:
    """Names of the context policies that installed packages bring, without loading them."""
    return sorted(_policies())


def context_policy(name: str, flag: str = "--context") -> Callable[..., object] | None:
    """Load an installed context policy; None for a name that needs no package.

    Raises UsageError, which tells to give another name with `flag`.
    """
    if name in POLICIES:
        return None
    found = _policies()
    known = f"{flag} with one of: {', '.join((*POLICIES, *sorted(found)))}."
    if name not in found:
        raise UsageError(
            f"There is no context policy {name!r}.",
            next_step=f"Install the package that has it, or write {known}",
        )
    if len(found[name]) > 1:
        packages = ", ".join(sorted(map(_package, found[name])))
        raise UsageError(
            f"More than one package has a context policy {name!r}: {packages}.",
            next_step=f"Remove one of them, or write {known}",
        )
    (point,) = found[name]
    try:
        plan: Callable[..., object] = point.load()
    except (Exception, SystemExit) as error:  # foreign code runs when it is loaded
        from agentctl.core.context_custom import told  # the state too: not for every command

        raise _unusable(point, f"it cannot be loaded: {told(error)}", known) from error
    if not callable(plan):
        raise _unusable(point, f"{point.value} is {type(plan).__name__}, not a function", known)
    return plan


def _policies() -> dict[str, set[EntryPoint]]:
    """What is installed, by name; a name that means another policy is left out."""
    found = _installed(CONTEXT_POLICIES)
    return {name: found[name] for name in found if name not in (*POLICIES, "all")}


# --- tools of installed packages ----------------------------------------------------------------

TOOLS_OF_PACKAGES = "agentctl.tools"
"""The entry-point group. What it names is a tool, a list of tools or a module with tools."""


def installed_tools() -> dict[str, str]:
    """Names under which installed packages bring tools, with the packages; nothing is loaded."""
    found = _installed(TOOLS_OF_PACKAGES)
    return {name: ", ".join(sorted(map(_package, found[name]))) for name in sorted(found)}


def installed_tool(name: str) -> tuple[object, str]:
    """Load what a package brings under this name; with the package. Raises UsageError."""
    found = _installed(TOOLS_OF_PACKAGES)
    if name not in found:
        known = f"There are: {', '.join(sorted(found))}. " if found else ""
        raise UsageError(
            f"No installed package brings tools named {name!r}.",
            next_step=f"{known}Install the package, or name a file: --tools FILE.py",
        )
    if len(found[name]) > 1:
        packages = ", ".join(sorted(map(_package, found[name])))
        raise UsageError(
            f"More than one package brings tools named {name!r}: {packages}.",
            next_step="Remove one of them.",
        )
    (point,) = found[name]
    try:
        return point.load(), _package(point)
    except UsageError:  # of the decorator `tool`, and clear enough
        raise
    except (Exception, SystemExit) as error:  # foreign code runs when it is loaded
        raise UsageError(
            f"The tools {name!r} of package {_package(point)} cannot be loaded: "
            f"{type(error).__name__}: {error}.",
            next_step="Mend or remove that package, or do without it.",
        ) from error


# --- entry points -------------------------------------------------------------------------------


def _installed(group: str) -> dict[str, set[EntryPoint]]:
    """What is installed, by name; a name that could not be typed is left out."""
    from importlib.metadata import entry_points  # slow, and few name anything of this kind

    found: dict[str, set[EntryPoint]] = {}
    for point in entry_points(group=group):
        if _is_name(point.name):
            found.setdefault(point.name, set()).add(point)
    return found


def _is_name(text: str) -> bool:
    try:
        quantities.name(text)
    except ValueError:
        return False
    return True


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _unusable(point: EntryPoint, why: str, known: str) -> UsageError:
    return UsageError(
        f"The context policy {point.name!r} of package {_package(point)} cannot be used: {why}.",
        next_step=f"Mend or remove that package, or write {known}",
    )
