"""The nouns of the field: messages, tool calls, usage, limits. Money and time are integers."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Micros = int
"""Millionths of a US dollar."""
Millis = int
"""Milliseconds; as a moment, since the epoch in UTC."""

Role = Literal["user", "assistant", "tool"]
Repeat = Literal["safe", "idempotent", "unsafe"]
Approve = Literal["auto", "ask", "never", "read-only"]
OnUnknown = Literal["ask", "rerun", "skip", "tell"]
Stop = Literal["end", "tools", "length", "refusal"]


class ToolCall(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One call that the model asked for."""

    id: str
    name: str
    arguments: str = "{}"
    """The model's own JSON text, kept as it came so that requests stay byte-stable."""
    problem: str = ""
    """Why the call cannot be run (bad JSON, unknown tool, schema); told to the model."""


class Message(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One message of the conversation. A system prompt is not a message: see TaskCreated.system."""

    role: Role
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    call_id: str = ""
    """For role "tool": the call that this answers."""
    native: str = ""
    """JSON that the same provider wants back verbatim (signed reasoning); ignored by others."""


class Usage(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """Tokens of one model call. `input` is the total, cache reads and writes included."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    """Part of `output`."""
    reported: bool = True
    """False when the provider sent no usage and these are our estimate."""

    @property
    def processed(self) -> int:
        """Tokens the provider worked on anew: input not served from its cache, plus output."""
        return self.input - self.cache_read + self.output


class Limits(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a task may use. None means no limit; 0 forbids."""

    task_cost_micros: Micros | None = 500_000
    """Most that this task may spend. 0 forbids every paid call."""
    hour_cost_micros: Micros | None = 10_000_000
    """Most that all tasks of this state home may spend in any 60 minutes."""
    task_tokens: int | None = 100_000
    """Most tokens processed anew (input not from a cache, plus output)."""
    steps: int | None = 100
    """Most answers of the model."""
    wall_ms: Millis | None = None
    """Most time running; pauses do not count."""
    attempts: int = 5
    """Tries of one model call before the task stops as failed."""
    allow_unpriced: bool = False
    """Run a model without a known price although a money limit cannot be kept for it."""
    wait_in_place_ms: Millis = 60_000
    """A wait longer than this parks the task as "waiting" instead of sleeping."""

    @property
    def has_money_limit(self) -> bool:
        """Some limit of money is set, which an unpriced model could not keep."""
        return self.task_cost_micros is not None or self.hour_cost_micros is not None


class ContextPolicy(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """When the conversation sent to the model is shortened. The log always keeps everything."""

    max_tokens: int = 96_000
    """Above this estimate old tool outputs, then old turns, are left out of requests."""
    keep_user: int = 1_000_000
    """The last so many user messages are always sent."""
    keep_assistant: int = 5
    """The last so many assistant messages, with their tool results, are always sent."""


class ToolSpec(Struct, frozen=True):
    """What the model and the guards know of a tool."""

    name: str
    description: str
    parameters: str
    """JSON schema of the arguments, as stable JSON text."""
    category: str = "default"
    repeat: Repeat = "unsafe"
    changes: bool = True
    """True when a call can change something outside agentctl: such a call needs approval."""
    timeout_ms: Millis = 30_000
    priority: int = 0
    """Higher starts first within one turn."""


class Rates(Struct, frozen=True):
    """Prices in micro-dollars per million tokens, and where they come from."""

    input: Micros = 0
    cache_read: Micros = 0
    cache_write: Micros = 0
    output: Micros = 0
    source: str = "local"


class Quote(Struct, frozen=True):
    """What the next model call may cost at worst, as known before it is made."""

    input_tokens: int
    """Estimated, margin included."""
    input_cost_micros: Micros | None
    """None: no price is known."""
    output_micros_per_mtok: int
    """Price of a million output tokens."""
    max_output: int
    """The model's own cap for one answer."""
    min_output: int = 256
    """With less room than this an answer is not worth paying its input."""


class View(Struct, frozen=True):
    """Facts that the state cannot know, read just before deciding."""

    now_ms: Millis
    quote: Quote
    hour_spent_micros: Micros = 0
    """Settled and reserved in the last 60 minutes by all tasks."""
    hour_opens_ms: Millis = 0
    """When the oldest spend of that hour leaves the window; 0 if there is none."""
    specs: dict[str, ToolSpec] = {}
    bytes_per_ktoken: int = 3400
    interactive: bool = False
    """Somebody can be asked."""
