"""Fetching pages, and which addresses are never reached."""

import asyncio
import gzip
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agentctl.core.values import Limits, ToolCall
from agentctl.errors import ToolError
from agentctl.run.toolbelt import Toolbelt
from agentctl.tools import http
from agentctl.tools.addresses import is_public
from agentctl.tools.http import HttpGet
from agentctl.tools.pagetext import page_text
from tests.tools.helpers import call, context_of


class Server:
    """A local web server that gives what a test put under a path, and logs what it was asked."""

    def __init__(self):
        self.pages = {}
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append((self.path, dict(self.headers)))
                status, headers, body = outer.pages.get(self.path, (404, {}, b"not here"))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(body)
                except ConnectionError:
                    return  # the client has read enough

            def log_message(self, *_args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server():
    it = Server()
    yield it
    it.close()


@pytest.fixture
def get(tmp_path):
    def fetch(url, *, allow_private=True):
        return call(HttpGet(allow_private=allow_private), context_of(tmp_path), url=url)

    return fetch


PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


def test_status_type_and_text_are_returned(server, get):
    server.pages["/a?b=c"] = (200, PLAIN, "grüß\n".encode())
    result = get(f"{server.url}/a?b=c#part")
    assert result.text == f"200 OK {server.url}/a?b=c#part\ntext/plain\n\ngrüß\n"
    assert result.ok


def test_an_error_page_is_returned_as_not_ok(server, get):
    result = get(f"{server.url}/none")
    assert result.text.startswith("404 Not Found")
    assert result.text.endswith("not here")
    assert not result.ok


def test_html_becomes_readable_text(server, get):
    page = b"<title>T</title><script>var a</script><p>one<br>two <a href='/x'>link</a></p>"
    server.pages["/"] = (200, {"Content-Type": "text/html"}, page)
    assert get(server.url).text.endswith("\n\nT\n\none\ntwo link </x>")


def test_the_declared_charset_counts_and_an_unknown_one_does_no_harm(server, get):
    server.pages["/l"] = (200, {"Content-Type": "text/plain; charset=latin-1"}, b"caf\xe9")
    server.pages["/u"] = (200, {"Content-Type": "text/plain; charset=klingon"}, b"caf\xe9")
    assert get(f"{server.url}/l").text.endswith("café")
    assert get(f"{server.url}/u").text.endswith("caf\ufffd")


def test_binary_data_is_told_with_its_size(server, get):
    server.pages["/"] = (200, {"Content-Type": "image/png"}, b"\x89PNG\0" + b"x" * 95)
    assert get(server.url).text.endswith("image/png\n\n(binary data of 100 bytes)")


def test_a_body_is_cut_at_the_bound(server, get, monkeypatch):
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 1000)
    server.pages["/"] = (200, PLAIN, b"x" * 1_000_000)
    assert get(server.url).text.endswith("\n\n" + "x" * 1000 + "\n[cut at 1,000 bytes]")
    server.pages["/"] = (200, PLAIN, b"x" * 1000)
    assert get(server.url).text.endswith("\n\n" + "x" * 1000)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_small_body_that_unpacks_to_a_large_one_is_cut_too(server, get, encoding):
    bomb = gzip.compress(b"x" * 50_000_000)
    server.pages["/"] = (200, {**PLAIN, "Content-Encoding": encoding}, bomb)
    text = get(server.url).text
    assert text.endswith("x\n[cut at 2,000,000 bytes]")
    assert len(text) < 2_001_000


def test_broken_packing_is_told(server, get):
    server.pages["/"] = (200, {**PLAIN, "Content-Encoding": "gzip"}, b"no gzip")
    with pytest.raises(ToolError, match="gzip encoding is broken"):
        get(server.url)


def test_redirects_are_followed_up_to_a_bound(server, get):
    for number in range(6):
        server.pages[f"/{number}"] = (302, {"Location": f"{number + 1}"}, b"")
    server.pages["/6"] = (200, PLAIN, b"here")
    result = get(f"{server.url}/1")
    assert result.text.startswith(f"200 OK {server.url}/6\n")
    with pytest.raises(ToolError, match="more than 5 times"):
        get(f"{server.url}/0")


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:{port}/secret", "http://localhost:{port}/secret", "/secret"]
)
def test_a_redirect_to_a_private_address_is_refused(server, get, monkeypatch, target):
    """The first hop passes as public for this test, every later one is judged for real."""
    server.pages["/"] = (302, {"Location": target.format(port=server.port)}, b"")
    server.pages["/secret"] = (200, PLAIN, b"secret")
    judged = []

    def judge(address):
        judged.append(address)
        return len(judged) == 1 or is_public(address)

    monkeypatch.setattr(http, "is_public", judge)
    with pytest.raises(ToolError, match="not a public address"):
        get(server.url, allow_private=False)
    assert [path for path, _ in server.asked] == ["/"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/", "//:99999999"])
def test_a_redirect_to_something_else_than_the_web_is_refused(server, get, target):
    server.pages["/"] = (302, {"Location": target}, b"")
    with pytest.raises(ToolError):
        get(server.url)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.1",
        "127.1",
        "0",
        "user:pw@127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
    ],
)
def test_a_private_host_is_refused_however_it_is_written(server, get, host):
    with pytest.raises(ToolError, match=r"not a public address|could not be found"):
        get(f"http://{host}:{server.port}/", allow_private=False)
    assert server.asked == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/", "x", "http://", "http:///x"])
