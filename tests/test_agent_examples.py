"""The examples of agents, delegation and schemas do what their page says."""

import json

import pytest

from tests.test_docs import Place, page, section, typed


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    made.env["AGENTCTL_CONFIG"] = str(made.folder / "config.toml")
    return made


def commands():
    """What stands in the blocks of the section, without the line that sets the variable."""
    blocks = section(page("examples/README.md"), "## agents/").split("```sh\n")[1:]
    lines = [line for block in blocks for line in block.split("```")[0].splitlines()]
    return [words for line in lines for words in typed(line)]


def test_every_command_of_the_page_succeeds_and_the_lead_has_others_work_for_it(place):
    assert len(commands()) == 5
    ran = [place.type(*words) for words in commands()]
    assert [each.returncode for each in ran] == [0] * 5, [each.stderr for each in ran]
    assert "2 checked, 0 problems" in ran[1].stdout
    assert ran[2].stdout == "The notes are counted, and their deadlines found.\n"
    rows = json.loads(place.type("list", "--json").stdout)
    (lead,) = [row for row in rows if row["goal"] == "What is in the notes?"]
    children = [row for row in rows if row["parent"] == lead["id"]]
    assert [row["status"] for row in children] == ["done", "done"]
    assert {row["provider"] for row in children} == {"offline"}
    assert ran[3].stdout.count("└") + ran[3].stdout.count("├") == 2
    assert json.loads(ran[4].stdout) == {"open": 2, "first": "shed roof"}


def test_every_file_of_the_folder_is_named_or_an_agent(place):
    told = section(page("examples/README.md"), "## agents/")
    for path in (place.folder / "agents").iterdir():
        lead = (place.folder / "agents" / "lead.md").read_text()
        assert path.suffix == ".md" or path.name in told + lead, path.name
