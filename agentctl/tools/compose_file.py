"""Composed tools from a file, TOML or YAML: tables and names, nothing that is run.

docs/composition.md describes the format for users.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from agentctl.errors import ConfigError
from agentctl.tools import compose
from agentctl.tools.compose import Composed

FILE_BYTES_MAX = 1_000_000
KINDS = ("sequential", "parallel", "conditional", "with_fallback", "mapped")


class StepTable(Struct, frozen=True, forbid_unknown_fields=True):
    """A tool by its name, and what it is given."""

    tool: str
    arguments: dict[str, Any] | str | None = None
    label: str = ""

    def use(self) -> compose.Use:
        """The same for the functions of `compose`."""
        return compose.use(self.tool, self.arguments, label=self.label)


Step = str | StepTable


class ConditionalTable(Struct, frozen=True, forbid_unknown_fields=True):
    """As `compose.conditional`."""

    when: dict[str, Any]
    then: Step
    otherwise: Step | None = None
    first: Step | None = None


class FallbackTable(Struct, frozen=True, forbid_unknown_fields=True):
    """As `compose.with_fallback`."""

    steps: tuple[Step, ...]
    even_if_unknown: bool = False


class MappedTable(Struct, frozen=True, forbid_unknown_fields=True):
    """As `compose.mapped`."""

    tool: str
    arguments: dict[str, Any] | str | None = None
    over: str | list[Any] = "{input.items}"
    at_most: int = 100
    at_once: int = 1
    stop_on_error: bool = False


class FlowTable(Struct, frozen=True, forbid_unknown_fields=True):
    """One composed tool: exactly one of KINDS says how."""

    description: str = ""
    parameters: dict[str, Any] | None = None
    sequential: tuple[Step, ...] | None = None
    parallel: tuple[Step, ...] | None = None
    conditional: ConditionalTable | None = None
    with_fallback: tuple[Step, ...] | FallbackTable | None = None
    mapped: MappedTable | None = None


class FileTable(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file."""

    flow: dict[str, FlowTable]


def load(path: Path) -> list[Composed]:
    """Read the tools of a file, in its order. Raises ConfigError that names the file and place."""
    tree = _tree(path)
    try:
        flows = msgspec.convert(tree, FileTable).flow
    except msgspec.ValidationError as error:
        raise _bad(path, str(error)) from error
    if not flows:
        raise _bad(path, "there is no tool in it")
    found = []
    for name, table in flows.items():
        try:
            found.append(_made(name, table))
        except ConfigError as error:
            raise _bad(path, f"flow.{error.what.removesuffix('.')}", error.next_step) from error
    return found


def _made(name: str, table: FlowTable) -> Composed:
    given = [kind for kind in KINDS if getattr(table, kind) is not None]
    if len(given) != 1:
        raise ConfigError(f"{name}: needs exactly one of {', '.join(KINDS)}")
    told: dict[str, Any] = {"description": table.description, "parameters": table.parameters}
    if table.sequential is not None:
        return compose.sequential(name, *map(_used, table.sequential), **told)
    if table.parallel is not None:
        return compose.parallel(name, *map(_used, table.parallel), **told)
    if table.mapped is not None:
        return _mapped(name, table.mapped, told)
    if table.conditional is not None:
        test = table.conditional
        steps = {"then": test.then, "otherwise": test.otherwise, "first": test.first}
        uses: dict[str, Any] = {k: _used(v) for k, v in steps.items() if v is not None}
        return compose.conditional(name, when=test.when, **uses, **told)
    found = table.with_fallback
    fallback = found if isinstance(found, FallbackTable) else FallbackTable(found or ())
    if not fallback.steps:
        raise ConfigError(f"{name} is made of no tool.")
    told["even_if_unknown"] = fallback.even_if_unknown
    return compose.with_fallback(name, *map(_used, fallback.steps), **told)


def _mapped(name: str, table: MappedTable, told: Mapping[str, Any]) -> Composed:
    return compose.mapped(
        name,
        compose.use(table.tool, table.arguments),
        over=table.over,
        at_most=table.at_most,
        at_once=table.at_once,
        stop_on_error=table.stop_on_error,
        **told,
    )


def _used(step: Step) -> compose.Use:
    return (StepTable(step) if isinstance(step, str) else step).use()


def _tree(path: Path) -> object:
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise _bad(path, f"it cannot be read ({error.strerror or error})") from error
    if len(raw) > FILE_BYTES_MAX:
        raise _bad(path, f"it is larger than {FILE_BYTES_MAX:,} bytes")
    try:
        text = raw.decode()
        return tomllib.loads(text) if path.suffix.lower() == ".toml" else _yaml(path, text)
    except UnicodeDecodeError as error:
        raise _bad(path, "it is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise _bad(path, f"it is not valid TOML: {error}") from error
    except RecursionError as error:
        raise _bad(path, "it is nested too deeply") from error


def _yaml(path: Path, text: str) -> object:
    import yaml  # imported here: it is not needed for TOML and slows start-up

    class Loader(yaml.SafeLoader):
        """Refuses what would be dropped or multiplied without a word."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                event: Any = self.peek_event()  # type: ignore[no-untyped-call]  # its stubs lack it
                raise _at(path, event.start_mark, "aliases (*) are not taken")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key, _ in node.value:
                if key.tag == "tag:yaml.org,2002:str" and key.value in seen:
                    raise _at(path, key.start_mark, f"{key.value!r} stands there twice")
                seen.add(key.value if isinstance(key.value, str) else "")
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)  # noqa: S506 - it is a SafeLoader
    except yaml.MarkedYAMLError as error:
        raise _at(path, error.problem_mark, f"it is not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise _bad(path, f"it is not valid YAML: {error}") from error


def _at(path: Path, mark: Any, why: str) -> ConfigError:
    return _bad(path, f"line {mark.line + 1}: {why}" if mark else why)


def _bad(path: Path, why: str, next_step: str = "") -> ConfigError:
    return ConfigError(
        f"The tools of {path} cannot be used: {why}.",
        next_step=next_step or "The format is described in docs/composition.md.",
    )
