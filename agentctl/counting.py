"""How many tokens a text is, before a provider has said so. Never touches the network."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

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

_URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_SHA256 = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
_OPENAI_NAME = re.compile(r"(.*/)?(ft:)?(gpt-|chatgpt-|o\d)")
_CLAUDE_VERSION = re.compile(r"(?<!\d)(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")


def counter(provider: str, model: str) -> Counter:
    """Return the best counter that works without the network.

    OpenAI's own ranks are used only when they are already on this machine; loading them takes half
    a second. Their folder is the one that tiktoken itself uses.
    """
    bytes_per_ktoken = _calibration(provider, model.lower())
    if bytes_per_ktoken == OPENAI:
        encoding = _local_encoding(model.lower())
        if encoding is not None:
            return RankCounter(encoding)
    return ByteCounter(bytes_per_ktoken)


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

    bytes_per_ktoken = OPENAI

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._estimate = ByteCounter(OPENAI)

    def count(self, text: str) -> int:
        """Return the tokens, without those that a message itself costs."""
        if len(text) > EXACT_CHARS:
            return self._estimate.count(text)
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


def _local_encoding(model: str) -> Encoding | None:
    name = _encoding_name(model)
    if not _has_ranks(name):
        return None
    import tiktoken  # here, because it is heavy and rarely used

    return tiktoken.get_encoding(name)


def _encoding_name(model: str) -> str:
    # The library's own list lags behind the models; everything since gpt-4o uses o200k.
    short = model.rpartition("/")[2].removeprefix("ft:")
    is_old = re.match(r"gpt-(4(?![o.\d])|3)", short)
    return "cl100k_base" if is_old else "o200k_base"


def _has_ranks(name: str) -> bool:
    """Return whether tiktoken would find this file, whole, and so not download it."""
    import hashlib  # here, because counting by bytes needs neither
    import tempfile

    url = _URL.format(name)
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder is None:
        folder = str(Path(tempfile.gettempdir(), "data-gym-cache"))
    if not folder:
        return False  # an empty name switches tiktoken's cache off
    # The name of a cache file, not a signature.
    path = Path(folder, hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest())
    try:
        data = path.read_bytes()
    except OSError:
        return False
    # A damaged file would be thrown away and downloaded again.
    return hashlib.sha256(data).hexdigest() == _SHA256[name]
