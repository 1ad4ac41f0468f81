"""The agents of a workspace, as reports show them: with what is known of the tools they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from agentctl import agent_words, agents, mcp_servers, own_tools, settings
from agentctl.agents import Agent
from agentctl.paths import state_home
from agentctl.reports.agents import AgentLine, AgentNote
from agentctl.settings_keys import KEYS


def lines(
    cwd: Path, env: Mapping[str, str], files: Sequence[Path] = (), *, tools: bool = False
) -> list[AgentLine]:
    """Every agent that counts in this workspace, or those of these files.

    With `tools` it is noted which tools are not there; own ones are loaded for that. Raises
    UsageError for what cannot be read.
    """
    found = [agents.of_file(path, env) for path in files] or agents.every(cwd, env)
    brought = _brought(cwd, env) if tools else ["*"]
    seen: set[str] = set()
    made = []
    for agent in found:
        made.append(_line(agent, brought, hidden=not files and agent.name in seen))
        seen.add(agent.name)
    return made


def _line(agent: Agent, brought: Sequence[str], *, hidden: bool) -> AgentLine:
    made = agent.made
    notes = [
        AgentNote(str(made.path), note.line, note.text, note.remedy, note.bad)
        for note in made.notes
    ]
    unknown = [t for t in made.tools or () if not agent_words.is_known(t, brought)]
    notes += [
        AgentNote(
            str(made.path), 0, f"there is no tool {name.removeprefix('!')!r} here",
            "See: agentctl tools list", True,
        )
        for name in unknown
    ]  # fmt: skip
    values = {KEYS[name].field: value for name, value in made.values.items()}
    return AgentLine(
        agent.name, made.description, str(made.path), agent.source, agent.trusted, hidden,
        made.prompt, made.tools, values, tuple(notes),
    )  # fmt: skip


def _brought(cwd: Path, env: Mapping[str, str]) -> list[str]:
    """Names of own tools, and globs of those that the servers have."""
    chosen = settings.load({}, env=env, cwd=cwd)
    names = [each.tool.spec.name for each in own_tools.load(chosen.tools)]
    return names + mcp_servers.globs(chosen.mcp, Path(state_home(env)))
