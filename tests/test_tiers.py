"""Limits, tiers, accounts and tables: what they hold, who may set them, what wins."""

import re

import pytest

from agentctl.core.values import Breaker, Limits
from agentctl.errors import ConfigError, UsageError
from agentctl.settings_keys import KEYS, LIMIT_TABLES, TIER_KEYS
from tests.test_settings import TOP, Place

TIERS = """\
max_cost = 0.30
max_steps = 33

[rates]
http = 33
shell = 3

[accounts.team]
tier = "pro"

[accounts.plain]

[tiers.free]
max_cost = 0.01

[tiers.pro]
max_cost = 2.00
max_credits = "none"

[tiers.pro.rates]
http = 200
"""


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    made.user_file.write_text(TIERS)
    return made


def test_a_flag_beats_the_environment_beats_the_tier_beats_the_files(place):
    place.project_file.write_text("max_cost = 0.20")
    assert place.load().max_cost_micros == 200_000
    settings = place.load({"tier": "pro"})
    assert settings.max_cost_micros == 2_000_000
    assert settings.origins["max_cost"] == f"{place.user_file} [tiers.pro]"
    assert settings.max_steps == 33, "what the tier does not hold comes from the file"
    assert settings.max_tokens == 100_000, "and else from the default"
    settings = place.load({"tier": "pro"}, MAX_COST_PER_TASK="0.7")
    assert settings.max_cost_micros == 700_000
    settings = place.load({"tier": "pro", "max_cost": "9"}, MAX_COST_PER_TASK="0.7")
    assert settings.max_cost_micros == 9_000_000


def test_the_tier_is_that_of_the_flag_then_the_variable_then_the_file_then_the_account(place):
    account = {"account": "team"}
    assert place.load().tier == ""
    settings = place.load(account)
    assert (settings.account, settings.tier) == ("team", "pro")
    assert settings.origins["tier"] == f"{place.user_file} [accounts.team]"
    assert place.load(AGENTCTL_ACCOUNT="team").tier == "pro"
    place.user_file.write_text(f'tier = "free"\n{TIERS}')
    assert place.load(account).tier == "free"
    assert place.load(account, AGENTCTL_TIER="pro").tier == "pro"
    assert place.load({"tier": "free"}, AGENTCTL_TIER="pro").tier == "free"


def test_an_account_in_a_file_brings_its_tier(place):
    place.user_file.write_text(f'account = "team"\n{TIERS}')
    assert place.load().max_cost_micros == 2_000_000


@pytest.mark.parametrize("account", ["plain", "nobody", "default"])
def test_an_account_without_a_tier_has_the_usual_limits(place, account):
    settings = place.load({"account": account})
    assert (settings.account, settings.tier) == (account, "")
    assert settings.max_cost_micros == 300_000


def test_tables_are_joined_entry_by_entry(place):
    assert place.load().limits().calls_per_minute == {"http": 33, "shell": 3}
    settings = place.load({"tier": "pro"})
    assert settings.limits().calls_per_minute == {"http": 200, "shell": 3}
    assert settings.origins["rates.http"] == f"{place.user_file} [tiers.pro]"
    assert settings.origins["rates.shell"] == str(place.user_file)
    place.project_file.write_text("[rates]\nshell = 4\nai = 1")
    place.trust()
    assert place.load().limits().calls_per_minute == {"http": 33, "shell": 4, "ai": 1}


def test_a_tier_can_hold_every_limit_and_every_table_of_limits(place):
    place.user_file.write_text(
        """
circuit.failures = 9
[tiers.all]
max_cost = 1
max_cost_hour = 2
max_cost_day = 3
max_cost_step = 0.5
max_tokens = 4
max_steps = 5
timeout = "6s"
attempts = 7
max_credits = 8
max_credits_step = 9
on_limit = "wait"
wait_in_place = 0
rates = { ai = 10 }
timeouts.ai = "11s"
concurrency = { shell = 1 }
circuit = { window = "12s" }
[tiers.all.credits]
read_file = 13
"""
    )
    settings = place.load({"tier": "all"})
    assert settings.limits() == Limits(
        task_cost_micros=1_000_000,
        hour_cost_micros=2_000_000,
        day_cost_micros=3_000_000,
        step_cost_micros=500_000,
        task_tokens=4,
        steps=5,
        wall_ms=6_000,
        attempts=7,
        task_credits=8,
        step_credits=9,
        on_limit="wait",
        wait_in_place_ms=0,
        calls_per_minute={"ai": 10},
        timeouts_ms={"ai": 11_000},
        breaker=Breaker(failures=9, window_ms=12_000),
        credits={"read_file": 13},
    ), "and none of it was given by a flag"
    assert settings.concurrency == {"shell": 1}
    told = {name for name, origin in settings.origins.items() if origin.endswith("[tiers.all]")}
    assert told >= {*TIER_KEYS, *LIMIT_TABLES}


