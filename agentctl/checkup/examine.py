"""All checks, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agentctl import settings
from agentctl.assembly import choose_provider
from agentctl.checkup import home, machine, parts
from agentctl.checkup.case import Case, Check, told
from agentctl.core.values import Millis
from agentctl.errors import AgentctlError
from agentctl.paths import config_file, state_home
from agentctl.reports.doctor import Finding

CHECKS: dict[str, Check] = {
    "python": machine.python,
    "sqlite": machine.sqlite,
    "extras": machine.extras,
    "clock": machine.clock,
    "terminal": machine.terminal,
    "disk": machine.disk,
    "state home": home.folder,
    "database": home.database,
    "books": home.contents,
    "locks": home.locks,
    "settings": parts.settings,
    "keys": parts.keys,
    "provider": parts.models,
    "tools": parts.tools,
    "ollama": parts.ollama,
    "ranks": parts.rank_files,
    "sandbox": parts.sandbox,
    "online": parts.online,
}


def examine(
    env: Mapping[str, str],
    cwd: Path,
    now_ms: Millis,
    *,
    fix: bool = False,
    online: bool = False,
    full: bool = False,
) -> list[Finding]:
    """Make every check; one that fails is a finding and ends no other."""
    findings: list[Finding] = []
    place = Path(state_home(env))
    try:
        chosen = settings.load({}, env=env, cwd=cwd)
    except AgentctlError as error:
        findings.append(told("settings", error))
        chosen = settings.Settings(
            ledger=str(place / ".cost_history.json"), user_file=config_file(env)
        )
    provider, why = choose_provider(chosen.provider, env)
    case = Case(
        env=env, cwd=cwd, home=place, settings=chosen, provider=provider, why=why, now_ms=now_ms,
        fix=fix, online=online, full=full,
    )  # fmt: skip
    unusable = False
    for name, check in CHECKS.items():
        if name == "books" and unusable:
            continue  # the same would be told twice
        if name == "settings" and findings and findings[0].name == "settings":
            continue
        try:
            findings += check(case)
        except (AgentctlError, OSError) as error:
            findings.append(told(name, error))
            unusable = unusable or name in ("sqlite", "database")
    return findings
