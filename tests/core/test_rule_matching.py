"""What patterns of paths, addresses and other arguments fit."""

from __future__ import annotations

import pytest

from agentctl.core.permissions import Rule
from agentctl.core.values import ToolSpec
from tests.core.rule_parts import CWD, GET, ISSUE, WRITE, effect, rules, spec

# --- paths ----------------------------------------------------------------------------------------

PATHS = [
    ("src/**", "src/a.py", True),
    ("src/**", "src/a/b/c.py", True),
    ("src/", "src/a/b.py", True),
    ("./src/**", "./src//a.py", True),
    ("src/*", "src/a.py", True),
    ("src/*", "src/a/b.py", False),
    ("*", "a", True),
    ("*", "a/b", False),
    ("*.py", "a.py", True),
    ("*.py", "src/a.py", False),
    ("**/*.py", "src/a.py", True),
    ("**/*.py", "a.py", True),
    ("**", "a/b", True),
    ("**", "/etc/passwd", False),
    ("**", "../other/a", False),
    ("src/**", "src/../a.py", False),
    ("src/**", "src/../../a.py", False),
    ("src/**", "x/../src/a.py", True),
    ("src/**", "srcx/a.py", False),
    ("src/**", "/src/a.py", False),
    ("src/**", f"{CWD}/src/a.py", True),
    ("src/**", f"{CWD}x/src/a.py", False),
    ("src/**", f"{CWD}/../work/src/a.py", True),
    (f"{CWD}/src/**", "src/a.py", True),
    ("/etc/*", "/etc/passwd", True),
    ("/etc/*", "../../../etc/passwd", True),
    ("/tmp/**", "/tmp/../etc/passwd", False),
    ("/tmp/**", "/tmp/./a//b", True),
    ("../other/*", "/home/ada/other/a", True),
    ("a?c", "abc", True),
    ("a?c", "a/c", False),
    ("[ab]", "b", True),
    ("=a[1]*.py", "a[1]*.py", True),
    ("=a[1]*.py", "a1x.py", False),
    ("src/**", "SRC/a.py", False),
    ("src/**", "src/a\0.py", False),
    ("~/**", "~/a", True),
]


@pytest.mark.parametrize(("pattern", "path", "fit"), PATHS)
def test_a_pattern_allows_these_paths(pattern: str, path: str, fit: bool) -> None:
    found = effect([Rule("allow", "write_file", pattern)], WRITE, path=path)
    assert found == ("allow" if fit else "none")


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("**/.env", ".env", "deny"),
        ("**/.env", "a/b/.env", "deny"),
        ("**/.env", "/home/eve/.env", "deny"),
        ("**/.env", "a/.ENV", "deny"),
        ("*", "/etc/passwd", "deny"),
        (".git/**", "./.git/hooks/pre-commit", "deny"),
        (".git/**", "src/../.git/config", "deny"),
        (".git/**", ".github/x", "none"),
        (".git/**", "a\0", "ask"),
    ],
)
def test_a_pattern_denies_these_paths(pattern: str, path: str, expected: str) -> None:
    assert effect(rules("deny", f"write_file: {pattern}"), WRITE, path=path) == expected


def test_of_several_paths_all_must_be_allowed_and_one_may_be_denied() -> None:
    move = spec("move_file", "file", "source", "destination")
    given = rules("allow", "move_file: src/**")
    assert effect(given, move, source="src/a", destination="src/b") == "allow"
    assert effect(given, move, source="src/a", destination="b") == "none"
    assert effect(rules("deny", "move_file: b"), move, source="src/a", destination="b") == "deny"


def test_a_path_that_is_left_out_is_the_workspace_or_what_the_schema_says() -> None:
    schema = '{"properties": {"path": {"default": "src"}}}'
    find = ToolSpec("find_files", "", schema, category="file")
    assert effect(rules("deny", "find_files: src"), find) == "deny"
    assert effect(rules("deny", "write_file: ."), WRITE) == "deny"


# --- addresses ------------------------------------------------------------------------------------

