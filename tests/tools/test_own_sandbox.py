"""Own tools that run in a confined process of their own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from agentctl import ToolError
from agentctl.ports import Tool
from tests.tools.helpers import call, context_of

CONFINED = '''
import os
from beside import NUMBER
from agentctl import ToolContext, ToolError, tool

@tool(sandbox=True)
def leave(path: str, context: ToolContext, idempotency_key: str) -> list:
    """Write a file."""
    print("at work")
    try:
        open(path, "w").close()
    except OSError as error:
        return [type(error).__name__, os.environ.get("A_KEY"), NUMBER, idempotency_key]
    return ["written", os.environ.get("A_KEY"), NUMBER, idempotency_key]

@tool(sandbox=True)
async def fail(how: str) -> str:
    """Fail, or give what is odd."""
    if how == "odd":
        return "a" + chr(0xD800)
    if how == "huge":
        return "a" * 10_000_001
    if how == "told":
        raise ToolError("Not there.")
    if how == "killed":
        os._exit(3)
    raise ValueError(how)
'''


@pytest.fixture
def confined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tool]:
    from agentctl.tools.own_files import load

    monkeypatch.setenv("A_KEY", "secret")
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "beside.py").write_text("NUMBER = 7\n")
    (folder / "own.py").write_text(CONFINED)
    found = {each.spec.name: each for each in load(folder / "own.py")}
    sys.modules.pop("beside")
    (tmp_path / "work").mkdir()
    return found


def test_a_confined_function_runs_in_a_process_without_our_environment(
    tmp_path: Path, confined: dict[str, Tool]
) -> None:
    from agentctl.core.values import Sandbox

    confined["leave"].confine(Sandbox("off"))  # type: ignore[attr-defined]  # it is an OwnTool
    heard: list[str] = []
    context = replace(context_of(tmp_path / "work", heard.append), key="k1")
    found = call(confined["leave"], context, path="new")
    assert json.loads(found.text) == ["written", None, 7, "k1"]
    assert (tmp_path / "work" / "new").exists()
    assert heard == ["at work\n"]


def test_a_confined_function_cannot_write_outside_the_workspace(
    tmp_path: Path, confined: dict[str, Tool]
) -> None:
    from agentctl.core.values import Sandbox
    from agentctl.tools.sandbox import probe

    enforced = probe(Sandbox(), str(tmp_path / "work"))
    if "files" not in enforced.parts:
        pytest.skip(f"no sandbox here: {enforced.advice}")
    context = context_of(tmp_path / "work")
    found = call(confined["leave"], context, path=str(tmp_path / "outside"))
    assert not (tmp_path / "outside").exists()
    assert json.loads(found.text)[1:3] == [None, 7]


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ("told", ToolError, "Not there."),
        ("broke", RuntimeError, "ValueError: broke"),
        ("killed", RuntimeError, "its process ended without a result, exit code 3"),
        ("huge", ToolError, "has more than 10,000,000 bytes"),
    ],
)
def test_how_a_confined_function_failed_is_told(
    tmp_path: Path, confined: dict[str, Tool], how: str, kind: type[Exception], said: str
) -> None:
    from agentctl.core.values import Sandbox

    confined["fail"].confine(Sandbox("off"))  # type: ignore[attr-defined]  # it is an OwnTool
    with pytest.raises(kind, match=said):
        call(confined["fail"], context_of(tmp_path / "work"), how=how)


def test_half_a_character_is_replaced(tmp_path: Path, confined: dict[str, Tool]) -> None:
    from agentctl.core.values import Sandbox

    confined["fail"].confine(Sandbox("off"))  # type: ignore[attr-defined]  # it is an OwnTool
    assert call(confined["fail"], context_of(tmp_path / "work"), how="odd").text == "a?"
