"""What each setting means, as docs/configuration.md has it: the one place where it is written.

Cells of Markdown; `settings_template` takes the marks out. Only `init` and the tests need them.
"""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "provider": (
        "the first usable",
        "anthropic, openai, ollama, offline, scripted",
    ),
    "model": (
        "the provider's",
        "name of the model",
    ),
    "max_cost": (
        "0.50",
        "most dollars a task may spend; 0 forbids every paid call",
    ),
    "max_cost_hour": (
        "10.00",
        "most dollars that all tasks may spend in any 60 minutes",
    ),
    "max_cost_day": (
        "none",
        "most dollars that all tasks may spend in any 24 hours",
    ),
    "max_cost_step": (
        "none",
        "most dollars that one call of the model may cost",
    ),
    "max_tokens": (
        "100000",
        "most tokens a task may have processed: input not from a cache, plus output",
    ),
    "max_steps": (
        "100",
        "most answers of the model in a task",
    ),
    "timeout": (
        "none",
        "most time a task may run, pauses not counted: `90s`, `5m`, `1h`, or seconds",
    ),
    "approve": (
        "ask",
        "tools that change something: auto (run them), ask, never, read-only",
    ),
    "sandbox": (
        "auto",
        "what confines commands of tools: auto, off, read-only, workspace or strict, see "
        "[sandbox](sandbox.md)",
    ),
    "sandbox_network": (
        "false",
        "let them use the network",
    ),
    "sandbox_writable": (
        "none",
        "further folders that they may write to, as a list; relative ones belong to the "
        "folder of the file they are written in. Naming what is protected, such as "
        "`.git/hooks`, allows that too",
    ),
    "sandbox_readable": (
        "none",
        "further folders below your home or `/tmp` that they may read",
    ),
    "tool_variables": (
        "none",
        "further environment variables that tools get, as a list; `NAME*` stands for all that"
        " begin so, but no [secrets](security.md#secrets)",
    ),
    "http_allowed": (
        "none",
        "hosts that `http_get` may reach although they are not on the public internet, as a "
        'list of `host` or `host:port`, such as `["127.0.0.1:8000", "intranet.example"]`',
    ),
    "context": (
        "auto",
        "how long conversations are shortened: auto, window, none or the name of an "
        "[installed policy](context.md#a-policy-of-your-own)",
    ),
    "max_context_tokens": (
        "see below",
        "above this, old messages are left out of what is sent",
    ),
    "keep_last_user": (
        "see below",
        "user messages always sent, newest first",
    ),
    "keep_last_assistant": (
        "see below",
        "assistant messages always sent, newest first",
    ),
    "silence_timeout": (
        "60s",
        "give up on a model connection that is silent for so long",
    ),
    "attempts": (
        "5",
        "tries of one model call before the task stops",
    ),
    "max_concurrent_tools": (
        "5",
        "most calls of tools that run at once in a task; the more urgent ones start first",
    ),
    "max_credits": (
        "10000",
        "most credits a task may use",
    ),
    "max_credits_step": (
        "1000",
        "most credits for one call of the model or one turn of tools",
    ),
    "on_limit": (
        "pause",
        "what reaching a limit does: pause the task, fail it, or wait where the limit opens "
        "again by itself",
    ),
    "wait_in_place": (
        "60s",
        "a longer wait parks the task and frees the process; 0 always parks",
    ),
    "fallback": (
        "none",
        "asked instead, in this order, when the provider does not answer: "
        "`provider/model,provider/model`, or in a file a list of such texts",
    ),
    "embedder": (
        "none",
        "who tells what of a long conversation is near in meaning, "
        "`openai/text-embedding-3-small` or `ollama/nomic-embed-text`; see "
        "[context](context.md#relevance-by-an-embedder)",
    ),
    "account": (
        "default",
        "whose calls and credits these are: 1 to 64 letters, digits, dots, `-` or `_`",
    ),
    "tier": (
        "the account's",
        "the set of limits in force: see [tiers](#tiers-and-accounts)",
    ),
    "profile": (
        "none",
        "the named set of settings in force: see [profiles](#profiles)",
    ),
    "lookup_ttl": (
        "15m",
        "how long another task is given the result of a "
        "[look-up](tools.md#look-ups-are-not-paid-twice); 0: only the task that made it",
    ),
    "delegate": (
        "false",
        "give the model the tool [delegate](agents.md#delegation), which has other tasks work for "
        "it",
    ),
    "reuse": (
        "false",
        "take earlier answers to [equal requests](running.md#equal-requests)",
    ),
    "no_cache": (
        "false",
        "look everything up anew, and keep nothing to be given again",
    ),
    "ledger": (
        "in the state home",
        "path of the [cost history file](ledger.md); a relative one belongs to the folder of "
        "the file it is written in",
    ),
    "base_url": (
        "the provider's",
        "address of an OpenAI-compatible or other server, without a password in it; used only"
        " for the `provider` that the same file names, so that no other key is sent there",
    ),
    "allow_unpriced": (
        "false",
        "start although the model's price is unknown and a money limit cannot be kept",
    ),
    "system": (
        "",
        "text added to the system prompt",
    ),
    "summaries": (
        "true",
        "before old turns are left out, ask the model for a [summary](context.md#summaries) "
        "of them",
    ),
    "rules": (
        "true",
        "read the [AGENTS.md](running.md#rules-of-a-project) files of the workspace",
    ),
}
"""Default and meaning by the name of a setting."""

