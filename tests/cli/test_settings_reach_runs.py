"""Every documented variable, file and flag changes what `info` shows and what a task records."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.parts import Place

VARIABLES = [
    ("LLM_PROVIDER", "scripted", "provider", "scripted"),
    ("LLM_MODEL", "my-label", "model", "my-label"),
    ("MAX_COST_PER_TASK", "0.25", "max_cost", 250_000),
    ("MAX_COST_PER_HOUR", "3.5", "max_cost_hour", 3_500_000),
    ("MAX_TOKENS_PER_TASK", "77000", "max_tokens", 77_000),
    ("MAX_CONTEXT_TOKENS", "9000", "max_context_tokens", 9_000),
    ("KEEP_LAST_N_USER_MESSAGES", "4", "keep_last_user", 4),
    ("KEEP_LAST_N_ASSISTANT_MESSAGES", "6", "keep_last_assistant", 6),
]


def created(place: Place, *words: str, **env: str) -> dict[str, Any]:
    """The TaskCreated event of a run."""
    place.turns({"text": "done"})
    assert place.run("x", *words, **env).code == 0
    (event,) = place.events("TaskCreated")
    return event


@pytest.mark.parametrize(("variable", "text", "name", "value"), VARIABLES)
def test_a_variable_is_shown_by_info_with_its_origin(
    place: Place, variable: str, text: str, name: str, value: object
) -> None:
    info = place.cli("info", "--json", **{variable: text}).json
    assert info["settings"][name] == {"value": value, "from": f"environment {variable}"}


def test_every_variable_reaches_the_task(place: Place) -> None:
    event = created(place, **{variable: text for variable, text, _, _ in VARIABLES})
    assert (event["provider"], event["model"]) == ("scripted", "my-label")
    limits = event["limits"]
    assert limits["task_cost_micros"] == 250_000
    assert limits["hour_cost_micros"] == 3_500_000
    assert limits["task_tokens"] == 77_000
    assert event["context"] == {"max_tokens": 9_000, "keep_user": 4, "keep_assistant": 6}


def test_a_flag_beats_a_variable_beats_the_project_beats_the_user(place: Place) -> None:
    place.user_file.write_text("max_cost = 0.40\n")
    project = place.work / ".agentctl.toml"
    project.write_text("max_cost = 0.30\n")
    env = {"MAX_COST_PER_TASK": "0.20"}

    def cap(*words: str, **env: str) -> int:
        limits = created(place, *words, **env)["limits"]
        found: int = limits["task_cost_micros"]
        return found

    assert cap("--max-cost", "0.10", **env) == 100_000
    assert cap(**env) == 200_000
    assert cap() == 300_000
    project.unlink()
    assert cap() == 400_000


def test_info_names_the_file_that_a_value_comes_from(place: Place) -> None:
    place.user_file.write_text("max_steps = 9\n")
    project = place.work / ".agentctl.toml"
    project.write_text("max_tokens = 5000\n")
    settings = place.cli("info", "--json").json["settings"]
    assert settings["max_steps"] == {"value": 9, "from": str(place.user_file)}
    assert settings["max_tokens"] == {"value": 5_000, "from": str(project)}


def test_a_projects_file_may_not_loosen_and_the_user_is_told(place: Place) -> None:
    (place.work / ".agentctl.toml").write_text("max_cost = 9\napprove = 'auto'\n")
    place.turns({"text": "done"})
    ran = place.run()
    assert "not used" in ran.err
    assert "agentctl trust" in ran.err
    (event,) = place.events("TaskCreated")
    assert event["limits"].get("task_cost_micros", 500_000) == 500_000
    assert event.get("approve", "ask") == "ask"


def test_after_trust_the_projects_file_counts(place: Place) -> None:
    (place.work / ".agentctl.toml").write_text("max_cost = 9\n")
    assert place.cli("trust", ".").code == 0
    assert created(place)["limits"]["task_cost_micros"] == 9_000_000


def test_the_workspaces_project_file_counts_and_not_that_of_the_current_folder(
    place: Place,
) -> None:
    (place.work / ".agentctl.toml").write_text("max_steps = 3\n")
    other = place.work.parent / "other"
    other.mkdir()
    assert created(place, "--cwd", str(other))["limits"].get("steps", 100) == 100
    assert created(place)["limits"]["steps"] == 3


@pytest.mark.parametrize(
    ("words", "env", "told"),
    [
        (["--max-cost", "-1"], {}, "--max-cost: '-1' is negative"),
        (["--timeout", "soon"], {}, "--timeout"),
        (["--approve", "maybe"], {}, "--approve"),
        (["--provider", "nobody"], {}, "nobody"),
        ([], {"MAX_COST_PER_HOUR": "lots"}, "MAX_COST_PER_HOUR: 'lots'"),
    ],
)
def test_a_bad_value_is_told_with_its_place_and_nothing_is_started(
    place: Place, words: list[str], env: dict[str, str], told: str
) -> None:
    place.turns({"text": "done"})
    ran = place.run("x", *words, **env)
    assert (ran.code, ran.out) == (2, "")
    assert told in " ".join(ran.err.split())
    assert place.cli("list", "--json").json == []


def test_a_bad_file_is_told_with_path_and_line(place: Place) -> None:
    place.user_file.write_text("max_steps = 3\nmax_cots = 1\n")
    ran = place.cli("list")
    assert ran.code == 0, "commands that need no settings still work"
    ran = place.cli("info")
    assert ran.code == 2
    assert f"{place.user_file}:2: max_cots" in ran.err.replace("\n", " ")
