"""Context policies that packages bring: chosen, checked, replayed and done without."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.cli.parts import ROOT, Place, Ran, shell

PRICES = {"input": 2, "output": 10, "cache_read": 0.1, "cache_write": 2.5}
BROKEN = "def plan(request):\n    raise ValueError('no \\x1b[2J idea')\n"
WRONG = """\
from agentctl.core.context_custom import Prune

def plan(request):
    return Prune(drop_before=2) if len(request.messages) > 2 else None
"""


class Site:
    """A folder of installed packages."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place, self.folder = place, folder
        folder.mkdir()
        place.env["PYTHONPATH"] = f"{ROOT}:{folder}"

    def install(self, name: str, code: str, *, points: str = "", package: str = "") -> None:
        """A module with this code, and the package that names its `plan` as a policy."""
        (self.folder / f"{name}.py").write_text(code, encoding="utf-8")
        info = self.folder / f"{package or name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package or name}\n")
        points = points or f"{name} = {name}:plan"
        (info / "entry_points.txt").write_text(f"[agentctl.context_policies]\n{points}\n")

    def remove(self, name: str) -> None:
        (self.folder / f"{name}-1.0.dist-info" / "entry_points.txt").unlink()


@pytest.fixture
def site(place: Place, tmp_path: Path) -> Site:
    return Site(place, tmp_path / "site")


def turn(number: int) -> dict[str, Any]:
    call = {**shell(f"seq {number * 100} {number * 100 + 600}"), "id": f"c{number}"}
    usage = {"input": 1_000 + number * 900, "output": 60}
    return {"text": f"Step {number}", "calls": [call], "usage": usage}


def run(place: Place, *words: str, steps: int = 12) -> Ran:
    place.turns(
        *(turn(number) for number in range(1, steps + 1)),
        {"text": "Done", "usage": {"input": 9_000, "output": 20}},
        rates=PRICES,
    )
    return place.run("Look", "--approve", "auto", *words)


def documented() -> tuple[str, str]:
    """The example of the documentation: its code and its entry point."""
    page = (ROOT / "docs" / "context.md").read_text(encoding="utf-8")
    page = page.partition("\n## A policy of your own\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (toml,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    group = '[project.entry-points."agentctl.context_policies"]\n'
    return code, toml.partition(group)[2].replace('"', "").strip()


def test_the_documented_example_shortens_requests_and_can_be_compared(site: Site) -> None:
    place, (code, point) = site.place, documented()
    site.install("halves", code, points=point)
    place.user_file.write_text("max_context_tokens = 5000\n")
    assert run(place, "--context", "halves").code == 0
    (created,) = place.events("TaskCreated")
    assert created["context"]["name"] == "halves"
    prunes = place.events("ContextPruned")
    assert len(prunes) > 1
    assert re.fullmatch(r"context policy 'halves': \d+ tokens", prunes[0]["why"])
    assert all(one["drop_before"] <= two["drop_before"] for one, two in pairwise(prunes))
    shown = place.cli("context", "@last")
    assert "Policy halves: an installed package decides what is left out" in shown.out
    assert shown.code == 0
    compared = place.cli("context", "@last", "--policy", "halves", "--json").json
    assert compared["policy"] == "halves"
    (halves,) = compared["estimated"]
    assert (halves["policy"], halves["prunes"]) == ("halves", len(prunes))
    every = place.cli("context", "@last", "--policy", "all", "--json").json
    assert [each["policy"] for each in every["estimated"]] == ["auto", "window", "none", "halves"]


def test_an_unknown_name_is_told_before_anything_is_written(site: Site) -> None:
    place = site.place
    site.install("halves", "def plan(request): ...\n")
    ran = run(place, "--context", "thirds")
    assert (ran.code, ran.out) == (2, "")
    assert "There is no context policy 'thirds'." in ran.err
    assert "--context with one of: auto, window, none, halves." in " ".join(ran.err.split())
    assert place.cli("list", "--json").json == []
    ran = place.run("Look", "--context", "no name")
    assert ran.code == 2
    assert "--context: 'no name' is not a name" in ran.err


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import not_there\n", "it cannot be loaded: ModuleNotFoundError: No module named"),
        ("raise SystemExit\n", "it cannot be loaded: SystemExit"),
        ("plan = 3\n", "own:plan is int, not a function"),
        ("", "it cannot be loaded: AttributeError"),
    ],
)
def test_a_package_that_cannot_be_used_is_told_before_anything_is_written(
    site: Site, code: str, said: str
) -> None:
    site.install("own", code)
    ran = run(site.place, "--context", "own")
    assert (ran.code, ran.out) == (2, "")
    assert f"The context policy 'own' of package own cannot be used: {said}" in " ".join(
        ran.err.split()
    )
    assert site.place.cli("list", "--json").json == []


