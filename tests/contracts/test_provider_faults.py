"""What can go wrong on a provider's wire, and what the driver is told of it."""

import asyncio
import contextlib
import importlib
import json
import socket
from email.utils import formatdate
from typing import Any

import pytest

from agentctl.errors import ProviderError
from tests.contracts.calls import (
    KEY,
    TWO_CALLS,
    ask,
    asked,
    facts,
    failure,
    failures,
    make,
)
from tests.contracts.wire import WIRES, Reply, Server, Turn, Wire

# Refusals of the server


def test_a_wrong_key_is_tried_once_and_never_shown(wire: Wire) -> None:
    said = json.dumps({"error": {"message": f"Incorrect key {KEY} provided", "type": "x"}})
    error = failure(wire, Reply([said.encode()], status=401))
    assert facts(error) == ("auth", False, False)
    assert "Incorrect key" in str(error)
    if wire.key:
        assert KEY not in str(error)
        assert f"export {wire.key}=" in error.next_step


def test_no_key_names_what_to_type(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    if not wire.key:
        pytest.skip("this provider needs no key")
    monkeypatch.delenv(wire.key)
    module = importlib.import_module(f"agentctl.providers.{wire.provider.lower()}")
    with pytest.raises(ProviderError) as caught:
        getattr(module, wire.provider)("", {})
    assert facts(caught.value) == ("auth", False, False)
    assert f"export {wire.key}=" in str(caught.value)
    assert "--provider offline" in str(caught.value)


NOW = 1_800_000_000


WAITS: list[tuple[dict[str, str], int | None]] = [
    ({"retry-after": "7"}, 7_000),
    ({"retry-after": "86400"}, 86_400_000),
    ({"retry-after-ms": "1500.5", "retry-after": "9"}, 1_501),
    ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90_000),
    ({"retry-after": formatdate(NOW - 90, usegmt=True)}, 0),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "inf"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("status", "reason"), [(429, "rate"), (529, "overloaded")])
def test_the_server_s_own_wait_is_passed_on_exactly(wire: Wire, status: int, reason: str) -> None:
    date = {"date": formatdate(NOW, usegmt=True)}
    said = [b'{"error":"slow down"}']
    errors = failures(wire, *(Reply(said, status, {**date, **headers}) for headers, _ in WAITS))
    assert [error.retry_after_ms for error in errors] == [wait_ms for _, wait_ms in WAITS]
    assert {facts(error) for error in errors} == {(reason, True, False)}


STATUSES = [
    (307, "", "request", False),
    (400, "bad field", "request", False),
    (400, "prompt is too long: 9 tokens > 5 maximum", "context", False),
    (403, "no", "auth", False),
    (404, "model 'some-model' not found", "not_found", False),
    (413, "too large", "context", False),
    (422, "bad", "request", False),
    (500, "<html>oops", "server", True),
    (502, "", "server", True),
    (503, "", "server", True),
    (504, "", "server", True),
    (599, "", "server", True),
]


def test_an_error_status_has_one_meaning(wire: Wire) -> None:
    place = {"location": "/elsewhere"}
    replies = [Reply([said.encode() or b" "], status, place) for status, said, *_ in STATUSES]
    errors = failures(wire, *replies)
    for error, (_, said, reason, retriable) in zip(errors, STATUSES, strict=True):
        assert facts(error) == (reason, retriable, False)
        assert said in str(error)


def test_a_long_complaint_is_cut(wire: Wire) -> None:
    said = json.dumps({"error": {"message": "x" * 5_000}})
    error = failure(wire, Reply([said.encode()], status=400))
    assert "x" * 500 in error.what
    assert "x" * 501 not in error.what


def test_spent_quota_is_not_worth_a_retry(wire: Wire) -> None:
    code = {"Anthropic": "enforced_spend_limit_reached", "OpenAI": "insufficient_quota"}
    if wire.provider not in code:
        pytest.skip("local models have no quota")
    said = {"error": {"message": "no credit", "code": code[wire.provider], "type": "t"}}
    error = failure(wire, Reply([json.dumps(said).encode()], status=429))
    assert facts(error) == ("quota", False, False)


def test_a_missing_local_model_names_the_command_that_gets_it(wire: Wire) -> None:
    if wire.provider != "Ollama":
        pytest.skip("only for local models")
    error = failure(wire, Reply([b'{"error":"model not found"}'], status=404))
    assert "ollama pull some-model" in error.next_step


# Broken connections


def test_nobody_listening_is_certainly_not_billed(wire: Wire) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ProviderError) as caught:
            ask(wire, url)
    assert facts(caught.value) == ("network", True, False)
    assert caught.value.next_step
    assert ("ollama serve" in caught.value.next_step) == (wire.provider == "Ollama")


def test_a_reset_before_the_answer_may_be_billed(wire: Wire) -> None:
    assert facts(failure(wire, Reply(end="reset"))) == ("cut", True, True)


def test_a_reset_in_the_middle_may_be_billed(wire: Wire) -> None:
    chunks = wire.encode(Turn())[:2]
    assert facts(failure(wire, Reply(chunks, end="reset"))) == ("cut", True, True)


def test_a_stream_without_its_last_event_is_no_answer(wire: Wire) -> None:
    chunks = wire.encode(Turn(calls=TWO_CALLS, stop="tools"))[: -wire.last_events]
    assert facts(failure(wire, Reply(chunks))) == ("cut", True, True)


def test_an_empty_stream_is_no_answer(wire: Wire) -> None:
    assert facts(failure(wire, Reply([b"\n"]))) == ("cut", True, True)


def test_a_stream_that_stops_inside_a_line_is_cut(wire: Wire) -> None:
    whole = b"".join(wire.encode(Turn()))
    assert facts(failure(wire, Reply([whole[:90]]))) == ("cut", True, True)


