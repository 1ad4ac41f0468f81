"""An MCP server as a process of ours: it ends with the task, and what it says is bounded.

The SDK's own stdio transport reads lines of any length and leaves the server's children behind. So
the server runs under our supervisor (see process.py), and its lines are read here.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import (
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)

from agentctl.core.values import Sandbox
from agentctl.errors import ToolError, UsageError
from agentctl.ports import Emit
from agentctl.tools.mcp_config import Server
from agentctl.tools.process import Command
from agentctl.tools.sandbox import probe, supervised, wrap

MAX_MESSAGE_BYTES = 12_000_000
MAX_NONSENSE = 100
"""Lines that are no messages, after which a server is given up."""
MAX_MESSAGES = 10_000
"""Messages of a server without any new request of ours, after which it is given up."""
GRACE_S = 0.5
"""How long a server may take to end by itself, once nobody talks to it."""
LAST_WORDS_S = 0.5
_ABOVE_STANDARD = 10
_ID = re.compile(rb'"id"\s*:\s*(\d{1,9})\b')

Received = MemoryObjectReceiveStream[SessionMessage | Exception]
Sent = MemoryObjectSendStream[SessionMessage]


class Pipe:
    """A transport for the SDK's session: start the server on entry, end all of it on exit."""

    def __init__(
        self, server: Server, folder: str, env: Mapping[str, str], policy: Sandbox, emit: Emit
    ) -> None:
        """`env` is the whole environment; `emit` takes what the server prints as errors."""
        self._server = server
        self._folder = folder
        self._env = env
        self._policy = policy
        self._emit = emit
        self._command: Command | None = None
        self._tasks: list[asyncio.Task[Any]] = []
        self._closing: list[Callable[[], object]] = []
        self._heard = 0
        """Messages since our last request."""
        self.why = ""
        """Why it ended, when it did so by itself."""

    async def __aenter__(self) -> tuple[Received, Sent]:
        """Start it. Raises ToolError."""
        theirs_in, ours_out = _pipe()
        ours_in, theirs_out = _pipe()
        try:
            self._command = self._start((theirs_in, theirs_out))
        except BaseException:
            os.close(ours_in)
            os.close(ours_out)
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=MAX_MESSAGE_BYTES, loop=loop)
        hearing, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader, loop=loop), os.fdopen(ours_in, "rb", 0)
        )
        telling, flow = await loop.connect_write_pipe(
            lambda: asyncio.streams.FlowControlMixin(loop=loop), os.fdopen(ours_out, "wb", 0)
        )
        self._closing = [lambda: _shut(telling), hearing.close]
        writer = asyncio.StreamWriter(telling, flow, None, loop)
        into, received = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        sent, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
        self._closing += [into.close, received.close, sent.close, outgoing.close]
        hear = asyncio.create_task(self._hear(reader, into))
        self._tasks = [
            hear,
            asyncio.create_task(self._tell(outgoing, writer)),
            asyncio.create_task(self._watch(self._command, hear, into)),
        ]
        return received, sent

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close its input, give it a moment, then kill what is left of it."""
        try:
            if self._command is not None and len(self._tasks) == 3 and not self.why:
                self._closing[0]()  # its input ends
                await asyncio.wait({self._tasks[2]}, timeout=GRACE_S)
        finally:
            await self.end()

    async def end(self) -> None:
        """Kill what is left of it. Safe to call twice."""
        for task in self._tasks:
            task.cancel()
        for close in self._closing:
            close()
        if self._command is not None:
            await self._command.end()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def _start(self, stdio: tuple[int, int]) -> Command:
        folder = str(Path(self._folder, Path(self._server.cwd).expanduser()))
        if not Path(folder).is_dir():
            raise ToolError(f"Its folder {folder} does not exist.")
        env = {**self._env, "PWD": folder}
        found = shutil.which(self._server.command, path=env.get("PATH", os.defpath))
        if found is None:
            raise ToolError(
                f"There is no program {self._server.command!r}.",
                next_step="Install it, or write its whole path into the file.",
            )
        argv = (str(Path(folder, found)), *self._server.args)
        try:
            confined = probe(self._policy, self._folder)
            shell = wrap(argv, self._policy, self._folder, confined)
        except UsageError as error:
            raise ToolError(error.what, next_step=error.next_step) from error
        return Command(
            supervised(shell),
            folder,
            self._emit,
            env={**env, **shell.env},
            reports=shell.reports,
            stdio=stdio,
        )

    async def _watch(
        self,
        command: Command,
        hear: asyncio.Task[None],
        into: MemoryObjectSendStream[SessionMessage | Exception],
    ) -> None:
        """When the server has ended, nobody waits for its children to say something."""
        code = await command.wait()
        if code is None:
            self._ended(f"its supervisor broke: {command.problem}")
        number = code or 0
        how = f"with exit code {number}" if number >= 0 else f"by signal {-number}"
        self._ended(f"it ended {how}")
        await asyncio.wait({hear}, timeout=LAST_WORDS_S)
        hear.cancel()
        into.close()

    async def _hear(
        self,
        reader: asyncio.StreamReader,
        into: MemoryObjectSendStream[SessionMessage | Exception],
    ) -> None:
        """Pass on what the server says, until it ends or says what no server should."""
        nonsense = 0
        with into:
            while line := await self._line(reader):
                message = _message(line)
                if message is None:
                    nonsense += bool(line.strip())
                    if nonsense == 1:
                        self._emit("it prints what is no message on its standard output\n")
                    if nonsense > MAX_NONSENSE:
                        self._ended("it floods its output with what are no messages")
                        return
                    continue
                self._heard += 1
                if self._heard > MAX_MESSAGES:
                    self._ended("it floods its output with messages")
                    return
                try:
                    await into.send(SessionMessage(message))
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    break
        while await reader.read(65_536):  # it must be able to end: nobody listens any more
            pass

    async def _tell(
        self, outgoing: MemoryObjectReceiveStream[SessionMessage], writer: asyncio.StreamWriter
    ) -> None:
        """Write what the session says, a line each."""
        try:
            async for each in outgoing:
                if isinstance(each.message, JSONRPCRequest):
                    self._heard = 0
                text = each.message.model_dump_json(by_alias=True, exclude_unset=True)
                writer.write(text.encode("utf-8", "replace") + b"\n")
                await writer.drain()
        except OSError:  # it has gone, which is told where it is read
            return
        finally:
            writer.close()

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        """The next line; empty at the end, and after one that is too long."""
        try:
            return await reader.readline()
        except ValueError:
            self._ended(f"it sent more than {MAX_MESSAGE_BYTES:,} bytes in one message")
            return b""

    def _ended(self, why: str) -> None:
        """Remember the first reason."""
        self.why = self.why or why


def _message(line: bytes) -> JSONRPCMessage | None:
    """Read a line; None for what is no message.

    An answer that the SDK refuses, e.g. one that is nested too deep, is passed on all the same, or
    else who waits for it is told: nobody shall wait for an answer that has come.
    """
    try:
        return jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        found = _ID.search(line[:100]) or _ID.search(line[-100:])
    if found is None or b'"method"' in line[:100]:
        return None
    number = int(found[1])
    try:
        raw = msgspec.json.decode(line)
        if isinstance(raw["result"], dict):
            return JSONRPCResponse(jsonrpc="2.0", id=number, result=raw["result"])
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    told = ErrorData(code=PARSE_ERROR, message="its answer cannot be read")
    return JSONRPCError(jsonrpc="2.0", id=number, error=told)


def _shut(pipe: asyncio.WriteTransport) -> None:
    """Close it; what the other side has not taken by then is lost. May be called twice."""
    pipe.close()
    if pipe.get_write_buffer_size():
        pipe.abort()


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are not among the first descriptors, which have a meaning in a child."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE_STANDARD) for fd in ends)
    for fd in ends:
        os.close(fd)
    return moved[0], moved[1]
