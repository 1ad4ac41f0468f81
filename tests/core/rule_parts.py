"""Calls and specs of tools for tests of rules."""

from __future__ import annotations

import json
from typing import Any

from agentctl.core.permissions import Effect, Rule, Ruling, judge, parse_rule
from agentctl.core.values import ToolCall, ToolSpec

CWD = "/home/ada/work"


def spec(name: str, category: str, *fields: str, changes: bool = True) -> ToolSpec:
    schema = {"type": "object", "properties": {field: {"type": "string"} for field in fields}}
    return ToolSpec(name, "", json.dumps(schema), category=category, changes=changes)


SHELL = spec("run_shell", "shell", "command")
WRITE = spec("write_file", "file", "path", "text")
READ = spec("read_file", "file", "path", changes=False)
GET = spec("http_get", "http", "url", changes=False)
ISSUE = spec("issue_write", "default", "repo", "title")


def call(of: ToolSpec, **arguments: Any) -> ToolCall:
    return ToolCall("c1", of.name, json.dumps(arguments))


def rules(effect: Effect, *texts: str, source: str = "user") -> list[Rule]:
    return [parse_rule(text, effect, source) for text in texts]


def ruling(given: list[Rule], of: ToolSpec, **arguments: Any) -> Ruling:
    return judge(given, call(of, **arguments), of, CWD)


def effect(given: list[Rule], of: ToolSpec, **arguments: object) -> str:
    """What is done with a call: the effect, or "none" where no rule is for it."""
    found = ruling(given, of, **arguments)
    return found.effect if found.rule else "none"


def shell(given: list[Rule], command: str) -> str:
    """What is done with a command, in the same words."""
    return effect(given, SHELL, command=command)
