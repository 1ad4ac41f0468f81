"""What stands in the documentation is true: nothing is missing, and every example works."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from agentctl import registry
from agentctl.cli.commands import build, with_default
from agentctl.core import values
from agentctl.core.events import KINDS
from agentctl.core.rows import TaskRow
from agentctl.errors import EXIT_CODES
from agentctl.reports.costs import CostLine, Share
from agentctl.settings_keys import KEYS

TOP = Path(__file__).parents[1]
PAGES = sorted((TOP / "docs").glob("*.md"))
MARKDOWN = [TOP / "README.md", TOP / "CHANGELOG.md", TOP / "examples" / "README.md", *PAGES]
AGENTCTL = [sys.executable, "-c", "from agentctl.cli import main; main()"]


@cache
def page(name: str) -> str:
    return (TOP / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next heading of any level."""
    _, found, rest = text.partition(f"\n{heading}\n")
    assert found, f"no heading {heading!r}"
    return re.split(r"\n#+ ", rest)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, head and rule left out."""
    lines = [line.strip() for line in text.splitlines()]
    table = [line.strip("|").split("|") for line in lines if line.startswith("|")]
    rules = {n for n, cells in enumerate(table) if all(set(c.strip()) <= {"-"} for c in cells)}
    rules = {n for n in rules if any("-" in c for c in table[n])}
    left = [cells for n, cells in enumerate(table) if n not in rules and n + 1 not in rules]
    assert left, "no table"
    return [[cell.strip() for cell in cells] for cells in left]


def marked(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`\n]+)`", text)


# --- commands ----------------------------------------------------------------------------------


@cache
def commands() -> dict[str, Any]:
    """Every command by the words that call it."""

    def walk(command: Any, words: str) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", {})
        for name, each in inner.items():
            yield from walk(each, f"{words} {name}")
        if not inner:
            yield words, command

    return dict(walk(typer.main.get_command(build()), "agentctl"))


@pytest.mark.parametrize("words", sorted(commands()))
def test_a_command_and_each_of_its_options_is_described(words: str) -> None:
    text = page("README.md") + "".join(path.read_text(encoding="utf-8") for path in PAGES)
    assert re.search(rf"\b{words}\b", text)
    names = {name for param in commands()[words].params for name in param.opts}
    options = {name for name in names if name.startswith("-")}
    assert {o for o in options if not re.search(rf"(?<![\w-]){o}(?![\w-])", text)} == set()


def test_each_option_of_run_has_a_row() -> None:
    told = " ".join(row[0] for row in rows(section(page("docs/running.md"), "## run")))
    options = {name for param in commands()["agentctl run"].params for name in param.opts}
    expected = {name for name in options if name.startswith("-")}
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", told)) == expected


def problem(words: list[str], *, whole: bool) -> str:
    """Why these words after `agentctl` cannot be typed, or an empty string. Nothing is run.

    With `whole` False an argument may be missing, as in "see `agentctl pause`".
    """
    words = with_default([word for word in words if word != "--help"])
    if words in ([], ["--version"]):
        return ""
    for length in (1, 2):
        command = commands().get(" ".join(("agentctl", *words[:length])))
        if command is not None:
            break
    else:
        return f"there is no command {words}"
    try:
        command.make_context("agentctl", words[length:])
    except typer.TyperException as error:
        missing = type(error).__name__ == "MissingParameter"
        return "" if missing and not whole else repr(error)
    return ""


def typed(line: str) -> Iterator[list[str]]:
    """The words after each `agentctl` of a shell line, pipes and redirections left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[str] | None = None
    for token in [*lexer, ";"]:
        if set(token) <= set("();<>|&"):
            if found is not None:
                yield found
            found = None
        elif found is not None:
            found.append(token)
        elif token.rpartition("/")[2] == "agentctl":
            found = []


def shell_lines() -> list[tuple[str, str]]:
    found = []
    for path in MARKDOWN:
        for block in re.findall(
            r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        ):
            lines = [line for line in block.splitlines() if "agentctl " in line]
            found += [(str(path.relative_to(TOP)), line) for line in lines]
    return found


