"""One suite for every network provider, each against a real server that speaks its format."""

import asyncio
import json

import pytest

from agentctl.core.values import Message, ToolCall, Usage
from tests.contracts.calls import (
    GOAL,
    RESULTS,
    TWO_CALLS,
    answer,
    ask,
    asked,
    make,
)
from tests.contracts.wire import WIRES, Reply, Server, Turn, Wire

# Answers


def test_text_is_streamed_in_order_and_returned_whole(wire: Wire) -> None:
    deltas: list[str] = []
    with Server(Reply(wire.encode(Turn(texts=["one ", "two ", "é😀"])))) as server:
        (got,) = ask(wire, server.url, deltas=deltas)
        assert server.paths == [wire.path]
    assert [delta for delta in deltas if delta] == ["one ", "two ", "é😀"]
    assert got.message == Message(role="assistant", text="one two é😀")
    assert (got.stop, got.model) == ("end", "answering-model")
    assert got.response_id == ("" if wire.provider == "Ollama" else "resp-1")


def test_a_stream_cut_into_single_bytes_reads_the_same(wire: Wire) -> None:
    whole = b"".join(wire.encode(Turn(texts=["é😀"], calls=TWO_CALLS, stop="tools")))
    pieces = [whole[n : n + 1] for n in range(len(whole))]
    with Server(Reply([whole]), Reply(pieces)) as server:
        first, second = ask(wire, server.url, asked(), asked())
    assert first == second


def test_parallel_calls_arrive_whole_though_their_json_is_split(wire: Wire) -> None:
    got = answer(wire, Turn(calls=TWO_CALLS, stop="tools"))
    assert got.stop == "tools"
    assert [(c.id, c.name, json.loads(c.arguments), c.problem) for c in got.message.calls] == [
        ("call-1", "read_file", {"path": "a"}, ""),
        ("call-2", "alpha", {"n": 1}, ""),
    ]
    if wire.text_arguments:
        assert got.message.calls[0].arguments == '{"path": "a"}'


def test_usage_counts_the_cached_part_as_input(wire: Wire) -> None:
    usage = answer(wire, Turn()).usage
    cached = Usage(input=100, cache_read=60, cache_write=20, output=12, reasoning=5)
    assert usage == (cached if wire.caches else Usage(input=100, output=12))


@pytest.mark.parametrize("output", [None, -5], ids=["missing", "negative"])
def test_usage_that_cannot_be_is_estimated_and_said_so(wire: Wire, output: int | None) -> None:
    counts = {"input": 100, "read": 0, "write": 0, "output": output or 0, "thought": 0}
    usage = answer(wire, Turn(texts=["x" * 30], counts=counts if output else None)).usage
    assert usage == Usage(input=1_000, output=10, reported=False)


def test_an_unknown_tool_name_passes_through(wire: Wire) -> None:
    got = answer(wire, Turn(calls=[("call-1", "functions.rm -rf", ["{}"])], stop="tools"))
    assert got.message.calls == (ToolCall(id="call-1", name="functions.rm -rf"),)


def test_an_empty_reply_is_an_answer(wire: Wire) -> None:
    got = answer(wire, Turn(texts=[]))
    assert (got.message, got.stop) == (Message(role="assistant"), "end")
    assert got.usage.reported


def test_an_answer_cut_by_its_length_limit_says_so(wire: Wire) -> None:
    got = answer(wire, Turn(stop="length"))
    assert (got.message.text, got.stop) == ("Hello", "length")


def test_a_refusal_is_a_stop_reason(wire: Wire) -> None:
    if not wire.refuses:
        pytest.skip("this provider has no refusals")
    got = answer(wire, Turn(texts=["I will not."], stop="refusal"))
    assert (got.message.text, got.stop) == ("I will not.", "refusal")


