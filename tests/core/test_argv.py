"""A shell command read into words: as a real shell does, or not at all."""

from __future__ import annotations

import fnmatch
import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentctl.core.argv import MAX_CHARS, MAX_COMMANDS, parse
from agentctl.core.globs import escaped, fits, fits_path
from agentctl.core.shellwords import UNKNOWN
from agentctl.core.wrappers import reach
from tests.core.rule_parts import rules, shell

calm = settings(deadline=None, database=None, derandomize=True, max_examples=300)


def words(command: str) -> list[list[str]]:
    return [[word.text for word in argv] for argv in parse(command).commands]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("a b;c&&d||e|f&g\nh", [["a", "b"], ["c"], ["d"], ["e"], ["f"], ["g"], ["h"]]),
        ("a 'b c' \"d e\" f\\ g h'i'\"j\"", [["a", "b c", "d e", "f g", "hij"]]),
        ("a '' \"\"", [["a", "", ""]]),
        ('a \'\\\' "\\a\\\\\\""', [["a", "\\", '\\a\\"']]),
        ("a \\\n b\\\nc", [["a", "bc"]]),
        ("a b#c #d\ne", [["a", "b#c"], ["e"]]),
        ("if a; then b; elif c; then d; else e; fi", [["a"], ["b"], ["c"], ["d"], ["e"]]),
        ("while a; do b; done; until c; do d; done", [["a"], ["b"], ["c"], ["d"]]),
        ("for x in if then; do a; done", [["a"]]),
        ("for x\nin a\ndo b\ndone", [["b"]]),
        ("for x do a; done", [["a"]]),
        ("case if in (a|b) c;; d) e; esac; f", [["c"], ["e"], ["f"]]),
        ("{ a; } && ( b; (c) )", [["a"], ["b"], ["c"]]),
        ("a if then", [["a", "if", "then"]]),
        ("'if' a", [["if", "a"]]),
        ("x=1 y=2 a z=3", [["a", "z=3"]]),
        ("x=1", []),
        ("2>&1 a 2>/dev/null b 12", [["a", "b", "12"]]),
        ("a <<A b\nc; d\nA\ne", [["a", "b"], ["e"]]),
        ("a <<A <<-'B'\nc\nA\n\td\n\tB\ne", [["a"], ["e"]]),
        ("a $(b $(c) `d`) e", [["c"], ["d"], ["b", UNKNOWN, UNKNOWN], ["a", UNKNOWN, "e"]]),
        ("a $x b$y'c' $'d'", [["a", UNKNOWN, f"b{UNKNOWN}c", "d"]]),
        (
            "a * b? [c] ~ d~ e{f",
            [["a", UNKNOWN, "b" + UNKNOWN, UNKNOWN + "c]", UNKNOWN, "d~", "e{f"]],
        ),
        ("[ a = b ]", [["[", "a", "=", "b", "]"]]),
    ],
)
def test_commands_and_their_words(command: str, expected: list[list[str]]) -> None:
    found = parse(command)
    assert words(command) == expected
    assert found.opaque == ""


@pytest.mark.parametrize(
    ("command", "doubt"),
    [
        ("x=1 a", "a variable that is set"),
        ("for PATH in a; do b; done", "a variable that is set"),
        ("a > b", "a redirection to a file"),
        ("a > $b", "a redirection to what is not known"),
        ("a $(b)", "a substitution"),
        ("a <(b)", "a process substitution"),
        ("a() { b; }", "a function"),
        ("a\u00a0b", "an unusual character"),
        ("a ${b:=c}", "an expansion that does more than look up a variable"),
        ("a $((1+1))", "an arithmetic expansion"),
    ],
)
def test_what_is_done_besides_running_commands_is_told(command: str, doubt: str) -> None:
    assert doubt in parse(command).doubts


@pytest.mark.parametrize(
    "command",
    [
        *("a 'b", 'a "b', "a `b", "a $(b", "(a", "a)", "a ;;", "a <<B\nb", "a <<B\nb\\\nB", "fi a"),
        *("a >", "a (b)", "((1))", "a &>b c", "a {b}>c", "case a in b", "case a b", "for a in b)"),
        *("a \0", "$(" * 50, "a;" * (MAX_COMMANDS + 2), "x" * (MAX_CHARS + 1), "a " * 3_000),
    ],
    ids=range(23),
)
def test_what_cannot_be_told_is_said_to_be_opaque(command: str) -> None:
    assert parse(command).opaque


def test_what_stands_before_an_unreadable_part_is_found() -> None:
    assert words("rm x; echo '") == [["rm", "x"], ["echo"]]


