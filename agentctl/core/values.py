"""The nouns of the field: messages, tool calls, usage, limits. Money and time are integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
Effect = Literal["allow", "ask", "deny"]
SandboxMode = Literal["auto", "off", "read-only", "workspace", "strict"]
Stop = Literal["end", "tools", "length", "refusal"]
OnLimit = Literal["pause", "fail", "wait"]
POLICIES = ("auto", "window", "none")
"""Names of the context policies that need no package of their own."""

CALLS_PER_MINUTE: dict[str, int] = {
    "ai": 30,
    "browser": 30,
    "calendar": 15,
    "drive": 20,
    "email": 10,
    "file": 600,
    "http": 60,
    "shell": 60,
    "default": 30,
}
"""Most calls a minute of one account, by category; "ai" are calls of a model elsewhere."""
TIMEOUTS_MS: dict[str, Millis] = {
    "ai": 45_000,
    "browser": 30_000,
    "calendar": 10_000,
    "drive": 60_000,
    "email": 10_000,
    "file": 30_000,
    "http": 15_000,
    "shell": 30_000,
    "default": 30_000,
}
"""Longest call of a tool, by category; for "ai" the longest wait for an answer's first byte."""
PRIORITIES: dict[str, int] = {"high": 10, "normal": 0, "low": -10}
"""Names for ToolSpec.priority."""
MAX_CONCURRENT = 5
"""Most tools that run at once, if nothing else is configured."""


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


