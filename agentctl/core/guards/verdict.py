"""A guard's refusal."""

from collections.abc import Iterable

from msgspec import Struct


class Deny(Struct, frozen=True):
    """A limit does not allow the next call."""

    guard: str
    limit: str
    """Name of the limit, ending in its unit, or of the circuit."""
    used: int
    cap: int
    need: int
    """The least that the call would have needed."""
    reason: str
    unit: str
    wake_ms: int = 0
    """When the limit will allow more by itself; 0: never."""
    patient: bool = False
    """It opens so soon that waiting is the answer, whatever --on-limit says."""
    brief: bool = False
    """A moment's wait for others, which is no violation of anything."""


def strictest(verdicts: Iterable[Deny]) -> Deny | None:
    """What never opens comes first, then what the user must be asked about, then the longest."""
    return max(
        verdicts, key=lambda deny: (not deny.wake_ms, not deny.patient, deny.wake_ms), default=None
    )
