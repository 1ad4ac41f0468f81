"""No page leads into the machine or its network, and none of them can harm who reads it."""

from __future__ import annotations

import gzip
import json
import re
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agentctl.core.values import Sandbox
from agentctl.errors import ToolError
from agentctl.tools import http
from agentctl.tools.addresses import is_public
from agentctl.tools.http import HttpGet
from tests.escape import table
from tests.tools.helpers import call, context_of
from tests.tools.test_http import PLAIN, resolve_as


@pytest.mark.parametrize("url", table.ADDRESSES)
def test_a_private_address_is_refused_however_it_is_written(
    server: Any, get: Any, url: str
) -> None:
    with pytest.raises(ToolError, match=table.PRIVATE):
        get(url.format(port=server.port), allow_private=False)
    assert server.asked == []


@pytest.mark.parametrize("url", table.SCHEMES)
def test_only_the_web_is_fetched(get: Any, url: str) -> None:
    with pytest.raises(ToolError, match=r"only http:// and https:// URLs|not a URL"):
        get(url, allow_private=False)


def first_hop_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []

    def judge(address: str) -> bool:
        judged.append(address)
        return len(judged) == 1 or is_public(address)

    monkeypatch.setattr(http, "is_public", judge)


@pytest.mark.parametrize("target", [*table.REDIRECTS, *table.REDIRECTS_ELSEWHERE])
def test_a_redirect_leads_nowhere_else(
    server: Any, get: Any, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    server.pages["/"] = (302, {"Location": target.format(port=server.port)}, b"")
    server.pages["/secret"] = (200, PLAIN, b"canary")
    first_hop_passes(monkeypatch)
    with pytest.raises(ToolError, match=f"{table.PRIVATE}|only http:// and https://"):
        get(server.url, allow_private=False)
    assert [path for path, _ in server.asked] == ["/"]


@pytest.mark.parametrize("answer", table.ANSWERS, ids=" ".join)
def test_a_name_that_means_a_private_address_is_refused(
    get: Any, monkeypatch: pytest.MonkeyPatch, answer: list[str]
) -> None:
    resolve_as(monkeypatch, answer)
    with pytest.raises(ToolError, match="is not a public address: it may not be reached"):
        get("http://rebinds.example/", allow_private=False)


def test_a_name_that_changes_its_mind_after_the_check_is_not_asked_again(
    server: Any, get: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second answer is never looked at: what was checked is what is connected to."""
    resolve_as(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
    first_hop_passes(monkeypatch)
    server.pages["/"] = (200, PLAIN, b"here")
    assert get(f"http://rebinds.example:{server.port}/", allow_private=False).text.endswith("here")


def test_a_line_end_in_a_url_adds_no_header(server: Any, get: Any) -> None:
    server.pages["/"] = (200, PLAIN, b"here")
    with pytest.raises(ToolError, match="not a URL that can be fetched"):
        get(f"{server.url}/a\r\nX-Evil: 1")
    assert get(f"{server.url}/%0d%0aX-Evil:%201").text.startswith("404")
    assert not [headers for _, headers in server.asked if "X-Evil" in headers]


@pytest.mark.parametrize("charset", table.CHARSETS, ids=lambda each: each[:20])
def test_a_page_cannot_choose_how_it_is_unpacked(server: Any, get: Any, charset: str) -> None:
    """Two megabytes of "punycode" would keep Python busy for hours."""
    body = b"plain \\x41 +AGE- " + b"a-" * 900_000
    server.pages["/"] = (200, {"Content-Type": f"text/plain; charset={charset}"}, body)
    assert "\n\nplain \\x41 +AGE- a-a-" in get(server.url).text


def bombs() -> dict[str, tuple[dict[str, str], bytes, str]]:
    """Headers, body and what must be said, by name; "endless" has a server of its own."""
    small = gzip.compress(b"x" * 50_000_000)
    raw = {"Content-Type": "text/plain"}
    return {
        "gzip": ({**raw, "Content-Encoding": "gzip"}, small, "cut at 2,000,000 bytes"),
        "deflate": (
            {**raw, "Content-Encoding": "deflate"}, zlib.compress(b"x" * 50_000_000),
            "cut at 2,000,000 bytes",
        ),
        "gzip in gzip": (
            {**raw, "Content-Encoding": "gzip"}, gzip.compress(small), "binary data of"
        ),
        "markup": ({"Content-Type": "text/html"}, b"<div><a href='" * 140_000, "200 OK"),
        "headers": ({**raw, "X-Long": "x" * 200_000}, b"", "could not be fetched"),
    }  # fmt: skip


@pytest.mark.parametrize("name", [each for each in table.BOMBS if each != "endless"])
def test_a_page_that_would_grow_is_cut(server: Any, get: Any, name: str) -> None:
    headers, body, told = bombs()[name]
    server.pages["/"] = (200, headers, body)
    try:
        text = get(server.url).text
    except ToolError as error:
        text = error.what
    assert told in text
    assert len(text) < 2_001_000


def test_a_page_without_an_end_is_cut(get: Any) -> None:
    """ "endless" of the table."""

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 65_536)
            except ConnectionError:
                return  # the client has read enough

        def log_message(self, *_args: object) -> None:
            return

    served = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    thread = threading.Thread(target=served.serve_forever, args=(0.01,))
    thread.start()
    try:
        text = get(f"http://127.0.0.1:{served.server_address[1]}/").text
    finally:
        served.shutdown()
        thread.join()
        served.server_close()
    assert text.endswith("x\n[cut at 2,000,000 bytes]")


def allowed(server: Any, tmp_path: Any, url: str, *hosts: str) -> str:
    named = tuple(host.format(port=server.port) for host in hosts)
    tool = HttpGet(policy=Sandbox(hosts=named))
    return call(tool, context_of(tmp_path), url=url.format(port=server.port)).text


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:{port}"])
def test_what_the_user_allowed_is_fetched(server: Any, tmp_path: Any, host: str) -> None:
    server.pages["/"] = (200, PLAIN, b"here")
    assert allowed(server, tmp_path, "http://127.0.0.1:{port}/", host).endswith("here")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://127.0.0.1:{port}/", "127.0.0.1:1"),
        ("http://127.0.0.1:{port}/", "localhost"),
        ("http://localhost:{port}/", "127.0.0.1:{port}"),
        ("http://2130706433:{port}/", "127.0.0.1"),
        ("http://[::1]:{port}/", "127.0.0.1"),
    ],
)
def test_only_the_host_and_port_that_were_named_are_allowed(
    server: Any, tmp_path: Any, url: str, host: str
) -> None:
    with pytest.raises(ToolError, match=r"not a public address.*http_allowed"):
        allowed(server, tmp_path, url, host)
    assert server.asked == []


def test_a_redirect_from_an_allowed_host_to_another_is_refused(server: Any, tmp_path: Any) -> None:
    target = f"http://localhost:{server.port}/secret"
    server.pages["/"] = (302, {"Location": target}, b"")
    with pytest.raises(ToolError, match="not a public address"):
        allowed(server, tmp_path, "http://127.0.0.1:{port}/", "127.0.0.1")
    assert [path for path, _ in server.asked] == ["/"]


def test_the_arguments_have_no_way_to_name_a_host_that_is_allowed(tmp_path: Any) -> None:
    text = json.dumps({"url": "http://127.0.0.1/", "allow_private": True})
    assert re.search("unknown field", HttpGet().check(text))
