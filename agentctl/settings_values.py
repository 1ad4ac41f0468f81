"""The resolved settings: every value with where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from agentctl.core.lookups import LOOKUP_TTL_MS
from agentctl.core.values import (
    MAX_CONCURRENT,
    Approve,
    Breaker,
    ContextPolicy,
    Limits,
    Micros,
    Millis,
    OnLimit,
    Rates,
    Rule,
    Sandbox,
    SandboxMode,
)
from agentctl.errors import ConfigError

ADDRESSES = {
    "anthropic": ("ANTHROPIC_BASE_URL", "https://api.anthropic.com"),
    "openai": ("OPENAI_BASE_URL", "https://api.openai.com/v1"),
    "ollama": ("OLLAMA_HOST", "http://127.0.0.1:11434"),
}
"""The usual variables of the providers' own libraries, and where they go without."""


_SHARED = (("max_cost_hour", "hour_cost_micros"), ("max_cost_day", "day_cost_micros"))
"""Settings with a flag, and the field of `values.SHARED` that each is."""


class Settings(Struct, frozen=True, kw_only=True):
    """Every resolved value. `origins` says for each name where it came from."""

    provider: str = ""
    """Empty: the first that is usable."""
    model: str = ""
    """Empty: the provider's own default."""
    max_cost_micros: Micros | None = 500_000
    max_cost_hour_micros: Micros | None = 10_000_000
    max_cost_day_micros: Micros | None = None
    max_cost_step_micros: Micros | None = None
    max_tokens: int | None = 100_000
    max_steps: int | None = 100
    timeout_ms: Millis | None = None
    approve: Approve = "ask"
    sandbox_mode: SandboxMode = "auto"
    sandbox_network: bool = False
    sandbox_writable: tuple[str, ...] = ()
    sandbox_readable: tuple[str, ...] = ()
    """Absolute paths."""
    tool_variables: tuple[str, ...] = ()
    """Of the environment, that tools get besides the usual ones."""
    http_allowed: tuple[str, ...] = ()
    """Hosts that http_get may reach although they are not public."""
    permissions: tuple[Rule, ...] = ()
    """What calls of tools may do, by whoever wrote it down."""
    mcp: tuple[str, ...] = ()
    """Absolute paths of files that name MCP servers, as entries of `mcp_servers`."""
    tools: tuple[str, ...] = ()
    """Own tools: absolute paths of files, and names that installed packages have given theirs."""
    context_policy: str | None = None
    """None: window if one of the next three is set, else auto."""
    max_context_tokens: int | None = None
    keep_last_user: int | None = None
    keep_last_assistant: int | None = None
    silence_timeout_ms: Millis = 60_000
    attempts: int = 5
    max_credits: int | None = 10_000
    """Of a task."""
    max_credits_step: int | None = 1_000
    on_limit: OnLimit = "pause"
    wait_in_place_ms: Millis = 60_000
    fallbacks: tuple[str, ...] = ()
    """"provider/model" to go on with, in this order."""
    embedder: str = ""
    """"provider/model" that tells what is near in meaning; empty: none does."""
    account: str = "default"
    tier: str = ""
    """The tier that was chosen; its limits are already in the other fields."""
    profile: str = ""
    """The profile that was chosen; its settings are already in the other fields."""
    calls_per_minute: dict[str, int | None] = {}
    """By category, where it differs from the default."""
    timeouts_ms: dict[str, Millis] = {}
    """By category, where it differs from the default."""
    max_concurrent_tools: int = MAX_CONCURRENT
    """Most calls of tools that run at once."""
    concurrency: dict[str, int | None] = {}
    """Most that run at once of a category; None or missing: no limit of its own."""
    breaker: Breaker = Breaker()
    credits: dict[str, int] = {}
    """Price of a call in credits, by tool name or "provider/model"."""
    lookup_ttl_ms: Millis = LOOKUP_TTL_MS
    delegate: bool = False
    """A task may have others work on its behalf."""
    no_cache: bool = False
    reuse: bool = False
    """No look-up is answered with an earlier result, and none is kept."""
    ledger: str = ""
    """Absolute path of the exported cost history."""
    base_url: str = ""
    base_url_for: str = ""
    """The provider that the file with `base_url` names: no other one's key is sent there."""
    allow_unpriced: bool = False
    system: str = ""
    summaries: bool = True
    """The model may be asked for a summary of what is left out."""
    rules: bool = True
    """Read the AGENTS.md files of the workspace."""
    prices: dict[str, Rates] = {}
    """The user's own prices by "provider/model"."""
    origins: dict[str, str] = {}
    """Name as in a file to "flag", "environment X", the path of a file, or "default"."""
    warnings: list[str] = []
    """What was not taken over, and what to do about it."""
    state_home: str = ""
    user_file: str = ""
    project_file: str = ""
    """Empty: there is none above the working folder."""

    def limits(self) -> Limits:
        """Return what a task may use. `given` names shared limits that came from a flag."""
        return Limits(
            task_cost_micros=self.max_cost_micros,
            hour_cost_micros=self.max_cost_hour_micros,
            day_cost_micros=self.max_cost_day_micros,
            step_cost_micros=self.max_cost_step_micros,
            task_tokens=self.max_tokens,
            steps=self.max_steps,
            wall_ms=self.timeout_ms,
            attempts=self.attempts,
            allow_unpriced=self.allow_unpriced,
            wait_in_place_ms=self.wait_in_place_ms,
            on_limit=self.on_limit,
            task_credits=self.max_credits,
            step_credits=self.max_credits_step,
            credits=self.credits,
            calls_per_minute=self.calls_per_minute,
            timeouts_ms=self.timeouts_ms,
            breaker=self.breaker,
            given=tuple(field for name, field in _SHARED if self.origins.get(name) == "flag"),
        )

    def sandbox(self) -> Sandbox:
        """Return what commands are allowed."""
        return Sandbox(
            self.sandbox_mode,
            self.sandbox_network,
            self.sandbox_writable,
            self.sandbox_readable,
            variables=self.tool_variables,
            hosts=self.http_allowed,
        )

    def context(self) -> ContextPolicy:
        """Return when requests are shortened; 8,000 tokens and 3 + 3 for what a window leaves out.

        A window is also meant by setting any part of it.
        """
        parts = (self.max_context_tokens, self.keep_last_user, self.keep_last_assistant)
        is_given = any(part is not None for part in parts)
        name = self.context_policy or ("window" if is_given else "auto")
        if name == "none":
            return ContextPolicy(name="none")
        usual = ContextPolicy(8_000, 3, 3, "window") if name == "window" else ContextPolicy()
        tokens, user, assistant = parts
        return ContextPolicy(
            max_tokens=usual.max_tokens if tokens is None else tokens,
            keep_user=usual.keep_user if user is None else user,
            keep_assistant=usual.keep_assistant if assistant is None else assistant,
            name=name,
            summarise=self.summaries,
        )

    def address(self, provider: str, env: Mapping[str, str]) -> str:
        """Return the server to use for this provider; an empty string if it has none."""
        if self.base_url and self.base_url_for == provider:
            return self.base_url
        variable, usual = ADDRESSES.get(provider, ("", ""))
        address = env.get(variable, "").strip() or usual
        if "@" in address:
            raise ConfigError(
                f"{variable}: an address with a user name or password would be stored and shown.",
                next_step="Leave them out, and put the key into the provider's own variable.",
            )
        return address

    def paths(self) -> dict[str, str]:
        """Return every path that agentctl may use, by what it is for."""
        home = Path(self.state_home)
        return {
            "state home": self.state_home,
            "database": str(home / "agentctl.db"),
            "locks": str(home / "locks"),
            "live": str(home / "live"),
            "logs": str(home / "logs"),
            "ranks": str(home / "ranks"),
            "ledger": self.ledger,
            "trusted folders": str(home / "trusted.json"),
            "user file": self.user_file,
            "project file": self.project_file,
        }
