"""`--json` of every command has the fields and types of its schema in docs/schemas, and no others.

A schema is widened by `AGENTCTL_GOLDEN=write python -m pytest tests/cli/test_json.py`, never
narrowed: what was promised once stays promised until a person takes it out.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import typer

from agentctl.cli.commands import COMMANDS, build
from agentctl.core.events import KINDS
from tests.cli.parts import Place, shell
from tests.cli.test_golden import fill

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
EVENTS = FOLDER / "events.json"
LINES = {"run", "resume", "batch", "attach", "logs"}
"""They print a line for each event: docs/events.md has the fields of those, held by other tests."""
SAMPLES: dict[str, tuple[str, ...]] = {
    "list": ("list", "list --state running"),
    "show": ("show mend", "show 1ccccccc", "show own"),
    "show --step": ("show mend --step 1", "show mend --step last", "show own --step 1"),
    "show --output": ("show mend --output c2",),
    "show --tokens": ("show mend --tokens", "show 1bbbbbbb --tokens"),
    "show --duplicates": ("show mend --duplicates",),
    "show --tools": ("show mend --tools", "show 1bbbbbbb --tools"),
    "diff": ("diff mend", "diff own"),
    "context": ("context mend", "context own"),
    "pause": ("pause 1ccccccc",),
    "cancel": ("cancel 1ccccccc --dry-run",),
    "resume --dry-run": ("resume 1ccccccc --dry-run --max-cost 2",),
    "send": ("send 1ccccccc hello",),
    "fork": ("fork own --at 1",),
    "replay": ("replay own", "replay own --live-tools"),
    "costs report": (
        "costs report",
        "costs report --by model --breakdown",
        "costs report --by task",
    ),
    "costs report --by tool": ("costs report --by tool",),
    "costs show": ("costs show mend", "costs show own"),
    "costs status": ("costs status",),
    "costs forecast": ("costs forecast",),
    "costs check": ("costs check",),
    "costs rebuild": ("costs rebuild --dry-run",),
    "costs prices": ("costs prices claude-opus-5-5",),
    "limits show": ("limits show", "limits show mend"),
    "limits set": ("limits set 1ccccccc --max-cost 3", "limits set 1ccccccc --timeout none"),
    "credits show": ("credits show", "credits show --history"),
    "credits add": ("credits add 5",),
    "credits set": ("credits set 7 --dry-run",),
    "tokens count": ("tokens count note.txt", "tokens count note.txt --model openai/gpt-5"),
    "permissions list": ("permissions list",),
    "permissions revoke": ("permissions revoke --all",),
    "agents list": ("agents list",),
    "agents show": ("agents show reviewer",),
    "agents check": ("agents check",),
    "tools list": ("tools list",),
    "tools show": ("tools show read_file", "tools show run_shell"),
    "tools call": ("tools call list_dir --args {}",),
    "tools check": ("tools check",),
    "init": ("init",),
    "doctor": ("doctor",),
    "gc": ("gc --older-than 1d",),
    "db backup": ("db backup copy.db",),
    "info": ("info",),
    "export": ("export mend -o x.agent",),
    "import": ("import x.agent",),
    "run --detach": ("run List-the-files --provider offline --detach",),
    "wait": ("wait 1aaaaaaa own @last", "wait own --any --timeout 1h"),
}
"""What is typed for each, in this order. Its first words are the command's."""
MAPS = {
    "info": ("settings", "tables", "paths"),
    "show": ("limits.credits", "limits.calls_per_minute", "limits.timeouts_ms"),
    "tools show": ("parameters",),
}
"""Objects whose names are not ours to promise."""


@cache
def answers(place: Place) -> dict[str, list[Any]]:
    """What each command printed."""
    found: dict[str, list[Any]] = {}
    for name, lines in SAMPLES.items():
        for line in lines:
            ran = place.cli(*line.split(), "--json")
            assert ran.out.count("\n") == 1, (line, ran.code, ran.out, ran.err)
            found.setdefault(name, []).append(ran.json)
    return found


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("json"))
    fill(place)
    (place.work / "note.txt").write_text("some words\n")
    agents = place.work / ".agents"
    agents.mkdir()
    (agents / "reviewer.md").write_text("---\nname: reviewer\ndescription: Reads.\n---\nRead.\n")
    place.cli("trust")
    write = {"name": "write_file", "arguments": {"path": "new.txt", "text": "x\n"}}
    place.turns({"text": "a", "calls": [write, shell("true")]}, {"text": "done"})
    assert place.run("x", "--approve", "auto", "--name", "own").code == 0
    return place


