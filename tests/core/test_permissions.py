"""Rules of permission: which wins, how they are written, and that nothing loosens."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentctl.core.permissions import Effect, Rule, judge, parse_rule, rule_text, suggested
from agentctl.core.values import ToolCall, ToolSpec
from tests.core.rule_parts import CWD, GET, ISSUE, READ, SHELL, WRITE, call, effect, rules, ruling

RANK = {"allow": 0, "ask": 1, "deny": 2}
calm = settings(deadline=None, database=None, derandomize=True, max_examples=200)


# --- which rule wins ------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(["allow", "ask", "deny"])))
@pytest.mark.parametrize("source", ["user", "project", "flag", "always"])
def test_deny_wins_over_ask_and_ask_over_allow_in_any_order(
    order: tuple[Effect, ...], source: str
) -> None:
    given = [Rule(each, "write_file", "", source) for each in order]
    assert effect(given, WRITE, path="a") == "deny"
    assert effect([rule for rule in given if rule.effect != "deny"], WRITE, path="a") == "ask"


def test_without_a_rule_the_nature_of_the_tool_speaks() -> None:
    given = rules("allow", "delete_*", "write_file: src/**")
    changing, reading = ruling(given, WRITE, path="doc/a"), ruling(given, READ, path="a")
    assert (changing.effect, changing.rule) == ("ask", None)
    assert (reading.effect, reading.rule) == ("allow", None)


def test_rules_hold_for_calls_that_only_read() -> None:
    assert effect(rules("deny", "read_file: **/.env"), READ, path="a/.env") == "deny"
    assert effect(rules("ask", "read_file"), READ, path="a") == "ask"


def test_a_project_cannot_allow_what_the_user_asks_about_or_denies() -> None:
    theirs = rules("allow", "write_file", source="project")
    for effects in ("ask", "deny"):
        for source in ("user", "flag"):
            mine = rules(effects, "write_file: src/**", source=source)
            assert effect(theirs + mine, WRITE, path="src/a") == effects
    assert effect(theirs, WRITE, path="src/a") == "allow"


def test_a_project_may_deny_what_the_user_allows() -> None:
    given = rules("allow", "write_file") + rules("deny", "write_file: a", source="project")
    assert effect(given, WRITE, path="a") == "deny"


def test_the_ruling_names_the_rule_and_whose_it_is() -> None:
    given = rules("deny", "run_shell: git push *")
    why = ruling(given, SHELL, command="git push").why
    assert why == 'denied by the rule "run_shell: git push *" of the user'
    given = rules("allow", "run_shell: git *", source="flag")
    assert ruling(given, SHELL, command="git log").why.endswith("given on the command line")
    assert ruling(given, SHELL, command="git $(x)").why == "no rule allows it (a substitution)"
    given = rules("ask", "run_shell: rm *", source="project")
    why = ruling(given, SHELL, command="$X").why
    assert why.endswith("cannot be tested: the name of a command is not known")


def test_a_project_rule_is_named_where_it_was_needed() -> None:
    given = rules("allow", "run_shell: git *", source="project")
    given += rules("allow", "run_shell: npm *")
    assert ruling(given, SHELL, command="npm test; git log").rule == given[0]
    assert ruling(given, SHELL, command="npm test").rule == given[1]


def test_a_long_rule_is_cut_in_the_reason() -> None:
    given = [Rule("deny", "run_shell", "=" + "x" * 1000)]
    assert len(ruling(given, SHELL, command="x" * 1000).why) < 300


@pytest.mark.parametrize(
    ("tool", "fit"),
    [
        ("write_file", True),
        ("write_*", True),
        ("*", True),
        ("*_file", True),
        ("w", False),
        ("write_fil?", True),
        ("[vw]rite_file", True),
        ("WRITE_FILE", False),
        ("*x*", False),
    ],
)
def test_a_tool_is_named_by_a_glob(tool: str, fit: bool) -> None:
    assert effect(rules("deny", tool), WRITE, path="a") == ("deny" if fit else "none")


# --- arguments that cannot be read ----------------------------------------------------------------

BAD = ["[]", "1", '"x"', "{", "null", '{"command": 1, "path": 1, "url": 1}', "\ud800", "[" * 9999]


@pytest.mark.parametrize("arguments", [*BAD, " " * 1_000_001], ids=range(9))
@pytest.mark.parametrize("of", [SHELL, WRITE, GET])
def test_arguments_that_cannot_be_read_are_never_allowed_and_always_denied(
    arguments: str, of: ToolSpec
) -> None:
    made = ToolCall("c", of.name, arguments)
    for pattern in ("x", "*", "=x", "**"):
        assert judge([Rule("allow", "*", pattern)], made, of, CWD).rule is None
        assert judge([Rule("ask", "*", pattern)], made, of, CWD).effect == "ask"
        assert judge([Rule("deny", "*", pattern)], made, of, CWD).effect == "deny"
    assert judge([Rule("allow", "*")], made, of, CWD).effect == "allow"
    stored = suggested(made, of, CWD)
    other = ToolCall("c", of.name, '{"command": "ls", "path": "a", "url": "http://a"}')
    assert judge([stored], other, of, CWD).rule is None


# --- writing rules --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tool", "pattern"),
    [
        ("run_shell: git *", "run_shell", "git *"),
        ("  write_file :src/** ", "write_file", "src/**"),
        ("http_get: https://docs.python.org/*", "http_get", "https://docs.python.org/*"),
        ("delete_*", "delete_*", ""),
        ("mcp_github_*: repo=me/*", "mcp_github_*", "repo=me/*"),
        ("run_shell: =a; b ", "run_shell", "=a; b "),
    ],
)
def test_a_rule_is_read_from_text(text: str, tool: str, pattern: str) -> None:
    rule = parse_rule(text, "deny", "project")
    assert rule == Rule("deny", tool, pattern, "project")
    assert parse_rule(rule_text(rule), "deny", "project") == rule


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "does not begin with the name of a tool"),
        ("git status *", "run_shell: git status"),
        (": x", "does not begin with the name of a tool"),
        ("run_shell:", "leave out the colon"),
        ("run_shell: =", "leave out the colon"),
        ("run_shell: a; b", "put = in front"),
        ("run_shell: echo 'x", "is not closed"),
        ("https://a.com/*", "http_get: https://a.com"),
        ("write_file: ~/x", "write the whole path"),
        ("write_file: a\0", "NUL"),
        ("x" * 50_000, "at most"),
    ],
)
def test_a_wrong_rule_is_refused_with_what_would_be_right(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=r"rule|'") as caught:
        parse_rule(text, "allow", "user")
    assert hint in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("of", "arguments", "pattern"),
    [
        (WRITE, {"path": "./src/../a.py"}, "a.py"),
        (WRITE, {"path": "/etc/passwd"}, "/etc/passwd"),
        (WRITE, {"path": "a*.py"}, "=a*.py"),
        (WRITE, {"path": " a "}, "= a "),
        (WRITE, {"path": "~/a"}, "=~/a"),
        (WRITE, {"path": "."}, "."),
        (GET, {"url": "https://Docs.python.org/x"}, "docs.python.org"),
        (GET, {"url": "https://a.com:8443/x"}, "a.com:8443"),
        (GET, {"url": "https://a@b.com/x"}, "=https://a@b.com/x"),
        (ISSUE, {"repo": "x"}, ""),
    ],
)
def test_an_always_stores_a_rule_that_can_be_written_and_allows_the_same_again(
    of: ToolSpec, arguments: dict[str, str], pattern: str
) -> None:
    rule = suggested(call(of, **arguments), of, CWD)
    assert rule == Rule("allow", of.name, pattern, "always")
    assert parse_rule(rule_text(rule), "allow", "always") == rule
    assert effect([rule], of, **arguments) == "allow"


# --- properties -----------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=[]), max_size=40)
SHELLY = st.lists(
    st.sampled_from(
        [
            "git",
            "rm",
            " ",
            "x",
            ";",
            "&",
            "|",
            "\n",
            "(",
            ")",
            "$(",
            "`",
            "'",
            '"',
            "\\",
            "<<A",
            "A",
            ">",
            "$",
            "{",
            "}",
            "=",
            "if ",
            "then ",
            "fi",
            "case ",
            " in ",
            "esac",
            "sh -c ",
            "env ",
            "#",
            "*",
            "/",
            "-c ",
            "sudo ",
            "\x00",
            "\xa0",
            "\ud800",
        ]
    ),
    max_size=14,
).map("".join)
PATTERNS = st.sampled_from(
    [
        "",
        "*",
        "**",
        "git *",
        "rm *",
        "* *",
        "=x",
        "src/**",
        "**/x",
        "a.com",
        "https://a.com/*",
        "repo=*",
        "[",
        "'",
        "git ** x",
        "/**",
        "../*",
        "://",
        "a:b@c:",
        "[!",
    ]
)
RULES = st.builds(
    Rule,
    st.sampled_from(["allow", "ask", "deny"]),
    st.sampled_from(["*", "run_shell", "write_file", "http_get", "issue_*", "["]),
    PATTERNS | TEXTS,
    st.sampled_from(["user", "project", "flag", "always"]),
)
SPECS = st.sampled_from([SHELL, WRITE, READ, GET, ISSUE])
VALUES = SHELLY | TEXTS | st.sampled_from(["src/x", "../x", "https://a.com/", "https://x@a.com"])


@st.composite
def calls(draw: st.DrawFn) -> tuple[ToolCall, ToolSpec]:
    of = draw(SPECS)
    names = ("command", "path", "url", "repo")
    made = call(of, **{name: draw(VALUES) for name in names})
    return (ToolCall("c", of.name, draw(TEXTS)) if draw(st.integers(0, 9)) == 0 else made), of


@calm
@given(calls(), st.lists(RULES, max_size=4), RULES)
def test_a_rule_more_that_denies_or_asks_never_loosens(
    made: tuple[ToolCall, ToolSpec], given: list[Rule], more: Rule
) -> None:
    if more.effect == "allow":
        return
    before, after = judge(given, *made, CWD), judge([*given, more], *made, CWD)
    assert RANK[after.effect] >= RANK[before.effect]


@calm
@given(calls(), st.lists(RULES, max_size=4), PATTERNS, st.sampled_from(["allow", "ask", "deny"]))
def test_a_rule_more_of_a_project_never_loosens_what_rules_say(
    made: tuple[ToolCall, ToolSpec], given: list[Rule], pattern: str, which: Effect
) -> None:
    before = judge(given, *made, CWD)
    after = judge([*given, Rule(which, "*", pattern, "project")], *made, CWD)
    assert before.rule is None or RANK[after.effect] >= RANK[before.effect]


@calm
@given(calls(), st.lists(RULES, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_matter(
    made: tuple[ToolCall, ToolSpec], given: list[Rule], luck: object
) -> None:
    mixed = list(given)
    luck.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis gives a Random
    assert judge(mixed, *made, CWD).effect == judge(given, *made, CWD).effect


@calm
@given(calls())
def test_what_an_always_stores_can_be_written_and_never_reaches_further(
    made: tuple[ToolCall, ToolSpec],
) -> None:
    rule = suggested(*made, CWD)
    other = call(made[1], command="never said", path="never/said", url="http://never.said")
    if made[1] is not ISSUE and "never" not in made[0].arguments:
        assert judge([rule], other, made[1], CWD).rule is None


@calm
@given(TEXTS, st.sampled_from(["allow", "ask", "deny"]), TEXTS)
def test_any_text_is_a_rule_or_a_value_error(text: str, which: Effect, source: str) -> None:
    for each in (text, "run_shell: " + text, "write_file:" + text):
        try:
            rule = parse_rule(each, which, source)
        except ValueError as error:
            assert str(error)
        else:
            assert parse_rule(rule_text(rule), which, source) == rule