EXAMPLES: dict[str, str] = {
    "provider": '"anthropic"',
    "model": '"claude-sonnet-5-5"',
    "context": '"auto"',
    "max_context_tokens": "100000",
    "keep_last_user": "3",
    "keep_last_assistant": "3",
    "fallback": '["openai/gpt-6.1-terra", "ollama/qwen3"]',
    "embedder": '"ollama/nomic-embed-text"',
    "tier": '"pro"',
    "profile": '"careful"',
    "ledger": '"cost_history.json"',
    "base_url": '"http://localhost:8000/v1"',
    "system": '"Answer in one paragraph."',
    "sandbox_writable": '["../notes"]',
    "sandbox_readable": '["../notes"]',
    "tool_variables": '["CI", "NPM_CONFIG_*"]',
    "http_allowed": '["127.0.0.1:8000", "intranet.example"]',
}
"""As a file has it, for settings whose default is to be left out."""

TABLES_EXAMPLE = """
# Dollars per million tokens, for a model without a known price or one you have a contract for.
[prices."openai/my-model"]
input = 1.25
output = 10
cache_read = 0.125
cache_write = 1.25

# Calls a minute by category, of one account; 0 forbids, "none" is no limit.
[rates]
http = 60
shell = 60
ai = 30

# Longest call of a tool by category; for ai, longest wait for the first byte of an answer.
[timeouts]
http = "15s"
shell = "30s"
ai = "45s"

# Calls of a category that run at once in a task, among all that max_concurrent_tools allows.
[concurrency]
shell = 1

# So many failures in a row within the window, and a provider or tool is left alone for the reset.
[circuit]
failures = 5
window = "60s"
reset = "30s"

# Price of a call in credits, by tool or model.
[credits]
http_get = 1
"openai/my-model" = 20

# What calls of tools may do: docs/permissions.md.
[permissions]
allow = ["run_shell: git status *", "write_file: notes/**"]
ask = ["http_get"]
deny = ["read_file: .env*"]

# Files that name MCP servers, relative to this one: docs/mcp.md.
[mcp]
files = []

# Files with own tools, relative to this one, and names of tools of packages: docs/own-tools.md.
[tools]
files = []
installed = []

# Profiles: named sets of settings.
[profiles.careful]
sandbox = "strict"
max_cost = 0.20

# The tier of an account, and tiers: named sets of limits.
[accounts.team]
tier = "pro"

[tiers.pro]
max_cost = 2.00
max_cost_day = 50
max_steps = 200

[tiers.pro.rates]
http = "none"
"""
"""Every table, as a file has them."""
