"""Run LLM agents that never overspend and never lose or silently repeat work.

For tools of your own: `from agentctl import tool, ToolContext, ToolError`; for tools made of tools:
`from agentctl import sequential, parallel, conditional, with_fallback, mapped, use`.
"""

__version__ = "0.1.0"

__all__ = [
    "ToolContext",
    "ToolError",
    "__version__",
    "conditional",
    "mapped",
    "parallel",
    "sequential",
    "tool",
    "use",
    "with_fallback",
]

TYPE_CHECKING = False  # as typing has it, which is not loaded for this
if TYPE_CHECKING:
    from agentctl.errors import ToolError
    from agentctl.ports import ToolContext
    from agentctl.tools.compose import (
        conditional,
        mapped,
        parallel,
        sequential,
        use,
        with_fallback,
    )
    from agentctl.tools.own import tool

_PLACES = {
    "tool": "agentctl.tools.own",
    "ToolContext": "agentctl.ports",
    "ToolError": "agentctl.errors",
    **dict.fromkeys(
        ("conditional", "mapped", "parallel", "sequential", "use", "with_fallback"),
        "agentctl.tools.compose",
    ),
}


def __getattr__(name: str) -> object:
    """Load what is public only when it is asked for: most commands need none of it."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # as above

    return getattr(import_module(_PLACES[name]), name)