@pytest.mark.parametrize(("name", "line"), shell_lines())
def test_a_command_in_a_block_can_be_typed(name: str, line: str) -> None:
    found = list(typed(line))
    assert found
    assert [problem(words, whole=True) for words in found] == [""] * len(found)


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(TOP)))
def test_commands_in_the_text_have_these_options(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    spans = [span for span in marked(text) if span.startswith("agentctl ")]
    found = {span: problem(words, whole=False) for span in spans for words in typed(span)}
    assert {span: why for span, why in found.items() if why} == {}


@pytest.mark.parametrize("words", sorted(commands()))
def test_the_help_of_a_command_ends_in_an_example_that_can_be_typed(words: str) -> None:
    _, _, example = commands()[words].help.partition("E.g.: ")
    assert [problem(each, whole=True) for each in typed(example)] == [""]


@pytest.mark.parametrize(
    "line", ["agentctl fly", "agentctl run --fast x", "agentctl pause", "agentctl costs report -z"]
)
def test_what_cannot_be_typed_is_found_out(line: str) -> None:
    assert [problem(words, whole=True) for words in typed(line)] != [""]


# --- tables ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("### Limits", values.Limits), ("### Messages", values.Message), ("### Usage", values.Usage)],
)
def test_every_field_of_a_value_has_a_row(heading: str, kind: type[msgspec.Struct]) -> None:
    found = rows(section(page("docs/events.md"), heading))
    names = [name for row in found for name in marked(row[0])]
    assert names == list(kind.__struct_fields__)
    if heading == "### Limits":
        defaults = [json.loads(row[1]) for row in found]
        assert defaults == json.loads(
            msgspec.json.encode([getattr(kind(), name) for name in names])
        )


@pytest.mark.parametrize("kind", [values.ToolCall, values.ContextPolicy, TaskRow, CostLine, Share])
def test_every_field_of_what_json_shows_is_named(kind: type[msgspec.Struct]) -> None:
    assert set(kind.__struct_fields__) <= set(marked(page("docs/events.md")))


def test_every_exit_code_has_a_row() -> None:
    found = {row[1]: int(row[0]) for row in rows(page("docs/exit-codes.md"))}
    assert found == EXIT_CODES


def test_every_setting_has_a_row_with_its_variable() -> None:
    found = rows(section(page("docs/configuration.md"), "## The settings"))
    told = {row[0].strip("`"): row[1].strip("`") for row in found}
    assert told == {name: key.variable for name, key in KEYS.items()}


def test_every_tool_has_a_row_that_says_what_its_spec_says() -> None:
    told, expected = {}, {}
    for name, arguments, category, timeout, repeat, approval in rows(
        page("docs/tools.md").partition("\n## ")[0]
    ):
        told[name.strip("`")] = (marked(arguments), category, timeout, repeat, approval)
    for name in registry.TOOLS:
        spec: values.ToolSpec = registry.load(registry.TOOLS, name, "tool")().spec
        fields = list(registry.load(registry.TOOLS, name, "tool").arguments.__struct_fields__)
        asked = "yes" if spec.changes else "no"
        expected[name] = (fields, spec.category, f"{spec.timeout_ms // 1000} s", spec.repeat, asked)
    assert told == expected


def test_every_provider_has_a_section_and_a_row_with_its_default_model() -> None:
    text = page("docs/providers.md")
    told = {row[0]: marked(row[3]) for row in rows(text.partition("\n## ")[0])}
    for name in registry.PROVIDERS:
        assert re.search(rf"^## {name}\b", text, re.MULTILINE)
        (models,) = (found for cell, found in told.items() if cell.startswith(f"[{name}]"))
        if models:
            assert models == [registry.load(registry.PROVIDERS, name, "provider").default_model]
    assert len(told) == len(registry.PROVIDERS)


# --- links and promises ------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(TOP)))
def test_every_link_leads_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


def test_every_page_is_reached_from_the_readme() -> None:
    links = re.findall(r"\]\((docs/[^)#]+\.md)\)", page("README.md"))
    assert {path.relative_to(TOP).as_posix() for path in PAGES} == set(links)


