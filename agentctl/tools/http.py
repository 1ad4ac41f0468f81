"""http_get: one page of the public web."""

from __future__ import annotations

import asyncio
import socket
import zlib
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from agentctl.errors import ToolError
from agentctl.ports import ToolContext, ToolResult
from agentctl.tools.addresses import is_public
from agentctl.tools.base import Arguments, BuiltIn, shown, spec_of

if TYPE_CHECKING:
    import httpx2

MAX_BODY_BYTES = 2_000_000
MAX_REDIRECTS = 5
MAX_ADDRESSES = 4
"""So many addresses of a host are tried."""
CONNECT_S = 3.0
"""Longest wait for a connection; all addresses together take less than the call may."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


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
    body: bytes
    cut: bool


class HttpGet(BuiltIn[HttpGetArguments]):
    """Fetches a page. Each hop's host is resolved once, checked, and connected to as checked."""

    arguments = HttpGetArguments
    spec = spec_of(
        "http_get",
        "Fetch a public http(s) URL as text.",
        HttpGetArguments,
        category="http",
        repeat="safe",
        changes=False,
    )

    def __init__(self, *, allow_private: bool = False) -> None:
        """`allow_private` is for tests: it lets every address pass."""
        self._allow_private = allow_private

    async def act(self, arguments: HttpGetArguments, context: ToolContext) -> ToolResult:
        """Return status, content type and text. Raises ToolError if no answer came."""
        # Heavy, and most runs need it for their provider only or not at all.
        import httpx2

        try:
            # No proxy and no .netrc from the environment: the checked address is the one reached.
            async with httpx2.AsyncClient(
                trust_env=False,
                headers={"User-Agent": "agentctl", "Accept-Encoding": "gzip"},
                # The call's own time-out bounds the rest, so that raising it has an effect.
                timeout=httpx2.Timeout(None, connect=CONNECT_S),
            ) as client:
                url = httpx2.URL(arguments.url)
                for _ in range(MAX_REDIRECTS + 1):
                    page = await self._fetch(client, url)
                    if page.status not in _REDIRECTS or not page.location:
                        return _result(page, url)
                    url = url.join(page.location)
        except (httpx2.InvalidURL, ValueError) as error:  # a bad redirect is a plain ValueError
            raise ToolError(f"That is not a URL that can be fetched: {error}") from error
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise ToolError(f"{shown(str(url))} could not be fetched: {reason}") from error
        raise ToolError(f"{shown(arguments.url)} redirects more than {MAX_REDIRECTS} times.")

    async def _fetch(self, client: httpx2.AsyncClient, url: httpx2.URL) -> Page:
        """Get one hop from an address that was checked. Raises ToolError or httpx2.HTTPError."""
        import httpx2

        addresses = await self._resolve(url)
        for last, address in enumerate(addresses, 1 - len(addresses)):
            client.cookies.clear()  # two hosts may share an address
            try:
                async with client.stream(
                    "GET",
                    url.copy_with(host=address),
                    headers={"Host": url.netloc.decode("ascii")},
                    extensions={"sni_hostname": url.raw_host.decode("ascii")},
                ) as response:
                    return await _read(response)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if last == 0:
                    raise
        raise ToolError(f"{shown(url.host)} has no address.")

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
        if not self._allow_private and not all(map(is_public, addresses)):
            raise ToolError(f"{shown(url.host)} is not a public address: it may not be reached.")
        return addresses[:MAX_ADDRESSES]


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
        body=bytes(body[:MAX_BODY_BYTES]),
        cut=len(body) > MAX_BODY_BYTES,
    )


def _result(page: Page, url: httpx2.URL) -> ToolResult:
    """Put a page into words."""
    head = f"{page.status} {shown(page.reason)} {shown(str(url))}\n{shown(page.kind)}".rstrip()
    if b"\0" in page.body[:8192]:
        text = f"(binary data of {'over ' if page.cut else ''}{len(page.body):,} bytes)"
    else:
        try:
            text = page.body.decode(page.charset, errors="replace")
        except LookupError:
            text = page.body.decode(errors="replace")
        if "html" in page.kind:
            # Brings the table of all HTML entities, which most runs never need.
            from agentctl.tools.pagetext import page_text

            text = page_text(text)
        if page.cut:
            text += f"\n[cut at {MAX_BODY_BYTES:,} bytes]"
    return ToolResult(f"{head}\n\n{text}", ok=page.status < 400)
