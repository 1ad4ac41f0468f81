"""--agent and the commands about agents, as users type them."""

import pytest

from tests.cli.parts import Place

REVIEWER = """\
---
name: reviewer
description: Says what is wrong
model: haiku
tools: Read, Grep
limits:
  max_cost: 0.05
---
You review, and change nothing.
"""


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    folder = made.work / ".agents"
    folder.mkdir()
    (folder / "reviewer.md").write_text(REVIEWER)
    return made


def test_a_task_works_by_its_agent_and_keeps_it_whatever_becomes_of_the_file(place):
    write = {"name": "write_file", "arguments": {"path": "x", "content": "x"}}
    place.turns({"calls": [write]}, {"fault": "auth"}, {"text": "seen"})
    ran = place.run("Look", "--agent", "reviewer", "--approve", "auto")
    assert ran.code == 1, "the first run stops at the wrong key"
    (created,) = place.events("TaskCreated")
    assert created["agent"] == "reviewer"
    assert created["only"] == ["read_file", "search_text", "read_output"]
    assert created["limits"]["task_cost_micros"] == 50_000
    assert "You work as the agent reviewer:\nYou review, and change" in created["system"]
    (ended,) = place.events("ToolEnded")
    assert ended["status"] == "invalid"
    assert "There are: read_file, search_text, read_output." in ended["text"]
    assert not (place.work / "x").exists()
    (place.work / ".agents" / "reviewer.md").unlink()
    place.turns({"calls": [write]}, {"calls": [write]}, {"text": "seen"})
    assert place.cli("resume", "@last", "-q").code == 0
    assert [event["status"] for event in place.events("ToolEnded")] == ["invalid"] * 2
    assert not (place.work / "x").exists()


def test_an_agent_that_is_not_there_is_told_before_anything_is_begun(place):
    place.turns({"text": "no"})
    ran = place.run("Look", "--agent", "revewer")
    assert ran.code == 2
    assert "There is no agent 'revewer'. The known ones: reviewer." in " ".join(ran.err.split())
    assert place.cli("list", "--json").json == []


def test_list_show_and_check_say_what_there_is(place):
    listed = place.cli("agents", "list").out
    assert "reviewer" in listed
    assert "Says what is wrong" in listed
    (line,) = place.cli("agents", "list", "--json").json["agents"]
    assert line["settings"] == {"max_cost_micros": 50_000, "model": "haiku"}
    assert line["trusted"] is False
    shown = place.cli("agents", "show", "reviewer").out
    assert "Tools       read_file, search_text, read_output" in shown
    assert "You review, and change nothing." in shown
    assert place.cli("agents", "show", "reviewer", "--json").json["prompt"].startswith("You review")
    checked = place.cli("agents", "check")
    assert (checked.code, checked.out) == (0, "1 checked, 0 problems\n")


def test_check_names_file_line_and_remedy_and_fails(place):
    path = place.work / ".agents" / "odd.md"
    path.write_text("---\ndescription: x\ntools: Read, Frob\nmax_stps: 3\n---\nx\x1b[31m")
    checked = place.cli("agents", "check")
    assert checked.code == 1
    assert f"{path}: line 4: max_stps: there is no such key. Did you mean max_steps?" in checked.out
    assert f"{path}: there is no tool 'Frob' here. See: agentctl tools list" in checked.out
    assert checked.out.endswith("2 checked, 2 problems\n")
    (notes,) = [place.cli("agents", "check", str(path), "--json").json["notes"]]
    assert [(note["line"], note["problem"]) for note in notes] == [(4, True), (0, True)]
    assert "\x1b" not in place.cli("agents", "show", "odd").out


def test_own_tools_of_the_configuration_are_known_to_check(place):
    (place.user_file.parent / "mine.py").write_text(
        "from agentctl import tool\n\n@tool\ndef frob(text: str) -> str:\n"
        '    """Frob."""\n    return text\n'
    )
    place.user_file.write_text('[tools]\nfiles = ["mine.py"]')
    (place.work / ".agents" / "odd.md").write_text("---\ndescription: x\ntools: frob\n---\nx")
    assert place.cli("agents", "check").code == 0


def test_trust_covers_the_definitions_of_a_folder(place):
    ran = place.cli("trust", ".")
    assert "reviewer.md" in ran.err
    (line,) = place.cli("agents", "list", "--json").json["agents"]
    assert line["trusted"] is True
    place.cli("untrust", ".")
    (line,) = place.cli("agents", "list", "--json").json["agents"]
    assert line["trusted"] is False
