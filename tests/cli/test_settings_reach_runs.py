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
    ("MAX_COST_PER_DAY", "20", "max_cost_day", 20_000_000),
    ("MAX_TOKENS_PER_TASK", "77000", "max_tokens", 77_000),
    ("MAX_CONTEXT_TOKENS", "9000", "max_context_tokens", 9_000),
    ("KEEP_LAST_N_USER_MESSAGES", "4", "keep_last_user", 4),
    ("KEEP_LAST_N_ASSISTANT_MESSAGES", "6", "keep_last_assistant", 6),
    ("AGENTCTL_ACCOUNT", "team-a", "account", "team-a"),
    ("AGENTCTL_TIER", "pro", "tier", "pro"),
]
TIERS = """\
[accounts.team]
tier = "pro"

[tiers.pro]
max_cost = 2.00
max_cost_hour = 7

[tiers.pro.rates]
http = 7
"""


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
    place.user_file.write_text(TIERS)
    info = place.cli("info", "--json", **{variable: text}).json
    assert info["settings"][name] == {"value": value, "from": f"environment {variable}"}


def test_every_variable_reaches_the_task(place: Place) -> None:
    place.user_file.write_text(TIERS)
    event = created(place, **{variable: text for variable, text, _, _ in VARIABLES})
    assert (event["provider"], event["model"]) == ("scripted", "my-label")
    limits = event["limits"]
    assert limits["task_cost_micros"] == 250_000
    assert limits["hour_cost_micros"] == 3_500_000
    assert limits["day_cost_micros"] == 20_000_000
    assert limits["task_tokens"] == 77_000
    assert (event["account"], event["tier"]) == ("team-a", "pro")
    window = {"max_tokens": 9_000, "keep_user": 4, "keep_assistant": 6, "name": "window"}
    assert event["context"] == window


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
        (["--on-limit", "stop"], {}, "--on-limit: 'stop' is not one of"),
        (["--fallback", "openai"], {}, "--fallback: 'openai' is not provider/model"),
        (["--tier", "gold"], {}, "--tier: there is no tier 'gold'"),
        ([], {"AGENTCTL_TIER": "gold"}, "AGENTCTL_TIER: there is no tier 'gold'"),
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


def test_every_flag_of_a_limit_reaches_the_task(place: Place) -> None:
    flags = {
        "--max-cost": "0.20", "--max-cost-hour": "2", "--max-cost-day": "3",
        "--max-cost-step": "0.05", "--max-tokens": "9000", "--max-steps": "9", "--timeout": "5m",
        "--max-credits": "50", "--max-credits-step": "5", "--on-limit": "wait",
        "--wait-in-place": "2m",
    }  # fmt: skip
    event = created(place, *(word for pair in flags.items() for word in pair))
    expected = {
        "task_cost_micros": 200_000, "hour_cost_micros": 2_000_000, "day_cost_micros": 3_000_000,
        "step_cost_micros": 50_000, "task_tokens": 9_000, "steps": 9, "wall_ms": 300_000,
        "task_credits": 50, "step_credits": 5, "on_limit": "wait", "wait_in_place_ms": 120_000,
        "given": ["hour_cost_micros", "day_cost_micros"],
    }  # fmt: skip
    assert expected.items() <= event["limits"].items()


def test_an_account_brings_its_tier_and_the_result_names_the_account(place: Place) -> None:
    place.user_file.write_text(TIERS)
    place.turns({"text": "done"})
    ran = place.run("x", "--account", "team", "--json")
    assert (ran.lines[-1]["account"], ran.lines[-1]["switched"]) == ("team", [])
    (event,) = place.events("TaskCreated")
    assert (event["account"], event["tier"]) == ("team", "pro")
    assert event["limits"]["task_cost_micros"] == 2_000_000
    assert event["limits"]["calls_per_minute"] == {"http": 7}


def test_a_resume_keeps_the_tasks_limits_and_tier_and_takes_shared_ones_as_of_today(
    place: Place,
) -> None:
    place.user_file.write_text(TIERS)
    place.turns({"fault": {"status": 401}})
    assert place.run("x", "--tier", "pro", "--max-cost-day", "6").code == 1
    place.turns({"text": "done"})
    changed = TIERS.replace("2.00", "3.00").replace("http = 7", "http = 70")
    place.user_file.write_text(f"max_cost_day = 1\n{changed}")
    assert place.cli("resume", "@last", "--max-steps", "3").code == 0
    (event,) = place.events("LimitChanged")
    limits = event["limits"]
    assert limits["task_cost_micros"] == 2_000_000, "its own"
    assert limits["steps"] == 3, "given now"
    assert limits["day_cost_micros"] == 6_000_000, "given to the task when it began"
    assert limits["hour_cost_micros"] == 7_000_000
    assert limits["calls_per_minute"] == {"http": 70}, "of today's configuration"


def test_a_resume_says_when_the_tier_is_gone_and_starts_nothing(place: Place) -> None:
    place.user_file.write_text(TIERS)
    place.turns({"fault": {"status": 401}})
    assert place.run("x", "--tier", "pro").code == 1
    place.user_file.write_text("")
    ran = place.cli("resume", "@last")
    assert ran.code == 2
    assert "The task's tier: there is no tier 'pro'" in " ".join(ran.err.split())
    assert len(place.events("Resumed")) == 1, "that of the beginning"
    place.user_file.write_text(TIERS)
    place.turns({"text": "done"})
    assert place.cli("resume", "@last").code == 0


def test_other_fallbacks_can_be_given_to_a_resume(place: Place) -> None:
    place.turns({"fault": {"status": 401}})
    assert place.run("x", "--fallback", "offline/offline").code == 1
    (event,) = place.events("TaskCreated")
    assert event["fallbacks"] == ["offline/offline"]
    place.turns({"text": "done"})
    assert place.cli("resume", "@last", "--fallback", "").code == 0
    assert place.events("Resumed")[-1]["fallbacks"] == []


def test_resume_due_has_nothing_to_do_where_nothing_waits(place: Place) -> None:
    place.turns({"fault": {"status": 401}})
    assert place.run().code == 1
    ran = place.cli("resume", "--due")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert place.last()["status"] == "failed"


@pytest.mark.parametrize("words", [[], ["@last", "--due"], ["--all", "--due"], ["x", "--all"]])
def test_resume_wants_one_task_or_all_or_those_that_are_due(place: Place, words: list[str]) -> None:
    ran = place.cli("resume", *words)
    assert ran.code == 2
    assert "Which task?" in ran.err


def test_resume_due_takes_up_waiting_tasks_whose_time_has_come_and_no_others(place: Place) -> None:
    waits = {}
    for name, wait_ms in (("soon", 1), ("later", 3_600_000)):
        place.turns({"fault": {"status": 429, "retry_after_ms": wait_ms}})
        ran = place.run("x", "--wait-in-place", "0", "--name", name)
        waits[name] = (ran.code, place.last()["status"])
    assert waits == {"soon": (75, "waiting"), "later": (75, "waiting")}
    place.turns({"text": "done"})
    assert place.cli("resume", "--due").code == 0
    found = {row["name"]: row["status"] for row in place.cli("list", "--json").json}
    assert found == {"soon": "done", "later": "waiting"}


def test_an_estimate_begins_no_task(place: Place) -> None:
    place.turns({"text": "done"})
    ran = place.run("x", "--estimate", "--json")
    assert ran.code == 0
    assert place.cli("list", "--json").json == []
