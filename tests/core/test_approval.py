"""Whether a call may run: rules, --approve and answers, together."""

from __future__ import annotations

from typing import Any

import pytest

from agentctl.core import events as e
from agentctl.core.approval import inner_refusal, permission
from agentctl.core.decide import AskUser, Record, RunTools, decide
from agentctl.core.permissions import parse_rule
from agentctl.core.state import State, apply
from agentctl.core.values import Rule, ToolCall, ToolSpec
from tests.core.parts import START_MS, answered, asked, state_of, view

SHELL = ToolSpec("run_shell", "", "{}", category="shell")
READ = ToolSpec("read_file", "", "{}", category="file", repeat="safe", changes=False)
SPECS = {"run_shell": SHELL, "read_file": READ}


def shell(command: str, call_id: str = "c1") -> ToolCall:
    return ToolCall(call_id, "run_shell", f'{{"command":"{command}"}}')


def read(path: str, call_id: str = "c1") -> ToolCall:
    return ToolCall(call_id, "read_file", f'{{"path":"{path}"}}')


def rules(**texts: str) -> tuple[Rule, ...]:
    return tuple(parse_rule(text, effect, "user") for effect, text in texts.items())


def wanted(call: ToolCall, approve: str = "ask") -> State:
    return state_of(asked(), answered("", call), approve=approve, cwd="/w")


def next_of(state: State, *, interactive: bool = False, **texts: str) -> Any:
    return decide(state, view(specs=SPECS, rules=rules(**texts), interactive=interactive))


def denied(action: Any) -> e.ToolEnded:
    assert isinstance(action, Record)
    (fact,) = action.facts
    assert isinstance(fact, e.ToolEnded)
    assert fact.status == "denied"
    return fact


def test_what_a_rule_allows_runs_unasked_and_the_log_names_the_rule() -> None:
    action = next_of(wanted(shell("git status -s")), allow="run_shell: git status *")
    assert isinstance(action, RunTools)
    assert action.intents[0].permit == "run_shell: git status *"


HTTP = ToolSpec("http_get", "", "{}", category="http", repeat="safe", changes=False)


def page(url: str, call_id: str = "c1") -> ToolCall:
    return ToolCall(call_id, "http_get", f'{{"url":"{url}"}}')


@pytest.mark.parametrize(
    ("given", "target", "refused"),
    [
        ({"deny": "http_get: b.example"}, "http://b.example/x", True),
        ({"deny": "http_get: b.example"}, "http://c.example/x", False),
        ({"allow": "http_get: a.example", "deny": "http_get: *.example/secret/*"},
         "http://a.example/secret/1", True),
        ({"ask": "http_get"}, "http://b.example/", False),  # the user has just been asked by it
        ({"ask": "http_get: b.example"}, "http://b.example/", True),
        ({"allow": "http_get: a.example"}, "http://b.example/", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("approved", [False, True])
def test_a_redirect_is_judged_as_what_it_leads_to(
    given: dict[str, str], target: str, refused: bool, approved: bool
) -> None:
    call = page("http://a.example/")
    state = wanted(call, approve="auto")
    if approved:
        apply(state, e.ToolApproved("c1", "http_get"), START_MS)
    seen = view(specs={"http_get": HTTP}, rules=rules(**given), interactive=True)
    why = inner_refusal(state, seen, page(target, "c1/"), HTTP, call)
    assert bool(why) == refused


def test_what_no_rule_is_for_is_left_to_approve() -> None:
    state = wanted(shell("make"))
    assert isinstance(next_of(state, interactive=True, allow="run_shell: git *"), AskUser)
    denied(next_of(state, allow="run_shell: git *"))


@pytest.mark.parametrize("approve", ["auto", "ask"])
@pytest.mark.parametrize("interactive", [True, False])
def test_deny_holds_under_every_approve(approve: str, interactive: bool) -> None:
    state = wanted(shell("git push origin"), approve)
    fact = denied(next_of(state, interactive=interactive, deny="run_shell: git push *"))
    assert fact.permit == "run_shell: git push *"
    assert "git push" in fact.text


def test_a_call_that_only_reads_can_be_denied_too() -> None:
    denied(next_of(wanted(read(".env")), deny="read_file: .env*"))


def test_ask_is_asked_even_under_auto_and_denied_where_nobody_is_there() -> None:
    state = wanted(shell("make deploy"), "auto")
    action = next_of(state, interactive=True, ask="run_shell: make deploy")
    assert isinstance(action, AskUser)
    assert action.rule == "", "an always would have no effect: ask wins over allow"
    fact = denied(next_of(state, ask="run_shell: make deploy"))
    assert "nobody can be asked" in fact.text


@pytest.mark.parametrize("approve", ["never", "read-only"])
def test_an_allow_does_not_reach_past_never(approve: str) -> None:
    denied(next_of(wanted(shell("git status"), approve), allow="run_shell"))


def test_the_question_names_what_always_would_store() -> None:
    action = next_of(wanted(shell("git log --oneline")), interactive=True)
    assert isinstance(action, AskUser)
    assert action.rule == "run_shell: git log *"


def test_an_always_answer_allows_the_like_at_once_and_nothing_else() -> None:
    state = wanted(shell("git log"))
    apply(state, e.ToolApproved("c1", "run_shell", rule="run_shell: git log *"), START_MS)
    assert permission(state, view(specs=SPECS), shell("git log -3", "c2"), SHELL).effect == "run"
    other = permission(state, view(specs=SPECS), shell("git push", "c3"), SHELL)
    assert other.effect == "deny"


def test_an_always_answer_counts_after_a_resume_only_as_far_as_it_is_still_stored() -> None:
    state = wanted(shell("git log"))
    apply(state, e.ToolApproved("c1", "run_shell", rule="run_shell: git log *"), START_MS)
    apply(state, e.Resumed(1), START_MS)
    later = shell("git log", "c2")
    assert permission(state, view(specs=SPECS), later, SHELL).effect == "deny"
    stored = (parse_rule("run_shell: git log *", "allow", "always"),)
    assert permission(state, view(specs=SPECS, rules=stored), later, SHELL).effect == "run"


def test_a_tool_that_was_allowed_for_the_task_is_still_denied_by_a_rule() -> None:
    state = wanted(shell("rm -rf x"))
    apply(state, e.ToolApproved("c0", "run_shell", always=True), START_MS)
    denied(next_of(state, deny="run_shell: rm *"))


def test_a_call_in_doubt_that_a_rule_denies_is_not_run_again() -> None:
    call = read("a")
    state = wanted(call)
    apply(state, e.ToolStarted("c1", "read_file", "safe"), START_MS)
    assert isinstance(next_of(state), RunTools)
    assert isinstance(next_of(state, deny="read_file: a"), Record)


def test_a_call_of_a_tool_meets_the_same_rules() -> None:
    state = wanted(read("a"), "auto")
    for texts, refused in (
        ({"deny": "run_shell: rm *"}, True),
        ({"ask": "run_shell: rm *"}, True),
        ({"allow": "run_shell: ls *"}, False),
    ):
        seen = view(specs=SPECS, rules=rules(**texts))
        assert bool(inner_refusal(state, seen, shell("rm -rf x", "c1/1"), SHELL)) is refused


def test_a_read_only_run_makes_no_inner_call_that_changes_something() -> None:
    state = wanted(read("a"), "read-only")
    assert inner_refusal(state, view(specs=SPECS), shell("ls", "c1/1"), SHELL)
