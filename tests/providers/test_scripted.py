"""The scripted provider: its file format, its place in the conversation, its faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from agentctl.core.values import Message, Rates, Usage
from agentctl.errors import ConfigError, ProviderError
from agentctl.ports import Answer, Request
from agentctl.providers.scripted import Scripted

EXAMPLES = Path(__file__).parents[2] / "examples" / "scripted"


def make(tmp_path: Path, content: object, name: str = "s.json") -> Scripted:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return Scripted("", {"script": str(path)})


def request(
    messages: Sequence[Message],
    max_output: int = 4096,
    input_tokens: int = 0,
    first_byte: int = 60_000,
) -> Request:
    return Request("", messages, (), max_output, input_tokens, first_byte_ms=first_byte)


def ask(provider: Scripted, messages: Sequence[Message], **more: int) -> tuple[Answer, list[str]]:
    pieces: list[str] = []
    answer = asyncio.run(provider.ask(request(messages, **more), pieces.append))
    return answer, pieces


def play(provider: Scripted, rounds: int) -> list[Message]:
    """Run a conversation in which every tool call is answered "ok"."""
    messages = [Message("user", "go")]
    for _ in range(rounds):
        answer, _ = ask(provider, messages)
        messages.append(answer.message)
        messages += [Message("tool", "ok", call_id=call.id) for call in answer.message.calls]
    return messages


def texts(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages if message.role == "assistant"]


def refusal(tmp_path: Path, content: object, name: str = "s.json") -> str:
    with pytest.raises(ConfigError) as caught:
        make(tmp_path, content, name)
    return str(caught.value)


def test_turns_come_in_order_and_then_the_end_is_said(tmp_path: Path) -> None:
    provider = make(tmp_path, {"turns": [{"text": "one"}, {"text": "two"}]})
    assert texts(play(provider, 3)) == ["one", "two", "(end of script)"]


def test_repeat_starts_over_with_new_call_ids(tmp_path: Path) -> None:
    turns = [{"calls": [{"name": "a"}, {"name": "b", "id": "mine"}]}, {"text": "x"}]
    messages = play(make(tmp_path, {"turns": turns, "repeat": True}), 5)
    ids = [call.id for message in messages for call in message.calls]
    assert ids == ["c0-1", "mine", "c2-1", "mine-1", "c4-1", "mine-2"]


def test_a_new_instance_goes_on_where_the_conversation_stands(tmp_path: Path) -> None:
    script = {"turns": [{"text": f"turn {n}", "calls": [{"name": "t"}]} for n in range(6)]}
    whole = play(make(tmp_path, script), 6)
    messages = play(make(tmp_path, script), 3)
    second = make(tmp_path, script)
    for _ in range(3):
        answer, _ = ask(second, messages)
        messages += [answer.message, Message("tool", "ok", call_id=answer.message.calls[0].id)]
    assert messages == whole


def test_pruned_conversations_do_not_turn_the_script_back(tmp_path: Path) -> None:
    provider = make(tmp_path, {"turns": [{"text": str(n)} for n in range(9)]})
    messages = play(provider, 5)
    pruned = [messages[0], *messages[-2:]]
    assert ask(provider, pruned)[0].message.text == "5"


def test_a_fresh_conversation_starts_the_script_anew(tmp_path: Path) -> None:
    provider = make(tmp_path, {"turns": [{"text": "a"}, {"text": "b"}]})
    play(provider, 2)
    assert texts(play(provider, 1)) == ["a"]


def test_a_conversation_is_scanned_only_once(tmp_path: Path) -> None:
    """In the steady state an ask looks at the new tail only, whatever the length."""

    class Watched(list[Message]):
        looks = 0

        def __getitem__(self, index):
            Watched.looks += 1
            return super().__getitem__(index)

    provider = make(tmp_path, {"turns": [{"calls": [{"name": "t"}]}], "repeat": True})
    messages = Watched([Message("user", "go")])
    per_ask = []
    for _ in range(50):
        Watched.looks = 0
        answer, _ = ask(provider, messages)
        per_ask.append(Watched.looks)
        messages += [answer.message, Message("tool", "ok", call_id=answer.message.calls[0].id)]
    assert max(per_ask) <= 4


def test_arguments_become_json_text_and_raw_text_stays_as_it_is(tmp_path: Path) -> None:
    calls = [{"name": "a", "arguments": {"x": [1, "é"]}}, {"name": "b", "arguments": "{broken"}]
    answer, _ = ask(make(tmp_path, {"turns": [{"calls": calls}]}), [Message("user", "go")])
    assert [call.arguments for call in answer.message.calls] == ['{"x":[1,"é"]}', "{broken"]
    assert answer.stop == "tools"


def test_long_text_is_streamed_in_pieces_that_add_up(tmp_path: Path) -> None:
    answer, pieces = ask(make(tmp_path, {"turns": [{"text": "word " * 50}]}), [Message("user", "")])
    assert len(pieces) > 1
    assert "".join(pieces) == answer.message.text == "word " * 50
    assert answer.stop == "end"


def test_stop_can_be_given(tmp_path: Path) -> None:
    provider = make(tmp_path, {"turns": [{"text": "no", "stop": "refusal"}]})
    assert ask(provider, [Message("user", "go")])[0].stop == "refusal"


def test_usage_is_reported_as_written(tmp_path: Path) -> None:
    usage = {"input": 10, "cache_read": 3, "cache_write": 4, "output": 5, "reasoning": 2}
    provider = make(tmp_path, {"turns": [{"text": "hi", "usage": usage}]})
    assert ask(provider, [Message("user", "go")])[0].usage == Usage(10, 3, 4, 5, 2)


def test_missing_usage_is_estimated_from_bytes(tmp_path: Path) -> None:
    provider = make(tmp_path, {"turns": [{"text": "x" * 41}, {"text": "é" * 20}]})
    first, _ = ask(provider, [Message("user", "y" * 80)])
    assert first.usage == Usage(input=20, output=11)
    second, _ = ask(provider, [Message("user", "y" * 80), first.message, Message("user", "z")])
    assert second.usage == Usage(input=31, output=10)


def test_estimated_usage_never_passes_what_was_reserved(tmp_path: Path) -> None:
    provider = make(tmp_path, {"turns": [{"text": "hi"}]})
    answer, _ = ask(provider, [Message("user", "y" * 8000)], input_tokens=100)
    assert answer.usage.input == 100


def test_an_answer_over_the_allowed_output_is_cut_with_stop_length(tmp_path: Path) -> None:
    turn = {"text": "abcdefghij", "calls": [{"name": "t"}], "usage": {"output": 100}}
    answer, pieces = ask(make(tmp_path, {"turns": [turn]}), [Message("user", "go")], max_output=50)
    assert (answer.message.text, answer.message.calls, answer.stop) == ("abcde", (), "length")
    assert answer.usage.output == 50
    assert "".join(pieces) == "abcde"


def test_rates_are_micro_dollars_per_million_tokens(tmp_path: Path) -> None:
    rates = {"input": 3, "output": 15.25, "cache_read": 0.3}
    provider = make(tmp_path, {"turns": [], "rates": rates, "max_output": 7})
    assert provider.rates == Rates(3_000_000, 300_000, 3_000_000, 15_250_000, "script")
    assert provider.max_output == 7


def test_without_rates_everything_is_free(tmp_path: Path) -> None:
    assert make(tmp_path, {"turns": []}).rates == Rates(source="script")


@pytest.mark.parametrize(
    ("fault", "reason", "retriable", "billed"),
    [
        ({"status": 429}, "rate", True, False),
        ({"status": 529}, "overloaded", True, False),
        ({"status": 500}, "server", True, False),
        ({"status": 401}, "auth", False, False),
        ({"status": 404}, "not_found", False, False),
        ({"status": 400}, "request", False, False),
        ("cut", "cut", True, True),
        ("timeout", "timeout", True, True),
        ("malformed", "malformed", True, True),
        ("network", "network", True, False),
        ("auth", "auth", False, False),
    ],
)
def test_a_fault_is_raised_as_the_real_one(
    tmp_path: Path, fault: object, reason: str, retriable: bool, billed: bool
) -> None:
    provider = make(tmp_path, {"turns": [{"fault": fault}, {"text": "ok"}]})
    with pytest.raises(ProviderError) as caught:
        ask(provider, [Message("user", "go")])
    error = caught.value
    assert (error.reason, error.retriable, error.may_be_billed) == (reason, retriable, billed)
    assert ask(provider, [Message("user", "go")])[0].message.text == "ok"


def test_retry_after_is_passed_on(tmp_path: Path) -> None:
    provider = make(tmp_path, {"turns": [{"fault": {"status": 429, "retry_after_ms": 1500}}]})
    with pytest.raises(ProviderError) as caught:
        ask(provider, [Message("user", "go")])
    assert caught.value.retry_after_ms == 1500


def test_faults_stand_before_their_answer_and_at_the_end(tmp_path: Path) -> None:
    turns = [{"text": "a"}, {"fault": "server"}, {"fault": "network"}, {"text": "b"}]
    provider = make(tmp_path, {"turns": [*turns, {"fault": "rate"}]})
    messages, seen = [Message("user", "go")], []
    while len(seen) < 6:
        try:
            answer, _ = ask(provider, messages)
            messages.append(answer.message)
            seen.append(answer.message.text)
        except ProviderError as error:
            seen.append(error.reason)
    assert seen == ["a", "server", "network", "b", "rate", "(end of script)"]


def test_a_cut_comes_after_half_of_the_text(tmp_path: Path) -> None:
    provider = make(tmp_path, {"turns": [{"fault": "cut", "text": "abcdef"}]})
    pieces: list[str] = []
    with pytest.raises(ProviderError):
        asyncio.run(provider.ask(request([Message("user", "go")]), pieces.append))
    assert pieces == ["abc"]


def test_a_delay_longer_than_the_wait_for_the_first_byte_is_a_timeout(tmp_path: Path) -> None:
    provider = make(tmp_path, {"turns": [{"text": "late", "delay_ms": 60_000}]})
    with pytest.raises(ProviderError) as caught:
        ask(provider, [Message("user", "go")], first_byte=1)
    assert (caught.value.reason, caught.value.may_be_billed) == ("timeout", True)


def test_a_short_delay_only_delays(tmp_path: Path) -> None:
    provider = make(tmp_path, {"turns": [{"text": "soon", "delay_ms": 1}]})
    assert ask(provider, [Message("user", "go")])[0].message.text == "soon"


def test_a_model_that_names_a_file_is_a_script_of_its_own(tmp_path: Path) -> None:
    """So a second scripted provider can stand in for the first, as `--fallback` has it."""
    (tmp_path / "b.yaml").write_text("turns: [{text: from b}]")
    first = make(tmp_path, {"turns": [{"text": "from a"}]})
    options = {"script": str(tmp_path / "s.json")}
    second, third = Scripted(str(tmp_path / "b.yaml"), options), Scripted("label", options)
    texts = [ask(each, [Message("user", "go")])[0].message.text for each in (first, second, third)]
    assert texts == ["from a", "from b", "from a"]
    assert [each.paced for each in (first, second, third)] == [False] * 3


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    text = "turns:\n- text: hi\n  calls:\n  - {name: t, arguments: {n: 1}}\n"
    data = {"turns": [{"text": "hi", "calls": [{"name": "t", "arguments": {"n": 1}}]}]}
    from_yaml = ask(make(tmp_path, text, "s.yaml"), [Message("user", "go")])
    assert from_yaml == ask(make(tmp_path, data), [Message("user", "go")])


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({"turns": [{"text": "a"}, {"txt": "b"}]}, "$.turns[1]"),
        ({"turns": [{"calls": [{"name": 5}]}]}, "$.turns[0].calls[0].name"),
        ({"turns": [{"usage": {"input": -1}}]}, "$.turns[0].usage.input"),
        ({"turns": [{"usage": {"output": 10**13}}]}, "$.turns[0].usage.output"),
        ({"turns": [{"usage": {"input": 1, "cache_read": 2}}]}, "$.turns[0].usage"),
        ({"turns": [{"usage": {"reasoning": 2}}]}, "$.turns[0].usage"),
        ({"turns": [{"fault": "fire"}]}, "$.turns[0].fault"),
        ({"turns": [{"fault": {"status": 200}}]}, "$.turns[0].fault.status"),
        ({"turns": [], "rates": {"input": -1, "output": 1}}, "$.rates.input"),
        ({"turns": [{"fault": "cut"}], "repeat": True}, "$.turns"),
        ({"steps": []}, "steps"),
        ([], "object"),
    ],
)
def test_a_wrong_field_is_named_with_its_place(tmp_path: Path, content: object, place: str) -> None:
    message = refusal(tmp_path, content)
    assert place in message
    assert "s.json" in message


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("{", "s.json", "not valid JSON"),
        ("turns: [", "s.yaml", "line 1"),
        ("turns: \x00", "s.yaml", "not valid YAML"),
        ("turns: !!python/name:os.system", "s.yaml", "not valid YAML"),
        ("[" * 100_000, "s.json", "nested too deeply"),
        ("", "s.yaml", "object"),
    ],
)
def test_a_broken_file_is_one_clear_error(
    tmp_path: Path, content: str, name: str, words: str
) -> None:
    message = refusal(tmp_path, content, name)
    assert words in message
    assert name in message


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match="not valid YAML"):
        Scripted("", {"script": str(path)})


def test_a_missing_script_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--script"):
        Scripted("", {})
    with pytest.raises(ConfigError, match="cannot be read"):
        Scripted("", {"script": str(tmp_path / "none.yaml")})


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_script_plays_to_an_answer(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(seconds: float) -> None:
        """Stands in for asyncio.sleep."""

    monkeypatch.setattr(asyncio, "sleep", at_once)
    provider = Scripted("", {"script": str(path)})
    messages = [Message("user", "go")]
    for _ in range(20):
        try:
            answer, _ = ask(provider, messages)
        except ProviderError as error:
            assert error.retriable
            continue
        messages.append(answer.message)
        if not answer.message.calls:
            break
    assert answer.stop == "end"
    assert answer.message.text != "(end of script)"


def test_there_are_example_scripts() -> None:
    assert len(list(EXAMPLES.glob("*.yaml"))) >= 3
