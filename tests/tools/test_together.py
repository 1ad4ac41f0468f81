"""Many look-ups made together: pages over a few kept connections, files in one thread."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec.structs import replace

from agentctl.core.lookups import Lookup
from agentctl.errors import ToolError
from agentctl.ports import BatchTool, ToolResult
from agentctl.tools.files import ListDir, ReadFile
from agentctl.tools.http import HttpGet
from agentctl.tools.lanes import LANES
from tests.tools.helpers import comes_true, context_of
from tests.tools.test_http import resolve_as

WAIT_MS = 60_000


class Server:
    """Keeps its connections open, and knows how many there are and were."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.connections = self.open = 0
        self.hosts: dict[object, set[str]] = {}
        """Who was asked for over each connection."""
        self.hold = threading.Event()
        """Until then pages below /slow are not answered."""
        self.ends_after_each = False
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                with outer.lock:
                    outer.connections += 1
                    outer.open += 1
                super().setup()

            def finish(self) -> None:
                super().finish()
                with outer.lock:
                    outer.open -= 1

            def do_GET(self) -> None:
                host = self.headers["Host"].partition(":")[0]
                outer.asked.append((host, self.path))
                outer.hosts.setdefault(self.client_address, set()).add(host)
                if self.path.startswith("/slow"):
                    outer.hold.wait()
                body = self.path.encode()
                self.send_response(404 if self.path.startswith("/none") else 200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Set-Cookie", "a=b")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                if "Cookie" in self.headers:
                    outer.asked.append(("cookie", self.path))
                if outer.ends_after_each:  # without having said so
                    self.close_connection = True

            def log_message(self, *_args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients may leave
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.hold.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    it = Server()
    yield it
    it.close()


Answers = list[tuple[int, ToolResult | Exception]]


async def many(
    tool: BatchTool, folder: Path, *calls: dict[str, Any], timeout_ms: int = WAIT_MS
) -> Answers:
    """The answers as they came."""
    context = context_of(folder)
    asked = [(json.dumps(call), context) for call in calls]
    return [answer async for answer in tool.run_many(asked, timeout_ms)]


def texts(answers: Answers) -> list[str]:
    """In the order of the calls, their last lines."""
    ordered = [answer for _, answer in sorted(answers, key=lambda pair: pair[0])]
    return [
        answer.text.split("\n")[-1] if isinstance(answer, ToolResult) else str(answer)
        for answer in ordered
    ]


def pages(server: Server, folder: Path, *urls: str, **more: int) -> Answers:
    tool = HttpGet(allow_private=True)
    full = [url if "://" in url else server.url + url for url in urls]
    return asyncio.run(many(tool, folder, *({"url": url} for url in full), **more))


def test_exactly_these_tools_can_do_it() -> None:
    assert isinstance(HttpGet(), BatchTool)
    assert isinstance(ReadFile(), BatchTool)
    assert not isinstance(ListDir(), BatchTool)


# --- pages --------------------------------------------------------------------------------------


def test_pages_of_one_host_come_over_a_few_kept_connections(server: Server, tmp_path: Path) -> None:
    paths = [f"/{number}" for number in range(30)]
    assert texts(pages(server, tmp_path, *paths)) == paths
    assert len(server.asked) == 30
    assert server.connections <= LANES
    assert comes_true(lambda: server.open == 0)


def test_two_hosts_of_one_address_never_share_a_connection(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_as(monkeypatch, *[["127.0.0.1"]] * 20)
    names = [f"http://{name}.example:{server.port}/{n}" for n in range(10) for name in "ab"]
    assert len(pages(server, tmp_path, *names)) == 20
    assert {len(hosts) for hosts in server.hosts.values()} == {1}
    assert server.connections < 20


def test_no_more_connections_than_lanes_are_open_at_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with many hosts, whose kept connections are of no use to the next one."""
    open_at_once: list[int] = []
    resolve_as(monkeypatch, *[["127.0.0.1"]] * 30)
    names = [f"http://h{n % 15}.example:{server.port}/{n}" for n in range(30)]
    real = HttpGet._resolve

    async def resolve(self: HttpGet, url: Any) -> list[str]:
        ours = psutil.Process().net_connections("tcp")
        open_at_once.append(sum(bool(one.raddr) and one.raddr.port == server.port for one in ours))
        return await real(self, url)

    monkeypatch.setattr(HttpGet, "_resolve", resolve)
    assert len(pages(server, tmp_path, *names)) == 30
    assert server.connections >= 15
    assert 1 < max(open_at_once) <= LANES


def test_no_cookie_of_one_page_is_sent_for_another(server: Server, tmp_path: Path) -> None:
    pages(server, tmp_path, *(f"/{number}" for number in range(10)))
    assert not [path for host, path in server.asked if host == "cookie"]


def test_an_error_of_one_leaves_the_others_whole(server: Server, tmp_path: Path) -> None:
    bad = ["ftp://x/", "http://[", "http://127.0.0.1:1/", "/none"]
    answers = dict(pages(server, tmp_path, "/a", *bad, "/b"))
    assert [type(answers[place]) for place in (1, 2, 3)] == [ToolError] * 3
    assert [answers[place].ok for place in (0, 4, 5)] == [True, False, True]


def test_a_slow_page_holds_up_nobody_and_its_time_is_its_own(
    server: Server, tmp_path: Path
) -> None:
    slow = [f"/slow{number}" for number in range(LANES)]
    answers = pages(server, tmp_path, *slow, "/fast", timeout_ms=300)
    assert sorted(place for place, answer in answers if isinstance(answer, TimeoutError)) == [
        *range(LANES)
    ]
    assert texts(answers)[-1] == "/fast"


def test_each_is_given_as_soon_as_it_is_known(server: Server, tmp_path: Path) -> None:
    async def process() -> list[int]:
        calls = [
            (json.dumps({"url": server.url + path}), context_of(tmp_path))
            for path in ("/slow", "/a", "/b")
        ]
        places = []
        async for place, _ in HttpGet(allow_private=True).run_many(calls, WAIT_MS):
            places.append(place)
            if len(places) == 2:
                server.hold.set()
        return places

    assert asyncio.run(process())[-1] == 0


def test_a_connection_that_the_server_did_not_keep_is_made_anew(
    server: Server, tmp_path: Path
) -> None:
    server.ends_after_each = True
    paths = [f"/{number}" for number in range(20)]
    assert texts(pages(server, tmp_path, *paths)) == paths


def test_cancelling_stops_all_pages_and_closes_the_connections(
    server: Server, tmp_path: Path
) -> None:
    async def process() -> None:
        tool = HttpGet(allow_private=True)
        calls = [{"url": f"{server.url}/slow{number}"} for number in range(10)]
        running = asyncio.ensure_future(many(tool, tmp_path, *calls))
        assert await asyncio.to_thread(comes_true, lambda: len(server.asked) == LANES)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(process())
    server.hold.set()
    assert comes_true(lambda: server.open == 0)
    assert len(server.asked) == LANES


# --- files --------------------------------------------------------------------------------------


def test_files_are_read_in_one_thread_that_is_not_the_loops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    real = ReadFile._read

    def read(self: ReadFile, *arguments: Any) -> ToolResult:
        threads.append(threading.get_ident())
        return real(self, *arguments)

    monkeypatch.setattr(ReadFile, "_read", read)
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text(f"text {number}")
    answers = asyncio.run(
        many(ReadFile(), tmp_path, *({"path": f"{number}.txt"} for number in range(20)))
    )
    assert texts(answers) == [f"text {number}" for number in range(20)]
    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads


def test_a_file_that_cannot_be_read_leaves_the_others_whole(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    calls = [{"path": "none.txt"}, {"path": "a.txt"}, {"path": "../x"}, {"wrong": 1}]
    answers = dict(asyncio.run(many(ReadFile(), tmp_path, *calls)))
    assert [type(answers[place]) for place in (0, 2, 3)] == [ToolError] * 3
    assert answers[1].text == "one"


def test_a_file_that_did_not_change_is_given_again(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    tool = ReadFile(lambda: 2**62)
    ((_, before),) = asyncio.run(many(tool, tmp_path, {"path": "a.txt"}))
    kept = Lookup("t", "c0", 0, "kept", "kept", before.proof)

    async def again() -> Answers:
        context = replace(context_of(tmp_path), earlier=kept)
        return [each async for each in tool.run_many([('{"path": "a.txt"}', context)], WAIT_MS)]

    ((_, after),) = asyncio.run(again())
    assert (after.text, after.again) == ("kept", True)


class Stuck(ReadFile):
    """Reads no further than its first file, until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()
        self.reads = 0

    def _read(self, *arguments: Any) -> ToolResult:
        self.reads += 1
        self.begun.set()
        self.go.wait()
        return ToolResult("read")


def test_a_file_that_takes_too_long_holds_up_none_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is up once for each such file; the others are read, each once."""
    real, go, begun = ReadFile._read, threading.Event(), list[str]()

    def read(self: ReadFile, arguments: Any, context: Any) -> ToolResult:
        begun.append(arguments.path)
        if arguments.path.startswith("slow"):
            go.wait()
        return real(self, arguments, context)

    monkeypatch.setattr(ReadFile, "_read", read)
    names = ["slow1", "a", "slow2", "slow3", "b"]
    for name in names:
        (tmp_path / name).write_text(name)

    async def process() -> Answers:
        calls = ({"path": name} for name in names)
        answers = await many(ReadFile(), tmp_path, *calls, timeout_ms=500)
        go.set()
        return answers

    answers = dict(asyncio.run(process()))
    assert [type(answers[place]) for place in (0, 2, 3)] == [TimeoutError] * 3
    assert (answers[1].text, answers[4].text) == ("a", "b")
    assert begun == names


def test_cancelling_reads_no_further_file(tmp_path: Path) -> None:
    tool = Stuck()

    async def process() -> None:
        running = asyncio.ensure_future(many(tool, tmp_path, {"path": "a"}, {"path": "b"}))
        assert await asyncio.to_thread(tool.begun.wait, 10)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert asyncio.all_tasks() == {asyncio.current_task()}
        tool.go.set()

    asyncio.run(process())
    assert tool.reads == 1