def schema_of(value: Any, maps: tuple[str, ...], at: str = "") -> dict[str, Any]:
    """The narrowest schema that a value fits."""
    if isinstance(value, dict):
        if at in maps:
            return {"type": ["object"]}
        below = f"{at}." if at else ""
        fields = {name: schema_of(each, maps, f"{below}{name}") for name, each in value.items()}
        return {
            "type": ["object"], "properties": fields, "required": sorted(fields),
            "additionalProperties": False,
        }  # fmt: skip
    if isinstance(value, list):
        items: dict[str, Any] = {}
        for each in value:
            items = wider(items, schema_of(each, maps, at))
        return {"type": ["array"], "items": items} if items else {"type": ["array"]}
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return {"type": [names[type(value)]]}


def wider(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """A schema that all fits that fits one of the two."""
    if not one or not other:
        return one or other
    made: dict[str, Any] = {"type": sorted({*one["type"], *other["type"]})}
    if any("object" in each["type"] and "properties" not in each for each in (one, other)):
        pass  # a person has said that its names are not ours
    elif "properties" in one or "properties" in other:
        mine, theirs = (each.get("properties", {}) for each in (one, other))
        both = [each for each in (one, other) if "properties" in each]
        made["properties"] = {
            name: wider(mine.get(name, {}), theirs.get(name, {})) for name in {**mine, **theirs}
        }
        made["required"] = sorted(set.intersection(*(set(each["required"]) for each in both)))
        made["additionalProperties"] = False
    items = wider(one.get("items", {}), other.get("items", {}))
    return made | ({"items": items} if items else {})


def file_of(name: str) -> Path:
    return FOLDER / f"{name.replace(' --', '-').replace(' ', '-')}.json"


@pytest.mark.parametrize("name", SAMPLES)
def test_json_is_as_its_schema_promises(used: Place, name: str) -> None:
    given = answers(used)[name]
    file = file_of(name)
    if os.environ.get("AGENTCTL_GOLDEN") == "write":
        made: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        for value in given:
            made = wider(made, schema_of(value, MAPS.get(name, ())))
        made.pop("title", None)
        made = {"title": f"agentctl {name} --json", **made}
        file.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    schema = json.loads(file.read_text(encoding="utf-8"))
    for value in given:
        jsonschema.validate(value, schema)


def test_a_field_that_vanishes_or_is_new_does_not_fit() -> None:
    schema = schema_of({"a": 1, "b": [{"c": "x"}]}, ())
    jsonschema.validate({"a": 2, "b": []}, schema)
    for wrong in ({"b": []}, {"a": "1", "b": []}, {"a": 1, "b": [{}]}, {"a": 1, "b": [], "d": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_every_command_that_prints_json_has_a_schema() -> None:
    command: Any = typer.main.get_command(build())
    missing = []
    for name in COMMANDS:
        found = command
        for word in name.split():
            found = found.commands[word]
        if any("--json" in param.opts for param in found.params) and name not in LINES:
            missing += [name] if name not in SAMPLES else []
    assert missing == []
    names = {file_of(name).name for name in SAMPLES} | {EVENTS.name}
    assert names == {path.name for path in FOLDER.iterdir()}


def test_the_schema_of_events_is_made_from_their_classes() -> None:
    """Kinds, fields, types, defaults: what docs/events.md promises of the lines of `--json`."""
    kinds, parts = msgspec.json.schema_components(KINDS.values(), ref_template="#/$defs/{name}")
    made = {
        "title": "The `event` of a line of --json, by its `kind`",
        "properties": dict(zip(KINDS, kinds, strict=True)),
        "$defs": parts,
    }
    if os.environ.get("AGENTCTL_GOLDEN") == "write":
        EVENTS.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert json.loads(EVENTS.read_text(encoding="utf-8")) == json.loads(json.dumps(made))


def test_every_event_of_a_log_fits_the_schema(used: Place) -> None:
    schema = json.loads(EVENTS.read_text(encoding="utf-8"))
    seen = set()
    for line in used.cli("show", "own", "--events").out.splitlines():
        _, kind, body = line.split(maxsplit=2)
        jsonschema.validate({kind: json.loads(body)}, schema)
        seen.add(kind)
    assert {"TaskCreated", "ModelAnswered", "ToolEnded", "Finished"} <= seen
