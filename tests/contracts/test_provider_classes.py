"""Which failures are worth another try, when, and what to do about the others."""

import json
import time

import pytest

from agentctl.providers._faults import retry_after_ms
from tests.contracts.calls import asked, facts, failure, failures
from tests.contracts.wire import WIRES, Reply, Turn, Wire

TRANSIENT = (408, 409, 425, 429, 500, 502, 503, 504, 529)
PERMANENT = (400, 401, 402, 403, 404, 405, 410, 413, 422, 501)


def test_transient_statuses_are_tried_again_when_the_server_says(wire: Wire) -> None:
    replies = [Reply([b"no"], status, {"retry-after": "3"}) for status in TRANSIENT]
    for status, error in zip(TRANSIENT, failures(wire, *replies), strict=True):
        assert (status, *facts(error)[1:]) == (status, True, False)
        assert error.retry_after_ms == 3_000


def test_permanent_statuses_end_at_once_and_say_what_to_do(wire: Wire) -> None:
    replies = [Reply([b"no"], status, {"retry-after": "3"}) for status in PERMANENT]
    for status, error in zip(PERMANENT, failures(wire, *replies), strict=True):
        assert (status, *facts(error)[1:]) == (status, False, False)
        assert error.next_step, status
        assert error.retry_after_ms is None


def test_the_server_s_own_word_on_trying_again_counts(wire: Wire) -> None:
    word = "x-should-retry"
    replies = [
        Reply([b"no"], 429, {word: "false", "retry-after": "3"}),
        Reply([b"no"], 400, {word: "true", "retry-after": "3"}),
        Reply([b"no"], 503, {word: "perhaps"}),
    ]
    errors = failures(wire, *replies)
    assert [error.retriable for error in errors] == [False, True, True]
    assert [error.retry_after_ms for error in errors] == [None, 3_000, None]


CODED: list[tuple[str, int, dict[str, str], str, bool]] = [
    ("anthropic", 400, {"type": "invalid_request_error"}, "request", False),
    ("anthropic", 401, {"type": "authentication_error"}, "auth", False),
    ("anthropic", 402, {"type": "billing_error"}, "quota", False),
    ("anthropic", 403, {"type": "permission_error"}, "auth", False),
    ("anthropic", 404, {"type": "not_found_error"}, "not_found", False),
    ("anthropic", 413, {"type": "request_too_large"}, "context", False),
    ("anthropic", 429, {"type": "rate_limit_error"}, "rate", True),
    ("anthropic", 429, {"type": "overloaded_error"}, "overloaded", True),
    ("anthropic", 500, {"type": "api_error"}, "server", True),
    ("anthropic", 504, {"type": "timeout_error"}, "server", True),
    ("anthropic", 529, {"type": "overloaded_error"}, "overloaded", True),
    (
        "anthropic",
        400,
        {
            "type": "invalid_request_error",
            "message": "Your credit balance is too low to access the API.",
        },
        "quota",
        False,
    ),
    (
        "anthropic",
        400,
        {
            "type": "invalid_request_error",
            "message": "You have reached your specified API usage limits.",
        },
        "quota",
        False,
    ),
    *(
        row
        for wire in ("openai-chat", "openai-responses")
        for row in (
            (wire, 401, {"code": "invalid_api_key"}, "auth", False),
            (wire, 403, {"code": "unsupported_country_region_territory"}, "auth", False),
            (wire, 404, {"code": "model_not_found"}, "not_found", False),
            (wire, 400, {"code": "model_not_found"}, "not_found", False),
            (wire, 400, {"code": "context_length_exceeded"}, "context", False),
            (wire, 400, {"code": "invalid_encrypted_content"}, "request", False),
            (wire, 429, {"code": "rate_limit_exceeded", "type": "tokens"}, "rate", True),
            (
                wire,
                429,
                {
                    "code": "rate_limit_exceeded",
                    "message": "Request too large for gpt on tokens per min: it must be reduced.",
                },
                "context",
                False,
            ),
            (wire, 429, {"type": "insufficient_quota"}, "quota", False),
            (wire, 429, {"code": "billing_not_active"}, "quota", False),
            (wire, 503, {"type": "server_error"}, "server", True),
        )
    ),
    (
        "ollama",
        500,
        {"message": "model requires more system memory (9 GiB) than is available"},
        "request",
        False,
    ),
    ("ollama", 400, {"message": '"tiny" does not support tools'}, "request", False),
    ("ollama", 503, {"message": "server busy, maximum pending requests exceeded"}, "server", True),
]


