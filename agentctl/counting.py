"""How many tokens a text is, before a provider has said so. Never touches the network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from agentctl import ranks
from agentctl.core.calibrate import NOTHING, Calibration, bytes_per_ktoken
from agentctl.ports import Counter

if TYPE_CHECKING:
    from tiktoken import Encoding

# Measured on recorded calls: UTF-8 bytes that make a thousand tokens.
OPENAI = 3800
CLAUDE = 2500
CLAUDE_BEFORE_4_7 = 3100
GEMINI = 3200
OTHERS = 3400

# Above this an exact count takes longer than it is worth, and odd texts take very long.
EXACT_CHARS = 200_000

_OPENAI_NAME = re.compile(r"(.*/)?(ft:)?(gpt-|chatgpt-|o\d)")
_CLAUDE_VERSION = re.compile(r"(?<!\d)(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")


def counter(
    provider: str,
    model: str,
    *,
    home: Path | None = None,
    learned: Calibration = NOTHING,
) -> Counter:
    """Return the best counter that works without the network.

    `home` is the state home, where ranks may be, and `learned` what earlier runs found out of this
    model. OpenAI's own ranks are used only when they are already on this machine; loading them
    takes half a second.
    """
    known = usual(provider, model)
    ratio = bytes_per_ktoken(known, learned)
    name = encoding_name(provider, model)
    place = ranks.found(name, home) if name else None
    if place is None:
        return ByteCounter(ratio)
    import tiktoken  # here, because it is heavy and rarely used

    with ranks.looked_for_in(place):
        return RankCounter(tiktoken.get_encoding(name), ratio)


def usual(provider: str, model: str) -> int:
    """Bytes of a thousand tokens, as measured in general for such a model."""
    return _calibration(provider, model.lower())


class ByteCounter:
    """Estimates from the length in UTF-8, which holds for every script, unlike characters."""

    def __init__(self, bytes_per_ktoken: int) -> None:
        self.bytes_per_ktoken = bytes_per_ktoken

    def count(self, text: str) -> int:
        """Return the estimated tokens, rounded up."""
        # Lone surrogates can come from file names; they must not end a run.
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        return -(-size * 1000 // self.bytes_per_ktoken)


class RankCounter:
    """Counts with OpenAI's own ranks."""

    def __init__(self, encoding: Encoding, bytes_per_ktoken: int = OPENAI) -> None:
        self.bytes_per_ktoken = bytes_per_ktoken
        self._encoding = encoding

    def count(self, text: str) -> int:
        """Return the tokens, without those that a message itself costs."""
        if len(text) > EXACT_CHARS:
            return ByteCounter(self.bytes_per_ktoken).count(text)
        return len(self._encoding.encode_ordinary(text))


def _calibration(provider: str, model: str) -> int:
    if "claude" in model or (provider == "anthropic" and not model):
        return CLAUDE if _is_claude_since_4_7(model) else CLAUDE_BEFORE_4_7
    if "gemini" in model:
        return GEMINI
    if _OPENAI_NAME.match(model) or (provider == "openai" and not model):
        return OPENAI
    by_provider = {"anthropic": CLAUDE, "google": GEMINI}
    return by_provider.get(provider, OTHERS)


def _is_claude_since_4_7(model: str) -> bool:
    if "instant" in model:
        return False
    # The first number is the version wherever the name has it: claude-3-5-sonnet, claude-opus-4-7.
    found = _CLAUDE_VERSION.search(model.partition("claude")[2])
    if found is None:
        return True
    return (int(found[1]), int(found[2] or 0)) >= (4, 7)


def encoding_name(provider: str, model: str) -> str:
    """The ranks that count for this model; empty for a model that is not OpenAI's."""
    if usual(provider, model) != OPENAI:
        return ""
    # The library's own list lags behind the models; everything since gpt-4o uses o200k.
    short = model.lower().rpartition("/")[2].removeprefix("ft:")
    is_old = re.match(r"gpt-(4(?![o.\d])|3)", short)
    return "cl100k_base" if is_old else "o200k_base"
