"""What a tool call may do by the rules that were written down: allowed, asked about, or denied.

Deny wins over ask and ask over allow, whatever the order of the rules and wherever they come from.
So more rules that deny or ask never loosen anything. `docs/permissions.md` says how patterns match.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from agentctl.core.globs import fits
from agentctl.core.matching import OtherSubject, PathSubject, Subject, UrlSubject
from agentctl.core.shell_rules import ShellSubject, words_of
from agentctl.core.values import Effect, Rule, ToolCall, ToolSpec

MAX_RULE_CHARS = 40_000
_MAX_ARGUMENT_CHARS = 1_000_000
_MAX_SHOWN_CHARS = 200
_PATH_NAMES = frozenset(
    {"path", "paths", "file", "file_path", "filename", "folder", "directory"}
    | {"source", "destination", "target"}
)
_TOOL_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./*?[]!")
_OF = {
    "user": "of the user",
    "project": "of the project",
    "flag": "given on the command line",
    "always": 'stored from an "always" answer',
}


class Ruling(Struct, frozen=True):
    """What the rules say about one call."""

    effect: Effect
    rule: Rule | None
    """The rule that decided. None: no rule is for this call, and `effect` is what its tool's nature
    says: "ask" for one that changes something, else "allow"; `--approve` has the last word."""
    why: str
    """For the model and the log."""


def judge(rules: Sequence[Rule], call: ToolCall, spec: ToolSpec, cwd: str) -> Ruling:
    """Say what the rules make of a call. Never raises.

    A rule with a pattern that cannot be tested on this call asks instead of denying, and never
    allows. A command of the shell is allowed when each simple command in it is.
    """
    found = [rule for rule in rules if fits(call.name, rule.tool)]
    subject = _subject(call, spec, cwd) if any(rule.pattern for rule in found) else Subject()
    doubtful: Rule | None = None
    for effect in ("deny", "ask"):
        for rule in found:
            if rule.effect != effect:
                continue
            hit = subject.hit(rule.pattern) if rule.pattern else "yes"
            if hit == "yes":
                verb = "denied" if effect == "deny" else "to be asked about"
                return Ruling(rule.effect, rule, f"{verb} by {_named(rule)}")
            if hit == "perhaps":
                doubtful = doubtful or rule
    if doubtful is not None:
        why = f"to be asked about, as {_named(doubtful)} cannot be tested: {subject.doubt()}"
        return Ruling("ask", doubtful, why)
    allowing = [rule for rule in found if rule.effect == "allow"]
    # The user's own first: a project's rule is named only where it was needed.
    allowing.sort(key=lambda rule: rule.source == "project")
    at = subject.allowed_by([rule.pattern for rule in allowing])
    if at is not None:
        return Ruling("allow", allowing[at], f"allowed by {_named(allowing[at])}")
    reason = subject.why_not() if allowing else ""
    why = f"no rule allows it ({reason})" if reason else "no rule is for it"
    return Ruling("ask" if spec.changes else "allow", None, why)


def parse_rule(text: str, effect: Effect, source: str) -> Rule:
    """Read `tool` or `tool: pattern`. Raises ValueError, which says what would be right."""
    shown = _cut(text)
    if len(text) > MAX_RULE_CHARS:
        raise ValueError(f"a rule has at most {MAX_RULE_CHARS:,} characters: {shown!r}")
    tool, colon, pattern = text.partition(":")
    tool, pattern = tool.strip(), pattern.lstrip()
    pattern = pattern if pattern.startswith("=") else pattern.rstrip()
    if tool in ("http", "https") and pattern.startswith("//"):
        raise ValueError(f"{shown!r} has no tool; write e.g. 'http_get: {shown}'")
    if not tool or not set(tool) <= _TOOL_CHARS:
        raise ValueError(
            f"{shown!r} does not begin with the name of a tool; a rule is 'tool' or "
            "'tool: pattern', e.g. 'run_shell: git status *' or 'write_file: src/**'"
        )
    if colon and pattern in ("", "="):
        raise ValueError(f"{shown!r} has no pattern; for any arguments leave out the colon")
    if "\0" in pattern:
        raise ValueError(f"{shown!r} has a NUL character")
    if pattern.startswith("~/"):
        raise ValueError(f"{shown!r}: ~ is not expanded; write the whole path")
    if tool == "run_shell" and not pattern.startswith("=") and pattern:
        try:
            words_of(pattern)
        except ValueError as error:
            raise ValueError(f"{shown!r}: {error}") from error
    return Rule(effect, tool, pattern, source)


def rule_text(rule: Rule) -> str:
    """The rule as it is written; `parse_rule` reads it back."""
    return f"{rule.tool}: {rule.pattern}" if rule.pattern else rule.tool


def suggested(call: ToolCall, spec: ToolSpec, cwd: str) -> Rule:
    """The rule that an "always" answer to this call would store. It is as narrow as is useful."""
    subject = _subject(call, spec, cwd)
    # Of what cannot be read, only the very same is meant.
    pattern = "=" + call.arguments if type(subject) is Subject else subject.usual()
    return Rule("allow", call.name, pattern, "always")


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN_CHARS else text[:_MAX_SHOWN_CHARS] + "…"


def _named(rule: Rule) -> str:
    return f'the rule "{_cut(rule_text(rule))}" {_OF.get(rule.source, f"of {rule.source}")}'


def _subject(call: ToolCall, spec: ToolSpec, cwd: str) -> Subject:
    """What patterns are held against, by the tool's category and the names of its arguments."""
    arguments = _object(call.arguments)
    if arguments is None:
        return Subject()
    schema = _object(spec.parameters) or {}
    fields = schema.get("properties")
    fields = fields if isinstance(fields, dict) else {}
    command, url = arguments.get("command"), arguments.get("url")
    if spec.category == "shell" and ("command" in fields or "command" in arguments):
        return ShellSubject(command) if isinstance(command, str) else Subject()
    if spec.category == "http" and ("url" in fields or "url" in arguments):
        return UrlSubject(url) if isinstance(url, str) else Subject()
    names = _PATH_NAMES & (set(fields) | set(arguments))
    if spec.category == "file" and names:
        paths = _paths(arguments, fields, names)
        return Subject() if paths is None else PathSubject(paths, cwd)
    return OtherSubject(arguments)


def _paths(
    arguments: dict[str, object], fields: dict[object, object], names: frozenset[str]
) -> list[str] | None:
    """The paths of a call, those taken by default included; None if one is no text."""
    found: list[str] = []
    for name in sorted(names):
        field = fields.get(name)
        default = field.get("default") if isinstance(field, dict) else None
        value = arguments.get(name, default)
        values = value if isinstance(value, list) else [] if value is None else [value]
        for each in values:
            if not isinstance(each, str):
                return None
            found.append(each)
    return found or ["."]


def _object(text: str) -> dict[str, object] | None:
    """The JSON object in a text, None if there is none. No text at all is an empty one."""
    if len(text) > _MAX_ARGUMENT_CHARS:
        return None
    try:
        found = msgspec.json.decode(text.strip().encode() or b"{}")
        msgspec.json.encode(found)  # what cannot be written again is not compared either
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