def test_two_packages_with_one_name_are_not_guessed_between(site: Site) -> None:
    site.install("one", BROKEN, points="own = one:plan")
    site.install("two", BROKEN, points="own = two:plan")
    ran = run(site.place, "--context", "own")
    assert ran.code == 2
    assert "More than one package has a context policy 'own': one, two." in ran.err


def test_a_built_in_name_cannot_be_taken_over(site: Site) -> None:
    site.install("own", BROKEN, points="auto = own:plan\nall = own:plan\nbad name = own:plan")
    assert run(site.place, "--context", "auto", steps=1).code == 0
    ran = site.place.cli("context", "@last", "--policy", "all", "--json")
    assert [each["policy"] for each in ran.json["estimated"]] == ["auto", "window", "none"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (BROKEN, "broke: ValueError: no \\x1b[2J idea"),
        (WRONG, "returned a wrong Prune: drop_before is 2, and the last turns begin at 0"),
    ],
)
def test_one_that_breaks_stops_the_task_which_goes_on_with_another(
    site: Site, code: str, said: str
) -> None:
    place = site.place
    site.install("own", code)
    ran = run(place, "--context", "own", steps=3)
    assert (ran.code, ran.out) == (1, "")
    text = " ".join(ran.err.split())
    assert f"Failed: context policy 'own' {said}" in text
    assert "To go on without it, resume with --context auto." in text
    assert "\x1b" not in ran.err
    assert place.cli("resume", "@last").code == 1
    place.user_file.write_text("max_context_tokens = 5000\n")
    ran = place.cli("resume", "@last", "--context", "auto")
    assert (ran.code, ran.out) == (0, "Done\n")
    assert place.events("Resumed")[-1]["context"] == {"max_tokens": 5000, "name": "auto"}
    compared = place.cli("context", "@last", "--policy", "own")
    assert (compared.code, compared.out) == (1, "")
    assert "\x1b" not in compared.err
    assert f"Error: context policy 'own' {said}" in " ".join(compared.err.split())
    assert "Mend it, or name another with --policy." in compared.err


def test_one_that_is_gone_stops_a_resume_but_not_one_with_another(site: Site) -> None:
    place = site.place
    site.install("own", BROKEN)
    assert run(place, "--context", "own", steps=1).code == 1
    site.remove("own")
    before = place.last()
    ran = place.cli("resume", "@last")
    assert (ran.code, ran.out) == (2, "")
    assert "There is no context policy 'own'." in ran.err
    assert place.last() == before
    assert place.cli("resume", "@last", "--context", "none").code == 0


def test_a_projects_file_names_one_only_when_it_is_trusted(site: Site) -> None:
    place = site.place
    site.install("own", "def plan(request): ...\n")
    file = place.work / ".agentctl.toml"
    file.write_text('context = "own"\n')
    ran = run(place, steps=1)
    assert ran.code == 0
    assert "context: not used, because the folder is not trusted" in " ".join(ran.err.split())
    assert place.events("TaskCreated")[0]["context"] == {}
    assert place.cli("trust", ".").code == 0
    assert run(place, steps=1).code == 0
    assert place.events("TaskCreated")[0]["context"] == {"name": "own"}
    assert place.cli("info", "--json").json["settings"]["context"]["value"] == "own"
    file.write_text('context = "window"\n')  # no longer what was trusted
    assert run(place, steps=1).code == 0
    assert place.events("TaskCreated")[0]["context"]["name"] == "window"
