"""Exported tasks: the same bytes for the same task, and a hostile file is refused by its line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentctl.core import events as e
from agentctl.core import transfer
from tests.core.parts import answered, asked, call, created, events, recorded, started

LONG = "long text"
REF = transfer.ref_of(LONG)
LOG = recorded(
    created(goal="say canary"), asked(), answered("", call()), started(),
    e.ToolEnded("look-1", "look", f'head… read_output(id="{REF}")', output_ref=REF),
)  # fmt: skip


def lines(redact: Callable[[str], str] = str) -> list[bytes]:
    outputs = {REF: LONG}
    return list(transfer.written("t1", LOG, outputs.get, "0.1.0", redact))


def test_what_was_written_is_read_back() -> None:
    found = transfer.read(lines())
    assert list(found.log) == LOG
    assert [(stored.ref, stored.text) for stored in found.outputs] == [(REF, LONG)]
    assert found.header == transfer.Header("agentctl-task", 1, "0.1.0", "t1", 5, 1)


def test_the_same_task_gives_the_same_bytes_and_begins_as_such_a_file_does() -> None:
    assert lines() == lines()
    assert lines()[0].startswith(transfer.BEGINS)


@settings(deadline=None, database=None, derandomize=True, max_examples=60)
@given(st.lists(events(0).filter(lambda ev: not isinstance(ev, e.TaskCreated | e.LogRemoved))))
def test_every_event_survives(anything: list[e.Event]) -> None:
    log = recorded(created(), *anything)
    found = transfer.read(transfer.written("t1", log, lambda _ref: None, "1", str))
    assert list(found.log) == log


def test_what_is_taken_out_of_an_output_gives_it_another_hash_everywhere() -> None:
    def redact(text: str) -> str:
        return text.replace("canary", "[secret]").replace("long", "[secret]")

    found = transfer.read(lines(redact))
    assert b"canary" not in b"".join(lines(redact))
    (stored,) = found.outputs
    assert stored.text == "[secret] text"
    ended = found.log[4].event
    assert isinstance(ended, e.ToolEnded)
    assert ended.output_ref == stored.ref
    assert stored.ref in ended.text
    assert REF not in ended.text


def change(number: int, **fields: Any) -> list[bytes]:
    """The lines with fields of one of them changed."""
    made = lines()
    made[number] = json.dumps({**json.loads(made[number]), **fields}).encode()
    return made


def asked_as(**fields: Any) -> list[bytes]:
    """The lines with fields of ModelAsked changed."""
    return change(2, event={**json.loads(lines()[2])["event"], **fields})


def deep(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


SECOND = lines()[1].replace(b'"seq":0', b'"seq":1')
REMOVED = change(2, kind="LogRemoved", event={"events": 1, "bytes": 1})[2]
DEEP = lines()[2].replace(b'"call":1', b'"call":' + deep(100_000))
HOSTILE: dict[str, tuple[list[bytes], int]] = {
    "nothing": ([], 1),
    "no JSON": ([b"\x00\xff", *lines()[1:]], 1),
    "another format": (change(0, format="tar"), 1),
    "a later version": (change(0, version=2), 1),
    "an unknown field of the header": (change(0, more=1), 1),
    "a task id that is a path": (change(0, task_id="../../x"), 1),
    "a task id of another script": (change(0, task_id="тест"), 1),
    "a task id that is too long": (change(0, task_id="a" * 65), 1),
    "no events": (change(0, events=0), 1),
    "more events than there can be": (change(0, events=10**12), 1),
    "a negative number of outputs": (change(0, outputs=-1), 1),
    "fewer lines than said": (lines()[:-1], 7),
    "more lines than said": ([*lines(), b"{}"], 8),
    "a missing event": ([*lines()[:2], *lines()[3:]], 3),
    "another task's event": (change(2, task_id="t2"), 3),
    "a second TaskCreated": ([*lines()[:2], SECOND, *lines()[3:]], 3),
    "no TaskCreated": (change(1, kind="PauseRequested", event={}), 2),
    "an unknown kind": (change(2, kind="Hacked", event={}), 3),
    "a kind that is a class": (change(2, kind="__class__", event={}), 3),
    "an unknown field": (asked_as(x=1), 3),
    "a missing field": (change(2, event={}), 3),
    "a wrong type": (change(3, event={"message": "hi"}), 4),
    "a list for an object": (change(2, event=[]), 3),
    "a moment that is none": (change(2, at_ms=-1), 3),
    "a moment too far": (change(2, at_ms=1 << 60), 3),
    "a moment that is text": (change(2, at_ms="now"), 3),
    "a number too large": (asked_as(call=1 << 60), 3),
    "a log whose texts are gone": ([*lines()[:2], REMOVED, *lines()[3:]], 3),
    "deep JSON": ([*lines()[:2], deep(100_000), *lines()[3:]], 3),
    "deep JSON in an event": (
        [*lines()[:2], DEEP, *lines()[3:]], 3,
    ),
    "a line without end": ([*lines()[:2], b"x" * (transfer.LINE_BYTES_MAX + 1)], 3),
    "an output under another's hash": (change(6, output="0" * 16), 7),
    "an output with another text": (change(6, text="planted"), 7),
    "lone surrogates": ([*lines()[:6], b'{"output":"x","text":"\\ud800"}'], 7),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_line_is_named(name: str) -> None:
    made, number = HOSTILE[name]
    with pytest.raises(transfer.BadLine) as raised:
        transfer.read(made)
    assert raised.value.number == number
    assert len(str(raised.value)) < 1_000