def test_a_connection_that_breaks_after_the_last_event_changes_nothing(wire: Wire) -> None:
    with Server(Reply(wire.encode(Turn()), end="reset")) as server:
        (got,) = ask(wire, server.url)
    assert got.message.text == "Hello"


def test_what_is_no_event_is_malformed(wire: Wire) -> None:
    first, *rest = wire.encode(Turn())
    lines = [b'{"a": ', b'"text"', b"[1]", b'{"a": "\xff\xfe"}', b"null"]
    events = [line + b"\n" for line in lines]
    if wire.provider != "Ollama":
        events = [b"data: " + event + b"\n" for event in events]
    errors = failures(wire, *(Reply([first, event, *rest]) for event in events))
    assert {facts(error) for error in errors} == {("malformed", True, True)}


def bent(event: Any, value: object, depth: int) -> Any:
    if depth == 0 or not isinstance(event, dict):
        return value
    return {k: v if k == "type" else bent(v, value, depth - 1) for k, v in event.items()}


def test_events_of_unexpected_shape_never_raise_anything_else(wire: Wire) -> None:
    head = b"" if wire.provider == "Ollama" else b"data: "
    turn = Turn(calls=TWO_CALLS, stop="tools", thought=True)
    data = [chunk.removeprefix(head) for chunk in wire.encode(turn)]
    events = [json.loads(item) for item in data if item.startswith(b"{")]
    replies = [
        Reply([head + json.dumps(bent(event, value, depth)).encode() + b"\n" for event in events])
        for value in (None, 5, "x", [], {}, [{}], {"a": [1]})
        for depth in (1, 2, 3, 4)
    ]

    async def main(url: str) -> None:
        provider = make(wire, url)
        for _ in replies:
            with contextlib.suppress(ProviderError):
                await provider.ask(asked(), lambda _: None)
        await provider.close()

    with Server(*replies) as server:
        asyncio.run(main(server.url))
        assert len(server.bodies) == 28


def test_a_web_page_with_status_200_is_malformed(wire: Wire) -> None:
    reply = Reply([b"<html>Log in to the hotel</html>\n"], headers={"content-type": "text/html"})
    assert facts(failure(wire, reply)) == ("malformed", True, True)


def test_an_error_inside_the_stream_may_be_billed(wire: Wire) -> None:
    inner = {"type": "overloaded_error", "message": "Overloaded", "code": "x"}
    event = json.dumps({"type": "error", "error": inner}).encode()
    event = event + b"\n" if wire.provider == "Ollama" else b"data: " + event + b"\n\n"
    error = failure(wire, Reply([wire.encode(Turn())[0], event]))
    assert error.reason == ("overloaded" if wire.provider == "Anthropic" else "server")
    assert facts(error)[1:] == (True, True)
    assert "Overloaded" in str(error)


@pytest.mark.parametrize("chunks", [0, 1], ids=["before headers", "mid-stream"])
def test_a_silent_server_times_out_and_the_connection_is_closed(wire: Wire, chunks: int) -> None:
    request = asked(silence_ms=200) if chunks else asked(first_byte_ms=200)
    with Server(Reply(wire.encode(Turn())[:chunks], end="hang")) as server:
        with pytest.raises(ProviderError) as caught:
            ask(wire, server.url, request)
        assert server.gone.wait(20)
    assert facts(caught.value) == ("timeout", True, True)
    assert ("did not begin to answer within 0.2 s" in caught.value.what) == (chunks == 0)


def test_an_unreadable_answer_closes_the_connection_at_once(wire: Wire) -> None:
    async def main(server: Server) -> None:
        provider = make(wire, server.url)
        with pytest.raises(ProviderError):
            await provider.ask(asked(), lambda _: None)
        assert await asyncio.to_thread(server.gone.wait, 20)
        await provider.close()

    line = b"[]\n" if wire.provider == "Ollama" else b"data: []\n"
    with Server(Reply([line], end="hang")) as server:
        asyncio.run(main(server))


@pytest.mark.parametrize("chunks", [0, 1], ids=["before headers", "mid-stream"])
def test_cancelling_closes_the_connection(wire: Wire, chunks: int) -> None:
    with Server(Reply(wire.encode(Turn())[:chunks], end="hang")) as server:

        async def main() -> None:
            provider = make(wire, server.url)
            call = asyncio.create_task(provider.ask(asked(), lambda _: None))
            assert await asyncio.to_thread(server.asked.wait, 20)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await asyncio.to_thread(server.gone.wait, 20)
            await provider.close()
            await provider.close()

        asyncio.run(main())


def test_an_address_without_http_is_not_retried(wire: Wire) -> None:
    if wire.provider == "Ollama":
        pytest.skip("completes such addresses")
    with pytest.raises(ProviderError) as caught:
        ask(wire, "localhost:8080")
    assert facts(caught.value) == ("request", False, False)
    assert "base URL" in caught.value.next_step


@pytest.mark.parametrize("key", ["sk-é-canary", "sk-canary\nX-Evil: 1"])
def test_a_key_with_stray_characters_is_not_shown(
    wire: Wire, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not wire.key:
        pytest.skip("this provider needs no key")
    monkeypatch.setenv(wire.key, key)
    with Server() as server, pytest.raises(ProviderError) as caught:
        ask(wire, server.url)
    assert facts(caught.value) == ("auth", False, False)
    assert not server.bodies
    assert "canary" not in str(caught.value)


def test_a_number_as_error_code_inside_a_chat_stream_is_a_status() -> None:
    event = b'data: {"error": {"code": 429, "message": "upstream is busy"}}\n\n'
    error = failure(WIRES["openai-chat"], Reply([event]))
    assert facts(error) == ("rate", True, True)
