"""Short ways to write events, states and views, and every kind of event for Hypothesis."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal

import msgspec
from hypothesis import strategies as st

from agentctl.core import events as e
from agentctl.core.state import State, fold
from agentctl.core.values import (
    ContextPolicy,
    Limits,
    Message,
    Quote,
    ToolCall,
    ToolSpec,
    Usage,
    View,
)

START_MS = 1_800_000_000_000
LOOK = ToolSpec("look", "", "{}", repeat="safe", changes=False)
PUT = ToolSpec("put", "", "{}", repeat="idempotent")
ACT = ToolSpec("act", "", "{}", repeat="unsafe")
SPECS = {spec.name: spec for spec in (LOOK, PUT, ACT)}
USAGE = Usage(input=100, output=10)
FREE = Quote(100, 0, 0, 4_000)
PAID = Quote(1_000, 3_000, 15_000_000, 4_000)
"""1,000 tokens in for $0.003; each token out costs 15 micro-dollars."""


def created(**changes: Any) -> e.TaskCreated:
    fields = {
        "goal": "goal",
        "system": "system",
        "provider": "sim",
        "model": "sim-1",
        "cwd": "/",
        "limits": Limits(),
        "approve": "auto",
    }
    return e.TaskCreated(**{**fields, **changes})


def recorded(*events: e.Event, gap_ms: int = 1_000) -> list[e.Recorded]:
    return [e.Recorded(n, START_MS + n * gap_ms, event) for n, event in enumerate(events)]


def state_of(*events: e.Event, gap_ms: int = 1_000, **changes: Any) -> State:
    """The state after TaskCreated(**changes) and these events, `gap_ms` apart."""
    return fold(recorded(created(**changes), *events, gap_ms=gap_ms))


def asked(call: int = 1, reserve_micros: int | None = 9_000, **changes: Any) -> e.ModelAsked:
    fields = {"reserve_tokens": 500, "output_cap": 400, **changes}
    return e.ModelAsked(call, "sim", "sim-1", reserve_micros, **fields)


def answered(
    text: str = "",
    *calls: ToolCall,
    stop: str = "end",
    cost_micros: int | None = 1_000,
    usage: Usage = USAGE,
) -> e.ModelAnswered:
    message = Message("assistant", text, calls)
    return e.ModelAnswered(message, usage, stop, cost_micros)


def failed(reason: str = "rate", *, retriable: bool = True, **changes: Any) -> e.ModelFailed:
    return e.ModelFailed(reason, f"{reason} it was", retriable=retriable, **changes)


def call(name: str = "look", call_id: str = "", problem: str = "") -> ToolCall:
    return ToolCall(call_id or f"{name}-1", name, problem=problem)


def started(name: str = "look", call_id: str = "") -> e.ToolStarted:
    return e.ToolStarted(call_id or f"{name}-1", name, SPECS[name].repeat)


def ended(name: str = "look", call_id: str = "", text: str = "out") -> e.ToolEnded:
    return e.ToolEnded(call_id or f"{name}-1", name, text)


def view(**changes: Any) -> View:
    fields = {"now_ms": START_MS + 3_600_000, "quote": FREE, "specs": SPECS}
    return View(**{**fields, **changes})


# --- Hypothesis ---------------------------------------------------------------------------------


def values_of(kind: Any, least: int = -(2**53)) -> st.SearchStrategy[Any]:
    """Any value of a type that occurs in events."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        names = [field.name for field in msgspec.structs.fields(kind)]
        fields = {name: values_of(hints[name], least) for name in names}
        return st.builds(kind, **fields)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(values_of(each, least) for each in arguments)
    if origin is tuple:
        return st.lists(values_of(arguments[0], least), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(
            values_of(arguments[0], least), values_of(arguments[1], least), max_size=3
        )
    return {
        str: st.text(max_size=20),
        bool: st.booleans(),
        int: st.integers(least, 2**53),
        type(None): st.none(),
    }[kind]


def events(least: int = -(2**53)) -> st.SearchStrategy[e.Event]:
    """Any event of any kind; no number in it is below `least`."""
    return st.one_of([values_of(kind, least) for kind in e.KINDS.values()])


def policies() -> st.SearchStrategy[ContextPolicy]:
    """Policies small enough that conversations of a few messages are pruned."""
    return st.builds(
        ContextPolicy,
        max_tokens=st.integers(1, 1_500),
        keep_user=st.integers(0, 3),
        keep_assistant=st.integers(0, 3),
        name=st.sampled_from(("auto", "window", "none")),
    )