def test_an_unknown_tier_is_an_error_that_lists_the_known_and_how_to_write_one(place):
    with pytest.raises(UsageError) as error:
        place.load({"tier": "gold"})
    assert str(error.value) == (
        "--tier: there is no tier 'gold'. The known ones: free, pro. Choose one of these, or write "
        f"it into {place.user_file}: a line [tiers.gold] and below it its limits, e.g. "
        "max_cost = 1.00."
    )
    place.user_file.write_text("")
    with pytest.raises(UsageError, match=r"no tier 'gold'\. Write it into .*: a line \[tiers.gold"):
        place.load({"tier": "gold"})


def test_an_unknown_tier_is_told_with_the_place_that_names_it(place):
    with pytest.raises(ConfigError, match=r"^AGENTCTL_TIER: there is no tier 'gold'"):
        place.load(AGENTCTL_TIER="gold")
    place.user_file.write_text(f'# mine\ntier = "gold"\n{TIERS}')
    with pytest.raises(ConfigError) as error:
        place.load()
    assert str(error.value).startswith(f"{place.user_file}:2: tier: there is no tier 'gold'")
    place.user_file.write_text('[accounts.team]\n\ntier = "gold"')
    with pytest.raises(ConfigError) as error:
        place.load({"account": "team"})
    assert str(error.value).startswith(f"{place.user_file}:3: accounts.team.tier: there is no tier")
    assert place.load().tier == "", "another account is not in the way"


def test_a_tasks_own_account_and_tier_stand_above_flags_and_variables(place):
    task = {"account": "team", "tier": "free"}
    settings = place.load(AGENTCTL_TIER="pro", AGENTCTL_ACCOUNT="plain", task=task)
    assert (settings.account, settings.tier) == ("team", "free")
    assert settings.origins["tier"] == "task"
    assert settings.limits().given == ()
    assert place.load(task={"account": "team", "tier": ""}).tier == "pro"
    with pytest.raises(UsageError, match=r"^The task's tier: there is no tier 'old'"):
        place.load(task={"account": "team", "tier": "old"})


def test_every_limit_reaches_the_limits_of_a_task(place):
    place.user_file.write_text("")
    found = place.load(
        {
            "max_cost_day": "20",
            "max_cost_step": "0.1",
            "max_credits": "500",
            "max_credits_step": "none",
            "on_limit": "wait",
            "wait_in_place": "5m",
            "attempts": "2",
        }
    ).limits()
    assert found == Limits(
        day_cost_micros=20_000_000,
        step_cost_micros=100_000,
        task_credits=500,
        step_credits=None,
        on_limit="wait",
        wait_in_place_ms=300_000,
        attempts=2,
        given=("day_cost_micros",),
    )


def test_shared_limits_are_given_to_the_task_by_a_flag_and_by_nothing_else(place):
    place.user_file.write_text("max_cost_hour = 3")
    assert place.load(MAX_COST_PER_DAY="9").limits().given == ()
    flags = {"max_cost_day": "9", "max_cost_hour": "2", "max_cost": "1"}
    assert place.load(flags).limits().given == ("hour_cost_micros", "day_cost_micros")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("openai/gpt-6.1-terra", ("openai/gpt-6.1-terra",)),
        (" openai/a , ollama/meta/b:8b ", ("openai/a", "ollama/meta/b:8b")),
        (["openai/a", "ollama/b"], ("openai/a", "ollama/b")),
    ],
)
def test_fallbacks_are_a_list_in_order(place, text, expected):
    assert place.load({"fallback": text}).fallbacks == expected


def test_fallbacks_may_be_a_list_in_a_file(place):
    place.user_file.write_text('fallback = ["openai/a", "ollama/b"]')
    assert place.load().fallbacks == ("openai/a", "ollama/b")


