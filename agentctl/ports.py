"""Every contract with the outside world, on one page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from agentctl.core.carve import Errand, Work
from agentctl.core.events import Event, ModelAnswered, Recorded
from agentctl.core.files import FileChange
from agentctl.core.live import Signal
from agentctl.core.lookups import Lookup
from agentctl.core.rows import Appended, Gate, StoredOutput
from agentctl.core.values import (
    Message,
    Micros,
    Millis,
    Rates,
    Shared,
    Stop,
    ToolCall,
    ToolSpec,
    Usage,
)

Emit = Callable[[str], None]
"""Takes streamed text as it comes."""


class Request(Struct, frozen=True):
    """One model call. `messages` is shared and never changed by a provider."""

    system: str
    messages: Sequence[Message]
    tools: tuple[ToolSpec, ...]
    max_output: int
    """Most tokens of the answer: what the budget still allows."""
    input_tokens: int
    """Our estimate of the input, e.g. for a local model's window."""
    silence_ms: Millis = 60_000
    """Give up when the connection says nothing for so long, once the answer has begun."""
    first_byte_ms: Millis = 45_000
    """Give up when the answer has not begun after so long."""
    key: str = ""
    """Hash of the request, as ModelAsked has it."""
    steady: tuple[int, ...] = (1,)
    """After so many of the first messages a cache breakpoint is well placed: where what the last
    prune left as it was ends, and where the next one will begin."""


class Answer(Struct, frozen=True):
    """What a provider returns when its stream has ended properly."""

    message: Message
    usage: Usage
    stop: Stop
    response_id: str = ""
    model: str = ""


class Provider(Protocol):
    """Thinks: messages in, streamed text out, then one answer."""

    name: str
    model: str
    max_output: int
    """Most tokens the model can answer with."""
    rates: Rates | None
    """Its own prices (all zero for a local model); None: look the model up in the price tables."""
    paced: bool
    """Somebody else runs it: its calls count as category "ai", and it has a circuit."""

    async def ask(self, request: Request, emit: Emit) -> Answer:
        """Make exactly one call, never retry. Raises ProviderError only."""
        ...

    async def close(self) -> None:
        """Free connections. Safe to call twice."""
        ...


class Embedded(Struct, frozen=True):
    """What an embedder returns: a vector for each text, in their order."""

    vectors: Sequence[Sequence[float]]
    usage: Usage
    model: str = ""


class Embedder(Protocol):
    """Turns texts into vectors that are near each other where the texts mean alike."""

    name: str
    model: str
    rates: Rates | None
    """As those of a Provider."""
    paced: bool

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Make exactly one call for at most 100 texts, never retry. Raises ProviderError only."""
        ...

    async def close(self) -> None:
        """Free connections. Safe to call twice."""
        ...


CallInner = Callable[[str, str], Awaitable["ToolResult"]]
"""Takes a tool's name and its arguments as JSON text; raises ToolError for what is refused."""


class Pool(Protocol):
    """Things of one kind that calls share, e.g. connections: made when needed, kept for a while."""

    def acquire(self) -> AbstractAsyncContextManager[Any]:
        """Hold one within the block. Raises ToolError if none is free in time."""
        ...


class Resources(Protocol):
    """What the tools of a run share, by name; closed when the run ends, the last one first."""

    def pool(
        self,
        name: str,
        make: Callable[[], Awaitable[Any]],
        close: Callable[[Any], Awaitable[None]],
        *,
        size: int = 5,
        idle_ms: Millis = 60_000,
        acquire_ms: Millis = 10_000,
    ) -> Pool:
        """Return the pool of this name; the first who asks says how it is made and how large."""
        ...


