"""--schema, as users type it."""

import json

import pytest

from tests.cli.parts import Place

SCHEMA = {"type": "object", "required": ["open"], "properties": {"open": {"type": "integer"}}}


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    (made.work / "s.json").write_text(json.dumps(SCHEMA))
    return made


def test_an_answer_is_tried_again_until_it_fits_and_printed_as_json(place):
    place.turns(
        {"text": "Two are open."},
        {"text": '{"open": "two"}'},
        {"text": '```json\n{"open": 2}\n```'},
    )
    ran = place.run("Count", "--schema", "s.json", "-o", "out.json")
    assert (ran.code, ran.out) == (0, "")
    assert (place.work / "out.json").read_text() == '{"open": 2}\n'
    refused = place.events("AnswerRefused")
    assert [event["tries"] for event in refused] == [1, 2]
    assert "It is not JSON" in refused[0]["problem"]
    assert refused[1]["problem"] == "- at $.open: 'two' is not of type 'integer'"
    assert "'two' is not of type" in ran.err
    (created,) = place.events("TaskCreated")
    assert json.loads(created["schema"]) == SCHEMA
    assert created["system"].endswith(created["schema"])


def test_the_result_line_has_the_answer_as_text_and_as_a_value(place):
    place.turns({"text": '{"open": 2.50}'}, {"text": '{"open":\n2}'})
    result = place.run("Count", "--schema", "s.json", "--json").lines[-1]
    assert result["answer"] == '{"open":\n2}'
    assert result["data"] == {"open": 2}


def test_after_three_misfits_it_fails_and_a_resume_tries_again(place):
    place.turns(*({"text": f"no {n}"} for n in range(4)), {"text": '{"open": 0}'})
    ran = place.run("Count", "--schema", "s.json", "-q")
    assert (ran.code, ran.out) == (1, "")
    assert "the answer does not fit the schema, after 3 tries" in ran.err
    ran = place.cli("resume", "@last", "-q")
    assert (ran.code, ran.out) == (0, '{"open": 0}\n')


def test_a_bad_schema_is_told_before_anything_is_begun(place):
    (place.work / "s.json").write_text('{"type": "objekt"}')
    place.turns({"text": "x"})
    ran = place.run("Count", "--schema", "s.json")
    assert ran.code == 2
    assert "is no JSON Schema, at type" in ran.err
    assert place.run("Count", "--schema", "gone.json").code == 2
    assert place.cli("list", "--json").json == []
