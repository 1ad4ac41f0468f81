"""JSON from a server that nobody vouches for: parts of the expected kind, or nothing."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def obj(value: object) -> Json:
    """Return a JSON object as it is and anything else as an empty one."""
    return value if isinstance(value, dict) else {}


def text_of(value: object) -> str:
    """Return a text as it is and anything else as an empty one."""
    return value if isinstance(value, str) else ""


def slot(value: object) -> int | str:
    """Return the number by which a stream tells its parts apart; -1 for what is none."""
    return value if isinstance(value, int | str) else -1


def clean(text: str) -> str:
    """Join halves of surrogate pairs; what remains alone becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
