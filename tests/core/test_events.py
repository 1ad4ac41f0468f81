"""Events and their JSON."""

import msgspec
import pytest
from hypothesis import given, settings

from agentctl.core import events as e
from agentctl.core.values import ToolCall
from tests.core.parts import answered, created, events


@settings(deadline=None, database=None, derandomize=True, max_examples=300)
@given(events())
def test_an_event_survives_its_json(event: e.Event) -> None:
    kind, body = e.to_json(event)
    assert e.from_json(kind, body) == event
    assert e.from_json(kind, body.decode()) == event
    assert e.to_json(e.from_json(kind, body)) == (kind, body)


def test_every_event_class_is_in_the_closed_list() -> None:
    assert set(e.Event.__subclasses__()) == set(e.KINDS.values())
    assert all(name == kind.__name__ for name, kind in e.KINDS.items())


def test_a_models_raw_arguments_stay_as_they_came() -> None:
    raw = '{ "b":1,   "a": "\\u00e9" }'
    kind, body = e.to_json(answered("", ToolCall("c1", "look", raw)))
    read = e.from_json(kind, body)
    assert isinstance(read, e.ModelAnswered)
    assert read.message.calls[0].arguments == raw


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyError):
        e.from_json("Teleported", b"{}")


def test_an_unknown_field_is_refused_and_not_silently_lost() -> None:
    with pytest.raises(msgspec.ValidationError, match="mood"):
        e.from_json("PauseRequested", b'{"mood":"bad"}')


def test_a_wrong_type_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        e.from_json("ToolStarted", b'{"call_id":1,"tool":"x","repeat":"safe"}')


def test_events_hold_no_more_than_was_said() -> None:
    assert e.to_json(e.PauseRequested()) == ("PauseRequested", b"{}")
    assert b"context" not in e.to_json(created())[1]
