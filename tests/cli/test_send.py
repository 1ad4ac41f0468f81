"""send: more to say to a task that has not ended."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.parts import PATIENCE_S, Place, shell

FAULT, DONE = {"fault": {"status": 401}}, {"text": "done"}


def stopped(place: Place) -> str:
    """The id of a task that failed and can be resumed."""
    place.turns(FAULT)
    assert place.run("x").code == 1
    found: str = place.last()["id"]
    return found


def appears(path: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < end, f"never there: {path}"
        time.sleep(0.01)  # another process writes it


def test_a_message_to_a_task_that_stands_still_is_kept_and_read_when_it_goes_on(
    place: Place,
) -> None:
    task = stopped(place)
    sent = place.cli("send", task, "only the tests")
    assert (sent.code, sent.out) == (0, "")
    assert f"agentctl resume {task}" in sent.err
    assert place.last()["status"] == "failed"
    assert "only the tests" in place.cli("show", task).out
    place.turns(DONE)
    assert place.cli("resume", task).code == 0
    assert place.events("UserSaid") == [{"text": "only the tests"}]
    assert len(place.events("UserHeard")) == 1


def test_json_says_what_came_of_it(place: Place) -> None:
    task = stopped(place)
    found = place.cli("send", task, "hi", "--json").json
    assert found["task_id"] == task
    assert "is failed" in found["message"]


def test_a_message_can_come_from_stdin(place: Place) -> None:
    stopped(place)
    assert place.cli("send", "@last", "-", stdin=b"two\nlines\n").code == 0
    assert place.events("UserSaid") == [{"text": "two\nlines\n"}]


def test_two_messages_are_two_even_if_they_are_equal(place: Place) -> None:
    stopped(place)
    place.cli("send", "@last", "again")
    place.cli("send", "@last", "again")
    place.turns(DONE)
    place.cli("resume", "@last")
    assert place.events("UserHeard") == [{"messages": 2}]


@pytest.mark.parametrize(
    ("text", "why"), [(" ", "The message is empty"), ("x" * 1_000_001, "1,000,001 bytes")]
)
def test_what_cannot_be_a_message_is_refused(place: Place, text: str, why: str) -> None:
    stopped(place)
    sent = place.cli("send", "@last", "-", stdin=text.encode())
    assert sent.code == 2
    assert why in sent.err
    assert place.events("UserSaid") == []


def test_a_secret_of_the_environment_is_taken_out(place: Place) -> None:
    stopped(place)
    place.cli("send", "@last", "use canary-5f1b9c77aa", MY_API_KEY="canary-5f1b9c77aa")
    (event,) = place.events("UserSaid")
    assert "canary" not in event["text"]


@pytest.mark.parametrize("status", ["done", "cancelled"])
def test_a_task_that_has_ended_reads_nothing_more(place: Place, status: str) -> None:
    if status == "done":
        place.turns(DONE)
        place.run("x")
    else:
        stopped(place)
        place.cli("cancel", "@last")
    sent = place.cli("send", "@last", "hi")
    assert sent.code == 6
    assert "agentctl fork" in sent.err
    assert place.events("UserSaid") == []


def test_a_message_to_a_running_tool_call_is_read_before_the_next_step(place: Place) -> None:
    wait = shell("touch begun; while [ ! -e go ]; do sleep 0.01; done; echo over")
    place.turns({"calls": [wait]}, {"text": "done"})
    words = ("run", "x", "--script", str(place.script), "--approve", "auto")
    with subprocess.Popen(
        place.command(*words), cwd=place.work, env=place.env,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        appears(place.work / "begun")
        sent = place.cli("send", "@last", "and quickly")
        assert sent.code == 0
        assert f"process {running.pid}" in sent.err
        (place.work / "go").touch()
        running.communicate(timeout=PATIENCE_S)
        assert running.returncode == 0
    shown = place.cli("show", "@last", "--events").out
    kinds = [line.split()[1] for line in shown.splitlines()]
    assert kinds.index("UserSaid") < kinds.index("UserHeard")
    assert kinds[kinds.index("ToolEnded") :][:3] == ["ToolEnded", "UserHeard", "ModelAsked"]


def test_a_message_during_the_last_model_call_makes_the_task_go_on(place: Place) -> None:
    place.turns({"text": "first end", "delay_ms": 1_500}, {"text": "second end"})
    words = ("run", "x", "--script", str(place.script), "--json")
    with subprocess.Popen(
        place.command(*words), cwd=place.work, env=place.env,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        while '"ModelAsked"' not in running.stdout.readline():
            continue
        assert place.cli("send", "@last", "one more thing").code == 0
        out, _ = running.communicate(timeout=PATIENCE_S)
        assert running.returncode == 0
    assert '"answer":"second end"' in out
    assert out.count('"ModelAnswered"') == 2
