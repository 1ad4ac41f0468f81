"""Fences round text of strangers, so that a model can tell it from what the user said.

A fence is a label and no wall: a model may still do what the text asks for. What it may do is
decided by permissions, which never look at this text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from agentctl.core.values import ToolSpec

FOREIGN = frozenset({"browser", "calendar", "delegate", "drive", "email", "http", "mcp"})
"""Categories of tools whose results others write, or whoever they have read."""
STORED = "read_output"
"""Gives parts of results again, whosesoever they were."""
_NAME = "tool_output"
OPENS = f"<{_NAME} "
# Nothing that a reader would take for one may end a fence: in any case, with invisible characters
# or spaces in between. The bounds keep the search linear.
_UNSEEN = "\\s\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f"
_LOOKALIKE = re.compile(
    f"[<\uff1c](?=[{_UNSEEN}/\uff0f]{{0,40}}" + f"[{_UNSEEN}]{{0,8}}".join(_NAME) + ")",
    re.IGNORECASE,
)


def is_foreign(spec: ToolSpec, specs: Mapping[str, ToolSpec]) -> bool:
    """Whether a tool gives what strangers wrote: by itself, by one that it makes act, or again."""
    seen, left = {spec.name}, [spec]
    while left:
        each = left.pop()
        if each.category in FOREIGN or each.origin.startswith("mcp:") or each.name == STORED:
            return True
        left += [specs[part] for part in each.parts if part in specs and part not in seen]
        seen.update(each.parts)
    return False


def fenced(text: str, tool: str) -> str:
    """Return the text between marks that name the tool; no mark can occur within.

    Equal input gives equal output, so that what is sent again is sent in the same bytes. A text
    that is fenced like that already, because it was kept and is given again, stays as it is.
    """
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", tool)
    opens, closes = f'<{_NAME} tool="{name}">\n', f"\n</{_NAME}>"
    if text.startswith(opens) and text.endswith(closes) and len(text) >= len(opens + closes):
        text = text[len(opens) : -len(closes)]
    return f"{opens}{_LOOKALIKE.sub('&lt;', text)}{closes}"


def within(text: str) -> str:
    """What stands within the marks of a fenced text; any other text as it is."""
    first, _, rest = text.partition("\n")
    end = f"\n</{_NAME}>"
    if not first.startswith(OPENS) or not f"\n{rest}".endswith(end):
        return text
    return f"\n{rest}"[1 : -len(end)]
