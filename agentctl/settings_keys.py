"""The list of settings: how each is written, and what a project's file may do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from agentctl import quantities
from agentctl.core.values import POLICIES

Weight = Literal["open", "tighter", "trusted"]
"""What a project's file may do before it is trusted: set it; only tighten it; nothing."""

APPROVE_STRICTNESS = {"auto": 0, "ask": 1, "never": 2, "read-only": 2}
SANDBOX_STRICTNESS = {"off": 0, "auto": 1, "workspace": 2, "read-only": 3, "strict": 3}
# A task that waits goes on spending unasked when the window opens.
ON_LIMIT_STRICTNESS = {"wait": 0, "pause": 1, "fail": 1}


class Key(NamedTuple):
    """How one setting is written."""

    field: str
    read: quantities.Reader
    instead: str
    """What to write instead of a bad value."""
    variable: str = ""
    weight: Weight = "trusted"
    strictness: Mapping[str, int] = {}
    """Of its words, where some are tighter than others."""
    open_words: Sequence[str] = ()
    """Of an open setting: what alone it may be before its file is trusted; empty: anything."""


_COUNT = quantities.or_none(quantities.count(0))
_FOLDERS = 'Write folders, e.g. ["../notes"].'
_TOKENS = "Write a number of tokens, e.g. 100000"
_CREDITS = "Write a whole number, e.g. 500, or none."


def _money(field: str, variable: str, example: str, default: str) -> Key:
    instead = (
        f"Write dollars, e.g. {example}; 0 forbids every paid call; leave it out for the default "
        f"of {default}; none means no limit."
    )
    return Key(field, quantities.or_none(quantities.micros), instead, variable, "tighter")


KEYS: dict[str, Key] = {
    "provider": Key(
        "provider", quantities.text(100), "Write its name, e.g. anthropic.", "LLM_PROVIDER"
    ),
    # A model's name can leave every limit behind: one without a price where those are allowed, one
    # that costs no credits, one that a local server passes on to somebody else.
    "model": Key("model", quantities.text(200), "Write its name.", "LLM_MODEL"),
    "max_cost": _money("max_cost_micros", "MAX_COST_PER_TASK", "0.50", "$0.50"),
    "max_cost_hour": _money("max_cost_hour_micros", "MAX_COST_PER_HOUR", "10.00", "$10.00"),
    "max_cost_day": _money("max_cost_day_micros", "MAX_COST_PER_DAY", "20.00", "no limit"),
    "max_cost_step": _money("max_cost_step_micros", "", "0.10", "no limit"),
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
        APPROVE_STRICTNESS,
    ),
    "sandbox": Key(
        "sandbox_mode",
        quantities.choice(tuple(SANDBOX_STRICTNESS)),
        f"Write {', '.join(SANDBOX_STRICTNESS)}.",
        "AGENTCTL_SANDBOX",
        "tighter",
        SANDBOX_STRICTNESS,
    ),
    "sandbox_network": Key("sandbox_network", quantities.yes_no, "Write true or false."),
    "sandbox_writable": Key("sandbox_writable", quantities.texts, _FOLDERS),
    "sandbox_readable": Key("sandbox_readable", quantities.texts, _FOLDERS),
    "tool_variables": Key(
        "tool_variables", quantities.texts, 'Write names of variables, e.g. ["CI", "NPM_CONFIG_*"].'
    ),
    "http_allowed": Key(
        "http_allowed", quantities.hosts, 'Write e.g. ["127.0.0.1:8000", "intranet.example"].'
    ),
    "context": Key(
        "context_policy",
        quantities.name,
        f"Write {', '.join(POLICIES)} or the name of an installed policy.",
        "",
        "open",
        open_words=POLICIES,  # any other name runs somebody's code
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
    "max_concurrent_tools": Key(
        "max_concurrent_tools", quantities.count(1), "Write 1 or more.", "", "tighter"
    ),
    "max_credits": Key("max_credits", _COUNT, _CREDITS, "", "tighter"),
    "max_credits_step": Key("max_credits_step", _COUNT, _CREDITS, "", "tighter"),
    "on_limit": Key(
        "on_limit",
        quantities.choice(tuple(ON_LIMIT_STRICTNESS)),
        "Write pause, fail or wait.",
        "",
        "tighter",
        ON_LIMIT_STRICTNESS,
    ),
    "wait_in_place": Key(
        "wait_in_place_ms",
        quantities.duration_ms,
        "Write 60s, 5m or a number of seconds; 0 never waits in place.",
        "",
        "tighter",
    ),
    "fallback": Key(
        "fallbacks", quantities.models, "Write e.g. openai/gpt-6.1-terra,ollama/my-model."
    ),
    # It is sent what the conversation says.
    "embedder": Key(
        "embedder",
        quantities.model,
        "Write e.g. openai/text-embedding-3-small or ollama/nomic-embed-text.",
        "AGENTCTL_EMBEDDER",
    ),
    "account": Key("account", quantities.name, "Write e.g. team-a.", "AGENTCTL_ACCOUNT"),
    "tier": Key("tier", quantities.name, "Write e.g. pro.", "AGENTCTL_TIER"),
    "profile": Key("profile", quantities.name, "Write e.g. careful.", "AGENTCTL_PROFILE"),
    "lookup_ttl": Key(
        "lookup_ttl_ms",
        quantities.duration_ms,
        "Write 15m or a number of seconds; 0 reuses nothing of another task.",
    ),
    "delegate": Key("delegate", quantities.yes_no, "Write true or false."),
    "reuse": Key("reuse", quantities.yes_no, "Write true or false."),
    "no_cache": Key("no_cache", quantities.yes_no, "Write true or false."),
    "ledger": Key("ledger", quantities.text(4_000), "Write the path of a file."),
    "base_url": Key(
        "base_url",
        quantities.address,
        "Write e.g. http://localhost:8000/v1, and put the key into the provider's own variable.",
    ),
    "allow_unpriced": Key("allow_unpriced", quantities.yes_no, "Write true or false."),
    "system": Key("system", quantities.text(100_000, lines=True), "Write a text."),
    "summaries": Key("summaries", quantities.yes_no, "Write true or false.", "", "open"),
    "rules": Key("rules", quantities.yes_no, "Write true or false.", "", "open"),
}

