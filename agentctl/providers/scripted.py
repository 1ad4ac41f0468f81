"""The scripted provider plays answers from a file: for tests, demos and benchmarks.

Which turn comes next is read from the conversation (how many answers it holds), so that a run goes
on at the right turn after a crash. One instance serves one task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from agentctl.core.values import Message, Rates, Stop, ToolCall, Usage
from agentctl.errors import ConfigError, ProviderError
from agentctl.ports import Answer, Emit, Request
from agentctl.providers import scripted_file
from agentctl.providers.scripted_file import CallSpec, FaultWord, StatusFault, Turn

END = Turn(text="(end of script)")
BYTES_PER_TOKEN = 4
SUFFIXES = (".yaml", ".yml", ".json")
"""Of a model that is a script itself."""
PIECE_CHARS = 40
"""Answers are streamed in pieces of this many characters."""

# By fault word: what the user reads, whether a retry may help, whether work may have been billed.
FAULTS: dict[str, tuple[str, bool, bool]] = {
    "auth": ("the key was refused", False, False),
    "context": ("the conversation is too long for the model", False, False),
    "cut": ("the connection was cut in the middle of the answer", True, True),
    "malformed": ("the answer could not be read", True, True),
    "network": ("the provider could not be reached", True, False),
    "not_found": ("there is no such model", False, False),
    "overloaded": ("the provider is overloaded", True, False),
    "rate": ("too many requests", True, False),
    "request": ("the request was refused", False, False),
    "server": ("the provider had an internal error", True, False),
    "timeout": ("the provider said nothing for too long", True, True),
}
STATUSES: dict[int, FaultWord] = {
    401: "auth",
    403: "auth",
    404: "not_found",
    408: "server",
    413: "context",
    429: "rate",
    503: "overloaded",
    529: "overloaded",
}


class Scripted:
    """Plays the turns of a YAML or JSON file. Raises ConfigError on a bad one.

    The file is options["script"]; a model such as "backup.yaml" is a file itself, so that several
    scripted providers can take turns in one run. A relative one is looked for where agentctl runs.
    Faults stand before the answer they delay and come once in the life of the instance. Past the
    last turn the answer is "(end of script)", unless the script says `repeat: true`.
    """

    name = "scripted"
    default_model: ClassVar[str] = "script"

    def __init__(self, model: str, options: Mapping[str, str]) -> None:
        """Read and check the whole script. `model` is only a label, unless it names a file."""
        path = model if model.endswith(SUFFIXES) else options.get("script", "")
        if not path:
            raise ConfigError(
                "The scripted provider needs a script.",
                next_step="Name one with `--script FILE` (YAML or JSON).",
            )
        script = scripted_file.load(path)
        self.model = model or self.default_model
        self.max_output = script.max_output
        self.rates: Rates | None = scripted_file.rates(script)
        self.paced = False
        self._repeat = script.repeat
        self._steps, self._trailing = _group(script.turns)
        self._place = _Place()
        self._tools_seen: object = None
        self._fixed_bytes = 0

    async def ask(self, request: Request, emit: Emit) -> Answer:
        """Play the next turn. Raises ProviderError where the script says so."""
        index = self._place.find(request.messages)
        fault = self._place.next_fault(self._faults_before(index))
        turn = fault or self._answer_at(index)
        if turn.delay_ms > request.first_byte_ms:
            await asyncio.sleep(request.first_byte_ms / 1000)
            raise _error("timeout", None)
        if turn.delay_ms:
            await asyncio.sleep(turn.delay_ms / 1000)
        if turn.fault is not None:
            if turn.fault == "cut":
                _stream(turn.text[: (len(turn.text) + 1) // 2], emit)
            raise _fault(turn.fault)
        answer = self._compose(index, turn, request)
        _stream(answer.message.text, emit)
        self._place.answered(index)
        return answer

    async def close(self) -> None:
        """Nothing is open."""

    def _faults_before(self, index: int) -> Sequence[Turn]:
        steps = self._steps
        if index < len(steps):
            return steps[index][0]
        if not self._repeat:
            return self._trailing if index == len(steps) else ()
        faults, _ = steps[index % len(steps)]
        return self._trailing + faults if index % len(steps) == 0 else faults

    def _answer_at(self, index: int) -> Turn:
        if index < len(self._steps):
            return self._steps[index][1]
        return self._steps[index % len(self._steps)][1] if self._repeat else END

    def _compose(self, index: int, turn: Turn, request: Request) -> Answer:
        """Make the answer, cut to the output that the request allows as a real model's would be."""
        again = index // len(self._steps) if self._steps else 0
        calls = tuple(
            _call(spec, f"c{index}-{number}", again) for number, spec in enumerate(turn.calls, 1)
        )
        text = turn.text
        stop: Stop = turn.stop or ("tools" if calls else "end")
        usage = self._usage(turn, text, calls, request)
        if usage.output > request.max_output:
            text = text[: len(text) * request.max_output // usage.output]
            calls, stop = (), "length"
            usage = msgspec.structs.replace(
                usage,
                output=request.max_output,
                reasoning=min(usage.reasoning, request.max_output),
            )
        message = Message(role="assistant", text=text, calls=calls)
        return Answer(message, usage, stop, response_id=f"script-{index}", model=self.model)

    def _usage(self, turn: Turn, text: str, calls: tuple[ToolCall, ...], request: Request) -> Usage:
        spec = turn.usage
        if spec is not None:
            return Usage(spec.input, spec.cache_read, spec.cache_write, spec.output, spec.reasoning)
        if request.tools is not self._tools_seen:
            self._tools_seen = request.tools
            self._fixed_bytes = _bytes(request.system) + sum(
                _bytes(tool.description) + _bytes(tool.parameters) for tool in request.tools
            )
        sent = _tokens(self._fixed_bytes + self._place.bytes)
        if request.input_tokens:
            # The budget was reserved for this estimate: what we make up must not pass it.
            sent = min(sent, request.input_tokens)
        written = _bytes(text) + sum(_bytes(call.name) + _bytes(call.arguments) for call in calls)
        return Usage(input=sent, output=_tokens(written))


class _Place:
    """Where in the script we are: counts answers, looking only at messages not seen before."""

    def __init__(self) -> None:
        self.bytes = 0
        self._seen = 0
        self._last: Message | None = None
        self._answers = 0
        self._next = 0
        self._fault_index = -1
        self._faults_done = 0

    def find(self, messages: Sequence[Message]) -> int:
        """Return the number of the next answer, from 0."""
        if not self._is_longer(messages):
            self._seen = self._answers = self.bytes = 0
        for position in range(self._seen, len(messages)):
            message = messages[position]
            self._answers += message.role == "assistant"
            self.bytes += _bytes(message.text)
            for call in message.calls:
                self.bytes += _bytes(call.name) + _bytes(call.arguments)
        self._seen = len(messages)
        self._last = messages[-1] if messages else None
        # Pruning can hide old answers, so our own count also speaks; with none, a task begins.
        index = max(self._answers, self._next) if self._answers else 0
        if index != self._fault_index:
            self._fault_index, self._faults_done = index, 0
        return index

    def next_fault(self, faults: Sequence[Turn]) -> Turn | None:
        """Return the next fault that this answer still has to come through, and count it."""
        if self._faults_done >= len(faults):
            return None
        self._faults_done += 1
        return faults[self._faults_done - 1]

    def answered(self, index: int) -> None:
        """Remember that this answer was given."""
        self._next = index + 1

    def _is_longer(self, messages: Sequence[Message]) -> bool:
        seen = self._seen
        if seen == 0 or seen > len(messages):
            return False
        # The last message seen must still stand in its place, else old ones were left out.
        at_place = messages[seen - 1]
        return at_place is self._last or at_place == self._last


def _group(turns: Sequence[Turn]) -> tuple[list[tuple[tuple[Turn, ...], Turn]], tuple[Turn, ...]]:
    """Put each answering turn together with the faults before it; return the rest apart."""
    steps: list[tuple[tuple[Turn, ...], Turn]] = []
    faults: list[Turn] = []
    for turn in turns:
        if turn.fault is not None:
            faults.append(turn)
        else:
            steps.append((tuple(faults), turn))
            faults = []
    return steps, tuple(faults)


def _call(spec: CallSpec, default_id: str, again: int) -> ToolCall:
    call_id = spec.id or default_id
    if spec.id and again:
        call_id = f"{spec.id}-{again}"
    if isinstance(spec.arguments, str):
        return ToolCall(call_id, spec.name, spec.arguments)
    return ToolCall(call_id, spec.name, msgspec.json.encode(spec.arguments).decode())


def _stream(text: str, emit: Emit) -> None:
    for start in range(0, len(text), PIECE_CHARS):
        emit(text[start : start + PIECE_CHARS])


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)


def _fault(fault: FaultWord | StatusFault) -> ProviderError:
    if isinstance(fault, str):
        return _error(fault, None)
    default: FaultWord = "server" if fault.status >= 500 else "request"
    word = STATUSES.get(fault.status, default)
    return _error(word, fault.retry_after_ms, fault.status)


def _error(word: FaultWord, retry_after_ms: int | None, status: int = 0) -> ProviderError:
    what, retriable, may_be_billed = FAULTS[word]
    detail = f"status {status}: {what}" if status else what
    return ProviderError(
        f"The script says: {detail}.",
        reason=word,
        retriable=retriable,
        may_be_billed=may_be_billed,
        retry_after_ms=retry_after_ms,
    )
