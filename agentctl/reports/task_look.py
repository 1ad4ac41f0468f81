"""What every view of a task needs: the task itself with its steps, as JSON and in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agentctl.core import events as e
from agentctl.core.rows import TaskRow
from agentctl.core.state import State
from agentctl.core.steps import Act, Step, Try
from agentctl.core.values import Millis
from agentctl.reports.periods import local
from agentctl.reports.text import count, usd

KEPT_CHARS = 4_000
"""So much of a text a report of a whole task shows."""


class Look(Struct, frozen=True):
    """A task to be looked at."""

    row: TaskRow
    state: State
    steps: Sequence[Step]
    events: int
    clean: Callable[[str], str] = str
    """Takes secrets out of a text that leaves this machine."""
    related: Sequence[TaskRow] = ()
    """Tasks that come from this one, oldest first."""


def facts(look: Look) -> list[tuple[str, str]]:
    """What the task is and how it stands: names and values, the latter not yet made visible."""
    row, state = look.row, look.state
    limits = state.limits
    cap = "" if limits.task_cost_micros is None else f" of {usd(limits.task_cost_micros)}"
    found = [
        ("Task", f"{row.id} {row.name}".strip()),
        ("Goal", state.created.goal),
        ("From", _origin(look)),
        ("Status", f"{row.status} (process {row.pid})" if row.status == "running" else row.status),
        ("Model", f"{state.provider}/{state.model}"),
        ("Workspace", state.created.cwd),
        ("Created", f"{local(row.created_ms, None).astimezone():%Y-%m-%d %H:%M:%S %z}"),
        ("Steps", f"{state.steps} of {limits.steps}" if limits.steps else str(state.steps)),
        (
            "Tokens",
            f"{count(state.tokens_processed)} processed, {count(state.tokens_total)} in all",
        ),
        ("Cost", f"{cost(row)}{_others(state)}{cap}"),
        ("Took", duration(state.active_ms) if state.active_ms else ""),
        ("Unread", "\n".join(state.unheard)),
    ]
    if state.asked is not None:
        reserve = state.asked.reserve_micros
        most = "?" if reserve is None else usd(reserve)
        found.append(("Open call", f"unsettled, at most {most}"))
    if state.started:
        names = ", ".join(started.tool for started in state.started.values())
        found.append(("Running" if row.status == "running" else "In doubt", names))
    if state.removed is not None:
        day = f"{local(state.last_ms, None):%Y-%m-%d}"
        found.append(("Log", f"taken out on {day} by gc; costs are kept"))
    if state.stopped is not None:
        found.append(("Stopped", state.stopped.reason))
    return [(name, value) for name, value in found if value]


def related_words(look: Look) -> list[tuple[str, str]]:
    """Tasks that come from this one, by their kind."""
    names = {"child": "Children", "fork": "Forks", "batch": "Items"}
    found = []
    for origin, name in names.items():
        ids = [f"{row.id} ({_stands(row)})" for row in look.related if row.origin == origin]
        if ids:
            found.append((name, ", ".join(ids)))
    return found


def _stands(row: TaskRow) -> str:
    return f"{row.status}, {cost(row)}" if row.origin == "child" else row.status


def _others(state: State) -> str:
    """What was used on its behalf, and is carved out for what works for it, beside its own cost."""
    carved_micros = state.used_micros - state.spent_micros - state.children_micros
    by = f" + {usd(state.children_micros)} by others for it" if state.children_micros else ""
    return by + (f" + {usd(carved_micros)} carved out for others" if carved_micros else "")


def _origin(look: Look) -> str:
    row = look.row
    if row.origin == "batch":
        return f"item {row.item} of batch {row.parent}"
    if row.origin == "fork":
        events = (record.event for step in look.steps for record in reversed(step.events))
        marks = [event.at_step for event in events if isinstance(event, e.Forked)]
        return f"fork of {row.parent} at step {marks[-1]}" if marks else f"fork of {row.parent}"
    return f"{row.origin} of {row.parent}" if row.origin else ""


def cost(row: TaskRow) -> str:
    """The task's cost; calls without a price are counted beside it."""
    return f"{usd(row.cost_micros)} +{row.unpriced}?" if row.unpriced else usd(row.cost_micros)


def duration(ms: Millis) -> str:
    """A time that was taken, in units that suit it."""
    if ms < 1_000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def tokens_words(tried: Try) -> str:
    """The tokens of a call."""
    if tried.answered is None:
        return f"at most {count(tried.asked.reserve_tokens)}"
    used = tried.answered.usage
    cached = f" ({count(used.cache_read)} cached)" if used.cache_read else ""
    thought = f" ({count(used.reasoning)} reasoning)" if used.reasoning else ""
    guess = "" if used.reported else ", estimated"
    return f"{count(used.input)} in{cached}, {count(used.output)} out{thought}{guess}"