def test_every_kept_promise_names_tests_that_exist() -> None:
    for row in rows(section(page("docs/promises.md"), "## Kept")):
        named = [each for each in marked(row[2]) if "::" in each]
        assert named, row[0]
        for each in named:
            file, _, test = each.partition("::")
            assert re.search(rf"^def {test}\(", page(file), re.MULTILINE), each


# --- examples ----------------------------------------------------------------------------------


class Place:
    """A copy of the examples and a state home of its own."""

    def __init__(self, tmp: Path) -> None:
        self.folder = tmp / "examples"
        shutil.copytree(TOP / "examples", self.folder)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(tmp), "PYTHONPATH": str(TOP)}
        self.env["AGENTCTL_HOME"] = str(tmp / "home")

    def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True}
        return subprocess.run(
            [*AGENTCTL, *words], cwd=self.folder, env=self.env, text=True, timeout=60, **streams
        )


def scripted_examples() -> dict[str, list[tuple[list[str], str, int]]]:
    """For each script the commands of its section, and how the page says that each ends."""
    parts = re.split(r"^\*\*(.+\.yaml)\*\*", page("examples/README.md"), flags=re.MULTILINE)
    pattern = r"```sh\n(.+)\n```\n\nIt ends as (\w+), with exit code (\d+)\."
    found = {}
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        each = re.findall(pattern, text)
        found[name] = [(*typed(line), outcome, int(code)) for line, outcome, code in each]
    return found


@pytest.mark.parametrize("name", scripted_examples())
def test_a_scripted_example_ends_as_its_page_says(name: str, tmp_path: Path) -> None:
    place = Place(tmp_path)
    steps = scripted_examples()[name]
    assert steps
    for words, outcome, code in steps:
        ran = place.type(*words)
        assert ran.returncode == code, ran.stderr
        (row,) = json.loads(place.type("list", "--json").stdout)
        assert row["status"] == outcome
        assert bool(ran.stdout) == (outcome == "done")
        if outcome == "limit":
            named = re.findall(r"agentctl resume \w+ (--max-cost \S+)", ran.stderr)
            assert named == [" ".join(steps[1][0][2:])]


def test_every_script_has_an_example() -> None:
    names = {path.name for path in (TOP / "examples" / "scripted").iterdir()}
    assert names == set(scripted_examples())


def test_the_offline_examples_reach_their_goals(tmp_path: Path) -> None:
    place = Place(tmp_path)
    lines = [line for name, line in shell_lines() if name == "examples/README.md"]
    offline = [words for line in lines for words in typed(line) if "offline" in words]
    assert len(offline) >= 4
    for words in offline:
        ran = place.type(*words, "--approve", "auto")
        assert ran.returncode == 0, ran.stderr


def test_the_lines_of_json_have_the_promised_fields(tmp_path: Path) -> None:
    place = Place(tmp_path)
    script = ("--script", "scripted/tour.yaml", "--approve", "auto")
    *lines, last = map(json.loads, place.type("run", "x", "--json", *script).stdout.splitlines())
    lines = [line for line in lines if line["kind"] != "Tokens"]
    lines_told, result_told = (
        [marked(row[0])[0] for row in rows(part)]
        for part in section(page("docs/events.md"), "## The lines of `--json`").split("```json")[1:]
    )
    assert [list(line) for line in lines] == [lines_told] * len(lines)
    assert list(last) == result_told
    for line in lines:
        assert set(line["event"]) <= set(KINDS[line["kind"]].__struct_fields__)


# --- the README's two commands -------------------------------------------------------------------


def test_the_readme_has_one_line_to_try_it_and_one_to_test_it() -> None:
    lines = [line for line in page("README.md").splitlines() if line.startswith("python3 -m venv")]
    assert len(lines) == 2
    assert "agentctl run" in lines[0]
    assert "--provider offline" in lines[0]
    assert "python -m pytest" in lines[1]


def test_the_checks_run_the_test_command_as_the_readme_has_it() -> None:
    (line,) = [x for x in page(".ci/run").splitlines() if x.startswith("tests=")]
    shown = subprocess.run(
        ["bash", "-c", f'{line}; printf %s "$tests"'],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert shown.stdout in page("README.md").splitlines()
    assert "python -m pytest" in shown.stdout
    assert 'bash -euo pipefail -c "$tests"' in page(".ci/run")
