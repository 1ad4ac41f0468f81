"""A real HTTP server on a local port, and each provider's wire format as a table."""

import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

Event = dict[str, Any]


@dataclass
class Turn:
    """What the model answers, in no provider's words."""

    texts: list[str] = field(default_factory=lambda: ["Hel", "lo"])
    calls: list[tuple[str, str, list[str]]] = field(default_factory=list)
    """Id, name, pieces of the arguments."""
    stop: str = "end"
    counts: dict[str, int] | None = field(
        default_factory=lambda: {"input": 100, "read": 60, "write": 20, "output": 12, "thought": 5}
    )
    thought: bool = False


@dataclass
class Reply:
    """One HTTP answer. `end`: "close", "reset" (before headers if there are no chunks), "hang"."""

    chunks: list[bytes] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    end: str = "close"


class Server:
    """Answers requests with the given replies, in order; keeps what it was sent.

    A request that `check` complains about is answered with status 400 instead.
    """

    def __init__(self, *replies: Reply, check: Callable[[bytes], str] = lambda _: "") -> None:
        self.replies = list(replies)
        self.check = check
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.asked = threading.Event()
        self.gone = threading.Event()
        """The client closed a connection that was left hanging."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                try:
                    outer._answer(self)
                except OSError:
                    outer.gone.set()
                    self.close_connection = True

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # base's name
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = False
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def sent(self, number: int = -1) -> Any:
        return json.loads(self.bodies[number])

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.paths.append(handler.path)
        self.headers.append({key.lower(): value for key, value in handler.headers.items()})
        self.bodies.append(handler.rfile.read(int(handler.headers.get("content-length", 0))))
        self.asked.set()
        reply = self.replies.pop(0)
        if complaint := self.check(self.bodies[-1]):
            reply = Reply([json.dumps({"error": {"message": complaint}}).encode()], status=400)
        if reply.chunks or reply.end == "close":
            handler.send_response_only(reply.status)
            for key, value in {"content-type": "text/event-stream", **reply.headers}.items():
                handler.send_header(key, value)
            handler.send_header("transfer-encoding", "chunked")
            handler.end_headers()
        for chunk in reply.chunks:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if reply.end == "close":
            handler.wfile.write(b"0\r\n\r\n")
            return
        handler.close_connection = True
        if reply.end == "reset":
            # Closing with this option on sends a reset.
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.connection.close()
        elif reply.end == "hang":
            handler.connection.settimeout(30)
            if handler.rfile.read(1) == b"":
                self.gone.set()


def sse(events: list[Event]) -> list[bytes]:
    return [f"data: {json.dumps(event)}\n\n".encode() for event in events]


def anthropic(turn: Turn) -> list[bytes]:
    counts = turn.counts
    usage: Event = {}
    if counts:
        usage = {
            "input_tokens": counts["input"] - counts["read"] - counts["write"],
            "cache_read_input_tokens": counts["read"],
            "cache_creation_input_tokens": counts["write"],
        }
    message = {"id": "resp-1", "model": "answering-model", "usage": {**usage, "output_tokens": 1}}
    events: list[Event] = [{"type": "message_start", "message": message}, {"type": "ping"}]
    blocks: list[tuple[Event, list[Event]]] = []
    if turn.thought:
        deltas = [
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "sig"},
        ]
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
    if turn.texts:
        deltas = [{"type": "text_delta", "text": text} for text in turn.texts]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for call_id, name, pieces in turn.calls:
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        blocks.append(({"type": "tool_use", "id": call_id, "name": name, "input": {}}, deltas))
    for index, (block, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": d} for d in deltas]
        events.append({"type": "content_block_stop", "index": index})
    reason = {"end": "end_turn", "tools": "tool_use", "length": "max_tokens"}
    last: Event = {
        "type": "message_delta",
        "delta": {"stop_reason": reason.get(turn.stop, turn.stop)},
    }
    if counts:
        details = {"thinking_tokens": counts["thought"]}
        last["usage"] = {"output_tokens": counts["output"], "output_tokens_details": details}
    events += [last, {"type": "message_stop"}]
    return sse(events)


def chat(turn: Turn) -> list[bytes]:
    deltas: list[Event] = [{"role": "assistant", "content": ""}]
    key = "refusal" if turn.stop == "refusal" else "content"
    deltas += [{key: text} for text in turn.texts]
    # All first pieces, then all second pieces: parallel calls arrive interleaved.
    for index, (call_id, name, _) in enumerate(turn.calls):
        function = {"name": name, "arguments": ""}
        deltas.append({"tool_calls": [{"index": index, "id": call_id, "function": function}]})
    for part in range(max((len(call[2]) for call in turn.calls), default=0)):
        for index, (_, _, pieces) in enumerate(turn.calls):
            if part < len(pieces):
                function = {"arguments": pieces[part]}
                deltas.append({"tool_calls": [{"index": index, "function": function}]})
    reason = {"end": "stop", "tools": "tool_calls", "length": "length", "refusal": "stop"}
    choices: list[Event] = [{"index": 0, "delta": delta} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": reason[turn.stop]})
    head = {"id": "resp-1", "model": "answering-model"}
    events = [{**head, "choices": [choice]} for choice in choices]
    if turn.counts:
        usage = {
            "prompt_tokens": turn.counts["input"],
            "completion_tokens": turn.counts["output"],
            "prompt_tokens_details": {
                "cached_tokens": turn.counts["read"],
                "cache_write_tokens": turn.counts["write"],
            },
            "completion_tokens_details": {"reasoning_tokens": turn.counts["thought"]},
        }
        events.append({**head, "choices": [], "usage": usage})
    return [*sse(events), b"data: [DONE]\n\n"]


def responses(turn: Turn) -> list[bytes]:
    events: list[Event] = [{"type": "response.created", "response": {"id": "resp-1"}}]
    items: list[Event] = []
    if turn.thought:
        items.append(
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
        )
    if turn.texts:
        key = "refusal" if turn.stop == "refusal" else "text"
        part = {"type": f"output_{key}" if key == "text" else key, key: "".join(turn.texts)}
        items.append({"type": "message", "id": "msg_1", "role": "assistant", "content": [part]})
    for number, (call_id, name, pieces) in enumerate(turn.calls):
        call = {"type": "function_call", "id": f"fc_{number}", "call_id": call_id, "name": name}
        items.append({**call, "arguments": "".join(pieces)})
    for index, item in enumerate(items):
        at = {"output_index": index}
        if item["type"] == "message":
            kind = "refusal" if turn.stop == "refusal" else "output_text"
            events += [{"type": f"response.{kind}.delta", **at, "delta": t} for t in turn.texts]
        if item["type"] == "function_call":
            events.append(
                {"type": "response.output_item.added", **at, "item": {**item, "arguments": ""}}
            )
            pieces = next(call[2] for call in turn.calls if call[0] == item["call_id"])
            kind = "response.function_call_arguments.delta"
            events += [{"type": kind, **at, "delta": piece} for piece in pieces]
        events.append({"type": "response.output_item.done", **at, "item": item})
    last: Event = {"id": "resp-1", "model": "answering-model", "status": "completed"}
    if turn.stop == "length":
        last |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    if turn.counts:
        last["usage"] = {
            "input_tokens": turn.counts["input"],
            "output_tokens": turn.counts["output"],
            "input_tokens_details": {
                "cached_tokens": turn.counts["read"],
                "cache_write_tokens": turn.counts["write"],
            },
            "output_tokens_details": {"reasoning_tokens": turn.counts["thought"]},
        }
    events.append({"type": f"response.{last['status']}", "response": last})
    return sse(events)


def ollama(turn: Turn) -> list[bytes]:
    messages: list[Event] = [{"role": "assistant", "content": text} for text in turn.texts]
    if turn.thought:
        messages.insert(0, {"role": "assistant", "content": "", "thinking": "hm"})
    for call_id, name, pieces in turn.calls:
        function = {"name": name, "arguments": json.loads("".join(pieces))}
        calls = [{"id": call_id, "function": function}]
        messages.append({"role": "assistant", "content": "", "tool_calls": calls})
    head = {"model": "answering-model"}
    events: list[Event] = [{**head, "message": m, "done": False} for m in messages]
    last: Event = {**head, "message": {"role": "assistant", "content": ""}, "done": True}
    last["done_reason"] = "length" if turn.stop == "length" else "stop"
    if turn.counts:
        last |= {"prompt_eval_count": turn.counts["input"], "eval_count": turn.counts["output"]}
    return [json.dumps(event).encode() + b"\n" for event in [*events, last]]


class Wire(NamedTuple):
    """How one provider is made, spoken to and answers."""

    provider: str
    """Class name; its module has the same name in lower case."""
    options: dict[str, str]
    base: str
    path: str
    key: str
    encode: Callable[[Turn], list[bytes]]
    messages: str
    """Where the conversation is in a request."""
    last_events: int
    """How many events at the end make a stream whole."""
    caches: bool = True
    text_arguments: bool = True
    """Arguments come as text, which may be split or broken."""
    refuses: bool = True


WIRES: dict[str, Wire] = {
    "anthropic": Wire(
        "Anthropic", {}, "", "/v1/messages", "ANTHROPIC_API_KEY", anthropic, "messages", 1
    ),
    "openai-chat": Wire(
        "OpenAI", {}, "/v1", "/v1/chat/completions", "OPENAI_API_KEY", chat, "messages", 3
    ),
    "openai-responses": Wire(
        "OpenAI",
        {"api": "responses"},
        "/v1",
        "/v1/responses",
        "OPENAI_API_KEY",
        responses,
        "input",
        1,
    ),
    "ollama": Wire(
        "Ollama",
        {},
        "",
        "/api/chat",
        "",
        ollama,
        "messages",
        1,
        caches=False,
        text_arguments=False,
        refuses=False,
    ),
}
