"""Settings: the order of their sources, exact values, and errors that name the place."""

import os
import re
from pathlib import Path

import pytest

from agentctl import trust
from agentctl.core.values import ContextPolicy, Limits, Rates
from agentctl.errors import AgentctlError, ConfigError, UsageError
from agentctl.settings import Settings, load
from agentctl.settings_keys import KEYS, TABLES

TOP = Path(__file__).resolve().parent.parent


class Place:
    """A home folder, a state home, a user file and a project in it."""

    def __init__(self, root):
        self.home = root / "me"
        self.state = root / "state"
        self.project = self.home / "work" / "project"
        self.user_file = self.home / ".config" / "agentctl" / "config.toml"
        self.project_file = self.project / ".agentctl.toml"
        self.env = {"HOME": str(self.home), "AGENTCTL_HOME": str(self.state)}
        self.project.mkdir(parents=True)
        self.user_file.parent.mkdir(parents=True)

    def load(self, flags=None, cwd=None, task=None, **env):
        return load(flags or {}, env={**self.env, **env}, cwd=cwd or self.project, task=task)

    def trust(self):
        return trust.trust(self.state, self.project)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_without_anything_the_defaults_hold_and_say_so(place):
    settings = place.load()
    assert settings.limits() == Limits()
    assert settings.context() == ContextPolicy()
    assert settings.approve == "ask"
    assert set(settings.origins.values()) == {"default"}
    assert set(settings.origins) == {*KEYS, *TABLES}
    assert settings.warnings == []
    assert settings.ledger == str(place.state / ".cost_history.json")


def test_flag_beats_environment_beats_project_beats_user_file(place):
    place.user_file.write_text("max_cost = 0.4")
    assert place.load().max_cost_micros == 400_000
    assert place.load().origins["max_cost"] == str(place.user_file)
    place.project_file.write_text("max_cost = 0.3")
    assert place.load().max_cost_micros == 300_000
    assert place.load().origins["max_cost"] == str(place.project_file)
    settings = place.load(MAX_COST_PER_TASK="0.9")
    assert settings.max_cost_micros == 900_000
    assert settings.origins["max_cost"] == "environment MAX_COST_PER_TASK"
    settings = place.load({"max_cost": "1.5", "model": None}, MAX_COST_PER_TASK="0.9")
    assert settings.max_cost_micros == 1_500_000
    assert settings.origins["max_cost"] == "flag"
    assert settings.origins["model"] == "default"


def test_every_documented_variable_is_read(place):
    settings = place.load(
        LLM_PROVIDER="anthropic",
        LLM_MODEL="claude-sonnet-5-5",
        MAX_COST_PER_TASK="1",
        MAX_COST_PER_HOUR="2.50",
        MAX_COST_PER_DAY="7",
        MAX_TOKENS_PER_TASK="200_000",
        MAX_CONTEXT_TOKENS="9000",
        KEEP_LAST_N_USER_MESSAGES="4",
        KEEP_LAST_N_ASSISTANT_MESSAGES="0",
    )
    assert (settings.provider, settings.model) == ("anthropic", "claude-sonnet-5-5")
    assert settings.limits() == Limits(
        task_cost_micros=1_000_000,
        hour_cost_micros=2_500_000,
        day_cost_micros=7_000_000,
        task_tokens=200_000,
    )
    assert settings.context() == ContextPolicy(9000, 4, 0, "window")


def test_an_unpriced_model_may_be_allowed(place):
    assert place.load({"allow_unpriced": True}).limits() == Limits(allow_unpriced=True)


def test_an_empty_variable_counts_as_not_set(place):
    assert place.load(MAX_COST_PER_TASK="").max_cost_micros == 500_000


def test_one_context_variable_brings_the_documented_values_of_the_others(place):
    assert place.load(KEEP_LAST_N_USER_MESSAGES="5").context() == ContextPolicy(
        8000, 5, 3, "window"
    )
    assert place.load(MAX_CONTEXT_TOKENS="9000").context() == ContextPolicy(9000, 3, 3, "window")


def test_a_chosen_policy_stands_whatever_its_numbers(place):
    assert place.load({"context": "window"}).context() == ContextPolicy(8000, 3, 3, "window")
    assert place.load({"context": "none"}, MAX_CONTEXT_TOKENS="9000").context().name == "none"
    bounded = place.load({"context": "auto"}, MAX_CONTEXT_TOKENS="9000").context()
    assert bounded == ContextPolicy(max_tokens=9000)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0.1", 100_000),
        ("0.29", 290_000),
        ("1.000001", 1_000_001),
        (" 2 ", 2_000_000),
        ("1e-6", 1),
        ("0.500000000000000000000000000000000000", 500_000),
        ("0", 0),
        ("1000000", 10**12),
        ("none", None),
        (0.1, 100_000),
        (3, 3_000_000),
    ],
)
def test_money_is_exact(place, text, micros):
    assert place.load({"max_cost": text}).max_cost_micros == micros


