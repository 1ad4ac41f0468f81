"""OpenAI's rank files, with which tiktoken counts exactly: where they are, and fetching one.

tiktoken itself downloads a missing file at first use, without a time limit. So a count looks here
first, and only `agentctl tokens fetch` ever downloads.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agentctl import atomic
from agentctl.errors import AgentctlError, UsageError

FOLDER = "ranks"
"""In the state home."""
URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
SHA256 = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
SIZES_BYTES = {"o200k_base": 3_613_922, "cl100k_base": 1_681_126}
BYTES_MAX = 16_000_000
TIMEOUT_S = 20.0

_VARIABLES = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")


def folder(home: Path | None) -> Path | None:
    """Where ranks are kept: the folder that tiktoken was told of, else that of the state home.

    None where tiktoken's own variable is empty, which switches its cache off, or without a home.
    """
    for variable in _VARIABLES:
        if variable in os.environ:
            told = os.environ[variable]
            return Path(told) if told else None
    return home / FOLDER if home is not None else None


def found(name: str, home: Path | None) -> Path | None:
    """The folder that has this file, whole; None if there is none."""
    told = any(variable in os.environ for variable in _VARIABLES)
    for place in (folder(home), None if told else _tiktokens_own()):
        # A damaged file would be thrown away and downloaded again.
        if place is not None and _is_whole(name, place / file_name(name)):
            return place
    return None


def file_name(name: str) -> str:
    """What tiktoken calls the file: made from its address, not a signature."""
    return hashlib.sha1(URL.format(name).encode(), usedforsecurity=False).hexdigest()


@contextmanager
def looked_for_in(place: Path) -> Iterator[None]:
    """Have tiktoken look for ranks in this folder, within the block."""
    variable = _VARIABLES[0]
    before = os.environ.get(variable)
    os.environ[variable] = str(place)
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


def fetch(name: str, home: Path, get: Callable[[str], bytes] | None = None) -> Path:
    """Download a rank file, check it and put it in its place. Raises AgentctlError."""
    place = target(name, home)
    data = (get or _download)(URL.format(name))
    if hashlib.sha256(data).hexdigest() != SHA256[name]:
        raise AgentctlError(
            f"What came from {URL.format(name)} is not the file that was expected"
            f" ({len(data):,} bytes with another SHA-256).",
            kept="Nothing was written.",
            next_step="Try again later; a proxy or portal on the way may have answered instead.",
        )
    try:
        atomic.make_private(place.parent)
        atomic.replace(place, data)
    except OSError as error:
        raise AgentctlError(
            f"{place} cannot be written: {error.strerror}.",
            kept="Nothing was changed.",
            next_step="Make room or name another folder in TIKTOKEN_CACHE_DIR.",
        ) from error
    return place


def target(name: str, home: Path) -> Path:
    """The file that `fetch` writes. Raises UsageError where there is no folder for it."""
    place = folder(home)
    if place is None:
        raise UsageError(
            "TIKTOKEN_CACHE_DIR is set to nothing, which switches rank files off.",
            next_step="Unset it, or name a folder.",
        )
    return place / file_name(name)


def _is_whole(name: str, path: Path) -> bool:
    try:
        data = path.read_bytes()
    except OSError:
        return False
    return hashlib.sha256(data).hexdigest() == SHA256[name]


def _tiktokens_own() -> Path:
    import tempfile  # here, because most counts are done without it

    return Path(tempfile.gettempdir(), "data-gym-cache")


def _download(url: str) -> bytes:
    import httpx2  # here, because it is heavy and only this command needs it

    data = bytearray()
    why = ""
    try:
        with httpx2.stream("GET", url, timeout=TIMEOUT_S) as answer:
            if answer.status_code != httpx2.codes.OK:
                why = f"the server answered {answer.status_code}"
            for piece in answer.iter_bytes() if not why else ():
                data += piece
                if len(data) > BYTES_MAX:
                    why = f"it is larger than {BYTES_MAX:,} bytes"
                    break
    except (httpx2.HTTPError, OSError) as error:
        why = str(error) or type(error).__name__
    if why:
        raise AgentctlError(
            f"{url} cannot be downloaded: {why}.",
            kept="Nothing was written; tokens are estimated by bytes as before.",
            next_step="Check the network and proxy (HTTPS_PROXY), then try again.",
        )
    return bytes(data)
