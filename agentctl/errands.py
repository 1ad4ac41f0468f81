"""Creating a task that works for another: never with more than its parent may do or use."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from agentctl import agents, registry, secrets, settings_keys
from agentctl.agents import Agent
from agentctl.assembly import context, make_provider, options_of, pricer_of
from agentctl.control import Desk
from agentctl.core import events as e
from agentctl.core.carve import Errand
from agentctl.core.sanitize import goal_problem, storable
from agentctl.core.state import State
from agentctl.core.values import Limits, Millis
from agentctl.errors import ToolError
from agentctl.orders import SYSTEM_PROMPT, rules_of, write

DEPTH_MAX = 2
CHILDREN_MAX = 20
"""Of one task."""
PATIENCE_MS = 86_400_000
"""A task that works for another waits in place: nobody would wake it."""
CHILD_PROMPT = """\
You work on behalf of another agent. It gave you the goal, and gets your final answer and nothing \
else of what you do: say there all that it has to know."""


def begin(
    desk: Desk,
    parent_id: str,
    parent: State,
    start: e.ToolStarted,
    errand: Errand,
    key: str,
    address: Callable[[str], str],
    prices: Mapping[str, Any],
) -> str:
    """Write a new task that works for this call, and return its id. Raises AgentctlError."""
    problem = goal_problem(errand.goal)
    if problem:
        raise ToolError(problem)
    if len(desk.children(parent_id)) >= CHILDREN_MAX:
        raise ToolError(
            f"No more than {CHILDREN_MAX} tasks can work for one. Do the rest yourself."
        )
    created = parent.created
    agent = _agent(errand.agent, Path(created.cwd))
    values = agent.made.values if agent else {}
    name, model = _model(parent, values)
    options = dict(created.options)
    if name != created.provider and address(name):
        options.setdefault(f"{name}:base_url", address(name))
    own = options_of(options, name)
    limits = _limits(parent, start, errand, values)
    provider = make_provider(name, model, own, warm=False)
    pricer_of(provider, limits, own, prices)
    redact = secrets.redactor(os.environ).text
    policy = context(parent.policy, name, provider.model, own.get("base_url", ""))
    only = agent.made.tools if agent else _without_delegate(created.only)
    event = replace(
        created,
        goal=redact(storable(errand.goal)),
        system=redact(_system(created, agent)),
        provider=name,
        model=provider.model,
        limits=limits,
        name="",
        context=policy,
        approve=stricter("approve", parent.approve, values),
        options=options,
        fallbacks=parent.fallbacks,
        sandbox=replace(parent.sandbox, mode=stricter("sandbox", parent.sandbox.mode, values)),
        origin="child",
        parent=parent_id,
        item=0,
        agent=agent.name if agent else "",
        only=only,
        schema="",
        delegates=bool(only and "delegate" in only) and created.depth + 1 < DEPTH_MAX,
        depth=created.depth + 1,
        key=key,
    )
    return write(desk, event)


def _agent(name: str, cwd: Path) -> Agent | None:
    if not name:
        return None
    there = {agent.name: agent for agent in agents.nameable(cwd, os.environ)}
    if name not in there:
        names = ", ".join(there) or "none"
        raise ToolError(f"There is no agent {storable(name)!r}. There are: {names}.")
    return there[name]


def _model(parent: State, values: Mapping[str, object]) -> tuple[str, str]:
    """Provider and model: the agent's, else those of the parent."""
    name, model = str(values.get("provider", parent.home[0])), str(values.get("model", ""))
    home, full = registry.MODEL_ALIASES.get(model, (name, model))
    if full and home == name:
        return name, full
    return name, parent.home[1] if name == parent.home[0] else ""


def _limits(
    parent: State, start: e.ToolStarted, errand: Errand, values: Mapping[str, Any]
) -> Limits:
    """What was carved out, or less where the errand or the agent says so."""
    limits = parent.limits
    return replace(
        limits,
        task_cost_micros=_least(
            start.carved_micros, errand.max_cost_micros, values.get("max_cost")
        ),
        task_tokens=_least(start.carved_tokens, values.get("max_tokens")),
        step_cost_micros=_least(limits.step_cost_micros, values.get("max_cost_step")),
        steps=_least(limits.steps, errand.max_steps, values.get("max_steps")),
        wall_ms=values.get("timeout"),  # its parent's time goes on, and cuts both
        # Credits are not carved out, so none can be given away within a limit: what has a price
        # in credits is the parent's own to call.
        task_credits=None if limits.task_credits is None else 0,
        wait_in_place_ms=PATIENCE_MS,
    )


def _least(*caps: int | Millis | None) -> int | None:
    return min((cap for cap in caps if cap is not None), default=None)


def stricter(name: str, current: Any, values: Mapping[str, object]) -> Any:
    """The stricter of two words of a setting: the parent's and that of the agent."""
    order = settings_keys.KEYS[name].strictness
    wanted = values.get(name, current)
    return wanted if order[str(wanted)] > order[str(current)] else current


def _without_delegate(only: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if only is None else tuple(name for name in only if name != "delegate")


def _system(created: e.TaskCreated, agent: Agent | None) -> str:
    parts = [SYSTEM_PROMPT, CHILD_PROMPT]
    if agent is not None and agent.made.prompt:
        parts.append(f"You work as the agent {agent.name}:\n{agent.made.prompt}")
    return "\n\n".join(filter(None, [*parts, rules_of(created.system)]))
