"""What OpenAI's models and its embeddings share: where the server is, and with which key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from agentctl.providers._faults import Border, Faults
from agentctl.providers._http import on_this_machine, read_key

OFFICIAL = "api.openai.com"
_PLACEHOLDER = "no-key"
"""Sent to other servers when no key is set; local ones need none."""


class Door(Struct, frozen=True):
    """A server that speaks OpenAI's protocol."""

    base_url: str | None
    """None: OpenAI's own."""
    host: str
    official: bool
    paced: bool
    key: str
    border: Border


def door(options: Mapping[str, str], faults: Faults, key_step: str) -> Door:
    """Find the server and the key; nothing is sent yet. Raises ProviderError ("auth")."""
    url = options.get("base_url") or os.environ.get("OPENAI_BASE_URL", "").strip()
    host = (urlsplit(url).hostname or "") if url else OFFICIAL
    official = host == OFFICIAL or host.endswith("." + OFFICIAL)
    key = ""
    if official or os.environ.get("OPENAI_API_KEY", "").strip():
        (key,) = read_key("openai", "OPENAI_API_KEY", next_step=key_step)
    offline = "Check the network" if official else f"Check that a server runs at {host}"
    border = Border("openai", faults, secret=key, offline=f"{offline}, then resume.")
    return Door(url or None, host, official, not on_this_machine(url), key or _PLACEHOLDER, border)
