"""One connection to an MCP server, by the official SDK. Imported only when a server is configured.

The session lives in a task of its own, as its cancel scopes must be left where they were entered.
The SDK checks every part of an answer at a high price; so a dispatcher of ours stands below it,
which takes out what we read ourselves and leaves out single tools that are broken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import mcp_types as types
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost, listen
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import MCPError
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from agentctl.errors import ToolError
from agentctl.ports import Emit
from agentctl.tools.mcp_config import Server
from agentctl.tools.mcp_pipe import MAX_MESSAGE_BYTES
from agentctl.tools.mcp_schema import line

OPEN_S = 15.0
DISCOVER_S = 5.0
"""How long a server may take to say that it does not know the newer handshake."""
END_S = 3.0
LAST_WORDS_S = 1.5
MAX_STREAM_BYTES = 200_000_000
"""Of one event stream of a server, which may stay open for a whole run."""
RAW = "agentctl"
_MAIN = {
    "tools/call": "content",
    "resources/read": "contents",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
    "prompts/get": "messages",
}
_SESSION_GONE, _CLOSED = "Session terminated", "Connection closed"
"""Words of the SDK for what has no code of its own."""

T = TypeVar("T")
Streams = tuple[Any, Any]

for _name in ("mcp", "client"):  # what the SDK logs holds words of servers; we tell by ourselves
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False


class Lost(ConnectionError):
    """The server was lost in the middle of a request: nobody knows what became of it."""


class _Plain(JSONRPCDispatcher[Any]):
    """Gives the SDK little to check, and keeps the whole answer beside it."""

    def __init__(self, read: Any, write: Any, ended: Callable[[], None]) -> None:
        super().__init__(read, write)
        self._ended = ended
        self.tools: list[Any] = []
        """Entries of the last list of tools, as they came."""

    async def run(self, *arguments: Any, **named: Any) -> None:
        try:
            await super().run(*arguments, **named)
        finally:
            self._ended()

    async def send_raw_request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        opts: CallOptions | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        if method == "server/discover":
            opts = {**(opts or {}), "timeout": DISCOVER_S}
        raw = await super().send_raw_request(method, params, opts, **more)
        if method == "tools/list":
            entries = raw.get("tools")
            self.tools = entries if isinstance(entries, list) else []
            return {**raw, "tools": [_bare(each) for each in self.tools if _is_sound(each)]}
        main = _MAIN.get(method)
        if main is None or raw.get("resultType", "complete") != "complete":
            return raw
        plain = {key: value for key, value in raw.items() if key != "structuredContent"}
        return {**plain, main: [], "_meta": {RAW: raw}}


class Link:
    """A session with one server, from `open` until it is lost or closed."""

    def __init__(
        self,
        server: Server,
        transport: AbstractAsyncContextManager[Streams],
        emit: Emit,
        changed: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        """`changed` is told when its tools are others, `lost` when it has gone by itself."""
        self._server = server
        self._transport = transport
        self._emit = emit
        self._changed = changed
        self._lost = lost
        self._stop = asyncio.Event()
        self._ready: asyncio.Future[ClientSession] | None = None
        self._task: asyncio.Task[None] | None = None
        self._plain: _Plain | None = None
        self.gone = False
        self.why = ""

    async def open(self) -> None:
        """Connect and agree on a version. Raises ToolError."""
        self._ready = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep())
        try:
            async with asyncio.timeout(OPEN_S):
                both: set[asyncio.Future[Any]] = {self._ready, self._task}
                await asyncio.wait(both, return_when="FIRST_COMPLETED")
        except TimeoutError as error:
            self.why = f"it did not answer within {OPEN_S:g} s"
            await self.close()
            raise ToolError(self.why) from error
        except BaseException:
            await self.close()
            raise
        if not self._ready.done() or self.gone:
            await self.close()
            raise ToolError(self.why or "it ended at once")

    async def tools(self, most: int) -> list[Any]:
        """Its tools as they come, at most `most` and one more. Raises ToolError and Lost."""
        found: list[Any] = []
        cursor: str | None = None
        while True:
            params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
            page = await self.request(lambda it, p=params: it.list_tools(params=p))  # type: ignore[misc]  # a default keeps the value of this round
            found += self._plain.tools if self._plain is not None else []
            if not page.next_cursor or page.next_cursor == cursor or len(found) > most:
                return found
            cursor = page.next_cursor

    def has(self, what: str) -> bool:
        """Whether it says that it has "tools", "resources" or "prompts"."""
        session = self._session()
        return getattr(session.server_capabilities, what, None) is not None

    async def raw(self, ask: Callable[[ClientSession], Awaitable[Any]]) -> dict[str, Any]:
        """Ask for one of the answers that are kept whole. Raises ToolError and Lost."""
        result = await self.request(ask)
        return (result.meta or {}).get(RAW) or {}

    async def request(self, ask: Callable[[ClientSession], Awaitable[T]]) -> T:
        """Ask something. Raises ToolError for an error, Lost when the server went meanwhile."""
        try:
            return await ask(self._session())
        except MCPError as error:
            message = line(str(error.error.message))
            if message == _SESSION_GONE:
                self._end("it has forgotten the session")
            if (self.gone or message == _CLOSED) and self._task is not None:
                # It knows why only when it has ended.
                await asyncio.wait({self._task}, timeout=LAST_WORDS_S)
            if self.gone or error.error.code == types.CONNECTION_CLOSED:
                why = self.why or message
                raise Lost(f"the MCP server {self._server.name} was lost: {why}") from error
            raise ToolError(f"{self._server.name}: {message}") from error
        except ValidationError as error:
            raise ToolError(
                f"{self._server.name} answered against the protocol: {_first(error)}."
            ) from error
        except RuntimeError as error:  # the SDK's word for a server that asks back
            raise ToolError(
                f"{self._server.name} asked for more in the middle of the call: that is refused."
            ) from error

    async def close(self) -> None:
        """Leave the session and end the transport, whatever state they are in."""
        self._stop.set()
        if self._task is None:
            return
        if self._ready is None or not self._ready.done():
            self._task.cancel()  # it waits for an answer, and not for us
        await asyncio.wait({self._task}, timeout=END_S)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=END_S)

    def _session(self) -> ClientSession:
        if self.gone or self._ready is None or not self._ready.done():
            raise Lost(f"the MCP server {self._server.name} is gone: {self.why}")
        return self._ready.result()

    async def _keep(self) -> None:
        """Hold the session until it is to end, or has ended."""
        listening: asyncio.Task[None] | None = None
        try:
            async with self._transport as (read, write):
                self._plain = _Plain(read, write, self._end)
                async with ClientSession(
                    dispatcher=self._plain,
                    logging_callback=self._hear_log,
                    message_handler=self._hear,
                    client_info=types.Implementation(name="agentctl", version=_version()),
                    log_level="info",
                ) as session:
                    await _agree(session)
                    listening = asyncio.create_task(self._listen(session))
                    if self._ready is not None and not self._ready.done():
                        self._ready.set_result(session)
                    await self._stop.wait()
        except Exception as error:  # noqa: BLE001 - whatever a transport raises means: it is lost
            self.why = self.why or flat(error)
        finally:
            if listening is not None:
                listening.cancel()
                await asyncio.wait({listening})
            self.why = getattr(self._transport, "why", "") or self.why
            self._end(self.why or "it ended")

    def _end(self, why: str = "") -> None:
        """Note that it is gone; whoever is to know is told once, and not when we ended it."""
        self.why = self.why or why or getattr(self._transport, "why", "")
        if not self.gone:
            self.gone = True
            if not self._stop.is_set():
                self._stop.set()
                self._lost()

    async def _hear_log(self, params: types.LoggingMessageNotificationParams) -> None:
        self._emit(f"{params.level}: {params.data}")

    async def _hear(self, message: object) -> None:
        if isinstance(
            message,
            types.ToolListChangedNotification
            | types.PromptListChangedNotification
            | types.ResourceListChangedNotification,
        ):
            self._changed()

    async def _listen(self, session: ClientSession) -> None:
        """Ask for news. Servers of the newer protocol tell of changes only to who has done so."""
        able = session.server_capabilities or types.ServerCapabilities()
        with suppress(MCPError, SubscriptionLost, ValidationError):
            if session.protocol_version not in MODERN_PROTOCOL_VERSIONS:
                if able.logging is not None:
                    level = types.SetLevelRequestParams(level="info")
                    await session.send_request(
                        types.SetLevelRequest(params=level), types.EmptyResult
                    )
            elif able.tools is not None and able.tools.list_changed:
                async with listen(session, tools_list_changed=True) as changes:
                    async for _ in changes:
                        self._changed()


def _version() -> str:
    try:
        return version("agentctl")
    except PackageNotFoundError:  # run from its source
        return "0"


async def _agree(session: ClientSession) -> None:
    """Agree on a protocol version: the newer way first, then the handshake of before."""
    try:
        await session.discover()
    except (MCPError, RuntimeError, ValidationError):
        try:
            await session.initialize()
        except MCPError as error:
            # A slow server may have understood the first question after all.
            if error.error.code != types.UNSUPPORTED_PROTOCOL_VERSION:
                raise
            await session.discover()


@asynccontextmanager
async def http_transport(server: Server) -> AsyncIterator[Streams]:
    """The SDK's streamable HTTP, with answers of bounded size."""
    import httpx2  # here, as servers of processes do not need it

    async def bound(response: httpx2.Response) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise httpx2.RemoteProtocolError("it sends compressed answers unasked")
        kind = response.headers.get("content-type", "")
        most = MAX_STREAM_BYTES if kind.startswith("text/event-stream") else MAX_MESSAGE_BYTES
        response.stream = _Bounded(response.stream, most)

    class _Bounded(httpx2.AsyncByteStream):
        def __init__(self, inner: Any, most: int) -> None:
            self._inner = inner
            self._left = most

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in self._inner:
                self._left -= len(chunk)
                if self._left < 0:
                    raise httpx2.RemoteProtocolError("its answer is too large")
                yield chunk

        async def aclose(self) -> None:
            await self._inner.aclose()

    async with (
        httpx2.AsyncClient(
            headers={"Accept-Encoding": "identity", **server.headers},
            timeout=httpx2.Timeout(30, read=300),
            event_hooks={"response": [bound]},
        ) as client,
        streamable_http_client(
            server.url, http_client=client, max_sse_event_size=MAX_MESSAGE_BYTES
        ) as streams,
    ):
        yield streams


def flat(error: BaseException) -> str:
    """The first real error in nested groups, on one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ToolError):
        return str(error)
    if isinstance(error, MCPError):
        return line(str(error.error.message))
    if isinstance(error, ValidationError):
        return f"it answers against the protocol: {_first(error)}"
    return line(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)[0]
    return line(f"{'.'.join(map(str, found['loc']))}: {found['msg']}", 200)


def _is_sound(entry: object) -> bool:
    """Whether the SDK would take it for a tool; what is wrong with it is told by mcp_schema."""
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("name"), str)
        and isinstance(entry.get("inputSchema"), dict)
        and entry["inputSchema"].get("type", "object") == "object"
    )


def _bare(entry: dict[str, Any]) -> dict[str, Any]:
    """What the SDK has to know of it: without the schema of results, which it would check."""
    return {"name": entry["name"], "inputSchema": {"type": "object", **entry["inputSchema"]}}
