"""The tables of a settings file: what they mean, and errors that name file, line and entry."""

import re

import pytest

from agentctl.core.values import Breaker, Limits
from agentctl.errors import ConfigError
from agentctl.settings_keys import LIMIT_TABLES, TABLES, TIER_KEYS
from tests.test_settings import TOP, Place


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_every_table_reaches_the_limits(place):
    place.user_file.write_text(
        """
[rates]
http = 5
my-tool = "none"
[timeouts]
shell = "2m"
ai = 0.5
[circuit]
failures = 2
reset = "10s"
[credits]
http_get = 3
"openai/gpt-5.4" = 20
"""
    )
    assert place.load().limits() == Limits(
        calls_per_minute={"http": 5, "my-tool": None},
        timeouts_ms={"shell": 120_000, "ai": 500},
        breaker=Breaker(failures=2, reset_ms=10_000),
        credits={"http_get": 3, "openai/gpt-5.4": 20},
    )


def test_how_many_run_at_once_is_set_in_all_and_by_category(place):
    place.user_file.write_text(
        'max_concurrent_tools = 2\n[concurrency]\nshell = 1\nhttp = "none"\ndatabase = 3'
    )
    found = place.load()
    assert found.max_concurrent_tools == 2
    assert found.concurrency == {"shell": 1, "http": None, "database": 3}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("rates = 3", 1, "rates: not a table"),
        ("tiers = []", 1, "tiers: not a table"),
        ("[rates]\nhttp = -1", 2, "rates.http: -1 is negative"),
        ("[rates]\nai = 2\nhtpp = 1", 3, "rates.htpp: there is no such category"),
        ("[rates]\nhtpp = 1", 2, "Did you mean http?"),
        ("[timeouts]\nfiles = 1", 2, "Did you mean file?"),
        ("[rates]\n'a b' = 1", 2, "'a b' is not a name"),
        ("[timeouts]\nhttp = 0", 2, "timeouts.http: 0 is too small"),
        ("[timeouts]\nhttp = 'none'", 2, "timeouts.http: 'none' is not a duration"),
        ("[concurrency]\nshell = 0", 2, "concurrency.shell: 0 is less than 1"),
        ("[concurrency]\nshel = 1", 2, "Did you mean shell?"),
        ("max_concurrent_tools = 0", 1, "max_concurrent_tools: 0 is less than 1"),
        ("[circuit]\nfailure = 3", 2, "circuit.failure: a circuit has no such setting"),
        ("[circuit]\nfailures = 0", 2, "circuit.failures: 0 is less than 1"),
        ("[circuit]\nreset = 'soon'", 2, "circuit.reset: 'soon' is not a duration"),
        ("[credits]\nhttp_get = 1.5", 2, "credits.http_get: 1.5 is not a whole number"),
        ("[credits]\nopenai.x = 1", 2, "credits.openai: {'x': 1} is not a whole number"),
        ("[credits]\n'a/b c' = 1", 2, "'a/b c' is not provider/model"),
        ("[accounts]\nteam = 'pro'", 2, "accounts.team: not a table"),
        ("[accounts.team]\nteir = 'pro'", 2, "accounts.team.teir: an account has no such"),
        ("[accounts.team]\ntier = 5", 2, "accounts.team.tier: 5 is not a name"),
        ("[accounts.'a b']\n", 1, "accounts.a b: 'a b' is not a name"),
        ("[tiers]\npro = 1", 2, "tiers.pro: not a table"),
        ("[tiers.pro]\nmax_cots = 1", 2, "a tier has no such limit. Did you mean max_cost?"),
        ("[tiers.pro]\nmodel = 'x'", 2, "tiers.pro.model: a tier has no such limit"),
        ("[tiers.pro.tiers.free]\nmax_cost = 1", 1, "tiers.pro.tiers: a tier has no such limit"),
        ("max_cost = 1\n[tiers.pro]\nmax_cost = -1", 3, "tiers.pro.max_cost: -1 is negative"),
        ("[tiers]\nx = {}\npro = {max_cost = -1}", 3, "tiers.pro.max_cost: -1 is negative"),
        ("[tiers.a]\nmax_cost = 1\n[tiers.b]\nmax_cost = -1", 4, "tiers.b.max_cost: -1"),
        ("[tiers.pro]\nrates = 4", 2, "tiers.pro.rates: not a table"),
        ("[tiers.pro.rates]\nhttp = 'x'", 2, "tiers.pro.rates.http: 'x' is not a whole number"),
        ("[ tiers . \"p.q\" ]\n on_limit='no' # x", 2, "on_limit: 'no' is not one of"),
        ("[rate]\nhttp = 1", 1, "rate: there is no such setting. Did you mean rates?"),
    ],
)
def test_a_bad_table_is_told_with_path_and_line(place, text, line, says):
    place.user_file.write_text(text)
    with pytest.raises(ConfigError) as error:
        place.load()
    assert str(error.value).startswith(f"{place.user_file}:{line}: ")
    assert says in str(error.value)


def test_a_category_of_ones_own_is_allowed(place):
    place.user_file.write_text("[rates]\ndatabase = 5\n[timeouts]\ndatabase = '3s'")
    limits = place.load().limits()
    assert limits.per_minute("database") == 5
    assert limits.timeout_ms("database", 1_000) == 3_000


def test_every_table_and_its_keys_are_in_the_docs():
    text = (TOP / "docs" / "configuration.md").read_text()
    assert all(f"`[{name}" in text and f"`{name}`" in text for name in TABLES)
    holds = text.partition("A tier is a named set of limits.")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", holds)) == {*TIER_KEYS, *LIMIT_TABLES}
