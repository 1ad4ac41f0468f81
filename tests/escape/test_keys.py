"""Planted keys are in nothing that a run shows, keeps or sends on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.parts import Place, Terminal, shell

BY_VALUE = "canary-4f9c2e71d8-value"
BY_FORM = "ghp_" + "Zq7Kx2Lm9Pw4Rt6Yv8Bn1Cd3Fg5Hj0Sa2Qe4"
WORD = "s3same-0pen-canary"
DATABASE = f"postgres://app:{WORD}@db/app"
CANARIES = (BY_VALUE, BY_FORM, WORD)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, str]:
    """A run that meets keys wherever it can, and all that it printed."""
    place = Place(tmp_path_factory.mktemp("place"))
    place.env |= {"OPENAI_API_KEY": BY_VALUE, "DATABASE_URL": DATABASE}
    (place.work / ".env").write_text(f"KEY={BY_VALUE}\nTOKEN={BY_FORM}\nURL={DATABASE}\n")
    command = f"env; cat .env; echo {BY_FORM}; {sys.executable} -c 'print({BY_VALUE!r}[::1])'"
    place.turns(
        {"text": f"I see {BY_VALUE}", "calls": [
            {"name": "read_file", "arguments": {"path": ".env"}},
            {"name": "search_text", "arguments": {"pattern": "canary|ghp_"}},
            {"name": "write_file", "arguments": {"path": "copy", "text": BY_FORM}},
            shell(command),
        ]},
        {"text": f"The key is {BY_VALUE} and {BY_FORM}"},
    )  # fmt: skip
    said = []
    words = ("run", f"use {BY_VALUE} and {DATABASE}", "--script", str(place.script))
    for more in (("-v",), ("--json",)):
        done = place.cli(*words, "--approve", "auto", "--name", f"n {BY_FORM}", *more)
        assert done.code == 0, done.err
        said += [done.out, done.err]
    with Terminal(place, *words, "--approve", "auto", "-v") as terminal:
        assert terminal.end() == 0
    said.append(terminal.text)
    for shown in (["show", "@last"], ["show", "@last", "--events"], ["show", "@last", "--json"],
                  ["list"], ["costs", "report", "--by", "task", "--json"],
                  ["credits", "add", "5", "--reason", f"paid with {BY_VALUE}"], ["credits"],
                  ["limits", "set", "@last", "--max-cost", "2", "--reason", BY_FORM],
                  ["config"], ["info"]):  # fmt: skip
        asked = place.cli(*shown)
        said += [asked.out, asked.err]
    return place, "\n".join(said)


@pytest.mark.parametrize("canary", CANARIES)
def test_no_key_is_printed(ran: tuple[Place, str], canary: str) -> None:
    assert canary not in ran[1]


@pytest.mark.parametrize("canary", CANARIES)
def test_no_key_is_in_any_file_that_agentctl_keeps(ran: tuple[Place, str], canary: str) -> None:
    home = ran[0].home
    files = [path for path in home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" or "sqlite" in path.name for path in files), files
    holding = [path.name for path in files if canary.encode() in path.read_bytes()]
    assert holding == []


def test_what_was_taken_out_is_named(ran: tuple[Place, str]) -> None:
    assert "[secret: OPENAI_API_KEY]" in ran[1]
    assert json.dumps(ran[0].last()).count("[secret: ") > 0


def test_files_of_the_user_are_left_as_they_are(ran: tuple[Place, str]) -> None:
    assert BY_VALUE in Path(ran[0].work, ".env").read_text()
