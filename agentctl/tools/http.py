"""http_get: one page of the public web."""

from __future__ import annotations

import asyncio
import codecs
import json
import socket
import time
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from agentctl.core.values import Millis, Sandbox
from agentctl.errors import ToolError
from agentctl.ports import ToolContext, ToolResult
from agentctl.tools import validators
from agentctl.tools.addresses import is_public
from agentctl.tools.base import Arguments, BuiltIn, shown, spec_of
from agentctl.tools.lanes import LANES, Lane, Lanes, host_of

if TYPE_CHECKING:
    import ssl

    import httpx2

MAX_BODY_BYTES = 2_000_000
MAX_REDIRECTS = 5
MAX_ADDRESSES = 4
"""So many addresses of a host are tried."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_UNCHANGED = 304
_BUSY = frozenset({502, 503, 504})
"""Statuses of a server that may answer in a moment."""
TRIES = 3
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "utf-7"})
"""Known to Python and to no browser; to read two megabytes by some of them takes for ever."""


class HttpGetArguments(Arguments, frozen=True):
    """What to fetch."""

    url: Annotated[str, Meta(min_length=1, max_length=8000)]


class Page(Struct, frozen=True):
    """What a server answered, redirects not followed."""

    status: int
    reason: str
    kind: str
    """Content type, without its parameters, in lower case."""
    charset: str
    location: str
    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes
    cut: bool


class HttpGet(BuiltIn[HttpGetArguments]):
    """Fetches a page. Each hop's host is resolved once, checked, and connected to as checked."""

    arguments = HttpGetArguments
    at_once = LANES
    spec = replace(
        spec_of(
            "http_get",
            "Fetch a public http(s) URL as text.",
            HttpGetArguments,
            category="http",
            repeat="safe",
            changes=False,
            lookup=True,
        ),
        attempts=TRIES,
    )

    def __init__(
        self,
        *,
        policy: Sandbox | None = None,
        allow_private: bool = False,
        now_ms: Callable[[], Millis] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """`hosts` of the policy may be reached although they are not public.

        The others are for tests: `allow_private` lets every address pass, `now_ms` holds a clock.
        """
        super().__init__(policy=policy)
        self._hosts = frozenset(policy.hosts if policy is not None else ())
        self._allow_private = allow_private
        self._now_ms = now_ms
        self._tls: ssl.SSLContext | None = None

    async def act(self, arguments: HttpGetArguments, context: ToolContext) -> ToolResult:
        """Return status, content type and text. Raises ToolError if no answer came."""
        lane = Lane(self._trusted)
        try:
            return await self._get(arguments, context, lane)
        finally:
            await lane.close()

    async def run_many(
        self, calls: Sequence[tuple[str, ToolContext]], timeout_ms: Millis
    ) -> AsyncGenerator[tuple[int, ToolResult | Exception], None]:
        """Fetch all over a few connections; see `ports.BatchTool`."""
        lanes = Lanes(self._trusted)

        async def one(place: int, host: str) -> tuple[int, ToolResult | Exception]:
            arguments, context = calls[place]
            async with lanes.take(host) as lane:
                try:
                    async with asyncio.timeout(timeout_ms / 1000):
                        return place, await self._get(self._decode(arguments), context, lane)
                except Exception as error:  # noqa: BLE001 - it is this call's answer
                    return place, error

        # Pages of one host one after the other, so that its connections are used again.
        hosts = [self._host(arguments) for arguments, _ in calls]
        places = sorted(range(len(calls)), key=lambda place: hosts.index(hosts[place]))
        tasks = [asyncio.create_task(one(place, hosts[place])) for place in places]
        try:
            for answer in asyncio.as_completed(tasks):
                yield await answer
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await lanes.close()

    def _host(self, arguments: str) -> str:
        """Whose page a call wants; empty if that cannot be told."""
        import httpx2  # heavy, see Lane.client

        try:
            return host_of(httpx2.URL(self._decode(arguments).url))
        except (httpx2.InvalidURL, ToolError, ValueError):
            return ""  # to fetch it says why

    def _trusted(self) -> ssl.SSLContext:
        """What all calls trust, which takes 18 ms to read."""
        import httpx2  # heavy, see Lane.client

        self._tls = self._tls or httpx2.create_ssl_context(trust_env=False)
        return self._tls

    async def _get(
        self, arguments: HttpGetArguments, context: ToolContext, lane: Lane
    ) -> ToolResult:
        """Fetch a page unless an earlier result still holds. Raises ToolError."""
        import httpx2  # heavy, see Lane.client

        earlier = context.earlier
        known = validators.read(earlier.proof) if earlier is not None else None
        if earlier is not None and known is not None and self._now_ms() < known.fresh_until_ms:
            return ToolResult(earlier.text, proof=earlier.proof, again=True)
        try:
            url = httpx2.URL(arguments.url)
            for hop in range(MAX_REDIRECTS + 1):
                same = known is not None and known.url == str(url)
                asked = known.headers() if same and known is not None else {}
                page = await self._fetch(lane, url, asked)
                if page.status == _UNCHANGED and asked and earlier is not None:
                    return ToolResult(earlier.text, proof=earlier.proof, again=True)
                if page.status not in _REDIRECTS or not page.location:
                    return self._result(page, url, redirected=hop > 0)
                url = url.join(page.location)
                why = context.may_go_on(json.dumps({"url": str(url)}))
                if why:
                    raise ToolError(f"It redirects to {shown(str(url))}. {why}")
        except (httpx2.InvalidURL, ValueError) as error:  # a bad redirect is a plain ValueError
            raise ToolError(f"That is not a URL that can be fetched: {error}") from error
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            passing = (httpx2.NetworkError, httpx2.ConnectTimeout, httpx2.RemoteProtocolError)
            raise ToolError(
                f"{shown(str(url))} could not be fetched: {reason}",
                retriable=isinstance(error, passing),
            ) from error
        raise ToolError(f"{shown(arguments.url)} redirects more than {MAX_REDIRECTS} times.")

    def _result(self, page: Page, url: httpx2.URL, *, redirected: bool) -> ToolResult:
        """Put a page into words; only a whole one without an error may be given again.

        Raises ToolError with those words where the server may answer in a moment.
        """
        text, is_ok = _in_words(page, url), page.status < 400
        if page.status in _BUSY:
            raise ToolError(text, retriable=True)
        if page.status != 200 or page.cut:
            return ToolResult(text, is_ok)
        found = validators.of_page(str(url), page.headers, self._now_ms(), redirected=redirected)
        return ToolResult(text, is_ok, validators.written(found) if found is not None else "")

    async def _fetch(self, lane: Lane, url: httpx2.URL, more: Mapping[str, str]) -> Page:
        """Get one hop from an address that was checked. Raises ToolError or httpx2.HTTPError."""
        import httpx2  # heavy, see Lane.client

        addresses = await self._resolve(url)
        if lane.host == host_of(url):
            addresses.sort(key=lambda each: each != lane.address)  # where it is connected, if it is
        for last, address in enumerate(addresses, 1 - len(addresses)):
            try:
                return await self._ask(lane, address, url, more)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if last == 0:
                    raise
        raise ToolError(f"{shown(url.host)} has no address.")

    async def _ask(
        self, lane: Lane, address: str, url: httpx2.URL, more: Mapping[str, str]
    ) -> Page:
        import httpx2  # heavy, see Lane.client

        is_kept = lane.host == host_of(url) and lane.address == address
        try:
            return await _ask_once(lane, address, url, more)
        except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError):
            if not is_kept:
                raise
        await lane.close()  # the server may not have kept what was kept here
        return await _ask_once(lane, address, url, more)

    async def _resolve(self, url: httpx2.URL) -> list[str]:
        """Addresses of the URL's host. Raises ToolError if only one of them is not public."""
        if url.scheme not in ("http", "https") or not url.host:
            raise ToolError(f"{shown(str(url))}: only http:// and https:// URLs can be fetched.")
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                url.raw_host.decode("ascii"), port, type=socket.SOCK_STREAM
            )
        except (OSError, OverflowError, UnicodeError) as error:
            raise ToolError(f"The host {shown(url.host)} could not be found: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        is_asked_for = self._allow_private or not self._hosts.isdisjoint(_written(url, port))
        if not is_asked_for and not all(map(is_public, addresses)):
            raise ToolError(
                f"{shown(url.host)} is not a public address: it may not be reached. The user can "
                "allow it in the setting http_allowed."
            )
        return addresses[:MAX_ADDRESSES]


def _written(url: httpx2.URL, port: int) -> tuple[str, str]:
    """How a URL's host may stand in the list of those that are allowed."""
    host = url.raw_host.decode("ascii").lower()
    host = f"[{host}]" if ":" in host else host
    return host, f"{host}:{port}"


async def _ask_once(lane: Lane, address: str, url: httpx2.URL, more: Mapping[str, str]) -> Page:
    client = await lane.client(url)
    async with client.stream(
        "GET",
        url.copy_with(host=address),
        headers={"Host": url.netloc.decode("ascii"), **more},
        extensions={"sni_hostname": url.raw_host.decode("ascii")},
    ) as response:
        lane.address = address
        return await _read(response)


async def _read(response: httpx2.Response) -> Page:
    """Read a body up to the bound, also when a small one unpacks to a large one."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding in ("gzip", "deflate") else None
    body = bytearray()
    async for chunk in response.aiter_raw():
        room = MAX_BODY_BYTES + 1 - len(body)
        try:
            body += unpack.decompress(chunk, room) if unpack else chunk
        except zlib.error as error:
            raise ToolError(f"The answer's {encoding} encoding is broken.") from error
        if len(body) > MAX_BODY_BYTES:
            break
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Page(
        status=response.status_code,
        reason=response.reason_phrase,
        kind=kind,
        charset=response.charset_encoding or "utf-8",
        location=response.headers.get("location", ""),
        headers=dict(response.headers),
        body=bytes(body[:MAX_BODY_BYTES]),
        cut=len(body) > MAX_BODY_BYTES,
    )


def _charset(declared: str) -> str:
    """How to read a page that says it is written so; UTF-8 where that is nothing for pages."""
    try:
        name = codecs.lookup(declared).name
        b"a".decode(name, errors="replace")  # "zip" is known too, but it gives no text
    except (LookupError, UnicodeError, ValueError):
        return "utf-8"
    return "utf-8" if name.replace("_", "-") in _NO_CHARSETS else name


def _in_words(page: Page, url: httpx2.URL) -> str:
    """Put a page into words."""
    head = f"{page.status} {shown(page.reason)} {shown(str(url))}\n{shown(page.kind)}".rstrip()
    if b"\0" in page.body[:8192]:
        text = f"(binary data of {'over ' if page.cut else ''}{len(page.body):,} bytes)"
    else:
        text = page.body.decode(_charset(page.charset), errors="replace")
        if "html" in page.kind:
            # Brings the table of all HTML entities, which most runs never need.
            from agentctl.tools.pagetext import page_text

            text = page_text(text)
        if page.cut:
            text += f"\n[cut at {MAX_BODY_BYTES:,} bytes]"
    return f"{head}\n\n{text}"