class ToolContext(Struct, frozen=True):
    """What a tool may know of the run it works in."""

    cwd: str
    """The workspace: absolute, links resolved."""
    call_id: str
    emit: Emit
    """Live output for whoever watches; what counts is the returned text."""
    read_stored: Callable[[str], str | None]
    """The whole text of a stored output by its id, or None."""
    earlier: Lookup | None = None
    """The result of the same call before, which may be given again if its proof still holds."""
    key: str = ""
    """The same for every attempt of this call, also after a resume, and of no other call: what a
    service takes to know a request that it has already carried out."""
    call: CallInner | None = None
    """Makes another tool act on behalf of this call, in the log below it; None: nothing does."""
    resources: Resources | None = None
    """What the tools of this run share."""
    progress: Emit = lambda _line: None
    """Takes how far the call is, a line at a time; some of them come into the log."""
    may_go_on: Callable[[str], str] = lambda _arguments: ""
    """Says why the user's rules do not allow to go on with these arguments (JSON) in place of those
    that the call was allowed with, e.g. after a redirect; empty: they do."""
    delegate: Callable[[Errand, ToolContext], Awaitable[ToolResult]] | None = None
    """Has another task work for this call, see `run.world.Children`; None: nobody does."""


class ToolResult(Struct, frozen=True):
    """What a tool call gave. Text of any size: the tool belt cuts and stores it."""

    text: str
    ok: bool = True
    proof: str = ""
    """What it was got from, so told that any change of it changes this; empty: give it once."""
    again: bool = False
    """It is `ToolContext.earlier`, and still holds."""
    changes: tuple[FileChange, ...] = ()
    """What it changed in files, for `agentctl diff`."""
    work: Work | None = None
    """Of the task that worked for this call."""


class Tool(Protocol):
    """Acts: arguments in, text out. Raises ToolError for what the model should hear."""

    spec: ToolSpec

    def check(self, arguments: str) -> str:
        """Return why this JSON text does not fit the tool, or an empty string."""
        ...

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        """Run with checked arguments. Cancelling it stops everything it started."""
        ...

    async def close(self) -> None:
        """End whatever outlived its call. Called once when the run ends, whatever happened."""
        ...


@runtime_checkable
class LivingTool(Tool, Protocol):
    """A tool that must be made ready before its first call of a run. `close` is its stop."""

    async def start(self, resources: Resources) -> None:
        """Make ready. Raises ToolError: then the run goes on without the tool, and says so."""
        ...

    async def health(self) -> str:
        """Return what is wrong with it, or an empty string. Must answer within a second or two."""
        ...


class ToolSource(Protocol):
    """Tools that come together from elsewhere, e.g. those of a server."""

    name: str

    async def open(self, changed: Callable[[], None], emit: Emit) -> Sequence[Tool]:
        """Start it and return its tools; `changed` may be called when they are others later.

        `emit` takes what it says of itself, a line at a time. Raises ToolError.
        """
        ...

    async def tools(self) -> Sequence[Tool]:
        """Return its tools as they are now. Raises ToolError."""
        ...

    async def health(self) -> str:
        """Return what is wrong with it, or an empty string."""
        ...

    async def close(self) -> None:
        """End it and all that it started. Safe to call twice."""
        ...


@runtime_checkable
class BatchTool(Tool, Protocol):
    """A tool that only looks, and does so for several calls at once more cheaply than for each."""

    at_once: int
    """So many of them it has under way at the same time: as many must be allowed to run at once."""

    def run_many(
        self, calls: Sequence[tuple[str, ToolContext]], timeout_ms: Millis
    ) -> AsyncGenerator[tuple[int, ToolResult | Exception], None]:
        """Run different calls; give each result, with its place among the calls, as it comes.

        What a call raises is given, not raised. Each may take `timeout_ms` from when it begins; one
        that takes longer is stopped and gives TimeoutError. Cancelling stops all.
        """
        ...


class Pricer(Protocol):
    """Prices one model's tokens."""

    def cost(self, usage: Usage) -> Micros | None:
        """Micro-dollars of this usage, rounded up; None when no price is known."""
        ...

    def note(self, usage: Usage) -> str:
        """Unit prices that apply to this usage and their source, as stable JSON text."""
        ...

    def rates(self, usage: Usage) -> Rates | None:
        """Unit prices that apply to a request of this size; None when no price is known."""
        ...


