"""Downloading a rank file from a real server, whatever that server does."""

import hashlib
import socket

import pytest

from agentctl import ranks
from agentctl.errors import AgentctlError
from tests.contracts.wire import Reply, Server

DATA = b"AA== 0\nAQ== 1\n"


@pytest.fixture(autouse=True)
def small_file(monkeypatch):
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.delenv("DATA_GYM_CACHE_DIR", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setitem(ranks.SHA256, "o200k_base", hashlib.sha256(DATA).hexdigest())


def fetch(monkeypatch, home, address):
    monkeypatch.setattr(ranks, "URL", address + "/{}.tiktoken")
    return ranks.fetch("o200k_base", home)


def test_a_file_is_downloaded_in_one_request(monkeypatch, tmp_path):
    with Server(Reply([DATA[:5], DATA[5:]])) as server:
        path = fetch(monkeypatch, tmp_path, server.url)
        assert server.paths == ["/o200k_base.tiktoken"]
    assert path.read_bytes() == DATA


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply([b"no"], status=404), "the server answered 404"),
        (Reply([b""], status=302, headers={"location": "/elsewhere"}), "the server answered 302"),
        (Reply([DATA[:5]], end="reset"), "cannot be downloaded"),
        (Reply(end="reset"), "cannot be downloaded"),
        (Reply([b"<html>hello</html>"]), "not the file that was expected"),
    ],
)
def test_whatever_else_a_server_answers_leaves_nothing_behind(monkeypatch, tmp_path, reply, why):
    with Server(reply) as server, pytest.raises(AgentctlError, match=why):
        fetch(monkeypatch, tmp_path, server.url)
    assert not list(tmp_path.iterdir())


def test_a_file_without_an_end_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr(ranks, "BYTES_MAX", 10)
    with Server(Reply([DATA])) as server, pytest.raises(AgentctlError, match="larger than 10"):
        fetch(monkeypatch, tmp_path, server.url)


def test_without_a_network_the_error_says_what_to_do(monkeypatch, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(AgentctlError) as caught:
        fetch(monkeypatch, tmp_path, address)
    assert "cannot be downloaded" in caught.value.what
    assert "HTTPS_PROXY" in caught.value.next_step


def test_a_folder_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    (tmp_path / ranks.FOLDER).write_text("a file is in the way")
    with Server(Reply([DATA])) as server, pytest.raises(AgentctlError, match="cannot be written"):
        fetch(monkeypatch, tmp_path, server.url)
