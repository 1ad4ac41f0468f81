"""A guard's refusal."""

from msgspec import Struct


class Deny(Struct, frozen=True):
    """A limit does not allow the next step."""

    limit: str
    """Name of the limit, ending in its unit."""
    used: int
    cap: int
    need: int
    """The least that the step would have needed."""
    reason: str
    wake_ms: int = 0
    """When the limit will allow more by itself; 0: never."""
