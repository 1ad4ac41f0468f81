"""How long to wait before trying a model call again."""

from __future__ import annotations

from agentctl.core.values import Millis

FIRST_WAIT_MS = 1_000
WAIT_MS_MAX = 60_000


def wait_ms(failures: int, jitter: float, retry_after_ms: Millis | None) -> Millis:
    """Return the wait after the given number of failures in a row (1 or more).

    The provider's own demand is obeyed exactly. Otherwise the wait doubles from one second to a
    minute, and `jitter` (0 to 1, drawn by the caller) takes up to half of it away, so that many
    clients do not return at the same moment.
    """
    if retry_after_ms is not None:
        return retry_after_ms
    full_ms = min(FIRST_WAIT_MS << min(failures - 1, 16), WAIT_MS_MAX)
    return full_ms - int(full_ms * jitter / 2)
