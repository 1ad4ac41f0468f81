"""How many bytes of a model's input make a token, learned from what its provider reports.

Between two reported answers of one process a request grows by some bytes, which we know, and by
some tokens, which the provider tells. Their sums over many answers give the ratio. Old answers
fade: the sums never hold more than MEMORY_TOKENS, so that each new answer takes the place of a
little of what came before.
"""

from __future__ import annotations

from msgspec import Struct

from agentctl.core.values import Usage

MEMORY_TOKENS = 200_000
PRIOR_TOKENS = 2_000
"""What is known in general weighs as much as so many learned tokens."""
LEAST_BYTES = 200
"""Growth below this is mostly wire punctuation and says nothing of the text."""
STEP = 20
"""Ratios are rounded down to these, so that they seldom change: what hangs on one can be kept."""
FURTHEST = 2
"""Learned is at most so many times, and at least one such part of, what is known in general."""


class Calibration(Struct, frozen=True):
    """What has been learned of a model: bytes appended, and the tokens they were reported as."""

    bytes: int = 0
    tokens: int = 0


NOTHING = Calibration()


def bytes_per_ktoken(usual: int, learned: Calibration) -> int:
    """Bytes of a thousand tokens: what is `usual` in general, moved by what was learned."""
    weight = PRIOR_TOKENS + max(learned.tokens, 0)
    found = (usual * PRIOR_TOKENS + max(learned.bytes, 0) * 1000) // weight
    return min(max(found - found % STEP, usual // FURTHEST), usual * FURTHEST)


def merged(before: Calibration, news: Calibration) -> Calibration:
    """Add what was learned since; what came before gives way where the memory is full."""
    fresh = _at_most(news, MEMORY_TOKENS)
    kept = _at_most(before, MEMORY_TOKENS - fresh.tokens)
    return Calibration(kept.bytes + fresh.bytes, kept.tokens + fresh.tokens)


def sample(usual: int, appended_bytes: int, grown_tokens: int) -> Calibration | None:
    """One growth, or None if it is too small to tell or cannot be true.

    A provider that reports nonsense moves the ratio no further than the bounds allow.
    """
    if appended_bytes < LEAST_BYTES or grown_tokens <= 0:
        return None
    least = appended_bytes * 1000 // (usual * FURTHEST)
    most = appended_bytes * 1000 * FURTHEST // usual
    return Calibration(appended_bytes, min(max(grown_tokens, least, 1), max(most, 1)))


def _at_most(known: Calibration, tokens: int) -> Calibration:
    if known.tokens <= tokens:
        return known
    return Calibration(known.bytes * tokens // known.tokens, tokens)


class Learner:
    """Learns one model's ratio within one process. Costs a few additions for each answer."""

    def __init__(self, usual: int, known: Calibration = NOTHING) -> None:
        """Begin with what is `usual` in general and what earlier runs have learned."""
        self._usual = usual
        self._known = known
        self._anchor: tuple[int, int, int] | None = None
        self.news = NOTHING
        """What this process has learned."""

    @property
    def bytes_per_ktoken(self) -> int:
        """The ratio as it is known now."""
        return bytes_per_ktoken(self._usual, merged(self._known, self.news))

    @property
    def careful(self) -> int:
        """The ratio for what limits reserve: texts differ, so none lighter than is usual."""
        return min(self.bytes_per_ktoken, self._usual)

    def hear(
        self, sent_bytes: int, left_out_bytes: int, answer_bytes: int, usage: Usage, *, sealed: bool
    ) -> int:
        """Take note of an answer and return the ratio.

        `sent_bytes` is the size of its request. Where `left_out_bytes` differs from that of the
        request before, other text was sent, and nothing can be compared. Reasoning comes back with
        the next request only if it was `sealed` into the answer.
        """
        before, self._anchor = self._anchor, None
        if not usage.reported:
            return self.bytes_per_ktoken
        if before is not None and before[2] == left_out_bytes:
            found = sample(self._usual, sent_bytes - before[0], usage.input - before[1])
            if found is not None:
                self.news = merged(self.news, found)
        kept_tokens = usage.output - (0 if sealed else usage.reasoning)
        self._anchor = (sent_bytes + answer_bytes, usage.input + kept_tokens, left_out_bytes)
        return self.bytes_per_ktoken
