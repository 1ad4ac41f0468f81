"""Lists that a task keeps among its options, so that a resume has the same: tools, servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec


def kept(options: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The entries that a task was begun with."""
    text = options.get(name)
    return msgspec.json.decode(text, type=tuple[str, ...]) if text else ()


def kept_as(name: str, chosen: Sequence[str]) -> dict[str, str]:
    """The same as options of a task."""
    return {name: msgspec.json.encode(chosen).decode()} if chosen else {}
