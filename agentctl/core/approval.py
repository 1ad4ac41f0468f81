"""Whether a call may run: what rules say, what `--approve` says, and what the user has answered.

A rule that denies or asks holds under every `--approve`. Where no rule is for a call, a tool that
changes something needs approval, and one that only looks does not.
"""

from __future__ import annotations

from msgspec import Struct

from agentctl.core.permissions import Ruling, judge, parse_rule, rule_text, suggested
from agentctl.core.state import State
from agentctl.core.values import ToolCall, ToolSpec, View

DENIED_BY_USER = "Denied by the user. Do not try the same again; find another way or ask."
DENIED_BY_RULE = "{why}. Do not try the same again; find another way or ask."
NOBODY_TO_ASK = "Denied: {why}, and nobody can be asked here. Find another way."
DENIED = {
    "never": "Denied: the user allows no calls that change something (--approve never).",
    "read-only": "Denied: this run is read-only.",
    "ask": "Denied: it needs approval and nobody can be asked here (the user can allow it with "
    "--approve auto).",
}
NO_RULE = Ruling("allow", None, "")


class Permission(Struct, frozen=True):
    """What is to be done about a call."""

    effect: str
    """run, ask or deny."""
    rule: str = ""
    """The rule that decided, as it is written; empty: none did."""
    why: str = ""
    """For the model, where it is denied."""
    always: str = ""
    """The rule that an "always" would store; empty where it would have no effect."""


RUN = Permission("run")


def permission(state: State, view: View, call: ToolCall, spec: ToolSpec) -> Permission:
    """Say what is to be done about a call of the model."""
    if call.id in state.approved:
        return RUN
    ruling = _ruling(state, view, call, spec)
    rule = "" if ruling.rule is None else rule_text(ruling.rule)
    if ruling.effect == "deny" and rule:
        return Permission(
            "deny", rule, DENIED_BY_RULE.format(why=ruling.why[:1].upper() + ruling.why[1:])
        )
    if spec.changes and state.approve in ("never", "read-only"):
        return Permission("deny", why=DENIED[state.approve])
    if rule and ruling.effect == "allow":
        return Permission("run", rule)
    if rule:
        if view.interactive:
            return Permission("ask", rule)
        return Permission("deny", rule, NOBODY_TO_ASK.format(why=ruling.why))
    if not spec.changes or state.approve == "auto" or call.name in state.always:
        return RUN
    if view.interactive:
        return Permission("ask", always=rule_text(suggested(call, spec, state.created.cwd)))
    return Permission("deny", why=DENIED["ask"])


def inner_refusal(
    state: State,
    view: View,
    call: ToolCall,
    spec: ToolSpec,
    instead_of: ToolCall | None = None,
) -> str:
    """Why a call that another tool makes must not run; empty: it may.

    That it was approved to make such calls at all was settled with the outer call. `instead_of` is
    the call that this one came of, e.g. by a redirect: what the user was asked about by the same
    rule is not asked about again.
    """
    found = permission(state, view, call, spec)
    if found.effect == "deny":
        return found.why
    if instead_of is not None and found.effect == "ask":
        before = ToolCall(call.id, instead_of.name, instead_of.arguments)
        if permission(state, view, before, spec).rule == found.rule:
            return ""
    if found.effect == "ask" and found.rule:
        return f"Denied: the rule {found.rule!r} wants this to be asked about by itself."
    return ""


def _ruling(state: State, view: View, call: ToolCall, spec: ToolSpec) -> Ruling:
    rules = view.rules
    if state.allowed:
        rules = (*rules, *(parse_rule(text, "allow", "always") for text in state.allowed))
    return judge(rules, call, spec, state.created.cwd) if rules else NO_RULE
