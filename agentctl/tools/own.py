"""A user's own tools: a typed function with a docstring becomes a tool by the decorator `tool`.

docs/own-tools.md describes them for users. pydantic is loaded when the first function becomes one.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Literal, ParamSpec, TypeVar, get_args, overload

from msgspec import Struct
from msgspec.structs import replace

from agentctl.core.values import TIMEOUTS_MS, Millis, Repeat, Sandbox, ToolSpec
from agentctl.errors import ToolError, UsageError
from agentctl.ports import Resources, ToolContext, ToolResult
from agentctl.tools import docstrings, proofs
from agentctl.tools.own_sandbox import Confined
from agentctl.tools.prints import aside, heard
from agentctl.tools.signature import KEY, Signature
from agentctl.tools.threads import Later, from_thread, in_thread, ordinary

P = ParamSpec("P")
R = TypeVar("R")

Priority = Literal["high", "normal", "low"]
PRIORITIES: dict[Priority, int] = {"high": 1, "normal": 0, "low": -1}
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CATEGORY = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Options(Struct, frozen=True, kw_only=True):
    """What a user may say of a tool; `tool` describes each."""

    name: str | None = None
    category: str = "default"
    repeat: Repeat = "unsafe"
    timeout_ms: Millis | None = None
    cost: int = 0
    cacheable: bool | Callable[..., Any] = False
    priority: Priority = "normal"
    attempts: int = 1
    changes: bool | None = None
    sandbox: bool = False
    start: Callable[..., Any] | None = None
    stop: Callable[[], Any] | None = None
    health: Callable[[], Any] | None = None


class OwnTool(Generic[P, R]):
    """A tool made of a function; called itself, it is that function."""

    def __init__(self, function: Callable[P, R], options: Options) -> None:
        """Read its signature and docstring. Raises UsageError, which names file and function."""
        self.function = function
        self._options = options
        code = getattr(function, "__code__", None)
        if code is None:
            raise UsageError(
                f"{function!r} cannot be a tool: it is not a function.",
                next_step="Write a function that calls it.",
            )
        where = f"{code.co_filename}:{code.co_firstlineno}: {function.__qualname__}"
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise UsageError(f"{where}: a tool cannot yield.", next_step="Return the whole result.")
        self._is_async = inspect.iscoroutinefunction(function)
        _check(options, where)
        self._signature = Signature(function, where)
        self.spec = _spec(function, options, self._signature.schema, where)
        self._code = _digest(Path(code.co_filename), code.co_code) if options.cacheable else ""
        self._is_ready = options.start is None
        self._confined = Confined(code.co_filename, self.spec.name) if options.sandbox else None
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain function, e.g. in a test of it."""
        return self.function(*args, **kwargs)

    def check(self, arguments: str) -> str:
        """Return why this JSON text does not fit, or an empty string."""
        try:
            self.read(arguments)
        except ToolError as error:
            return error.what
        return ""

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        """Call the function. Raises ToolError and whatever else it raises."""
        given = self.read(arguments)
        proof = await self._proof(given)
        if context.earlier is not None and proofs.holds(proof, context):
            return ToolResult(context.earlier.text, proof=proof, again=True)
        if self._confined is not None:
            return replace(await self._confined.run(arguments, context), proof=proof)
        return ToolResult(told(await self.act(given, context)), proof=proof)

    def read(self, arguments: str) -> dict[str, Any]:
        """Return the arguments by parameter. Raises ToolError that names the field."""
        return self._signature.read(arguments)

    async def act(self, given: dict[str, Any], context: ToolContext) -> object:
        """Call the function with arguments that were read; a sync one in a thread."""
        if self._signature.key:
            given = {**given, KEY: context.key}
        if self._is_async:
            with heard(context.emit, context.emit):
                inner = replace(context, emit=aside(context.emit))
                return await self._call(self.function, **self._with(given, inner))
        loop = asyncio.get_running_loop()
        emit = Later(loop, aside(context.emit))
        inner = replace(
            context,
            emit=emit,
            read_stored=from_thread(loop, context.read_stored),
            call=None,  # it would have to be awaited
        )
        try:
            with heard(emit, context.emit):
                return await self._call(self.function, **self._with(given, inner))
        except asyncio.CancelledError:
            context.emit(
                f"[{self.spec.name} cannot be stopped, as it is no async function: its thread runs"
                " on until it ends by itself or agentctl does]\n"
            )
            raise
        finally:
            emit.is_over = True

    async def start(self, resources: Resources) -> None:
        """Call the user's own `start`, with the shared resources if it takes them."""
        start = self._options.start
        if start is not None:
            await self._call(start, *([resources] if inspect.signature(start).parameters else []))
            self._is_ready = True

    async def health(self) -> str:
        """Return what the user's own `health` finds wrong, or an empty string."""
        if self._options.health is None:
            return ""
        return str(await self._call(self._options.health) or "")

    async def close(self) -> None:
        """Call the user's own `stop`, unless `start` has not done its part."""
        if self._options.stop is not None and self._is_ready:
            self._is_ready = self._options.start is None
            await self._call(self._options.stop)

    def confine(self, policy: Sandbox) -> None:
        """Say what a function that asked for a sandbox may do; any other is not concerned."""
        if self._confined is not None:
            self._confined.policy = policy

    def _with(self, given: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        name = self._signature.context
        return {**given, name: context} if name else given

    async def _call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Await an async function, call any other in a thread."""
        if not inspect.iscoroutinefunction(function):
            call = functools.partial(function, *args, **kwargs)
            return await in_thread(call, f"tool {self.spec.name}")
        try:
            return await function(*args, **kwargs)
        except (SystemExit, KeyboardInterrupt) as error:  # they would end the whole run
            raise ordinary(error) from error

    async def _proof(self, given: dict[str, Any]) -> str:
        """What the result will be got from; empty if it must not be given again."""
        cacheable = self._options.cacheable
        if not cacheable:
            return ""
        text = "" if cacheable is True else await self._call(cacheable, **given)
        if cacheable is not True and not text:
            return ""
        return _hash(f"{self._code} {text}".encode(errors="surrogatepass"))


@overload
def tool(function: Callable[P, R], /) -> OwnTool[P, R]: ...


@overload
def tool(
    *,
    name: str | None = None,
    category: str = "default",
    repeat: Repeat = "unsafe",
    timeout_ms: Millis | None = None,
    cost: int = 0,
    cacheable: bool | Callable[..., Any] = False,
    priority: Priority = "normal",
    attempts: int = 1,
    changes: bool | None = None,
    sandbox: bool = False,
    start: Callable[..., Any] | None = None,
    stop: Callable[[], Any] | None = None,
    health: Callable[[], Any] | None = None,
) -> Callable[[Callable[P, R]], OwnTool[P, R]]: ...


def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool of a function: `@tool`, or `@tool(repeat="safe", timeout_ms=5000)`.

    `name`: for the model; else the function's. `category`: whose time-out and calls a minute it
    shares. `repeat`: "safe" (it only looks), "idempotent" (twice is as once) or "unsafe": what may
    be done with a call that was cut off. `timeout_ms`: in place of the category's. `cost`: credits
    of a call. `cacheable`: a look-up whose result may be given again, always or as long as this
    function of the same arguments returns the same text. `priority`: what starts first in a turn.
    `attempts`: tries where it fails and repeating does no harm. `changes`: whether a call needs
    approval; else it does unless `repeat` is "safe". `sandbox`: each call runs in a confined
    process. `start`, `stop`: called once a run, `start` with the shared resources if it takes
    them; `health`: returns what is wrong, or nothing.
    """
    if function is not None:
        return OwnTool(function, Options(**options))
    return lambda made: OwnTool(made, Options(**options))


def told(value: object) -> str:
    """A function's result as the model is told it: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return str.__str__(value)
    if value is None:
        return "done"
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode(errors="replace")
    from pydantic_core import to_json  # loaded since the function became a tool

    return to_json(value).decode()


def _spec(function: Callable[..., Any], options: Options, schema: str, where: str) -> ToolSpec:
    name = function.__name__ if options.name is None else options.name
    if not _TOOL_NAME.fullmatch(name):
        raise UsageError(
            f"{where}: a tool cannot be named {name!r}.",
            next_step="Write 1 to 64 ASCII letters, digits, - or _, e.g. @tool(name='look_up').",
        )
    description = docstrings.summary(inspect.getdoc(function) or "")
    if not description:
        raise UsageError(
            f"{where}: it has no docstring.",
            next_step="Write one: its first paragraph is what the model is told of the tool.",
        )
    usual_ms = TIMEOUTS_MS.get(options.category, TIMEOUTS_MS["default"])
    return ToolSpec(
        name=name,
        description=description,
        parameters=schema,
        category=options.category,
        repeat=options.repeat,
        changes=_changes(options),
        timeout_ms=usual_ms if options.timeout_ms is None else options.timeout_ms,
        priority=PRIORITIES[options.priority],
        lookup=bool(options.cacheable),
        origin="own",
        credits=options.cost,
        attempts=options.attempts,
    )


def _changes(options: Options) -> bool:
    return options.repeat != "safe" if options.changes is None else options.changes


def _check(options: Options, where: str) -> None:
    """Raise UsageError for what cannot be meant."""
    wrong = {
        "repeat: write 'safe', 'idempotent' or 'unsafe'": options.repeat not in get_args(Repeat),
        "priority: write 'high', 'normal' or 'low'": options.priority not in PRIORITIES,
        "category: write a name, e.g. 'http'": not _CATEGORY.fullmatch(options.category),
        "timeout_ms: write a number above 0": options.timeout_ms is not None
        and options.timeout_ms <= 0,
        "cost: write a number of credits, 0 or more": options.cost < 0,
        "attempts: write 1 or more": options.attempts < 1,
        "attempts: only a call that is safe or idempotent can be tried again": options.attempts > 1
        and options.repeat == "unsafe",
        "cacheable: a look-up changes nothing, so write repeat='safe' too": bool(options.cacheable)
        and (options.repeat != "safe" or _changes(options)),
        "sandbox: a confined process has no start, stop or health": options.sandbox
        and any((options.start, options.stop, options.health)),
    }
    for what, is_wrong in wrong.items():
        if is_wrong:
            raise UsageError(f"{where}: {what}.", next_step="See docs/own-tools.md.")


def _digest(path: Path, code: bytes) -> str:
    """Hash of the function's file, so that a changed function looks again."""
    try:
        return _hash(path.read_bytes())
    except OSError:  # it was typed, not read from a file
        return _hash(code)


def _hash(data: bytes) -> str:
    import hashlib  # slow to load, and few tools are look-ups

    return hashlib.sha256(data).hexdigest()[:32]