DOCS = "https://docs.python.org/*"
URLS = [
    (DOCS, "https://docs.python.org/", True),
    (DOCS, "https://docs.python.org", True),
    (DOCS, "https://docs.python.org/3/library/re.html?x=1#y", True),
    (DOCS, "HTTPS://Docs.Python.ORG/3", True),
    (DOCS, "https://docs.python.org:443/3", True),
    (DOCS, "https://docs.python.org./3", True),
    (DOCS, "https://docs.python.org?x", True),
    (DOCS, "https://docs.python.org/K%C3%A4se/Käse", True),
    (DOCS, "http://docs.python.org/", False),
    (DOCS, "https://docs.python.org:8443/", False),
    (DOCS, "https://docs.python.org.evil.com/", False),
    (DOCS, "https://docs.python.org@evil.com/", False),
    (DOCS, "https://docs.python.org:x@evil.com/", False),
    (DOCS, "https://docs.python.org%2f@evil.com/", False),
    (DOCS, "https://a@docs.python.org/", False),
    (DOCS, "https://evil.com/https://docs.python.org/", False),
    (DOCS, "https://evil.com\\@docs.python.org/", False),
    (DOCS, "https://evil.com#@docs.python.org/", False),
    (DOCS, "https://evil.com?@docs.python.org/", False),
    (DOCS, "https://docs.python.org\\.evil.com/", False),
    (DOCS, "https://docs.python.org\t.evil.com/", False),
    (DOCS, "https://docs.python.org\n/", False),
    (DOCS, " https://docs.python.org/", False),
    (DOCS, "https://docs。python.org/", False),
    (DOCS, "https://ｄocs.python.org/", False),
    (DOCS, "https://%64ocs.python.org/", False),
    (DOCS, "https:docs.python.org/", False),
    (DOCS, "https:///docs.python.org/", False),
    (DOCS, "//docs.python.org/", False),
    (DOCS, "docs.python.org", False),
    (DOCS, "https://docs.python.org:44 3/", False),
    (DOCS, "https://docs.python.org:٤٤٣/", False),
    ("https://docs.python.org/3/*", "https://docs.python.org/3/x", True),
    ("https://docs.python.org/3/*", "https://docs.python.org/3/../admin", False),
    ("https://docs.python.org/3/*", "https://docs.python.org/3/%2e%2E/admin", False),
    ("https://docs.python.org/3/*", "https://docs.python.org/3/..%2fadmin", False),
    ("https://docs.python.org/3/*", "https://docs.python.org/3/./x", True),
    ("https://docs.python.org", "https://docs.python.org/any", True),
    ("docs.python.org", "https://docs.python.org/any", True),
    ("docs.python.org", "http://docs.python.org/any", True),
    ("docs.python.org", "https://docs.python.org:8443/any", False),
    ("docs.python.org", "https://x.docs.python.org/any", False),
    ("docs.python.org:8443", "https://docs.python.org:8443/any", True),
    ("docs.python.org:*", "https://docs.python.org:8443/any", True),
    ("docs.python.org/3/*", "https://docs.python.org/3/x", True),
    ("docs.python.org/3/*", "https://docs.python.org/2/x", False),
    ("*.python.org", "https://docs.python.org/any", True),
    ("*.python.org", "https://python.org/any", False),
    ("*.python.org", "https://evil.com/x.python.org", False),
    ("https://*.python.org/*", "https://evil.com/x.python.org/", False),
    ("https://*.python.org/*", "https://evil.com?x.python.org/", False),
    ("*", "https://evil.com/x", True),
    ("127.0.0.1", "http://127.0.0.1/", True),
    ("127.0.0.1", "http://127.1/", False),
    ("=https://a@b/", "https://a@b/", True),
]


@pytest.mark.parametrize(("pattern", "url", "fit"), URLS)
def test_a_pattern_allows_these_addresses(pattern: str, url: str, fit: bool) -> None:
    found = effect(rules("allow", f"http_get: {pattern}"), GET, url=url)
    assert found == ("allow" if fit else "none")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://evil.com/", "deny"),
        ("https://EVIL.com:443/", "deny"),
        ("https://evil.com:8443/", "deny"),
        ("https://user@evil.com/", "deny"),
        ("https://evil.com./", "deny"),
        ("https://evil.com\\x", "deny"),
        ("https://good.com/evil.com", "none"),
        ("https://evil%2ecom/", "ask"),
        ("https://x@good.com/", "ask"),
        ("http://2130706433/", "ask"),
        ("http://0x7f.1/", "ask"),
        ("http://[::1]/", "ask"),
        ("nonsense", "ask"),
    ],
)
def test_denying_a_host_denies_however_it_is_written(url: str, expected: str) -> None:
    assert effect(rules("deny", "http_get: evil.com"), GET, url=url) == expected


def test_a_denied_path_is_seen_through_its_percent_signs() -> None:
    given = rules("deny", "http_get: https://a.com/secret*")
    for path in ("secret", "%73ecret", "x/../secret", "x/%2e%2e/secret", "x%2f..%2fsecret"):
        assert effect(given, GET, url=f"https://a.com/{path}") == "deny"


# --- other arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "fit"),
    [
        ("repo=me/*", True),
        ("repo=you/*", False),
        ("title=*", True),
        ("label=*", False),
        ('{"repo":"me/x","title":"a"}', True),
        ('*"title":"a"*', True),
        ('={"repo":"me/x","title":"a"}', True),
        ('={"repo":"me/x"}', False),
        ("me/x", False),
    ],
)
def test_other_arguments_are_matched_by_name_or_as_json(pattern: str, fit: bool) -> None:
    for each in ("allow", "deny"):
        found = effect([Rule(each, "issue_write", pattern)], ISSUE, title="a", repo="me/x")
        assert found == (each if fit else "none")


def test_a_number_or_list_is_matched_as_json() -> None:
    assert effect(rules("deny", "issue_write: n=1?"), ISSUE, n=12) == "deny"
    assert effect(rules("deny", 'issue_write: n=*"b"*'), ISSUE, n=["a", "b"]) == "deny"
