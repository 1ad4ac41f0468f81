"""Pages that were fetched before: fresh ones, those that the server confirms, and all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agentctl.core.lookups import Lookup
from agentctl.errors import ToolError
from agentctl.ports import ToolResult
from agentctl.tools import http
from agentctl.tools.http import HttpGet
from tests.tools.helpers import call, context_of
from tests.tools.test_http import PLAIN, Server

NOW = 1_800_000_000_000


@pytest.fixture
def server() -> Any:
    it = Server()
    yield it
    it.close()


class Client:
    """Gets one URL again and again, as one task does."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self.now_ms = folder, url, NOW
        self.kept: Lookup | None = None

    def get(self) -> ToolResult:
        tool = HttpGet(allow_private=True, now_ms=lambda: self.now_ms)
        result = call(tool, replace(context_of(self.folder), earlier=self.kept), url=self.url)
        if result.proof and not result.again:
            self.kept = Lookup("t", "c0", self.now_ms, result.text, result.text, result.proof)
        return result


@pytest.fixture
def client(tmp_path: Path, server: Server) -> Client:
    return Client(tmp_path, f"{server.url}/a")


def put(server: Server, text: str = "one", path: str = "/a", status: int = 200, **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    server.pages[path] = (status, {**PLAIN, **named}, text.encode())


def asked(server: Server) -> list[str]:
    """The conditions under which the page was asked for."""
    return [headers.get("If-None-Match", "") for _, headers in server.asked]


def test_a_fresh_page_is_given_again_without_asking(server: Server, client: Client) -> None:
    put(server, Cache_Control="max-age=60")
    before = client.get()
    client.now_ms += 59_999
    after = client.get()
    assert (after.again, after.text, len(server.asked)) == (True, before.text, 1)


def test_when_it_is_no_longer_fresh_it_is_fetched(server: Server, client: Client) -> None:
    put(server, Cache_Control="max-age=60")
    client.get()
    put(server, "two", Cache_Control="max-age=60")
    client.now_ms += 60_000
    after = client.get()
    assert (after.again, after.text.endswith("two")) == (False, True)


def test_the_server_is_asked_whether_it_has_changed(server: Server, client: Client) -> None:
    put(server, ETag='"v1"')
    before = client.get()
    put(server, "", status=304, ETag='"v1"')
    after = client.get()
    assert (after.again, after.text, after.proof) == (True, before.text, before.proof)
    assert asked(server) == ["", '"v1"']


def test_what_has_changed_comes_with_the_same_question(server: Server, client: Client) -> None:
    put(server, ETag='"v1"')
    client.get()
    put(server, "two", ETag='"v2"')
    after = client.get()
    assert (after.again, after.text.endswith("two"), len(server.asked)) == (False, True, 2)
    client.get()
    assert asked(server)[-1] == '"v2"'


def test_the_time_of_the_last_change_will_do(server: Server, client: Client) -> None:
    moment = "Wed, 21 Oct 2026 07:28:00 GMT"
    put(server, Last_Modified=moment)
    client.get()
    put(server, "", status=304)
    assert client.get().again
    assert server.asked[-1][1]["If-Modified-Since"] == moment


def test_a_page_without_validators_is_fetched_every_time(server: Server, client: Client) -> None:
    put(server)
    assert [client.get().proof, client.get().again] == ["", False]


def test_304_without_a_question_is_no_page_of_ours(server: Server, client: Client) -> None:
    put(server, "", status=304)
    assert not client.get().again


@pytest.mark.parametrize("status", [203, 404, 500])
def test_errors_and_partial_answers_are_not_kept(
    server: Server, client: Client, status: int
) -> None:
    put(server, status=status, ETag='"v1"', Cache_Control="max-age=60")
    assert client.get().proof == ""


def test_a_page_that_was_cut_is_not_kept(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_BODY_BYTES", 10)
    put(server, "x" * 11, ETag='"v1"')
    assert client.get().proof == ""


def test_a_redirect_is_followed_anew_and_its_end_is_confirmed(
    server: Server, client: Client
) -> None:
    put(server, "", status=302, Location="/b")
    put(server, "one", "/b", ETag='"v1"', Cache_Control="max-age=60")
    client.get()
    put(server, "", "/b", status=304)
    assert client.get().again
    assert asked(server) == ["", "", "", '"v1"']


def test_a_redirect_that_leads_elsewhere_now_is_not_asked_with_the_old_validators(
    server: Server, client: Client
) -> None:
    put(server, "", status=302, Location="/b")
    put(server, "one", "/b", ETag='"v1"')
    client.get()
    put(server, "", status=302, Location="/c")
    put(server, "two", "/c", ETag='"v1"')
    after = client.get()
    assert (after.again, after.text.endswith("two")) == (False, True)
    assert asked(server) == [""] * 4


def test_an_address_that_is_not_public_is_refused_also_when_asked_again(
    server: Server, client: Client
) -> None:
    put(server, ETag='"v1"')
    client.get()
    context = replace(context_of(client.folder), earlier=client.kept)
    with pytest.raises(ToolError, match="not a public address"):
        call(HttpGet(), context, url=client.url)
