"""One suite for every embedder, each against a real server that speaks its format."""

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from agentctl import registry
from agentctl.core.values import Rates, Usage
from agentctl.errors import ProviderError
from agentctl.ports import Embedded
from tests.contracts.calls import ENVIRONMENT, KEY, facts
from tests.contracts.wire import Reply, Server

TEXTS = ["one", "two", "drei €"]
VECTORS = [[1.0, 0.5], [-0.25, 0.0], [0, 3]]
JSON = {"content-type": "application/json"}


def openai(vectors: Sequence[object], tokens: object = 7) -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": "answering-model", "usage": usage}


def ollama(vectors: Sequence[object], tokens: object = 7) -> dict[str, Any]:
    return {"model": "answering-model", "embeddings": vectors, "prompt_eval_count": tokens}


class Kind(NamedTuple):
    """How one embedder is reached and answers."""

    base: str
    path: str
    key: str
    usual: str
    answer: Callable[..., dict[str, Any]]


KINDS = {
    "openai": Kind("/v1", "/v1/embeddings", "OPENAI_API_KEY", "text-embedding-3-small", openai),
    "ollama": Kind("", "/api/embed", "", "nomic-embed-text", ollama),
}


@pytest.fixture(params=KINDS)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for variable in ENVIRONMENT:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    found: str = request.param
    return found


def make(name: str, url: str, model: str = "some-model") -> Any:
    kind = registry.load(registry.EMBEDDERS, name, "embedder")
    return kind(model, {"base_url": url + KINDS[name].base})


def embed(name: str, url: str, *calls: Sequence[str]) -> list[Embedded]:
    async def main() -> list[Embedded]:
        embedder = make(name, url)
        try:
            return [await embedder.embed(texts) for texts in calls or (TEXTS,)]
        finally:
            await embedder.close()
            await embedder.close()

    return asyncio.run(main())


def reply(value: object) -> Reply:
    return Reply([json.dumps(value).encode()], headers=JSON)


def failure(name: str, *replies: Reply) -> ProviderError:
    """The error of one call; the server must have been asked once."""
    with Server(*replies, reply(KINDS[name].answer(VECTORS))) as server:
        with pytest.raises(ProviderError) as caught:
            embed(name, server.url)
        assert len(server.bodies) == 1
    assert KEY not in f"{caught.value} {caught.value.next_step}"
    return caught.value


# Answers


def test_a_vector_for_each_text_in_their_order(name: str) -> None:
    with Server(reply(KINDS[name].answer(VECTORS))) as server:
        (got,) = embed(name, server.url)
        assert server.paths == [KINDS[name].path]
        assert (server.sent()["model"], server.sent()["input"]) == ("some-model", TEXTS)
        sent_key = server.headers[0].get("authorization", "")
    assert [list(vector) for vector in got.vectors] == VECTORS
    assert (got.usage, got.model) == (Usage(input=7), "answering-model")
    assert sent_key == (f"Bearer {KEY}" if KINDS[name].key else "")


def test_vectors_that_come_in_another_order_are_put_right(name: str) -> None:
    if name != "openai":
        pytest.skip("its vectors have no number")
    answer = openai(VECTORS)
    answer["data"].reverse()
    with Server(reply(answer)) as server:
        (got,) = embed(name, server.url)
    assert [list(vector) for vector in got.vectors] == VECTORS


def test_one_client_makes_many_calls(name: str) -> None:
    answer = KINDS[name].answer
    with Server(reply(answer(VECTORS)), reply(answer(VECTORS[:1]))) as server:
        _, second = embed(name, server.url, TEXTS, ["again"])
        assert server.sent(1)["input"] == ["again"]
    assert len(second.vectors) == 1


@pytest.mark.parametrize("tokens", [None, -1, "7", 1.5], ids=str)
def test_usage_that_cannot_be_is_estimated_and_said_so(name: str, tokens: object) -> None:
    with Server(reply(KINDS[name].answer(VECTORS, tokens))) as server:
        (got,) = embed(name, server.url)
    assert got.usage == Usage(input=5, reported=False)  # 14 bytes


def test_a_lone_surrogate_can_be_embedded(name: str) -> None:
    with Server(reply(KINDS[name].answer(VECTORS[:1]))) as server:
        embed(name, server.url, ["a\ud800b"])
        assert server.sent()["input"] == ["a\ufffdb"]


def test_a_model_of_its_own_and_prices_of_this_machine(name: str) -> None:
    embedder = make(name, "http://localhost:1", "")
    assert (embedder.name, embedder.model) == (name, KINDS[name].usual)
    assert not embedder.paced
    assert make(name, "http://192.0.2.1").paced
    assert embedder.rates == (Rates(source="local") if name == "ollama" else None)


# What is no answer


@pytest.mark.parametrize(
    "vectors",
    [
        VECTORS[:2],
        [*VECTORS, [1.0, 1.0]],
        [],
        [[1.0, 2.0], [1.0], [1.0, 2.0]],
        [[], [], []],
        [[1.0, None], [1.0, 2.0], [1.0, 2.0]],
        [[1.0, "2"], [1.0, 2.0], [1.0, 2.0]],
        [[1.0, True], [1.0, 2.0], [1.0, 2.0]],
        ["AAAA", "AAAA", "AAAA"],
        [{}, {}, {}],
    ],
)
def test_vectors_that_do_not_fit_the_texts_are_malformed(name: str, vectors: list[object]) -> None:
    error = failure(name, reply(KINDS[name].answer(vectors)))
    assert facts(error) == ("malformed", True, True)
    assert "answer" in error.what


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_number_that_is_none_is_malformed(name: str, number: bytes) -> None:
    whole = json.dumps(KINDS[name].answer([[1.0, 77], [1.0, 2.0], [1.0, 2.0]])).encode()
    error = failure(name, Reply([whole.replace(b"77", number)], headers=JSON))
    assert facts(error) == ("malformed", True, True)


