"""What a task usually takes, by this machine's own finished tasks. No call and no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentctl import forecast, registry
from agentctl.control import Desk
from agentctl.reports.outlook import Estimate, Usual
from agentctl.settings import Settings
from agentctl.store import book_queries as sql
from agentctl.store.opening import translated

TASKS_LEAST = 5
"""Fewer tasks than this tell nothing about the next one."""
KEYS = (("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY"))


def estimate(desk: Desk, chosen: Settings, env: Mapping[str, str]) -> Estimate:
    """Cost, steps and running time that half and nine tenths of the tasks stayed within."""
    with translated(desk.store.path):
        provider, why = _provider(desk, chosen.provider, env)
        kind = registry.load(registry.PROVIDERS, provider, "provider")
        model = chosen.model or kind.default_model
        model = model or sql.last_model(desk.store.connection, provider)
        rows = sql.finished(desk.store.connection, provider, model)
    limits = chosen.limits()
    return Estimate(
        provider,
        model,
        why,
        len(rows),
        _usual([cost for cost, unpriced, _, _ in rows if not unpriced]),
        _usual([steps for _, _, steps, _ in rows]),
        # Tasks of an earlier version did not keep their time.
        _usual([active for _, _, _, active in rows if active]),
        sum(1 for _, unpriced, _, _ in rows if unpriced),
        {
            "task_cost_micros": limits.task_cost_micros,
            "hour_cost_micros": limits.hour_cost_micros,
            "day_cost_micros": limits.day_cost_micros,
            "step_cost_micros": limits.step_cost_micros,
            "tokens": limits.task_tokens,
            "steps": limits.steps,
            "time_ms": limits.wall_ms,
        },
    )


def _provider(desk: Desk, chosen: str, env: Mapping[str, str]) -> tuple[str, str]:
    """The provider that a run would take, as far as that can be known without asking Ollama."""
    if chosen:
        return chosen, "chosen"
    for name, variable in KEYS:
        if env.get(variable):
            return name, f"{variable} is set"
    if sql.last_model(desk.store.connection, "ollama"):
        return "ollama", "no key is set, and it was used here before"
    return "offline", "no key is set"


def _usual(values: Sequence[int]) -> Usual | None:
    if len(values) < TASKS_LEAST:
        return None
    return Usual(len(values), forecast.percentile(values, 50), forecast.percentile(values, 90))
