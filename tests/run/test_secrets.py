"""No secret gets from a model or its errors into the log, the listeners or the next request."""

from __future__ import annotations

import json

from msgspec.structs import replace

from agentctl.core import events as e
from agentctl.core.live import TextDelta
from agentctl.core.redact import Redactor
from agentctl.core.values import Message
from tests.run.parts import Do, Life, Listen, Play, busy, call, says

CANARY = "correct-horse-battery-staple-7Q"
KNOWN = Redactor({"MY_TOKEN": CANARY})
KEY = "sk-ant-" + "api03-" + "aB3dE6gH" * 12 + "-AA"  # in pieces, so that no scanner finds it here


def everything(life: Life) -> str:
    return repr(life.store.read("t1")) + repr(life.store.outputs) + repr(life.complaints)


def test_what_a_model_says_is_stored_and_heard_without_secrets() -> None:
    life, listen = Life(), Listen(live=True)
    play = Play(says(f"the token is {CANARY}", call()), says(f"again {KEY}"))
    state = life.drive(play, [Do("look")], listeners=[listen], redactor=KNOWN)
    assert state.answer == "again [secret: anthropic key]"
    shown = everything(life) + repr(listen.heard) + repr(play.requests)
    assert CANARY not in shown
    assert KEY not in shown


def test_a_secret_in_pieces_of_a_stream_is_not_heard() -> None:
    life, listen = Life(), Listen(live=True)

    class Dripping(Play):
        async def ask(self, request, emit):
            answer = await super().ask(request, lambda _text: None)
            for letter in answer.message.text:
                emit(letter)
            return answer

    life.drive(Dripping(says(f"it is {CANARY}, they say")), listeners=[listen], redactor=KNOWN)
    heard = "".join(item.text for item in listen.heard if isinstance(item, TextDelta))
    assert heard == "it is [secret: MY_TOKEN], they say"


def test_a_call_with_a_secret_is_not_made() -> None:
    life = Life()
    runs: list[str] = []
    look = Do("look", lambda context: runs.append(context.call_id) or "done")
    look.check = lambda arguments: ""
    given = json.dumps({"url": f"https://example.org/?q={CANARY}"})
    life.drive(Play(says("", call(arguments=given)), says("done")), [look], redactor=KNOWN)
    (ended,) = life.events(e.ToolEnded)
    assert (ended.status, runs) == ("invalid", [])
    assert "secret" in ended.text
    assert CANARY not in everything(life)


def test_sealed_reasoning_goes_back_only_if_it_shows_no_secret() -> None:
    life = Life()
    sealed = [replace(says("", call(call_id=f"c{n}")), message=Message(
        "assistant", "", (call(call_id=f"c{n}"),), native=native))
        for n, native in enumerate(('{"s":"x"}', json.dumps({"s": CANARY})))]  # fmt: skip
    play = Play(*sealed, says("done"))
    life.drive(play, [Do("look")], redactor=KNOWN)
    natives = [m.native for m in play.requests[-1].messages if m.role == "assistant"]
    assert natives == ['{"s":"x"}', ""]


def test_an_error_of_a_provider_is_told_without_secrets() -> None:
    life = Life()
    error = busy(retriable=False, reason="auth")
    error.args = (f"bad key {CANARY}",)
    life.drive(Play(error), redactor=KNOWN)
    (lost,) = life.events(e.ModelFailed)
    assert "[secret: MY_TOKEN]" in lost.detail
    assert CANARY not in everything(life)
