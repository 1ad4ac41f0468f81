"""Repeated look-ups of a task: which they are, what they put into the context and its cost."""

from __future__ import annotations

import msgspec

from agentctl.core import events as e
from agentctl.core.duplicates import Duplicate, duplicates
from agentctl.core.lookups import pointer
from agentctl.core.values import Message, Rates, ToolCall, Usage
from tests.core.parts import asked, created, recorded

RATES = msgspec.json.encode(Rates(1_000_000, 1_000_000, 1_000_000, 0)).decode()


def turn(
    call_id: str, arguments: str = '{"path":"a"}', text: str = "x" * 100, **ended: str | int
) -> list[e.Event]:
    """The model asks for one look-up and gets its result; the call costs 1,000 micro-dollars."""
    message = Message("assistant", "", (ToolCall(call_id, "read", arguments),))
    answer = e.ModelAnswered(message, Usage(1_000), "tools", 1_000, 1, RATES)
    end = e.ToolEnded(call_id, "read", text, **ended)  # type: ignore[arg-type]  # fields by name
    return [asked(), answer, e.ToolStarted(call_id, "read", "safe"), end]


def last() -> list[e.Event]:
    answer = e.ModelAnswered(Message("assistant", "done"), Usage(1_000), "end", 1_000, 1, RATES)
    return [asked(), answer]


def found(*events: e.Event) -> tuple[Duplicate, ...]:
    return duplicates(recorded(created(goal="g", system=""), *events)).found


def test_a_look_up_made_once_is_none() -> None:
    both = [*turn("c1"), *turn("c2", '{"path":"b"}'), *last()]
    assert found(*both) == ()
    assert duplicates(recorded(created(), *both)).lookups == 2


def test_the_same_arguments_written_otherwise_are_the_same_look_up() -> None:
    (one,) = found(*turn("c1", '{"a":1,"b":2}'), *turn("c2", '{ "b": 2, "a": 1 }'), *last())
    assert (one.tool, one.arguments, one.calls, one.repeats) == ("read", '{"a":1,"b":2}', 2, 1)


def test_the_same_id_in_a_later_turn_is_another_call() -> None:
    assert found(*turn("c1"), *turn("c1", '{"path":"b"}'), *last()) == ()
    assert len(found(*turn("c1"), *turn("c1"), *last())) == 1


def test_what_changes_something_is_no_look_up() -> None:
    acts: list[e.Event] = []
    for call_id in ("c1", "c2"):
        asks, answer, _, end = turn(call_id)
        acts += [asks, answer, e.ToolStarted(call_id, "read", "unsafe"), end]
    assert found(*acts) == ()


def test_a_call_that_was_never_started_is_no_look_up() -> None:
    denied = [event for event in turn("c2") if not isinstance(event, e.ToolStarted)]
    assert found(*turn("c1"), *denied) == ()


def test_only_repeats_are_in_the_cost_from_the_call_after_them() -> None:
    (one,) = found(*turn("c1"), *turn("c2"), *last())
    # Of the last request: goal 1, two calls of 16 bytes each, two results of 100 each.
    assert (one.bytes, one.repeat_bytes, one.repeat_micros) == (200, 100, 1_000 * 100 // 233)


def test_a_repeat_that_was_sent_twice_costs_twice() -> None:
    (one,) = found(*turn("c1"), *turn("c2"), *last(), *last())
    # 100 bytes of 233, then of 237; what rounding leaves may be added.
    assert one.repeat_micros - (429 + 421) in (0, 1, 2)


def test_what_reuse_spared_is_priced_by_its_share() -> None:
    told = pointer("read", "c1")
    size = len(told)
    repeat = turn("c2", text=told, reused="c1", spared_bytes=3 * size)
    (one,) = found(*turn("c1"), *repeat, *last())
    assert (one.reused, one.repeat_bytes, one.spared_bytes) == (1, size, 3 * size)
    assert one.spared_micros == one.repeat_micros * 3


def test_the_most_expensive_comes_first() -> None:
    small = [turn(f"s{n}", '{"path":"small"}', "x") for n in (1, 2, 3)]
    large = [turn(f"l{n}", '{"path":"large"}', "x" * 500) for n in (1, 2)]
    events = [event for each in (*small, *large) for event in each]
    assert [one.arguments for one in found(*events, *last())] == [
        '{"path":"large"}', '{"path":"small"}',
    ]  # fmt: skip


def test_calls_without_a_price_are_counted() -> None:
    answer = e.ModelAnswered(Message("assistant", "done"), Usage(1_000), "end", None)
    log = recorded(created(), *turn("c1"), *turn("c2"), asked(), answer)
    assert duplicates(log).unpriced == 1
