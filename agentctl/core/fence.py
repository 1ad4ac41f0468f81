"""Fences round text of strangers, so that a model can tell it from what the user said.

A fence is a label and no wall: a model may still do what the text asks for. What it may do is
decided by permissions, which never look at this text.
"""

from __future__ import annotations

import re

FOREIGN = frozenset({"browser", "calendar", "drive", "email", "http", "mcp"})
"""Categories of tools whose results others write."""
_NAME = "tool_output"
OPENS = f"<{_NAME} "
# Nothing that a reader would take for one may end a fence: in any case, with invisible characters
# or spaces in between. The bounds keep the search linear.
_UNSEEN = "\\s\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f"
_LOOKALIKE = re.compile(
    f"[<\uff1c](?=[{_UNSEEN}/\uff0f]{{0,40}}" + f"[{_UNSEEN}]{{0,8}}".join(_NAME) + ")",
    re.IGNORECASE,
)


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
