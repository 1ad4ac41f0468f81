"""The list of settings: how each is written, and what a project's file may do with it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from agentctl import quantities

Weight = Literal["open", "tighter", "trusted"]
"""What a project's file may do before it is trusted: set it; only tighten it; nothing."""

APPROVE_STRICTNESS = {"auto": 0, "ask": 1, "never": 2, "read-only": 2}


class Key(NamedTuple):
    """How one setting is written."""

    field: str
    read: quantities.Reader
    instead: str
    """What to write instead of a bad value."""
    variable: str = ""
    weight: Weight = "trusted"


_MONEY = quantities.or_none(quantities.micros)
_COUNT = quantities.or_none(quantities.count(0))
_TOKENS = "Write a number of tokens, e.g. 100000"

KEYS: dict[str, Key] = {
    "provider": Key(
        "provider", quantities.text(100), "Write its name, e.g. anthropic.", "LLM_PROVIDER"
    ),
    # A model name chooses a price, which the limits bound, but never where data is sent.
    "model": Key("model", quantities.text(200), "Write its name.", "LLM_MODEL", "open"),
    "max_cost": Key(
        "max_cost_micros",
        _MONEY,
        "Write dollars, e.g. 0.50; 0 forbids every paid call; leave it out for the default of "
        "$0.50; none means no limit.",
        "MAX_COST_PER_TASK",
        "tighter",
    ),
    "max_cost_hour": Key(
        "max_cost_hour_micros",
        _MONEY,
        "Write dollars, e.g. 10.00; 0 forbids every paid call; leave it out for the default of "
        "$10.00; none means no limit.",
        "MAX_COST_PER_HOUR",
        "tighter",
    ),
    "max_tokens": Key(
        "max_tokens", _COUNT, f"{_TOKENS}, or none.", "MAX_TOKENS_PER_TASK", "tighter"
    ),
    "max_steps": Key("max_steps", _COUNT, "Write a number, e.g. 100, or none.", "", "tighter"),
    "timeout": Key(
        "timeout_ms",
        quantities.or_none(quantities.duration_ms),
        "Write 90s, 5m, 1h or a number of seconds, or none.",
        "",
        "tighter",
    ),
    "approve": Key(
        "approve",
        quantities.choice(tuple(APPROVE_STRICTNESS)),
        "Write auto, ask, never or read-only.",
        "",
        "tighter",
    ),
    "max_context_tokens": Key(
        "max_context_tokens",
        quantities.count(1),
        f"{_TOKENS}.",
        "MAX_CONTEXT_TOKENS",
        "open",
    ),
    "keep_last_user": Key(
        "keep_last_user",
        quantities.count(0),
        "Write a number of messages, e.g. 3.",
        "KEEP_LAST_N_USER_MESSAGES",
        "open",
    ),
    "keep_last_assistant": Key(
        "keep_last_assistant",
        quantities.count(0),
        "Write a number of messages, e.g. 3.",
        "KEEP_LAST_N_ASSISTANT_MESSAGES",
        "open",
    ),
    "silence_timeout": Key(
        "silence_timeout_ms",
        quantities.at_least(1, quantities.duration_ms),
        "Write 60s or a number of seconds above 0.",
        "",
        "tighter",
    ),
    "attempts": Key("attempts", quantities.count(1), "Write 1 or more.", "", "tighter"),
    "ledger": Key("ledger", quantities.text(4_000), "Write the path of a file."),
    "base_url": Key(
        "base_url",
        quantities.address,
        "Write e.g. http://localhost:8000/v1, and put the key into the provider's own variable.",
    ),
    "allow_unpriced": Key("allow_unpriced", quantities.yes_no, "Write true or false."),
    "system": Key("system", quantities.text(100_000, lines=True), "Write a text."),
}