@pytest.mark.parametrize("stop", ["tools", "length"])
@pytest.mark.parametrize("arguments", ['{"path": ', "[1]", '{"a": NaN}', '{"a": "\\ud800"}'])
def test_broken_arguments_are_kept_and_named(wire: Wire, arguments: str, stop: str) -> None:
    if not wire.text_arguments:
        pytest.skip("this provider sends arguments as JSON objects")
    got = answer(wire, Turn(calls=[("call-1", "read_file", [arguments])], stop=stop))
    (call,) = got.message.calls
    assert (call.arguments, got.stop) == (arguments.strip(), stop)
    assert call.problem.startswith("arguments are not")


def test_a_call_without_an_id_or_with_an_old_one_gets_a_new_one(wire: Wire) -> None:
    before = Message(role="assistant", calls=(ToolCall(id="call-1", name="alpha"),))
    calls = [("call-1", "alpha", ["{}"]), ("", "alpha", ["{}"])]
    if wire.encode is WIRES["openai-responses"].encode:
        calls = calls[:1]
    done = Message(role="tool", call_id="call-1", text="ok")
    got = answer(wire, Turn(calls=calls, stop="tools"), asked(GOAL, before, done))
    ids = [call.id for call in got.message.calls]
    assert len(ids) == len(calls) == len({"call-1", "", *ids}) - 2


def test_lone_surrogates_become_replacement_characters_both_ways(wire: Wire) -> None:
    deltas: list[str] = []
    reply = Reply(wire.encode(Turn(texts=["a\ud800b", "\ud83d", "\ude00"])))
    with Server(reply) as server:
        goal = Message(role="user", text="x\udc80y")
        (got,) = ask(wire, server.url, asked(goal), deltas=deltas)
        assert "x\ufffdy" in server.bodies[0].decode()
    assert got.message.text == "a\ufffdb😀"
    assert "".join(deltas).encode()


def test_reasoning_is_returned_verbatim_and_only_to_the_model_it_came_from(wire: Wire) -> None:
    turn = Turn(calls=TWO_CALLS, stop="tools", thought=True)
    marks = ["sig", "sealed", "hm"]
    if wire.encode is WIRES["openai-chat"].encode:
        pytest.skip("this format has no reasoning to return")
    message = answer(wire, turn).message
    assert message.native
    followed = asked(GOAL, message, *RESULTS)
    changed = asked(GOAL, Message(role="assistant", calls=message.calls), *RESULTS)
    replies = [Reply(wire.encode(Turn())) for _ in range(3)]
    with Server(*replies) as server:
        ask(wire, server.url, followed, changed)

        async def other() -> None:
            provider = make(wire, server.url)
            provider.model = "another-model"
            await provider.ask(followed, lambda _: None)
            await provider.close()

        asyncio.run(other())
        kept = [any(f'"{m}"'.encode() in body for m in marks) for body in server.bodies]
        sent = json.dumps(server.sent(0)[wire.messages])
    assert kept == [True, False, False]
    assert all(sent.count(f'"name": "{name}"') == 1 for name in ("read_file", "alpha"))


def test_a_chat_stream_may_leave_out_done_but_not_its_finish_reason() -> None:
    wire = WIRES["openai-chat"]
    with Server(Reply(wire.encode(Turn())[:-2])) as server:
        (got,) = ask(wire, server.url)
    assert (got.message.text, got.usage.reported) == ("Hello", False)


def test_chat_calls_that_share_an_index_are_told_apart_by_id() -> None:
    calls = [
        {"index": 0, "id": f"call-{n}", "function": {"name": "alpha", "arguments": f'{{"n":{n}}}'}}
        for n in (1, 2)
    ]
    chunk = {"choices": [{"delta": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}
    with Server(Reply([f"data: {json.dumps(chunk)}\n\n".encode()])) as server:
        (got,) = ask(WIRES["openai-chat"], server.url)
    assert [(c.id, c.arguments) for c in got.message.calls] == [
        ("call-1", '{"n":1}'),
        ("call-2", '{"n":2}'),
    ]
