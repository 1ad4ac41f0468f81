"""The benchmark of the context policies, on a conversation small enough to check by hand."""

import json
from pathlib import Path

import pytest

from agentctl.core.values import ContextPolicy
from bench import context
from bench.context import SONNET, Replay
from bench.recordings import load, stitched


def call(number: int, **arguments: str) -> dict[str, object]:
    function = {"name": "look", "arguments": json.dumps(arguments)}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": f"c{number}", "function": function}],
    }


def write(folder: Path, name: str, answers: int = 12) -> None:
    lines: list[dict[str, object]] = [
        {"role": "system", "content": "rules"},
        {"role": "user", "content": "goal"},
    ]
    for n in range(answers):
        lines.append(call(n, path=f"src/part_{n}.py", why=f"src/seen_{n - 1}.py"))
        output = f"<returncode>{n % 2}</returncode> src/seen_{n}.py " + "x" * 3_000
        lines.append({"role": "tool", "tool_call_id": f"c{n}", "content": output})
    lines.append({"role": "assistant", "content": "done"})
    (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))


def test_what_stood_in_the_request_is_found_and_what_was_left_out_is_not(tmp_path: Path) -> None:
    write(tmp_path, "one")
    (recording,) = load(tmp_path)
    assert recording.steps == 13
    assert sum(line.failed for line in recording.said) == 6
    whole = Replay(recording, ContextPolicy(name="none"), SONNET, 0).run(recording.said)
    assert whole.wanted["names output"] == 11
    assert whole.recall("names output") == 100
    tiny = Replay(recording, ContextPolicy(1_700, 0, 1, "window"), SONNET, 0).run(recording.said)
    assert tiny.tokens < whole.tokens
    assert tiny.orphans == whole.orphans == tiny.unstable == whole.unstable == 0


def test_a_request_that_goes_on_from_the_last_one_is_read_from_the_cache(tmp_path: Path) -> None:
    write(tmp_path, "one")
    (recording,) = load(tmp_path)
    warm = Replay(recording, ContextPolicy(name="none"), SONNET, 0).run(recording.said)
    cold = Replay(recording, ContextPolicy(name="none"), SONNET, 1).run(recording.said)
    assert warm.tokens == cold.tokens
    assert warm.read > cold.read == 0
    assert warm.cost < cold.cost


def test_sessions_have_just_so_many_answers_and_lose_no_result(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path, name)
    (session,) = stitched(load(tmp_path), 20)
    assert session.steps == 20
    assert session.said[0].message.role == "user"
    made = Replay(session, ContextPolicy(), SONNET, 0).run(session.said)
    assert made.orphans == 0


def test_the_whole_table_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "one", answers=3)
    assert context.main(["--data", str(tmp_path), "--steps", "4"]) == 0
    said = capsys.readouterr().out
    assert said.count("auto") == 7
    assert "orphaned tool messages 0 (0)" in said


def test_a_file_that_is_no_conversation_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.jsonl").write_text('{"role": "user", "content": "x"}\n[1]\n')
    with pytest.raises(SystemExit, match=r"odd\.jsonl:2 is not a message"):
        context.main(["--data", str(tmp_path)])
