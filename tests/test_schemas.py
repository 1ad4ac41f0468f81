"""Schemas of answers: what is one, what fits, and that nothing is fetched."""

import json
import socket

import pytest

from agentctl import schemas
from agentctl.errors import UsageError

POINTS = {
    "type": "object",
    "required": ["points"],
    "properties": {"points": {"type": "array", "items": {"$ref": "#/$defs/point"}}},
    "additionalProperties": False,
    "$defs": {"point": {"type": "string", "minLength": 2}},
}


def misfit(schema, answer):
    return schemas.checker(json.dumps(schema))(answer)


def test_what_fits_has_no_problem():
    assert misfit(POINTS, '{"points": ["roof", "fence"]}') == ""
    assert misfit({}, "1e2") == ""


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("The points are…", "It is not JSON: Expecting value"),
        ("", "It is not JSON"),
        ('{"points": NaN}', "NaN is no JSON"),
        ('{"points": [], "points": []}', "an object has 'points' twice"),
        ("[" * 100_000, "too deep"),
        ("{}", "- at $: 'points' is a required property"),
        ('{"points": ["roof", "x"]}', "- at $.points[1]: 'x' is too short"),
        ('{"points": 7, "more": 1}', "- at $.points: 7 is not of type 'array'"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(answer, said):
    assert said in misfit(POINTS, answer)


def test_a_problem_has_a_bounded_length():
    answer = json.dumps({"points": [list(range(10_000))] * 50})
    assert len(misfit(POINTS, answer)) < 2_000


def test_a_file_is_read_as_compact_json_with_the_order_of_its_names(tmp_path):
    path = tmp_path / "s.json"
    path.write_text('\ufeff{ "type": "object",\n  "b": "é", "a": 1 }')
    assert schemas.read(path) == '{"type":"object","b":"é","a":1}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is not an object"),
        ('{"type": "objekt"}', "is no JSON Schema, at type"),
        ('{"$ref": "#/$defs/gone"}', "refers to '#/$defs/gone', which is not in it"),
        ('{"items": {"$ref": "other.json"}}', "Nothing is fetched"),
        ('{"x": "' + "y" * schemas.MAX_BYTES + '"}', "has more than 65,536 bytes"),
    ],
)
def test_a_file_that_is_no_schema_is_a_usage_error(tmp_path, text, said):
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(UsageError) as failed:
        schemas.read(path)
    assert str(path) in str(failed.value)
    assert said in str(failed.value)


def test_a_reference_to_another_place_is_refused_and_never_fetched(monkeypatch):
    def refuse(*_args, **_more):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    for ref in ("http://127.0.0.1:1/s.json", "https://example.com/s.json#/x", "file:///etc/passwd"):
        for place in ({"$ref": ref}, {"properties": {"a": {"$dynamicRef": ref}}}):
            with pytest.raises(UsageError, match="Nothing is fetched"):
                schemas.checker(json.dumps(place))


def test_one_that_hides_from_the_check_is_not_fetched_either(monkeypatch):
    """A place that holds no schema by the standard is looked at by nobody, or leads nowhere."""
    monkeypatch.setattr(schemas, "_lost", lambda _schema: iter(()))
    check = schemas.checker('{"$ref": "http://127.0.0.1:1/s.json"}')
    assert "leads nowhere" in check("1")


def test_the_drafts_themselves_may_be_referred_to():
    draft = "https://json-schema.org/draft/2020-12/schema"
    assert misfit({"$ref": draft}, '{"type": "object"}') == ""
    assert misfit({"$ref": draft}, '{"type": 7}')


def test_an_older_draft_is_taken_as_it_says():
    schema = {"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3}
    assert misfit({**schema, "exclusiveMaximum": True}, "3")
    assert misfit(schema, "3") == ""