TIER_KEYS = (
    "max_cost",
    "max_cost_hour",
    "max_cost_day",
    "max_cost_step",
    "max_tokens",
    "max_steps",
    "timeout",
    "attempts",
    "max_credits",
    "max_credits_step",
    "on_limit",
    "wait_in_place",
)
"""Settings that a tier may hold."""

LIMIT_TABLES = {
    "rates": 'Write e.g. http = 60 (calls a minute) below [rates], or http = "none".',
    "timeouts": 'Write e.g. http = "15s" below [timeouts].',
    "concurrency": 'Write e.g. shell = 1 (calls at once), or shell = "none", below [concurrency].',
    "circuit": 'Write failures = 5, window = "60s" or reset = "30s" below [circuit].',
    "credits": 'Write e.g. http_get = 1 or "openai/my-model" = 20 below [credits].',
}
"""Tables that a file and a tier may hold, and how to write them."""

TABLES = {
    "prices": 'Write [prices."provider/model"] and below it input = 1.25, output = 10 (dollars per '
    "million tokens); cache_read and cache_write may follow.",
    **LIMIT_TABLES,
    "permissions": 'Write e.g. allow = ["run_shell: git status *"] below [permissions]; ask '
    "and deny are written alike.",
    "mcp": 'Write files = [".mcp.json"] below [mcp], or [mcp.servers.NAME] and below it command '
    "or url, as docs/mcp.md says.",
    "tools": 'Write files = ["tools.py"] or installed = ["NAME"] below [tools].',
    "accounts": 'Write [accounts.NAME] and below it tier = "pro".',
    "profiles": 'Write [profiles.NAME] and below it settings, e.g. model = "my-model".',
    "tiers": "Write [tiers.NAME] and below it limits, e.g. max_cost = 1.00.",
}
"""Every table of a file. A project's file may have none of them before it is trusted."""
