"""Text from outside, checked and made storable. Meaning is never changed."""

from __future__ import annotations

GOAL_BYTES_MAX = 1_000_000


def storable(text: str) -> str:
    """Replace lone surrogates, which are not text and cannot be stored as UTF-8, by U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text


def goal_problem(text: str, name: str = "goal") -> str:
    """Return why this cannot be a goal, or an empty string; `name` is what the user calls it."""
    if not text.strip():
        return f"The {name} is empty."
    size_bytes = len(text.encode("utf-8", "surrogatepass"))
    if size_bytes > GOAL_BYTES_MAX:
        return (
            f"The {name} has {size_bytes:,} bytes; at most {GOAL_BYTES_MAX:,} are taken. "
            f"Put long material into a file of the workspace and name the file in the {name}."
        )
    if "\x00" in text:
        return f"The {name} contains NUL bytes: it looks like binary data, not text."
    return ""
