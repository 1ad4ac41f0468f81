"""Connections for several pages: a few lanes, each with one connection that it keeps for a host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    import httpx2

LANES = 5
"""So many connections at once, whatever is fetched."""
CONNECT_S = 3.0
"""Longest wait for a connection; all addresses together take less than the call may."""


class Lane:
    """One connection at a time, kept as long as the same host is asked.

    It is never used for another host: two may have one address, and each must show its own
    certificate.
    """

    def __init__(self, tls: Callable[[], ssl.SSLContext]) -> None:
        """`tls` gives what is trusted, once that is needed."""
        self._tls = tls
        self._client: httpx2.AsyncClient | None = None
        self.host = ""
        """Whom it is for, as `host_of` names it; empty before the first page."""
        self.address = ""
        """The one of the host's that was reached."""

    async def client(self, url: httpx2.URL) -> httpx2.AsyncClient:
        """The client for this URL's host; it keeps no cookies of the page before."""
        # Heavy, and most runs need it for their provider only or not at all.
        import httpx2

        if self.host != host_of(url):
            await self.close()
        if self._client is None:
            # No proxy and no .netrc from the environment: the checked address is the one reached.
            self._client = httpx2.AsyncClient(
                trust_env=False,
                verify=self._tls(),
                headers={"User-Agent": "agentctl", "Accept-Encoding": "gzip"},
                # The call's own time-out bounds the rest, so that raising it has an effect.
                timeout=httpx2.Timeout(None, connect=CONNECT_S),
                limits=httpx2.Limits(max_connections=1),
            )
            self.host = host_of(url)
        self._client.cookies.clear()
        return self._client

    async def close(self) -> None:
        """Close the connection, if there is one. The lane can be used again."""
        client, self._client = self._client, None
        self.host = self.address = ""
        if client is not None:
            await client.aclose()


class Lanes:
    """The lanes of one batch: whoever wants one waits until it is free."""

    def __init__(self, tls: Callable[[], ssl.SSLContext]) -> None:
        """Nothing is connected yet."""
        self._idle = [Lane(tls) for _ in range(LANES)]
        self._free = asyncio.Semaphore(LANES)

    @asynccontextmanager
    async def take(self, host: str) -> AsyncIterator[Lane]:
        """A lane for this host: one that is connected to it already, else an unused one."""
        async with self._free:
            lane = min(self._idle, key=lambda each: (each.host != host, bool(each.host)))
            self._idle.remove(lane)
            try:
                yield lane
            finally:
                self._idle.append(lane)

    async def close(self) -> None:
        """Close all connections; nobody may be using one."""
        for lane in self._idle:
            await lane.close()


def host_of(url: httpx2.URL) -> str:
    """Scheme, host and port."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"
