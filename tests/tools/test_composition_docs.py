"""What the pages about composed and simulated tools show does work."""

from __future__ import annotations

import re
from pathlib import Path

from agentctl.tools import own_files
from agentctl.tools.compose import settled
from agentctl.tools.files import ListDir, ReadFile, WriteFile
from agentctl.tools.http import HttpGet
from tests.tools.compose_parts import Bench

TOP = Path(__file__).parents[2]


def blocks(page: str, language: str) -> list[str]:
    text = (TOP / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def loaded(folder: Path, name: str, text: str) -> list[object]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return list(own_files.load(path))


def test_the_definition_in_the_page_is_that_of_the_example(tmp_path: Path) -> None:
    (text,) = blocks("composition.md", "toml")
    assert text in (TOP / "examples" / "flows.toml").read_text(encoding="utf-8")
    (tool,) = loaded(tmp_path, "flows.toml", text)
    assert tool.spec.name == "copy_text"


def test_the_python_in_the_page_makes_tools_that_work(tmp_path: Path) -> None:
    (text,) = blocks("composition.md", "python")
    made = loaded(tmp_path, "flows.py", text)
    parts = [ReadFile(), ListDir(), HttpGet(), WriteFile()]
    tools = {tool.spec.name: tool for tool in settled([*made, *parts])}
    (tmp_path / "a.txt").write_text("three small words\n")
    bench = Bench(*tools.values(), cwd=tmp_path)
    assert bench.run(tools["words_of"], path="a.txt").text == "3"
    assert bench.run(tools["many"], items=[{"path": "a.txt"}] * 2).text.endswith("[2 of 2]\n3")
    assert "flows.py" in bench.run(tools["both"], path="a.txt").text
    assert bench.run(tools["careful"], text="a b").text == "2"
    assert "three" in bench.run(tools["page_or_copy"], url="http://127.0.0.1/", copy="a.txt").text


def test_the_test_in_the_page_passes() -> None:
    first, second, _ = blocks("testing-tools.md", "python")
    exec(compile(first, "testing-tools.md", "exec"), {})
    assert 'replayed("@last")' in second


def test_what_is_public_can_be_imported_from_the_package() -> None:
    import agentctl

    for name in agentctl.__all__:
        assert getattr(agentctl, name) is not None
