"""Short questions to a store."""

from __future__ import annotations

from typing import Any


def hour(store: Any, now_ms: int) -> tuple[int, int]:
    """Spent in the hour, and when its oldest part leaves."""
    shared = store.shared("default", (), now_ms)
    return shared.hour_spent_micros, shared.hour_opens_ms