@pytest.mark.parametrize("places", [(0, 0, 1), (0, 1, 3), (0, 1, [2]), (-1, 0, 1)], ids=str)
def test_vectors_without_a_place_of_their_own_are_malformed(
    name: str, places: tuple[object, ...]
) -> None:
    if name != "openai":
        pytest.skip("its vectors have no number")
    answer = openai(VECTORS)
    for item, place in zip(answer["data"], places, strict=True):
        item["index"] = place
    assert facts(failure(name, reply(answer))) == ("malformed", True, True)


def test_answers_of_unexpected_shape_are_malformed(name: str) -> None:
    bodies: list[object] = [None, 5, "x", [], {}, {"data": 5}, {"data": [5] * 3}, {"embeddings": 5}]
    for body in bodies:
        assert facts(failure(name, reply(body))) == ("malformed", True, True)


def test_a_web_page_with_status_200_is_malformed(name: str) -> None:
    page = Reply([b"<html>Log in to the hotel</html>"], headers={"content-type": "text/html"})
    assert facts(failure(name, page)) == ("malformed", True, True)


def test_an_error_with_status_200_may_be_billed(name: str) -> None:
    error = failure(name, reply({"error": {"message": f"out of memory for {KEY[:4]}"}}))
    assert facts(error) == ("server", True, True)
    assert "out of memory" in error.what


# Refusals and broken connections


def test_a_wrong_key_is_tried_once_and_never_shown(name: str) -> None:
    echo = KEY if KINDS[name].key else "it"
    said = json.dumps({"error": {"message": f"Incorrect key {echo} provided", "type": "x"}})
    error = failure(name, Reply([said.encode()], status=401, headers=JSON))
    assert facts(error) == ("auth", False, False)
    assert "Incorrect key" in error.what


def test_no_key_names_what_to_type(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not KINDS[name].key:
        pytest.skip("needs no key")
    monkeypatch.delenv(KINDS[name].key)
    with pytest.raises(ProviderError) as caught:
        registry.load(registry.EMBEDDERS, name, "embedder")("", {})
    assert facts(caught.value) == ("auth", False, False)
    assert f"export {KINDS[name].key}=" in caught.value.next_step


def test_the_server_s_own_wait_is_passed_on_and_nothing_is_tried_again(name: str) -> None:
    said = [b'{"error":"slow down"}']
    error = failure(name, Reply(said, status=429, headers={**JSON, "retry-after": "7"}))
    assert facts(error) == ("rate", True, False)
    assert error.retry_after_ms == 7_000


@pytest.mark.parametrize(
    ("status", "reason", "retriable"),
    [
        (307, "request", False),
        (400, "request", False),
        (404, "not_found", False),
        (500, "server", True),
        (503, "server", True),
    ],
)
def test_an_error_status_was_not_billed(
    name: str, status: int, reason: str, retriable: bool
) -> None:
    place = {**JSON, "location": "/elsewhere"}
    error = failure(name, Reply([b'{"error":"no"}'], status=status, headers=place))
    assert facts(error) == (reason, retriable, False)


def test_a_missing_model_names_what_to_do(name: str) -> None:
    error = failure(name, Reply([b'{"error":"model not found"}'], status=404, headers=JSON))
    step = "ollama pull some-model" if name == "ollama" else "setting embedder"
    assert step in error.next_step


def test_nobody_listening_is_certainly_not_billed(name: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ProviderError) as caught:
            embed(name, f"http://127.0.0.1:{free.getsockname()[1]}")
    assert facts(caught.value) == ("network", True, False)
    assert caught.value.next_step


@pytest.mark.parametrize("chunks", [0, 1], ids=["before headers", "in the middle"])
def test_a_connection_that_is_cut_may_have_been_billed(name: str, chunks: int) -> None:
    half = json.dumps(KINDS[name].answer(VECTORS)).encode()[:40]
    error = failure(name, Reply([half][:chunks], end="reset", headers=JSON))
    assert facts(error) == ("cut", True, True)


@pytest.mark.parametrize("chunks", [0, 1], ids=["before headers", "in the middle"])
def test_cancelling_closes_the_connection(name: str, chunks: int) -> None:
    half = json.dumps(KINDS[name].answer(VECTORS)).encode()[:40]
    with Server(Reply([half][:chunks], end="hang", headers=JSON)) as server:

        async def main() -> None:
            embedder = make(name, server.url)
            call = asyncio.create_task(embedder.embed(TEXTS))
            assert await asyncio.to_thread(server.asked.wait, 20)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await asyncio.to_thread(server.gone.wait, 20)
            await embedder.close()

        asyncio.run(main())


def test_an_answer_that_does_not_come_is_given_up(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentctl.providers._embed.ANSWER_MS", 200)
    error = failure(name, Reply(end="hang"))
    assert facts(error) == ("timeout", True, True)


def test_an_answer_without_end_is_given_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentctl.providers._embed.MAX_BYTES", 100)
    error = failure(name, Reply([b" " * 90, b" " * 90], headers=JSON))
    assert facts(error) == ("malformed", True, True)
