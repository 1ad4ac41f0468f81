"""An MCP server reached by HTTP that means no good: every answer ends within its bound."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agentctl.errors import ToolError
from tests.tools.mcp_parts import Opened, Server, opened

TOOL = {"name": "good", "description": "A tool.", "inputSchema": {"type": "object"}}
RESULTS = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "evil", "version": "0"},
    },
    "tools/list": {"tools": [TOOL]},
    "tools/call": {"content": [{"type": "text", "text": "fine"}]},
}


class Evil(BaseHTTPRequestHandler):
    """Answers by JSON; what it does with a call depends on its server's `how`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(dict(self.headers))
        method, number = request["method"], request.get("id")
        how = self.server.how if method == "tools/call" else ""
        if number is None:
            return self.answer(b"", status=202)
        if how == "cut":
            self.close_connection = True
            return self.connection.close()
        if how == "hang":
            self.server.ended.wait(30)
        if how == "500":
            return self.answer(b"\x1b[2J oops", status=500)
        if how == "elsewhere":
            return self.answer(b"", status=307, location="http://169.254.169.254/")
        if how == "html":
            return self.answer(b"<html>", kind="text/html")
        if how == "forgets" and self.server.calls == 0:
            self.server.calls += 1
            return self.answer(b"", status=404)
        result = RESULTS.get(method)
        answer = {"jsonrpc": "2.0", "id": number, "result": result}
        if result is None:
            del answer["result"]
            answer["error"] = {"code": -32601, "message": "what?"}
        data = json.dumps(answer).encode()
        if how == "large":
            return self.answer(data + b" " * 20_000_000)
        if how == "bomb":
            return self.answer(gzip.compress(data + b" " * 50_000_000), encoding="gzip")
        if how == "event":
            event = b"data: " + b"x" * 20_000_000
            return self.answer(event, kind="text/event-stream")
        return self.answer(data)

    def do_GET(self) -> None:
        self.answer(b"", status=405)

    def do_DELETE(self) -> None:
        self.answer(b"", status=200)

    def answer(
        self, data: bytes, *, status: int = 200, kind: str = "application/json", **more: Any
    ):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Mcp-Session-Id", "s1")
        if "encoding" in more:
            self.send_header("Content-Encoding", more["encoding"])
        if "location" in more:
            self.send_header("Location", more["location"])
        self.end_headers()
        try:
            self.wfile.write(data)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(how: str) -> Iterator[tuple[Server, Any]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        server.how, server.ended, server.calls, server.seen = how, threading.Event(), 0, []
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/mcp"
        try:
            yield Server("evil", url=url, headers={"Authorization": "Bearer key"}), server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


async def failure(it: Opened) -> str:
    with pytest.raises((ToolError, ConnectionError)) as told:
        await it.call("evil_good")
    assert str(told.value).isprintable()
    return str(told.value)


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("large", "its answer is too large"),
        ("bomb", "compressed"),
        ("event", "SSE"),
        ("cut", "lost"),
        ("500", "Server returned an error response"),
        ("elsewhere", "not followed"),
        ("html", "Unexpected content type: text/html"),
    ],
)
def test_a_bad_answer_is_one_printable_line(how: str, word: str, tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        async with opened(server, tmp_path) as it:
            assert word in await failure(it)

    with serving(how) as (server, _):
        asyncio.run(asyncio.wait_for(story(server), 20))


def test_headers_of_the_file_are_sent(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        async with opened(server, tmp_path) as it:
            assert (await it.call("evil_good")).text == "fine"

    with serving("") as (server, seen):
        asyncio.run(asyncio.wait_for(story(server), 20))
        assert {headers.get("Authorization") for headers in seen.seen} == {"Bearer key"}


def test_a_session_that_the_server_has_forgotten_is_begun_once_more(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        async with opened(server, tmp_path) as it:
            assert "forgotten the session" in await failure(it)
            assert (await it.call("evil_good")).text == "fine"

    with serving("forgets") as (server, _):
        asyncio.run(asyncio.wait_for(story(server), 20))


def test_a_call_that_hangs_can_be_cut(tmp_path: Path) -> None:
    async def story(server: Server) -> None:
        async with opened(server, tmp_path) as it:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await it.call("evil_good")

    with serving("hang") as (server, _):
        asyncio.run(asyncio.wait_for(story(server), 20))
