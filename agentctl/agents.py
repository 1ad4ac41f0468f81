"""Agents: finding the definition that a name means, and what it may decide.

A project's definition is text of strangers until its folder is trusted. It is used where the user
asks for it by name: then its prompt is an instruction to the model, as AGENTS.md is, it may take
tools away and make limits tighter, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from agentctl import agent_files, trust
from agentctl.agent_files import Definition
from agentctl.errors import StoreError, UsageError
from agentctl.paths import config_file, state_home
from agentctl.rules import places


class Agent(Struct, frozen=True):
    """A definition, whose it is and whether it is trusted."""

    made: Definition
    source: str
    """project or user."""
    trusted: bool
    folder: Path
    """What to trust, for one of a project."""

    @property
    def name(self) -> str:
        """What it is called by."""
        return self.made.name


def find(name: str, cwd: Path, env: Mapping[str, str]) -> Agent:
    """The agent of this name, or of a file that is named.

    A trusted project's comes first, then the user's own, then one of a project that is not trusted:
    a stranger cannot put his in the place of yours. Raises UsageError for one that is not there or
    cannot be used.
    """
    if name.endswith(".md"):  # named by the user himself, like a file of own tools
        return _usable(replace(of_file(cwd / Path(name).expanduser(), env), trusted=True))
    there = every(cwd, env)
    found = [agent for agent in there if agent.name == name]
    if not found:
        names = ", ".join(dict.fromkeys(agent.name for agent in there))
        raise UsageError(
            f"There is no agent {name!r}." + (f" The known ones: {names}." if names else ""),
            next_step=f"Write {cwd / '.agents' / 'NAME.md'} or {_user_folder(env) / 'NAME.md'}: "
            "docs/agents.md says how.",
        )
    return _usable(found[0])


def _usable(agent: Agent) -> Agent:
    if agent.made.problems:
        note = agent.made.problems[0]
        raise UsageError(
            f"{agent.made.path}:{note.line}: {note.text}.",
            kept="Nothing was started.",
            next_step=note.remedy or "See all: agentctl agents check",
        )
    return agent


def every(cwd: Path, env: Mapping[str, str]) -> list[Agent]:
    """Every definition that counts here, in the order in which a name is looked for.

    Raises UsageError for a file that cannot be read.
    """
    home = Path(state_home(env))
    theirs: list[Agent] = []
    for folder in places(cwd):
        for path, data in _read(trust.agent_files(folder)):
            made = agent_files.read(path, data)
            theirs.append(Agent(made, "project", _is_trusted(home, path, data), folder))
    folder = _user_folder(env)
    paths = sorted(folder.glob("*.md"))[: trust.AGENTS_MAX] if folder.is_dir() else []
    own = [
        Agent(agent_files.read(path, data), "user", True, folder)
        for path, data in _read([path for path in paths if path.is_file()])
    ]
    believed = [agent for agent in theirs if agent.trusted]
    return [*believed, *own, *(agent for agent in theirs if not agent.trusted)]


def nameable(cwd: Path, env: Mapping[str, str]) -> list[Agent]:
    """The agents that a model may name: a stranger's is never among them."""
    found: dict[str, Agent] = {}
    for agent in every(cwd, env):
        if agent.trusted and not agent.made.problems:
            found.setdefault(agent.name, agent)
    return list(found.values())


def of_file(path: Path, env: Mapping[str, str]) -> Agent:
    """What one file says, wherever it lies. Raises UsageError if it cannot be read."""
    data = _bytes(path)
    is_own = path.resolve().parent == _user_folder(env).resolve()
    trusted = is_own or _is_trusted(Path(state_home(env)), path, data)
    folder = path.resolve().parent
    for name in trust.AGENT_FOLDERS:
        if folder.as_posix().endswith(f"/{name}"):
            folder = folder.parents[name.count("/")]
    return Agent(agent_files.read(path, data), "user" if is_own else "project", trusted, folder)


def _user_folder(env: Mapping[str, str]) -> Path:
    return Path(config_file(env)).parent / "agents"


def _read(paths: list[Path]) -> Iterator[tuple[Path, bytes]]:
    """The files that define an agent, with their bytes: others may lie beside them."""
    for path in paths:
        data = _bytes(path)
        if agent_files.is_definition(data):
            yield path, data


def _bytes(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe would be read for ever
            raise UsageError(f"{path} is not a file.", next_step="Name a file *.md.")
        with path.open("rb") as file:
            return file.read(agent_files.MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", next_step="Mend its rights or remove it."
        ) from error


def _is_trusted(home: Path, path: Path, data: bytes) -> bool:
    try:
        return trust.trusted_file(home, path, data)
    except StoreError:
        return False  # a list that cannot be read trusts nothing; settings say so
