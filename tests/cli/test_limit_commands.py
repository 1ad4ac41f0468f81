"""`limits` and `credits` as they are typed, also while a run is under way."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.cli.parts import EXAMPLES, PATIENCE_S, Place, Terminal, shell
from tests.cli.test_startup import LIBRARIES, imported

LIMIT = EXAMPLES / "scripted" / "limit.yaml"
WAIT = shell("touch started; until [ -e go ]; do sleep 0.02; done")


def stopped_at_limit(place: Place, *words: str) -> str:
    """The id of a task that stopped at its cost limit."""
    script = ("--script", str(LIMIT), "--cwd", str(EXAMPLES))
    assert place.cli("run", "go", *script, "--max-cost", "0.05", *words).code == 3
    found: str = place.last()["id"]
    return found


class Running:
    """A run whose tool waits until the test lets it go on."""

    def __init__(self, place: Place, *words: str) -> None:
        place.turns({"text": "waiting", "calls": [WAIT]}, {"text": "done"})
        self._place = place
        command = place.command("run", "x", "--script", str(place.script), "--approve", "auto")
        self.process = subprocess.Popen(
            [*command, *words], cwd=place.work, env=place.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        end = time.monotonic() + PATIENCE_S
        while not (place.work / "started").exists():
            assert time.monotonic() < end, "the tool never started"
            time.sleep(0.02)

    def end(self) -> int:
        (self._place.work / "go").touch()
        self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode


# --- the group's default ------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["limits", "credits"])
def test_a_group_alone_shows_and_its_help_names_its_commands(place: Place, group: str) -> None:
    shown = place.cli(group)
    assert (shown.code, shown.out) == (0, place.cli(group, "show").out)
    assert place.cli(group, "--json").json["schema"] == 1
    told = place.cli(group, "--help")
    assert told.code == 0
    assert "Commands:" in told.out
    assert "set" in told.out


def test_a_task_can_be_named_without_the_word_show(place: Place) -> None:
    task = stopped_at_limit(place)
    assert place.cli("limits", task, "--json").json["task"]["id"] == task
    assert place.cli("limits", "show", "@last", "--json").json["task"]["status"] == "limit"
    assert place.cli("limits", "nothing").code == 2


# --- looking ------------------------------------------------------------------------------------


def test_limits_show_use_and_refusals(place: Place) -> None:
    task = stopped_at_limit(place)
    found = place.cli("limits", task, "--json").json
    spent = place.last()["cost_micros"]
    hour, day, *_ = found["limits"]
    assert (hour["used"], hour["cap"], hour["left"]) == (spent, 10_000_000, 10_000_000 - spent)
    assert hour["resets_ms"] > found["now_ms"]
    assert day["cap"] is None
    (refused,) = found["refused"]
    assert (refused["guard"], refused["limit"], refused["times"]) == ("cost", "task_cost_micros", 1)
    assert refused["used"] + refused["need"] > refused["cap"] == 50_000
    shown = place.cli("limits", task)
    assert "Cost of the task" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80


def test_limits_fit_a_terminal_and_a_stream_without_unicode(place: Place) -> None:
    stopped_at_limit(place)
    with Terminal(place, "limits", "@last") as terminal:
        terminal.expect("Change one with")
        assert terminal.end() == 0
    assert max(len(line.rstrip("\r")) for line in terminal.text.split("\n")) <= 80
    assert place.cli("limits", "@last", PYTHONIOENCODING="ascii").out.isascii()


def test_a_waiting_task_is_shown_with_its_wake_time(place: Place) -> None:
    place.turns({"fault": {"status": 429, "retry_after_ms": 600_000}}, {"text": "done"})
    assert place.run().code == 75
    (waiting,) = place.cli("limits", "--json").json["waiting"]
    assert waiting["wake_ms"] == place.last()["wake_ms"]
    assert waiting["why"]


def test_since_and_account_narrow_what_is_shown(place: Place) -> None:
    stopped_at_limit(place)
    assert place.cli("limits", "--account", "other", "--json").json["refused"] == []
    assert place.cli("limits", "--since", "7d", "--json").json["refused"] != []
    assert place.cli("limits", "--since", "moon").code == 2
    assert place.cli("limits", "@last", "--account", "other").code == 2


# --- setting ------------------------------------------------------------------------------------


def test_a_limit_raised_on_a_stopped_task_lets_it_go_on_in_place(place: Place) -> None:
    task = stopped_at_limit(place)
    ran = place.cli("limits", "set", task, "--max-cost", "1", "--reason", "approved by Ann")
    assert (ran.code, ran.out) == (0, "")
    assert "$0.05 -> $1.00" in ran.err
    assert f"agentctl resume {task}" in ran.err
    assert place.events("LimitChanged", task)[0]["reason"] == "approved by Ann"
    assert place.cli("resume", task).code == 0


def test_a_limit_lowered_on_a_running_task_stops_it_before_its_next_call(place: Place) -> None:
    running = Running(place)
    ran = place.cli("limits", "set", "@last", "--max-steps", "1")
    assert ran.code == 0
    assert "used up" in ran.err
    assert "before the next call" in ran.err
    assert running.end() == 3
    assert (place.last()["status"], place.last()["steps"]) == ("limit", 1)


def test_a_limit_raised_on_a_running_task_keeps_it_going(place: Place) -> None:
    running = Running(place, "--max-steps", "1")
    assert place.cli("limits", "set", "@last", "--max-steps", "none").code == 0
    assert running.end() == 0
    assert place.last()["steps"] == 2


def test_processes_that_set_different_limits_at_once_lose_none(place: Place) -> None:
    task = stopped_at_limit(place)
    flags = {"--max-cost": "7", "--max-steps": "8", "--max-tokens": "9000", "--timeout": "5m"}
    started = [
        subprocess.Popen(
            place.command("limits", "set", task, *flag), env=place.env, cwd=place.work,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for flag in flags.items()
    ]  # fmt: skip
    assert [process.wait(PATIENCE_S) for process in started] == [0] * len(flags)
    caps = {each["name"]: each["cap"] for each in shown_limits(place, task)}
    assert caps["task_cost_micros"] == 7_000_000
    assert (caps["steps"], caps["task_tokens"], caps["wall_ms"]) == (8, 9_000, 300_000)


def shown_limits(place: Place, task: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = place.cli("limits", task, "--json").json["task"]["limits"]
    return found


def test_an_hour_limit_given_to_a_task_survives_its_resume(place: Place) -> None:
    task = stopped_at_limit(place)
    more = ("--max-cost", "none", "--max-cost-hour", "0.04")
    assert place.cli("limits", "set", task, *more).code == 0
    ran = place.cli("resume", task)
    assert ran.code == 3
    assert "--max-cost-hour" in ran.err


def test_a_dry_run_says_the_same_and_changes_nothing(place: Place) -> None:
    task = stopped_at_limit(place)
    ran = place.cli("limits", "set", task, "--max-cost", "1", "--dry-run")
    assert (ran.code, "$0.05 -> $1.00" in ran.err) == (0, True)
    assert "Nothing was changed" in ran.err
    done = place.cli("limits", "set", task, "--max-cost", "1", "--dry-run", "--json").json
    assert done["written"] is False
    assert done["changes"] == [
        {"name": "task_cost_micros", "old": 50_000, "new": 1_000_000, "used": done["cost_micros"]}
    ]
    assert place.events("LimitChanged", task) == []


def test_what_cannot_be_set_is_told(place: Place) -> None:
    task = stopped_at_limit(place)
    nothing = place.cli("limits", "set", task)
    assert nothing.code == 2
    assert "--max-cost-day" in nothing.err
    bad = place.cli("limits", "set", task, "--max-cost", "much")
    assert bad.code == 2
    assert "--max-cost" in bad.err
    assert place.cli("limits", "set", "nobody", "--max-cost", "1").code == 2
    place.cli("cancel", task)
    ended = place.cli("limits", "set", task, "--max-cost", "1")
    assert ended.code == 6
    assert "cancelled" in ended.err


# --- credits ------------------------------------------------------------------------------------


def test_credits_are_added_taken_set_and_listed(place: Place) -> None:
    assert "0 -> 500" in place.cli("credits", "add", "500", "--reason", "invoice 7").err
    assert place.cli("credits", "add", "-20", "--json").json == {
        "account": "default",
        "before": 500,
        "balance": 480,
        "dry_run": False,
    }
    assert place.cli("credits", "set", "9", "--account", "team-a").code == 0
    found = place.cli("credits", "--history", "--json").json
    assert [(a["account"], a["balance"]) for a in found["accounts"]] == [
        ("default", 480),
        ("team-a", 9),
    ]
    assert [move["amount"] for move in found["history"]] == [9, -20, 500]
    assert "invoice 7" in place.cli("credits", "show", "--history").out
    assert "default" not in place.cli("credits", "--account", "team-a").out


def test_the_configured_account_is_the_one_that_is_meant(place: Place) -> None:
    place.user_file.write_text('account = "team-b"\n')
    assert place.cli("credits", "add", "5").code == 0
    assert place.cli("credits", "--json").json["accounts"][0]["account"] == "team-b"
    assert place.cli("limits", "--json").json["account"] == "team-b"


@pytest.mark.parametrize(
    "words", ["add -1", "add x", "add 0", "add 1.5", "add", "add --fast 1", "set -1", "set x"]
)
def test_a_change_that_makes_no_sense_changes_nothing(place: Place, words: str) -> None:
    ran = place.cli("credits", *words.split())
    assert (ran.code, ran.out) == (2, "")
    assert place.cli("credits", "--history", "--json").json["history"] == []


@pytest.mark.parametrize(
    "words", ["credits add 1 --account", "credits --account", "limits --account"]
)
def test_the_name_of_an_account_is_checked(place: Place, words: str) -> None:
    ran = place.cli(*words.split(), "not a name")
    assert ran.code == 2
    assert "--account" in ran.err


# --- start-up -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", ["limits", "limits set @last --max-cost 2", "credits", "credits add 1"]
)
def test_these_commands_load_nothing_heavy(place: Place, words: str) -> None:
    place.turns({"fault": {"status": 401}})
    place.run()
    heavy = {*LIBRARIES, "asyncio", "sqlite_utils", "agentctl.app", "rich"}
    assert not imported(place, *words.split()) & heavy
