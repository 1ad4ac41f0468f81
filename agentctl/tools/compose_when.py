"""Tests of a conditional that can be written in a file: small tables, no expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentctl.core.globs import fits
from agentctl.errors import ConfigError
from agentctl.tools import compose_refs as refs
from agentctl.tools.compose_refs import Scope

TESTS = ("equals", "contains", "matches", "ok")


def holds(test: Mapping[str, Any], scope: Scope) -> bool:
    """Whether a test holds: equals, contains, matches (a glob), ok (a step). Raises ToolError."""
    kind, operands = tested(test)
    if kind == "ok":
        return scope.ended_well(_step_named(operands[0]))
    left, right = (refs.present(refs.fill(each, scope)) for each in operands)
    if kind == "equals":
        return _same(left, right)
    if kind == "matches":
        return isinstance(left, str) and fits(left, str(right))
    if isinstance(left, list):
        return any(_same(each, right) for each in left)
    return isinstance(left, str) and isinstance(right, str) and right in left


def tested(test: object) -> tuple[str, list[Any]]:
    """The kind of a test and what it is about. Raises ConfigError."""
    if not isinstance(test, Mapping) or len(test) != 1 or next(iter(test)) not in TESTS:
        raise ConfigError(f"when must be a callable, or have exactly one of: {', '.join(TESTS)}.")
    ((kind, given),) = test.items()
    if kind == "ok":
        _step_named(given)
        return kind, [given]
    if not isinstance(given, list | tuple) or len(given) != 2:
        raise ConfigError(f"{kind} needs a list of two: a reference and what it is compared with.")
    if kind == "matches" and not isinstance(given[1], str):
        raise ConfigError("matches needs a glob, as in *.md.")
    return kind, list(given)


def _step_named(text: object) -> refs.Ref:
    ref = refs.lone(text)
    whole = ref is not None and len(ref.path) == {"result": 0, "steps": 1}.get(ref.root, -1)
    if ref is None or not whole:
        raise ConfigError('ok needs a step: "{result}" or "{steps.NAME}".')
    return ref


def _same(left: object, right: object) -> bool:
    """Equal as JSON: 1 is not true."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right
