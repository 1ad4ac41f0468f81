"""Rules hold for what an address leads to, in a run and in a call by hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.cli.parts import Place


class Site:
    """Three pages, each of which leads to the next one."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                step = {"/one": "/two", "/two": "/secret"}.get(self.path)
                self.send_response(302 if step else 200)
                if step:
                    self.send_header("Location", step)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"text")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.mark.parametrize("denied", [True, False])
@pytest.mark.parametrize("by_hand", [True, False])
def test_what_a_rule_denies_is_not_reached_by_a_redirect(
    place: Place, site: Site, denied: bool, by_hand: bool
) -> None:
    rule = f'[permissions]\ndeny = ["http_get: {site.host}/secret"]\n' if denied else ""
    place.user_file.write_text(f'http_allowed = ["{site.host}"]\n{rule}', encoding="utf-8")
    arguments = {"url": f"http://{site.host}/one"}
    if by_hand:
        ran = place.cli("tools", "call", "http_get", "--args", json.dumps(arguments))
        told, ended_well = ran.out + ran.err, ran.code == 0
    else:
        place.turns({"calls": [{"name": "http_get", "arguments": arguments}]}, {"text": "done"})
        assert place.run().code == 0
        (end,) = place.events("ToolEnded")
        told, ended_well = end["text"], end.get("status", "ok") == "ok"
    assert site.asked == (["/one", "/two"] if denied else ["/one", "/two", "/secret"])
    assert ended_well is not denied
    assert ("redirects to" in told) is denied
    assert ("deny" in told.lower() or "denied" in told.lower()) is denied