@pytest.mark.parametrize(
    "piece", ["a", "(", "$(", "`", "'", '"', "\\", "[", "{", "<<a\n", "a;", "$"]
)
def test_a_megabyte_of_anything_is_done_with_at_once(piece: str) -> None:
    for length in (MAX_CHARS, 1_000_000):
        text = (piece * length)[:length]
        reach(parse(text))
        shell(rules("deny", "run_shell: rm *", "run_shell: ** x **"), text)


@calm
@given(st.text(st.characters(exclude_categories=[]), max_size=60), st.booleans())
def test_any_text_is_read_without_an_error(text: str, nested: bool) -> None:
    reach(parse(text, nested=nested))


# --- against real shells --------------------------------------------------------------------------

PARTS = ["good", "good x", "rm y", "good -c", "good 'a b'", "good $x", 'good "$(@)"', "good a\\ b"]
SHAPES = ["@; @", "@ && @", "@ | @", "@ & @", "@\n@", "(@)", "{ @; }", "if @; then @; else @; fi"]
SHAPES += ["for x in a b; do @; done", "case a in a) @;; *) @;; esac", "f() { @; }; f", "! @"]
SHAPES += ["x=w @", "eval '@'", "sh -c '@'", "env @", "command @", "@ <<A\n@\nA\n@", "@ # @\n@"]
SHAPES += ["good <<'A'\n@\nA\n@", "good ${x:-@}", "good `@`", "@ >/dev/null 2>&1", "@ &>/dev/null"]
NOISE = [
    " ",
    ";",
    "&",
    "|",
    "\n",
    "(",
    ")",
    "'",
    '"',
    "\\",
    "\\\n",
    "#",
    "<<A\n",
    "\nA\n",
    "$(",
    "`",
]
NOISE += [
    "{",
    "}",
    "then ",
    "fi ",
    "function ",
    "in ",
    "$'",
    "((",
    "[",
    "=",
    "\r",
    "!",
    "* ",
    "rm y",
]


def line(luck: random.Random, depth: int = 0) -> str:
    """A command of nested shapes."""
    text = luck.choice(PARTS if depth > 2 or luck.random() < 0.3 else SHAPES)
    head, *rest = text.split("@")
    return head + "".join(line(luck, depth + 1) + part for part in rest)


def spoilt(luck: random.Random, text: str) -> str:
    for _ in range(luck.choice([0, 0, 1, 2])):
        at = luck.randrange(len(text) + 1)
        text = text[:at] + luck.choice(NOISE) + text[at + luck.randint(0, 1) :]
    return text


@pytest.mark.parametrize("seed", range(4))
def test_no_shell_runs_what_was_not_foreseen(seed: int, tmp_path: Path) -> None:
    """Two commands that leave a trace stand for all: `good` is allowed, `rm` is denied."""
    folder, work, trace = tmp_path / "bin", tmp_path / "work", tmp_path / "trace"
    for each in (folder, work):
        each.mkdir()
    for name in ("good", "rm"):
        (folder / name).write_text(f'#!/bin/sh\necho {name} >> "{trace}"\n')
        (folder / name).chmod(0o755)
    luck = random.Random(seed)
    allowing, denying = rules("allow", "run_shell: good *"), rules("deny", "run_shell: rm *")
    ran = 0
    while ran < 40:
        command = spoilt(luck, line(luck))
        allowed = shell(allowing, command) == "allow"
        if not allowed and shell(denying, command) != "none":
            continue
        ran += 1
        trace.write_text("")
        subprocess.run(
            ["/bin/sh", "-c", f"{command}\nwait"],
            cwd=work,
            env={"PATH": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
        )
        assert "rm" not in trace.read_text(), (seed, command)
        assert not allowed or not list(work.iterdir()), (seed, command)


# --- globs ----------------------------------------------------------------------------------------

SMALL = st.text(st.sampled_from("ab*?[]!-"), max_size=6)


@calm
@given(
    SMALL, st.text(st.sampled_from("ab*?"), max_size=6) | st.sampled_from(["[ab]*", "[!a]", "["])
)
def test_globs_are_those_of_the_standard_library(text: str, glob: str) -> None:
    assert fits(text, glob) == fnmatch.fnmatchcase(text, glob)


@calm
@given(SMALL)
def test_an_escaped_text_fits_itself_alone(text: str) -> None:
    assert fits(text, escaped(text))
    assert not fits(text + "a", escaped(text))


def test_many_stars_take_no_long_time() -> None:
    assert not fits("a" * 5_000, "*a" * 30 + "*b")
    assert not fits_path("a/" * 2_000 + "a", "**/a/" * 30 + "b")