def test_a_provider_s_own_code_comes_before_its_status(
    wire: Wire, request: pytest.FixtureRequest
) -> None:
    rows = [row[1:] for row in CODED if row[0] == request.node.callspec.params["wire"]]
    replies = [Reply([json.dumps({"error": error}).encode()], status) for status, error, *_ in rows]
    for got, (_, said, reason, retriable) in zip(failures(wire, *replies), rows, strict=True):
        assert (said, *facts(got)) == (said, reason, retriable, False)
        assert bool(got.next_step) != retriable


@pytest.mark.parametrize(("code", "retriable"), [(400, False), (418, False), (503, True)])
def test_a_status_streamed_in_the_place_of_a_code_has_its_usual_meaning(
    code: int, retriable: bool
) -> None:
    event = json.dumps({"error": {"code": code, "message": "upstream"}})
    error = failure(WIRES["openai-chat"], Reply([b"data: " + event.encode() + b"\n\n"]))
    assert facts(error)[1:] == (retriable, True)


# Waiting for the first byte; that a silence later on ends a call too is told among the faults


@pytest.mark.parametrize("chunks", [[], [b"\n"], [b": still busy\n\n"]])
def test_an_answer_that_does_not_begin_is_given_up(wire: Wire, chunks: list[bytes]) -> None:
    """Signs of life before the first event are not the beginning of an answer."""
    if wire.provider == "Ollama" and chunks:
        chunks = [b"\n"]  # its format has no comments
    error = failures(wire, Reply(chunks, end="hang"), request=asked(first_byte_ms=150))[0]
    assert facts(error) == ("timeout", True, True)
    assert "did not begin to answer within 0.15 s" in error.what
    assert "raise ai below [timeouts]" in error.next_step


def test_the_wait_for_the_first_byte_does_not_bound_the_rest(wire: Wire) -> None:
    beginning = Reply(wire.encode(Turn())[:1], end="hang")
    request = asked(first_byte_ms=20_000, silence_ms=150)
    assert "said nothing for 0.15 s" in failures(wire, beginning, request=request)[0].what


# Retry-After


@pytest.mark.parametrize(
    ("headers", "wait_ms"),
    [
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.25"}, 1_250),
        ({"retry-after": "16.1"}, 16_100),
        ({"retry-after": " 7 "}, 7_000),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "7, 7"}, None),
        ({"retry-after": "9" * 400}, 366 * 86_400_000),
        ({"retry-after-ms": "0", "retry-after": "9"}, 0),
        ({"retry-after-ms": "0.2"}, 1),
        ({"retry-after-ms": "-1", "retry-after": "9"}, 9_000),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9_000),
    ],
)
def test_a_wait_in_numbers_is_obeyed_exactly(headers: dict[str, str], wait_ms: int | None) -> None:
    assert retry_after_ms(headers) == wait_ms


@pytest.mark.parametrize(
    ("date", "wait_ms"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37_000),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 37_000),
        ("Sun Nov  6 08:49:37 1994", 37_000),
        ("Sun, 06 Nov 1994 08:48:59 GMT", 0),
        ("Sun, 06 Nov 9994 08:49:37 GMT", 366 * 86_400_000),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ("2024-11-06T08:49:37Z", None),
    ],
)
def test_a_date_in_any_of_its_three_forms_is_told_by_the_server_s_clock(
    date: str, wait_ms: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as place:
        place.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        waits = {
            retry_after_ms({"retry-after": date, "date": now})
            for now in ("Sun, 06 Nov 1994 08:49:00 GMT", "Sun Nov  6 08:49:00 1994")
        }
    time.tzset()
    assert waits == {wait_ms}


def test_when_a_quota_is_full_again_is_not_when_to_try_again() -> None:
    """OpenAI and Anthropic document these as full replenishment, which is later than needed."""
    headers = {
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-reset-tokens": "6m0s",
        "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
    }
    assert retry_after_ms(headers) is None
