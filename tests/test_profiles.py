"""Profiles: what they hold, who may choose one, what wins."""

import pytest

from agentctl.errors import ConfigError, UsageError
from tests.test_settings import Place

PROFILES = """\
max_cost = 0.30
max_steps = 33
ledger = "mine.json"

[profiles.nightly]
max_cost = 3
approve = "auto"
ledger = "night.json"
sandbox_writable = ["out"]

[profiles.paid]
account = "team"
max_steps = 5

[profiles.cheap]
tier = "free"
max_cost = 0.02

[accounts.team]
tier = "free"

[tiers.free]
max_cost = 0.01
max_steps = 7
max_tokens = 70
"""


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    made.user_file.write_text(PROFILES)
    return made


def test_a_flag_beats_the_environment_beats_the_profile_beats_the_files(place):
    place.project_file.write_text("max_cost = 0.20\nmax_steps = 20")
    assert place.load().max_cost_micros == 200_000
    settings = place.load({"profile": "nightly"})
    assert (settings.profile, settings.max_cost_micros) == ("nightly", 3_000_000)
    assert settings.origins["max_cost"] == f"{place.user_file} [profiles.nightly]"
    assert settings.origins["profile"] == "flag"
    assert settings.max_steps == 20, "what the profile does not hold comes from the files"
    settings = place.load({"profile": "nightly"}, MAX_COST_PER_TASK="0.7")
    assert settings.max_cost_micros == 700_000
    settings = place.load({"profile": "nightly", "max_cost": "9"}, MAX_COST_PER_TASK="0.7")
    assert settings.max_cost_micros == 9_000_000


def test_the_profile_is_that_of_the_flag_then_the_variable_then_the_file(place):
    assert place.load().profile == ""
    place.user_file.write_text(f'profile = "paid"\n{PROFILES}')
    assert place.load().profile == "paid"
    assert place.load(AGENTCTL_PROFILE="cheap").profile == "cheap"
    assert place.load({"profile": "nightly"}, AGENTCTL_PROFILE="cheap").profile == "nightly"
    assert place.load(task={"profile": "nightly"}).profile == "nightly", "as a task was begun"


def test_a_profile_chooses_an_account_and_a_tier_but_its_own_limits_are_stronger(place):
    settings = place.load({"profile": "paid"})
    assert (settings.account, settings.tier, settings.max_steps) == ("team", "free", 5)
    settings = place.load({"profile": "cheap"})
    assert (settings.tier, settings.max_cost_micros, settings.max_tokens) == ("free", 20_000, 70)
    assert place.load({"profile": "paid", "account": "other"}).tier == "", "a flag is stronger"


def test_relative_paths_of_a_profile_belong_to_the_folder_of_its_file(place):
    settings = place.load({"profile": "nightly"})
    assert settings.ledger == str(place.user_file.parent / "night.json")
    assert settings.sandbox_writable == (str(place.user_file.parent / "out"),)


def test_a_profile_sends_no_key_of_another_provider_to_its_address(place):
    place.user_file.write_text(
        '[profiles.local]\nprovider = "openai"\nbase_url = "http://localhost:1/v1"'
    )
    settings = place.load({"profile": "local"})
    assert settings.address("openai", {}) == "http://localhost:1/v1"
    assert "localhost" not in settings.address("anthropic", {})


@pytest.mark.parametrize(
    ("flags", "env", "kind", "where"),
    [
        ({"profile": "fast"}, {}, UsageError, "--profile"),
        ({}, {"AGENTCTL_PROFILE": "fast"}, ConfigError, "AGENTCTL_PROFILE"),
    ],
)
def test_an_unknown_profile_is_an_error_that_lists_the_known_ones(place, flags, env, kind, where):
    with pytest.raises(kind) as failed:
        place.load(flags, **env)
    assert f"{where}: there is no profile 'fast'. The known ones: cheap, nightly, paid." in str(
        failed.value
    )
    assert "[profiles.fast]" in failed.value.next_step


def test_a_file_that_chooses_an_unknown_profile_is_named_with_its_line(place):
    place.user_file.write_text('max_steps = 1\nprofile = "fast"')
    with pytest.raises(ConfigError, match=r"config.toml:2: profile: there is no profile 'fast'"):
        place.load()


@pytest.mark.parametrize("line", ['profile = "paid"', "max_csot = 1", "[profiles.a.rates]\nai = 1"])
def test_a_profile_holds_settings_only(place, line):
    place.user_file.write_text(f"[profiles.a]\n{line}")
    with pytest.raises(ConfigError, match="a profile has no such setting"):
        place.load()


def test_a_project_that_is_not_trusted_neither_chooses_nor_defines_a_profile(place):
    place.project_file.write_text('profile = "nightly"\n[profiles.nightly]\nmax_cost = 90')
    settings = place.load()
    assert (settings.profile, settings.max_cost_micros) == ("", 300_000)
    assert "profile, profiles: not used" in settings.warnings[0]
    assert place.load({"profile": "nightly"}).max_cost_micros == 3_000_000, "it is the user's own"
    place.trust()
    assert place.load().max_cost_micros == 90_000_000


def test_a_profile_of_an_untrusted_project_says_how_to_trust_it(place):
    place.project_file.write_text("[profiles.theirs]\nmax_cost = 90")
    with pytest.raises(UsageError, match="not trusted") as failed:
        place.load({"profile": "theirs"})
    assert "agentctl trust" in failed.value.next_step