def test_money_in_a_file_is_exact_as_number_and_as_text(place):
    place.user_file.write_text('max_cost = 0.123457\nmax_cost_hour = "7.10"')
    assert place.load().max_cost_micros == 123_457
    assert place.load().max_cost_hour_micros == 7_100_000


@pytest.mark.parametrize(
    "text",
    ["-1", "-0.000001", "nan", "inf", "abc", "", "$5", "1,50", "1000000.01", "1e999999",
     "0.0000001", "1e-999999", True, ["1"]],
)  # fmt: skip
def test_bad_money_is_refused_with_the_flag_and_what_to_write_instead(place, text):
    with pytest.raises(UsageError) as error:
        place.load({"max_cost": text})
    assert str(error.value).startswith("--max-cost: ")
    assert "0 forbids every paid call" in str(error.value)
    assert "default of $0.50" in str(error.value)
    assert error.value.exit_code == 2


def test_a_bad_variable_is_named(place):
    with pytest.raises(ConfigError, match=r"MAX_COST_PER_HOUR: '-3' is negative.*\$10\.00"):
        place.load(MAX_COST_PER_HOUR="-3")


def test_a_bad_value_in_a_file_is_told_with_path_line_and_key(place):
    place.user_file.write_text("# mine\nmodel = 'x'\nmax_tokens = 1.5\n")
    with pytest.raises(ConfigError) as error:
        place.load()
    assert str(error.value).startswith(f"{place.user_file}:3: max_tokens: 1.5 is not a whole")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90_000),
        ("5m", 300_000),
        ("1h", 3_600_000),
        ("1.5 h", 5_400_000),
        ("250ms", 250),
        ("2d", 172_800_000),
        ("90", 90_000),
        (90, 90_000),
        ("0", 0),
        ("none", None),
    ],
)
def test_durations(place, text, expected):
    assert place.load({"timeout": text}).limits().wall_ms == expected


@pytest.mark.parametrize(
    "text", ["5 minutes", "-1s", "s", "1h30m", "nan", "1e9999h", "0.1ms", "400d"]
)
def test_bad_durations_are_refused(place, text):
    with pytest.raises(UsageError, match=r"--timeout: .*Write 90s, 5m, 1h"):
        place.load({"timeout": text})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tokens", "1.5"),
        ("max_tokens", "-1"),
        ("max_steps", "many"),
        ("max_steps", "9" * 30),
        ("attempts", "0"),
        ("silence_timeout", "0"),
        ("max_context_tokens", "0"),
        ("keep_last_user", "none"),
        ("approve", "yes"),
        ("approve", "AUTO"),
        ("allow_unpriced", "maybe"),
        ("model", "a\x1b[2J"),
        ("model", "m" * 201),
        ("model", 5),
        ("max_cost_day", "-1"),
        ("max_cost_step", "much"),
        ("max_credits", "1.5"),
        ("max_credits_step", "-1"),
        ("on_limit", "stop"),
        ("wait_in_place", "none"),
        ("account", ""),
        ("account", "a b"),
        ("account", "n" * 65),
        ("tier", "../x"),
        ("fallback", "openai"),
        ("fallback", "openai/a,,openai/b"),
        ("fallback", "openai/a\x1b[2J"),
        ("fallback", ",".join(["openai/a"] * 21)),
        ("fallback", 3),
        ("base_url", "ftp://x"),
        ("base_url", "localhost:8000"),
    ],
)
def test_other_bad_values_are_refused_by_name(place, name, value):
    with pytest.raises(UsageError, match=f"^--{name.replace('_', '-')}: ") as error:
        place.load({name: value})
    assert "\x1b" not in str(error.value)


def test_a_password_in_an_address_is_refused_and_not_repeated(place):
    with pytest.raises(UsageError) as error:
        place.load({"base_url": "https://me:hunter2@example.org/v1"})
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("model = \n", 1, "not valid TOML"),
        ("model = 'a'\n\nmodel = 'b'\n", 3, "not valid TOML"),
        ("model = 'a'\nmax_cots = 1\n", 2, "max_cots: there is no such setting. Did you mean"),
        ("[shells]\nshell = true\n", 1, "shells: there is no such setting"),
        ("model = 'a'\nprices = 3", 2, "prices: not a table"),
        ('[prices."openai"]\ninput = 1\noutput = 1', 1, "not a table named provider/model"),
        ('\n[prices."a/b"]\ninput = 1\n', 2, "output is missing"),
        ('[prices."a/b"]\ninput = -1\noutput = 1', 2, "input: -1 is negative"),
        ('[prices."a/b"]\ninput = 1\noutput = 1\nreasoning = 1', 1, "'reasoning' is not a price"),
        ('[tiers.a]\nmodel = "x"\n[prices."b/c"]\ninput = 1\noutput = 1\n[x]', 6, "x: there is no"),
        ('[prices.a]\nb = {input = 1, output = 1}', 1, "not a table named provider/model"),
    ],
)  # fmt: skip
def test_a_bad_file_is_told_with_path_and_line(place, text, line, says):
    place.user_file.write_text(text)
    with pytest.raises(ConfigError) as error:
        place.load()
    assert str(error.value).startswith(f"{place.user_file}:{line}: ")
    assert says in str(error.value)


