"""What a command does not need, it does not import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.parts import Place

LIBRARIES = (
    "openai", "anthropic", "genai_prices", "tiktoken", "httpx2", "pydantic", "yaml", "psutil",
)  # fmt: skip
TELL = """
import sys
sys.argv = ["agentctl", *sys.argv[1:]]
from agentctl.cli import main
try:
    main()
finally:
    sys.stderr.write("\\nIMPORTED " + " ".join(sys.modules))
"""


def imported(place: Place, *words: str) -> set[str]:
    """Everything that a command has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", TELL, *words], env=place.env, cwd=place.work,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("IMPORTED ")[2].split())


def test_the_version_is_told_without_typer_and_anything_else_heavy(place: Place) -> None:
    loaded = imported(place, "--version")
    heavy = (*LIBRARIES, "typer", "click", "rich", "asyncio", "sqlite3", "msgspec", "json")
    assert not loaded & set(heavy)


@pytest.mark.parametrize("words", ["list", "costs report", "info", "list --json"])
def test_looking_loads_no_library_of_a_provider_and_no_event_loop(place: Place, words: str) -> None:
    place.cli("list")  # the first command of all makes the database
    assert not imported(place, *words.split()) & {*LIBRARIES, "asyncio", "sqlite_utils"}


@pytest.mark.parametrize("command", ["pause", "cancel", "show"])
def test_control_commands_load_neither_libraries_nor_tools(place: Place, command: str) -> None:
    place.turns({"fault": {"status": 401}})
    place.run()
    loaded = imported(place, command, "@last")
    assert not loaded & {*LIBRARIES, "asyncio", "sqlite_utils", "agentctl.app"}


def test_pausing_needs_no_tables(place: Place) -> None:
    place.turns({"fault": {"status": 401}})
    place.run()
    assert "rich" not in imported(place, "pause", "@last")


@pytest.mark.parametrize("provider", ["scripted", "offline"])
def test_a_run_without_a_network_loads_no_library_of_a_provider(
    place: Place, provider: str
) -> None:
    place.turns({"text": "done"})
    script = ["--script", str(place.script)] if provider == "scripted" else []
    goal = "List the files" if provider == "offline" else "x"
    loaded = imported(place, "run", goal, "--provider", provider, *script)
    assert not loaded & {"openai", "anthropic", "genai_prices", "tiktoken", "httpx2", "pydantic"}
