"""The nouns: defaults that are promised, and what is derived."""

import msgspec
import pytest

from agentctl.core.values import ContextPolicy, Limits, Message, ToolCall, Usage


def test_processed_tokens_leave_out_what_the_cache_served() -> None:
    assert Usage(input=1_000, cache_read=700, cache_write=200, output=50).processed == 350


def test_reasoning_is_a_part_of_output_and_is_not_counted_twice() -> None:
    assert Usage(input=10, output=50, reasoning=40).processed == 60


def test_the_limits_that_hold_unasked() -> None:
    limits = Limits()
    assert limits.task_cost_micros == 500_000
    assert limits.hour_cost_micros == 10_000_000
    assert limits.task_tokens == 100_000
    assert limits.steps == 100
    assert limits.wall_ms is None
    assert limits.allow_unpriced is False


@pytest.mark.parametrize(
    "value", [Message("user", "x"), ToolCall("c1", "look"), Usage(), Limits(), ContextPolicy()]
)
def test_values_cannot_be_changed(value: msgspec.Struct) -> None:
    with pytest.raises(AttributeError):
        setattr(value, value.__struct_fields__[0], None)


def test_what_is_left_at_its_default_takes_no_room_in_the_log() -> None:
    assert msgspec.json.encode(Message("user", "x")) == b'{"role":"user","text":"x"}'
    assert msgspec.json.encode(Limits()) == b"{}"


def test_a_default_limit_and_no_limit_are_told_apart() -> None:
    written = msgspec.json.encode(Limits(task_cost_micros=None))
    assert msgspec.json.decode(written, type=Limits).task_cost_micros is None
    assert msgspec.json.decode(b"{}", type=Limits).task_cost_micros == 500_000