def test_only_web_addresses_are_fetched(get, url):
    with pytest.raises(ToolError, match="only http:// and https://"):
        get(url)


@pytest.mark.parametrize("url", ["http://[::1", "http://a:b:c/", "http://x:999999/", "http://\x7f"])
def test_what_is_no_url_is_told(get, url):
    with pytest.raises(ToolError):
        get(url)


def resolve_as(monkeypatch, *answers):
    """Let each look-up of a name give the next answer."""
    left = list(answers)

    async def getaddrinfo(_loop, _host, port, **_more):
        addresses = left.pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


def test_one_private_answer_among_public_ones_is_refused(get, monkeypatch):
    resolve_as(monkeypatch, ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(ToolError, match="not a public address"):
        get("http://two-faced.example/", allow_private=False)


def test_the_checked_address_is_the_one_connected_to(server, get, monkeypatch):
    """A name that gives another address the second time is not asked a second time."""
    resolve_as(monkeypatch, ["127.0.0.1"])
    server.pages["/x"] = (200, PLAIN, b"here")
    assert get(f"http://name.example:{server.port}/x").text.endswith("here")
    assert server.asked[0][1]["Host"] == f"name.example:{server.port}"


def test_the_next_address_is_tried_when_one_does_not_answer(server, get, monkeypatch):
    resolve_as(monkeypatch, ["127.0.0.2", "127.0.0.1"])
    server.pages["/"] = (200, PLAIN, b"here")
    assert get(f"http://name.example:{server.port}/").text.endswith("here")


def test_no_answer_is_told(get):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        with pytest.raises(ToolError, match="could not be fetched"):
            get(f"http://127.0.0.1:{taken.getsockname()[1]}/")


def test_a_connection_that_breaks_is_told(server, get):
    server.pages["/"] = (200, {**PLAIN, "Content-Length": "100"}, b"short")
    with pytest.raises(ToolError, match="could not be fetched"):
        get(server.url)


def test_proxies_of_the_environment_are_not_used(server, get, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server.pages["/"] = (200, PLAIN, b"here")
    assert get(server.url).text.endswith("here")


def test_cookies_are_not_kept_between_hops(server, get):
    server.pages["/"] = (302, {"Location": "/next", "Set-Cookie": "a=b"}, b"")
    server.pages["/next"] = (200, PLAIN, b"here")
    get(server.url)
    assert "Cookie" not in server.asked[1][1]


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_public_addresses_pass(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "192.0.0.192",
        "168.63.129.16",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "198.18.0.1",
        "::1",
        "::",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2001:0:7f00:1::1",
        "fe80::1%lo",
        "fd00:ec2::254",
        "fec0::1",
        "5f00::1",
        "ff02::1",
        "2001:db8::1",
        "3fff::1",
    ],
)
def test_inner_addresses_do_not_pass(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("a < b &amp; c &gt; d", "a < b & c > d"),
        ("<p>a\n  b</p><p>c</p>", "a b\n\nc"),
        ("a<!-- <b> -->b<!DOCTYPE x>c", "abc"),
        ("<SCRIPT>x<b></SCRIPT >a<style>y</style>b", "ab"),
        ("<script>never closed", ""),
        ("a<b", "a"),
        ("<li>1<li>2", "1\n2"),
        ('<a class=x href="/p?a=1&amp;b">t</a>', "t </p?a=1&b>"),
        ("<a name=x>t</a>", "t"),
        ("", ""),
    ],
)
def test_page_text(page, text):
    assert page_text(page) == text


@pytest.mark.parametrize(
    "part", ["<", "<!--", "</", "<a ", "<a href=", "<script>", "</script", "&#"]
)
def test_unclosed_markup_is_read_once(part):
    """A scanner that goes back would take minutes for this, and the run's time-out would tell."""
    page_text(part * 200_000)


# --- what may pass ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_busy_server_is_an_error_that_may_pass(server, get, status):
    server.pages["/"] = (status, {"Content-Type": "text/plain"}, b"come back later")
    with pytest.raises(ToolError, match="come back later") as told:
        get(server.url)
    assert told.value.retriable


def test_a_server_that_nobody_runs_is_an_error_that_may_pass(server, get):
    server.close()
    with pytest.raises(ToolError, match="could not be fetched") as told:
        get(server.url)
    assert told.value.retriable


def test_other_errors_of_a_server_do_not_pass(server, get):
    server.pages["/"] = (500, {"Content-Type": "text/plain"}, b"broken")
    assert not get(server.url).ok


def test_a_page_that_came_at_the_second_try_is_a_page(server, tmp_path):
    server.pages["/"] = (503, {"Content-Type": "text/plain"}, b"busy")
    ends, waits = [], []

    async def wait(_moment_ms):
        waits.append(len(server.asked))
        server.pages["/"] = (200, {"Content-Type": "text/plain"}, b"here it is")

    belt = Toolbelt([HttpGet(allow_private=True)], str(tmp_path))
    wanted = ToolCall("c1", "http_get", f'{{"url": "{server.url}"}}')
    asyncio.run(
        belt.run(
            [wanted], lambda end, _: ends.append(end), lambda _: None, lambda _: None, lambda: 0,
            Limits(), sleep_until=wait,
        )
    )  # fmt: skip
    assert [(end.status, end.attempts) for end in ends] == [("ok", 2)]
    assert "here it is" in ends[0].text
    assert waits == [1]