class Breaker(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """When a provider or tool that keeps failing is left alone for a while."""

    failures: int = 5
    """So many failures, without a success in between, open the circuit."""
    window_ms: Millis = 60_000
    """Failures further apart than this do not add up."""
    reset_ms: Millis = 30_000
    """After so long one call may try again."""


class Limits(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a task may use. None means no limit; 0 forbids."""

    task_cost_micros: Micros | None = 500_000
    """Most that this task may spend. 0 forbids every paid call."""
    hour_cost_micros: Micros | None = 10_000_000
    """Most that all tasks of this state home may spend in any 60 minutes."""
    day_cost_micros: Micros | None = None
    """Most that all tasks of this state home may spend in any 24 hours."""
    step_cost_micros: Micros | None = None
    """Most that one model call may cost."""
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
    on_limit: OnLimit = "pause"
    """What a limit does: pause the task, fail it, or wait where the limit opens again by itself."""
    task_credits: int | None = 10_000
    step_credits: int | None = 1_000
    """Most credits for one model call or one turn of tools."""
    credits: dict[str, int] = {}
    """Price of a call in credits, by tool name or "provider/model"; what is not here costs none."""
    calls_per_minute: dict[str, int | None] = {}
    """By category, where it differs from CALLS_PER_MINUTE."""
    timeouts_ms: dict[str, Millis] = {}
    """By category, where it differs from TIMEOUTS_MS and from a tool's own."""
    breaker: Breaker = Breaker()
    given: tuple[str, ...] = ()
    """Names of SHARED limits that were given to this task itself: a resume keeps them."""

    @property
    def has_money_limit(self) -> bool:
        """Some limit of money is set, which an unpriced model could not keep."""
        return any(
            cap is not None
            for cap in (
                self.task_cost_micros,
                self.hour_cost_micros,
                self.day_cost_micros,
                self.step_cost_micros,
            )
        )

    def per_minute(self, category: str) -> int | None:
        """Most calls a minute of this category; None: no limit."""
        usual = CALLS_PER_MINUTE.get(category, CALLS_PER_MINUTE["default"])
        return self.calls_per_minute.get(category, usual)

    def timeout_ms(self, category: str, usual_ms: Millis | None = None) -> Millis:
        """Longest call of this category; `usual_ms` is the tool's own where none is set."""
        default_ms = TIMEOUTS_MS.get(category, TIMEOUTS_MS["default"])
        return self.timeouts_ms.get(category, default_ms if usual_ms is None else usual_ms)


SHARED = (
    "hour_cost_micros",
    "day_cost_micros",
    "credits",
    "calls_per_minute",
    "timeouts_ms",
    "breaker",
)
"""Limits that belong to the state home: a resume takes them from the configuration of that day,
but for those that were given to the task itself."""


class ContextPolicy(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """When the conversation sent to the model is shortened. The log always keeps everything."""

    max_tokens: int = 150_000
    """Above this estimate old tool outputs, then old turns, are left out of requests. Under "auto"
    the model's window and prices may set a lower bound."""
    keep_user: int = 1_000_000
    """The last so many user messages are always sent."""
    keep_assistant: int = 5
    """The last so many assistant messages, with their tool results, are always sent."""
    name: str = "auto"
    """One of POLICIES, or that of an installed one. "none" shortens nothing, unless the provider
    says that a request is too long."""
    summarise: bool = True
    """The model may be asked for a summary of what is about to be left out."""


class Rule(Struct, frozen=True):
    """One rule: what happens to calls of some tools with some arguments."""

    effect: Effect
    tool: str
    """A tool's name, or a glob of names."""
    pattern: str = ""
    """Of the arguments; empty: whatever they are."""
    source: str = "user"
    """Who wrote it: "user", "project", "flag", or "always" for an answer that was stored."""


class Sandbox(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a command is allowed. Folders are absolute; limits are None for none."""

    mode: SandboxMode = "auto"
    network: bool = False
    writable: tuple[str, ...] = ()
    """Further folders; also lifts the protection of what it names (`…/.git/hooks`)."""
    readable: tuple[str, ...] = ()
    """Further folders below HOME or /tmp that can be read."""
    hidden: tuple[str, ...] = ()
    """Never visible, whether they exist yet or not: agentctl's own state and settings."""
    memory_bytes: int | None = 4 << 30
    """Private memory of each process."""
    processes: int | None = 512
    """Processes at once."""
    file_bytes: int | None = 2 << 30
    """Size of a file that is written."""
    cpu_s: int | None = None
    """Processor seconds of each process."""
    variables: tuple[str, ...] = ()
    """Of the environment, besides the usual ones; a name may end in `*`."""
    hosts: tuple[str, ...] = ()
    """That http_get may reach although they are not public: `host` or `host:port`."""


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
    lookup: bool = False
    """It only reads, and may give an earlier result again: see `ports.ToolResult.proof`."""
    origin: str = ""
    """Where it is from: empty for a built-in tool, "own", "mcp:NAME", "composed"."""
    credits: int = 0
    """Price of a call, where the limits name none."""
    attempts: int = 1
    """Tries of one call where a failure may pass and repeating is safe."""
    parts: tuple[str, ...] = ()
    """Names of the tools that it may make act: what is forbidden for one is so through this."""
    delegates: bool = False
    """A task of its own works for each call, within what is carved out of the limits."""


class Rates(Struct, frozen=True):
    """Prices in micro-dollars per million tokens, and where they come from."""

    input: Micros = 0
    cache_read: Micros = 0
    cache_write: Micros = 0
    output: Micros = 0
    source: str = "local"


class Shape(Struct, frozen=True):
    """What of a model decides when requests are shortened."""

    window_tokens: int = 0
    """Its context; 0: nobody knows."""
    cliff_tokens: int = 0
    """Above so many tokens the whole request is dearer; 0: it never is."""
    read_permille: int = 100
    write_permille: int = 1_250
    """Price of reading from, and of writing to, the provider's cache, in thousandths of that of
    other input."""
    caches: bool = True
    cache_life_ms: Millis = 300_000
    """A cached prefix that is not used for so long is gone."""
    local: bool = False
    """Its tokens cost nothing."""
    summarises: bool = True
    """It is a model that can be asked for a summary, not a fixed set of answers."""


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
    expected_tokens: int = 0
    """The input without a margin; 0: not estimated apart."""


class SideCall(Struct, frozen=True):
    """A call beside the conversation that would help the next decision."""

    provider: str
    model: str
    quote: Quote
    paced: bool = True


class Pace(Struct, frozen=True):
    """Calls of one account and category in the last 60 seconds."""

    used: int = 0
    opens_ms: Millis = 0
    """When the oldest of them leaves the window; 0 if there is none."""


class Circuit(Struct, frozen=True):
    """What is known of a provider or tool that failed lately; the default is a healthy one."""

    failures: int = 0
    """In a row, the first at `since_ms`."""
    since_ms: Millis = 0
    opens_ms: Millis = 0
    """From this moment one call may try; 0: the circuit is closed."""
    probe_until_ms: Millis = 0
    """Until then a call is trying, and no other may; 0: none is."""


class Shared(Struct, frozen=True):
    """What all tasks of a state home share, as it stood at some moment."""

    hour_spent_micros: Micros = 0
    """Settled and reserved in the last 60 minutes by all tasks."""
    hour_opens_ms: Millis = 0
    """When the oldest spend of that hour leaves the window; 0 if there is none."""
    day_spent_micros: Micros = 0
    """Settled and reserved in the last 24 hours by all tasks."""
    day_opens_ms: Millis = 0
    paces: dict[str, Pace] = {}
    """By category; one that is missing has had no call."""
    credits_left: int = 0
    """The account's balance."""
    circuits: dict[str, Circuit] = {}
    """By name, e.g. "provider:openai" or "tool:http_get"; one that is missing is healthy."""
    under_way_micros: Micros = 0
    """Part of what is spent: reserves of calls that were sent lately and may turn out cheaper."""
    batch_spent_micros: Micros = 0
    """Settled and reserved by all tasks of the task's batch."""
    batch_under_way_micros: Micros = 0
    """Part of that, as above."""
    batch_cap_micros: Micros | None = None
    """Most that they may spend; None: no limit, or the task is of no batch."""


class View(Struct, frozen=True):
    """Facts that the state cannot know, read just before deciding."""

    now_ms: Millis
    quote: Quote
    shared: Shared = Shared()
    paced: bool = True
    """Calls of the model count as category "ai": it is not on this machine."""
    specs: dict[str, ToolSpec] = {}
    bytes_per_ktoken: int = 3400
    interactive: bool = False
    """Somebody can be asked."""
    shape: Shape = Shape()
    """Of the model to be asked."""
    relevance: Mapping[int, float] = {}
    """By index of the message, how near it is in meaning to what is being done now; empty where no
    embedder is configured or its answer is not there."""
    embedding: SideCall | None = None
    """What would have to be embedded first for `relevance`; None: nothing, or nobody does it."""
    custom: Callable[..., object] | None = None
    """The installed context policy that the task's policy names: `context_custom.Plan`."""
    rules: tuple[Rule, ...] = ()
    """What the user, the project and stored answers allow, ask about or deny."""
    misfit: Callable[[str], str] | None = None
    """Says why a JSON text does not fit the task's schema; None: the task has none."""
