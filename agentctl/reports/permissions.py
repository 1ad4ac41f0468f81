"""Rules for tools' calls, as a table and as JSON. Nothing here prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from agentctl.reports.columns import Column, ascii_only, table, wrapped
from agentctl.reports.text import visible

if TYPE_CHECKING:
    from agentctl.core.values import Rule

_ORDER = {"deny": 0, "ask": 1, "allow": 2}


class Answer(Protocol):
    """A stored answer, as the store gives it."""

    @property
    def id(self) -> int:
        """What it is revoked by."""
        ...

    @property
    def cwd(self) -> str:
        """Its workspace."""
        ...

    @property
    def rule(self) -> str:
        """The rule as it is written."""
        ...

    @property
    def at_ms(self) -> int:
        """When it was answered."""
        ...

    @property
    def task_id(self) -> str:
        """In which task."""
        ...


def text(
    rules: Sequence[Rule],
    answers: Sequence[Answer],
    width: int,
    *,
    everywhere: bool,
    plain: bool = False,
) -> str:
    """Return the table, at most `width` wide: what denies first, stored answers last."""
    written = sorted(rules, key=lambda rule: _ORDER[rule.effect])
    keys = [*(shown(_written(rule)) for rule in written), *(shown(a.rule) for a in answers)]
    lines: list[str] = []
    if keys:
        sources = [rule.source for rule in written]
        of = [f"answer {a.id}" + (f", {visible(a.cwd)}" if everywhere else "") for a in answers]
        columns = [
            Column(
                "Effect", [*(r.effect for r in written), *("allow" for _ in answers)], left=True
            ),
            Column("From", [*sources, *of], left=True),
        ]
        lines = [*table("Rule", keys, columns, width, plain=plain), ""]
    for remark in _remarks(bool(keys), bool(answers)):
        lines += wrapped(ascii_only(remark) if plain else remark, width)
    return "\n".join(lines)


def as_json(rules: Sequence[Rule], answers: Sequence[Answer]) -> dict[str, Any]:
    """Return schema, written rules and stored answers; moments in milliseconds."""
    return {
        "schema": 1,
        "rules": [
            {"effect": rule.effect, "rule": _written(rule), "source": rule.source} for rule in rules
        ],
        "answers": [
            {"id": a.id, "rule": a.rule, "cwd": a.cwd, "at_ms": a.at_ms, "task_id": a.task_id}
            for a in answers
        ],
    }


def shown(rule: str) -> str:
    """A rule on one line: patterns of answers may hold anything."""
    return visible(rule.replace("\n", "\\n"))


def _written(rule: Rule) -> str:
    return f"{rule.tool}: {rule.pattern}" if rule.pattern else rule.tool


def _remarks(some: bool, answers: bool) -> list[str]:
    remarks = []
    if not some:
        remarks.append("No rules: calls that change something are asked about (--approve).")
    if answers:
        remarks.append("Forget an answer with: agentctl permissions revoke ID")
    return remarks