PROJECT = """\
max_cost = 0.05
max_cost_day = 1
max_credits = 50
wait_in_place = "5s"
on_limit = "fail"
fallback = "openai/x"
account = "team"
tier = "pro"
[tiers.pro]
max_cost = 1000
[tiers.own]
max_cost = 0
[accounts.default]
tier = "pro"
[rates]
http = 1000000
[timeouts]
http = "1h"
[circuit]
failures = 1
[credits]
"anthropic/x" = 0
"""


def test_an_untrusted_project_may_only_tighten_simple_limits(place):
    place.project_file.write_text(PROJECT)
    settings = place.load()
    limits = settings.limits()
    assert (limits.task_cost_micros, limits.day_cost_micros) == (50_000, 1_000_000)
    assert (limits.task_credits, limits.wait_in_place_ms, limits.on_limit) == (50, 5_000, "fail")
    assert (settings.account, settings.tier, settings.fallbacks) == ("default", "", ())
    assert limits.calls_per_minute == {"http": 33, "shell": 3}
    assert (limits.timeouts_ms, limits.breaker, limits.credits) == ({}, Breaker(), {})
    (warning,) = settings.warnings
    assert (
        "fallback, account, tier, rates, timeouts, circuit, credits, accounts, tiers: not used, "
        "because the folder is not trusted"
    ) in warning
    assert place.load({"tier": "pro"}).max_cost_micros == 2_000_000, "the user's own tier"


def test_an_untrusted_project_may_not_loosen_the_new_limits(place):
    place.user_file.write_text("max_cost_day = 1\nmax_cost_step = 0.1\nmax_credits = 10")
    place.project_file.write_text(
        'max_cost_day = 2\nmax_cost_step = "none"\nmax_credits = 11\nmax_credits_step = 1001\n'
        'on_limit = "wait"\nwait_in_place = "61s"\nattempts = 6'
    )
    settings = place.load()
    assert settings.limits() == Limits(
        day_cost_micros=1_000_000, step_cost_micros=100_000, task_credits=10
    )
    (warning,) = settings.warnings
    assert "on_limit, wait_in_place, attempts: not used, because a limit is looser" in warning


def test_a_trusted_project_may_set_all_and_its_tier_replaces_one_of_the_same_name(place):
    place.project_file.write_text(PROJECT)
    place.trust()
    settings = place.load()
    assert settings.warnings == []
    assert (settings.account, settings.tier) == ("team", "pro")
    assert settings.max_cost_micros == 1_000_000_000
    assert settings.max_credits == 50, "the user's tier of that name does not count any more"
    assert settings.limits().calls_per_minute["http"] == 1_000_000
    assert settings.limits().breaker.failures == 1


def test_a_tier_that_only_an_untrusted_project_has_is_told_with_the_command_to_trust_it(place):
    place.project_file.write_text(PROJECT)
    with pytest.raises(UsageError) as error:
        place.load({"tier": "own"})
    assert f"{place.project_file} has one, but its folder is not trusted" in str(error.value)
    assert f"agentctl trust {place.project}" in str(error.value)


def test_what_a_project_may_do_is_in_the_docs_for_every_setting():
    text = (TOP / "docs" / "configuration.md").read_text()
    table = text.partition("## What a project's file may do")[2].partition("\n\nA model may")[0]
    told = {"tighter": "only if", "open": "yes", "trusted": "no"}
    for names, before in re.findall(r"^\| (`.+?) \| (.+?) \|", table, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            assert before.startswith(told[KEYS[name].weight]), name
            told.setdefault(f"seen {name}", "")
    assert {name for name in KEYS if f"seen {name}" not in told} == set()


def test_the_example_in_the_docs_does_what_the_page_says(place):
    text = (TOP / "docs" / "configuration.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    place.user_file.write_text(example)
    team = place.load({"account": "team"})
    assert (team.tier, team.max_cost_micros) == ("pro", 2_000_000)
    assert (team.max_cost_hour_micros, team.max_cost_day_micros) == (5_000_000, 50_000_000)
    assert place.load({"account": "team", "max_cost": "0.30"}).max_cost_micros == 300_000
    for tier in ("free", "enterprise"):
        assert place.load({"tier": tier}).tier == tier