def test_bytes_that_are_not_text_are_told_with_their_line(place):
    place.user_file.write_bytes(b"model = 'a'\n# \xff\n")
    with pytest.raises(ConfigError, match=re.escape(f"{place.user_file}:2: not UTF-8")):
        place.load()


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "max_tokens = " + "9" * 5_000])
def test_hostile_files_give_an_error_and_not_a_crash(place, text):
    place.project_file.write_text(text)
    with pytest.raises(ConfigError):
        place.load()


def test_a_pipe_or_folder_in_place_of_a_file_is_refused_without_waiting(place):
    os.mkfifo(place.project_file)
    with pytest.raises(ConfigError, match="is not a file"):
        place.load()
    place.project_file.unlink()
    place.user_file.mkdir()
    with pytest.raises(ConfigError, match="is not a file"):
        place.load()


def test_a_huge_file_is_refused(place):
    place.user_file.write_bytes(b"#" * 1_000_001)
    with pytest.raises(ConfigError, match="not a settings file"):
        place.load()


def test_a_named_user_file_must_exist_and_an_unnamed_one_need_not(place):
    named = place.home / "other.toml"
    with pytest.raises(ConfigError, match="no settings file"):
        place.load(AGENTCTL_CONFIG=str(named))
    named.write_text("max_steps = 7")
    assert place.load(AGENTCTL_CONFIG=str(named)).max_steps == 7


def test_prices_are_read_and_cached_input_without_a_price_costs_as_much_as_other_input(place):
    place.user_file.write_text(
        '[prices."openai/my-model"]\ninput = 1.25\noutput = "10"\n'
        '[prices."openai/full"]\ninput = 2\noutput = 8\ncache_read = 0.0375\ncache_write = 2.5\n'
    )
    settings = place.load()
    assert settings.prices == {
        "openai/my-model": Rates(1_250_000, 1_250_000, 1_250_000, 10_000_000, "configuration"),
        "openai/full": Rates(2_000_000, 37_500, 2_500_000, 8_000_000, "configuration"),
    }
    assert settings.origins["prices.openai/full"] == str(place.user_file)


def test_the_project_file_is_searched_upward_but_not_in_the_home_folder(place):
    inside = place.project / "a" / "b"
    inside.mkdir(parents=True)
    place.project_file.write_text("max_steps = 9")
    assert place.load(cwd=inside).project_file == str(place.project_file)
    place.project_file.unlink()
    (place.home / ".agentctl.toml").write_text("max_steps = 8")
    (place.home.parent / ".agentctl.toml").write_text("max_steps = 7")
    assert place.load(cwd=inside).project_file == ""
    assert place.load(cwd=inside).max_steps == 100
    assert place.load(cwd=place.home).max_steps == 8


def test_the_nearest_project_file_counts(place):
    (place.project.parent / ".agentctl.toml").write_text("max_steps = 5")
    place.project_file.write_text("max_steps = 9")
    assert place.load().max_steps == 9


def test_a_dotenv_of_the_project_is_never_read(place):
    (place.project / ".env").write_text("LLM_PROVIDER=openai\nMAX_COST_PER_TASK=100\n")
    assert set(place.load().origins.values()) == {"default"}


def test_a_relative_ledger_belongs_to_the_place_where_it_was_written(place):
    assert place.load({"ledger": "costs.json"}).ledger == str(place.project / "costs.json")
    place.user_file.write_text("ledger = 'costs.json'")
    assert place.load().ledger == str(place.user_file.parent / "costs.json")


def test_every_path_is_told(place):
    place.project_file.write_text("max_steps = 3")
    found = place.load().paths()
    assert found["state home"] == str(place.state)
    assert found["user file"] == str(place.user_file)
    assert found["project file"] == str(place.project_file)
    assert found["ledger"] == str(place.state / ".cost_history.json")
    assert {"database", "locks", "trusted folders"} <= set(found)


def test_errors_are_of_our_own_tree_whatever_a_value_is(place):
    for name in KEYS:
        for value in (object(), b"x", float("nan"), "\udc80", [], "1" * 10_000):
            try:
                place.load({name: value})
            except AgentctlError as error:
                assert len(str(error)) < 400


def test_every_setting_and_variable_is_described_in_the_docs():
    text = (TOP / "docs" / "configuration.md").read_text()
    for name, key in KEYS.items():
        assert f"`{name}`" in text
        assert not key.variable or f"`{key.variable}`" in text
    for name in ("AGENTCTL_HOME", "AGENTCTL_CONFIG", "agentctl trust", "[prices"):
        assert name in text


def test_the_example_in_the_docs_is_valid(place):
    text = (TOP / "docs" / "configuration.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    place.user_file.write_text(example)
    settings = place.load()
    assert isinstance(settings, Settings)
    assert settings.prices