class Counter(Protocol):
    """Counts tokens before the provider has reported any."""

    bytes_per_ktoken: int
    """UTF-8 bytes that make a thousand tokens of this model, e.g. 3800."""

    def count(self, text: str) -> int:
        """Estimated tokens of a text."""
        ...


class Listener(Protocol):
    """Hears every committed event; an exception in it never stops a run."""

    live: bool
    """It also wants signals: streamed text and tool output as they come."""

    def hear(self, task_id: str, item: Recorded | Signal) -> None:
        """Take note."""
        ...

    def close(self) -> None:
        """The run has ended; write what is due."""
        ...


class Clock(Protocol):
    """Time that never goes back within a process."""

    def now_ms(self) -> Millis:
        """Milliseconds since the epoch, UTC."""
        ...

    async def sleep_until(self, moment_ms: Millis) -> None:
        """Return when the moment has come."""
        ...


NO_GATE = Gate()
"""Lets everything pass."""

Ask = Callable[[ToolCall, ToolSpec, bool, str], Awaitable[str]]
"""Asks the user about one call. Answers "once", "task" (this tool, in this task), "always" (store
the rule that the last argument is, if it is not empty) or "no"; when the third argument says that
the call may have run already: "once" (run it again), "skip" or "tell" (the model)."""


class Store(Protocol):
    """Remembers. Facts are always accepted; intents only if nothing else happened meanwhile."""

    def create(self, task_id: str, event: Event, at_ms: Millis, more: Sequence[Event] = ()) -> bool:
        """Write the first event of a new task, and more; False when the id is taken."""
        ...

    def take_over(self, task_id: str, log: Sequence[Recorded]) -> bool:
        """Write a task whose history is not its own, all or nothing; False when the id is taken."""
        ...

    def append(
        self,
        task_id: str,
        expected: int,
        facts: Sequence[Event],
        at_ms: Millis,
        *,
        intents: Sequence[Event] = (),
        gate: Gate = NO_GATE,
        outputs: Sequence[StoredOutput] = (),
        clock_ms: Millis | None = None,
    ) -> Appended:
        """Write facts, then intents, in one durable transaction.

        `expected` is the number of events the caller has seen. If others have written since, or an
        intent does not pass the gate, all intents are left out. `clock_ms` is the machine's time,
        which others spend by, where the task's own is ahead of it.
        """
        ...

    def read(self, task_id: str, after: int = 0) -> list[Recorded]:
        """Events numbered `after` and later."""
        ...

    def version(self) -> object:
        """Another value once anything was written, by this process or another. Cheap."""
        ...

    def shared(
        self,
        account: str,
        categories: Iterable[str],
        now_ms: Millis,
        clock_ms: Millis | None = None,
        task_id: str = "",
    ) -> Shared:
        """What all tasks share, with the pace of these categories; `clock_ms` as in `append`.

        With `task_id` also what the tasks of its batch share, if it is of one.
        """
        ...

    def output(self, ref: str) -> str | None:
        """A stored output."""
        ...

    def answered(self, request: str) -> ModelAnswered | None:
        """An earlier answer to the same request, if one is kept under this hash."""
        ...

    def looked_up(self, key: str) -> Lookup | None:
        """The last result of a look-up under this hash, if it is still kept."""
        ...


class Locks(Protocol):
    """Named locks shared by all processes of a state home; those of a dead process are free."""

    def lock(self, *names: str, timeout_ms: Millis) -> AbstractAsyncContextManager[None]:
        """Hold all of them within the block. Raises LockBusy, which names the holder."""
        ...

    def held(self, *names: str, timeout_ms: Millis) -> AbstractContextManager[None]:
        """The same for code that cannot await."""
        ...
