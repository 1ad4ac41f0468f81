"""A wrong key and a missing network are told; the task is kept and no key is written anywhere."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from agentctl.core import events as e
from tests.crash.helpers import (
    Place,
    Ran,
    check_books,
    check_told,
    of_kind,
    shell,
    small_life,
    turn,
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return small_life(tmp_path)


# --- providers -------------------------------------------------------------------------------

KEY = "sk-canary-7f3e9a1c5b"
PROVIDERS = {
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", ""),
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL", "/v1"),
}


@contextmanager
def refusing_server() -> Iterator[tuple[str, list[str]]]:
    """A provider that knows no key: its address and the paths that were asked for."""
    asked: list[str] = []

    class Refuse(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            # Some servers say the key back to whoever sent it.
            words = f"invalid x-api-key: {KEY}"
            error = {"type": "authentication_error", "message": words, "code": "invalid_api_key"}
            body = json.dumps({"type": "error", "error": error}).encode()
            self.send_response(401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refuse)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def key_is_nowhere(place: Place, *rans: Ran) -> None:
    """The key stands in no output and in no file."""
    for ran in rans:
        assert KEY not in ran.out + ran.err
    files = [path for folder in (place.home, place.work) for path in folder.rglob("*")]
    assert any(path.name == "agentctl.db" for path in files)
    for path in files:
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_wrong_key_is_told_after_one_request_and_the_task_kept(place: Place, name: str) -> None:
    key, address, suffix = PROVIDERS[name]
    with refusing_server() as (url, asked):
        env = {key: KEY, address: url + suffix}
        ran = place.run("run", "reach the goal", "--provider", name, env=env)
        assert len(asked) == 1
        task = place.listed()[0]
        check_told(ran, 1, key, f"agentctl resume {task['id']}")
        again = place.run("resume", task["id"], "--json", env=env)
        assert len(asked) == 2
    check_told(again, 1)
    assert (task["status"], task["cost_micros"]) == ("failed", 0)
    assert place.listed()[0]["status"] == "failed"
    check_books(place, place.snapshot())
    report = place.run("show", task["id"], "--events")
    key_is_nowhere(place, ran, again, report)


@pytest.mark.parametrize("name", PROVIDERS)
def test_no_key_is_told_before_anything_is_sent(place: Place, name: str) -> None:
    ran = place.run("run", "reach the goal", "--provider", name)
    check_told(ran, 1, PROVIDERS[name][0])


@pytest.mark.parametrize("name", [*PROVIDERS, "ollama"])
def test_without_a_network_the_run_says_so_and_keeps_the_task(place: Place, name: str) -> None:
    """A port that nobody listens on; one try, as the configuration says."""
    config = place.work / "mine.toml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        env = {"AGENTCTL_CONFIG": str(config)}
        if name == "ollama":
            config.write_text(f'attempts = 1\nbase_url = "{url}"\n', encoding="utf-8")
        else:
            config.write_text("attempts = 1\n", encoding="utf-8")
            key, address, suffix = PROVIDERS[name]
            env |= {key: KEY, address: url + suffix}
        more = ["--model", "llama3"] if name == "ollama" else []
        ran = place.run("run", "reach the goal", "--provider", name, *more, env=env)
    (task,) = place.listed()
    check_told(ran, 1, "cannot be reached", f"agentctl resume {task['id']}")
    assert task["status"] == "failed"
    seen = place.snapshot()
    (failed,) = of_kind(seen.logs[task["id"]], e.ModelFailed)
    assert (failed.reason, failed.charged_micros) == ("network", 0)
    check_books(place, seen)


def test_a_network_that_comes_back_is_used_at_the_next_try(place: Place) -> None:
    place.write_script(
        {"fault": "network"}, turn(shell("echo one >> marks")), {"fault": "cut"}, turn(text="end")
    )
    check_told(place.run(*place.run_arguments), 0)
    check_books(place, place.snapshot())