def price(tried: Try) -> str:
    """The cost of a call; "≤" as long as its answer is missing."""
    if tried.cost_micros is None:
        return "?"
    is_open = tried.answered is None and tried.failed is None
    return f"{'≤ ' if is_open else ''}{usd(tried.cost_micros)}"


def status(act: Act) -> str:
    """How a call of a tool ended."""
    if act.ended is None:
        return "not ended" if act.started_ms else "not begun"
    return f"{act.ended.status}, reused" if act.ended.reused else act.ended.status


def model(tried: Try) -> str:
    """Who was asked, and who answered if that was another."""
    named = f"{tried.asked.provider}/{tried.asked.model}"
    other = tried.answered.model if tried.answered is not None else ""
    return f"{named} (as {other})" if other and other != tried.asked.model else named


def step_json(step: Step) -> dict[str, Any]:
    """One step with all that its calls said, for `--json`."""
    answer = step.answer
    return {
        "step": step.number,
        "begun_ms": step.begun_ms,
        "ended_ms": step.ended_ms,
        "cost_micros": step.cost_micros,
        "unpriced": step.unpriced,
        "text": answer.answered.message.text if answer and answer.answered else "",
        "calls": [_try_json(tried) for tried in step.tries],
        "tools": [_act_json(act) for act in step.acts],
        "events": [record.seq for record in step.events],
    }


def _try_json(tried: Try) -> dict[str, Any]:
    asked, answered, failed = tried.asked, tried.answered, tried.failed
    usage = answered.usage if answered is not None else None
    return {
        "call": asked.call,
        "purpose": asked.purpose,
        "provider": asked.provider,
        "model": asked.model,
        "at_ms": tried.at_ms,
        "state": "answered" if answered else "failed" if failed else "open",
        "duration_ms": answered.duration_ms if answered else 0,
        "cost_micros": tried.cost_micros,
        "reserve_micros": asked.reserve_micros,
        "input": usage.input if usage else 0,
        "cache_read": usage.cache_read if usage else 0,
        "cache_write": usage.cache_write if usage else 0,
        "output": usage.output if usage else 0,
        "reasoning": usage.reasoning if usage else 0,
        "reported": usage.reported if usage else False,
        "left_out_tokens": asked.left_out_tokens,
        "stop": answered.stop if answered else "",
        "why": f"{failed.reason}: {failed.detail}" if failed else "",
    }


def _act_json(act: Act) -> dict[str, Any]:
    ended = act.ended or e.ToolEnded(act.call_id, act.tool, "", "")
    return {
        "id": act.call_id,
        "tool": act.tool,
        "arguments": act.arguments,
        "problem": act.problem,
        "parent": act.parent,
        "started_ms": act.started_ms,
        "duration_ms": ended.duration_ms,
        "status": ended.status,
        "text": ended.text,
        "output_ref": ended.output_ref,
        "output_bytes": ended.output_bytes,
        "reused": ended.reused,
    }


def as_json(look: Look) -> dict[str, Any]:
    """The whole task in short: its row, what stopped it, its limits and a line for each step."""
    stopped = look.state.stopped
    return {
        "events": look.events,
        "goal": look.state.created.goal,
        "answer": look.state.answer,
        "stopped": None if stopped is None else msgspec.to_builtins(stopped),
        "limits": msgspec.structs.asdict(look.state.limits)
        | {"breaker": msgspec.structs.asdict(look.state.limits.breaker)},
        "children": [row.id for row in look.related if row.origin == "child"],
        "children_cost_micros": look.state.children_micros,
        "forks": [row.id for row in look.related if row.origin == "fork"],
        "history": [_short_json(step) for step in look.steps],
    }


def _short_json(step: Step) -> dict[str, Any]:
    answer = step.answer
    usage = answer.answered.usage if answer and answer.answered else None
    return {
        "step": step.number,
        "begun_ms": step.begun_ms,
        "ended_ms": step.ended_ms,
        "calls": len(step.tries),
        "input": usage.input if usage else 0,
        "cache_read": usage.cache_read if usage else 0,
        "output": usage.output if usage else 0,
        "cost_micros": step.cost_micros,
        "unpriced": step.unpriced,
        "tools": [{"id": a.call_id, "tool": a.tool, "status": status(a)} for a in step.acts],
    }
